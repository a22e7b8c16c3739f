"""The evidence's tables say what the numbers say, and the README keeps everything around them."""

from benchmarks.arms import ARMS
from benchmarks.table import PAIRS, TITLES, accuracy_rows, difference_rows, main, tables
from src.runtime.files import write_json

MARKS = "<!-- evidence:begin -->\n", "<!-- evidence:end -->"


def result(overall: float, few: float | None = 0.5) -> dict:
    budgets = {budget: {"overall": overall, "few": few} for budget in ("full", "half")}
    quality = {"fid": 12.34, "density": 0.876, "coverage": 0.5, "class_agreement": {"overall": 0.95}}
    return {**budgets, "quality": quality}


def report(**arms: dict) -> dict:
    seeds = sorted({seed for results in arms.values() for seed in results})
    return {"arms": arms, "seeds": seeds, "split": "test", "settings": {"synth": {"per_class": 60}}}


BASE = {"1": {"full": {"overall": 0.6, "few": 0.3}}, "2": {"full": {"overall": 0.7, "few": 0.5}}}
MADE = {"1": result(0.8), "2": result(0.9)}


def test_a_cell_is_the_mean_in_per_cent_and_its_student_t_interval():
    (row,) = accuracy_rows(report(text=MADE))
    assert row["overall, full"] == "85.0 ± 63.5"  # t(.975, 1) = 12.706, standard error 5
    assert (row["few, half"], row["fid"], row["density"]) == ("50.0 ± 0.0", "12.3 ± 0.0", "0.88 ± 0.00")
    assert row["class agreement"] == "95.0 ± 0.0"


def test_one_seed_has_a_value_and_no_interval():
    (row,) = accuracy_rows(report(text={"1": result(0.8)}))
    assert row["overall, full"] == "80.0"
    assert difference_rows(report(text={"1": result(0.8)}, base_ce={"1": BASE["1"]})) == []


def test_a_base_has_no_budget_and_no_images():
    (row,) = accuracy_rows(report(base_ce=BASE))
    assert row["overall, full"].startswith("65.0 ±") and row["overall, half"] is None and row["fid"] is None
    assert "| base, cross-entropy | 65.0 ± 63.5 | 40.0 ± 127.1 | - | - | - |" in tables(report(base_ce=BASE))


def test_an_arm_that_lacks_a_seed_or_a_shot_has_no_number_instead_of_a_wrong_one():
    short, shotless = {"1": result(0.8)}, {"1": result(0.8, few=None), "2": result(0.9, few=None)}
    rows = accuracy_rows(report(base_ce=BASE, text=short, text_image=shotless))
    assert rows[1]["overall, full"] is None
    assert rows[2]["few, full"] is None and rows[2]["overall, full"] is not None


def test_differences_are_paired_by_seed_so_that_what_seeds_share_cancels():
    rows = difference_rows(report(base_ce=BASE, text=MADE))
    assert [row["difference"] for row in rows] == ["text - base, cross-entropy"]
    assert rows[0]["overall, full"] == rows[0]["overall, half"] == "+20.0 ± 0.0"
    (other,) = difference_rows(report(text=MADE, text_image={"1": result(0.7), "2": result(0.8)}))
    assert other["overall, full"] == "-10.0 ± 0.0"


def test_every_arm_of_the_evidence_has_a_title_and_every_pair_compares_arms():
    assert {arm.name for arm in ARMS} | {"base_ce", "base_bs", "all_real"} == set(TITLES)
    assert {arm for pair in PAIRS for arm in pair} <= set(TITLES)


def test_the_caption_names_split_seeds_and_budgets():
    text = tables(report(text=MADE))
    assert text.startswith(
        "Accuracy in per cent on the test split, mean ± 95 % interval over seeds 1 to 2; full budget 60 "
    )
    assert "half 30" in text


def test_one_command_writes_the_readme(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text("".join(MARKS))
    write_json(tmp_path / "evidence.json", report(base_ce=BASE, text=MADE))
    monkeypatch.setattr("sys.argv", ["table", str(tmp_path / "evidence.json"), "--readme", str(readme)])
    main()
    assert "| text - base, cross-entropy | +20.0 ± 0.0 |" in readme.read_text()


def test_what_feedback_raised_is_compared_on_finished_images_with_the_arm_without_it():
    def arm(entropy: float) -> dict:
        return {seed: {**result(0.8), "criteria": {"entropy": entropy + float(seed)}} for seed in ("1", "2")}

    text = tables(report(dropout=arm(0.25), entropy=arm(0.75)))
    assert "| + entropy feedback | - | +0.500 ± 0.000 | - |" in text
    assert "mean criterion" not in tables(report(dropout=arm(0.25)))
