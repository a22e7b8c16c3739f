"""The methods' tables say what the reports say, by shots or by groups, each beside the first of its family."""

from typing import Any

import pytest

from benchmarks.arms import BASELINES, GROUPS
from benchmarks.method_table import FAIRNESS, TITLES, main, table
from src.runtime.errors import InputError
from src.runtime.files import write_json
from src.versions.import_closure import ROOT

DIFFERENCES = ("demographic_parity_difference", "equal_opportunity_difference", "equalised_odds_difference")


def by_shot(few: float | None) -> dict[str, Any]:
    return {"overall": 0.5, "many": 0.9, "medium": 0.25, "few": few}


def by_group(worst: float, odds: float | None = 0.125) -> dict[str, Any]:
    differences = zip(DIFFERENCES, (0.5, 0.25, odds), strict=True)
    return {
        **by_shot(0.5),
        "groups": {"worst": worst, "mean": 0.75, "weighted_mean": 0.875},
        "fairness": {name: {"max": value, "mean": 0.0} for name, value in differences},
    }


def report(arms: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Arms with the full budget's accuracies of seeds 7, 8, ..."""
    count = max(map(len, arms.values()))
    seeds = {name: {str(7 + i): {"full": full} for i, full in enumerate(each)} for name, each in arms.items()}
    return {"arms": seeds, "seeds": [*range(7, 7 + count)], "split": "test", "settings": {"dataset": "some_data"}}


SHOTS = report({
    "focal": [by_shot(0.5), by_shot(0.7)], "ce": [by_shot(0.2), by_shot(0.4)], "base_ce": [by_shot(0.0)] * 2,
    "all_real": [by_shot(0.9)] * 2,
})  # fmt: skip
GROUPED = report({
    "dfr": [by_group(0.3), by_group(0.1)], "erm": [by_group(0.2), by_group(0.3)], "all_real": [by_group(0.5)] * 2,
})  # fmt: skip


def lines(text: str) -> dict[str, list[str]]:
    """Cells of every row of the table by its first."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows}


def test_rows_keep_the_families_order_and_the_gain_is_over_its_first_paired_by_seed():
    found = lines(table(SHOTS))
    assert list(found) == ["method", "---", "cross-entropy", "focal", "all real images (bound)"]
    assert found["method"] == ["overall", "medium", "few", "few, gain"]
    assert found["cross-entropy"] == ["50.0 ± 0.0", "25.0 ± 0.0", "30.0 ± 127.1", "-"]  # t(.975, 1) = 12.706
    assert found["focal"][-1] == "+30.0 ± 0.0" and found["all real images (bound)"][-1] == "+60.0 ± 127.1"


def test_data_with_groups_are_judged_by_the_worst_group_and_by_fairness():
    found = lines(table(GROUPED))
    assert found["method"] == ["worst group", "mean of groups", "train-weighted mean", *FAIRNESS, "worst group, gain"]
    assert found["ERM"] == [
        "25.0 ± 63.5", "75.0 ± 0.0", "87.5 ± 0.0", "50.0 ± 0.0", "25.0 ± 0.0", "12.5 ± 0.0", "-",
    ]  # fmt: skip
    assert found["DFR (on validation)"][-1] == "-5.0 ± 190.6"


def test_the_caption_names_data_split_seeds_and_what_the_gain_is_over():
    assert table(SHOTS).startswith(
        "`some_data`: per cent on the test split, mean ± 95 % interval over seeds 7 to 8; the gain is over "
        "cross-entropy, paired by seed.\n\n|"
    )


def test_what_a_seed_lacks_is_a_dash_instead_of_a_wrong_number():
    short = report({"ce": [by_shot(0.2), by_shot(0.4)], "focal": [by_shot(0.5)], "bs": [by_shot(0.5), by_shot(None)]})
    found = lines(table(short))
    assert found["focal"] == ["-"] * 4 and found["all real images (bound)"] == ["-"] * 4
    assert found["balanced softmax"] == ["50.0 ± 0.0", "25.0 ± 0.0", "-", "-"]
    unknown = report({"erm": [by_group(0.2, None), by_group(0.4)]})
    assert lines(table(unknown))["ERM"][5] == "-"


def test_one_seed_has_values_and_neither_interval_nor_gain():
    found = lines(table(report({"ce": [by_shot(0.2)], "focal": [by_shot(0.5)]})))
    assert found["focal"] == ["50.0", "25.0", "50.0", "-"]


def test_a_report_of_other_arms_is_refused():
    with pytest.raises(InputError, match=r"the report has none of the methods; run benchmarks\.evidence with --arms"):
        table(report({"text": [by_shot(0.5)]}))


def test_every_method_of_both_families_has_a_title_of_its_own():
    assert [arm.name for arm in (*BASELINES, *GROUPS)] == list(TITLES)
    assert len(set(TITLES.values())) == len(TITLES)


@pytest.mark.parametrize("name", ["baselines", "groups"])
def test_one_command_writes_all_reports_between_the_readmes_marks_of_that_name(name, tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    before = (ROOT / "README.md").read_text()
    readme.write_text(before)
    for file, what in (("shots", SHOTS), ("grouped", GROUPED)):
        write_json(tmp_path / f"{file}.json", what)
    reports = [str(tmp_path / "shots.json"), str(tmp_path / "grouped.json")]
    monkeypatch.setattr("sys.argv", ["method_table", *reports, "--readme", str(readme), "--name", name])
    main()
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    text = readme.read_text()
    assert text.partition(begin)[2].partition(end)[0] == f"\n{table(SHOTS)}\n{table(GROUPED)}\n"
    assert text.partition(begin)[0] == before.partition(begin)[0]
    assert text.partition(end)[2] == before.partition(end)[2]
