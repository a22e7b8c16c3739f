"""The report of what balancing improved: its figures by hand, its verdicts, and predictions of another run."""

import re
import shutil

import numpy as np
import pytest

import commands.improvement
import stages.eval_acc
from src.data.names import Names, write_names
from src.evaluation.accuracy import accuracy_report
from src.evaluation.improvement import improvement_report, read_predictions
from src.runtime.errors import InputError
from src.runtime.files import read_json, write_csv
from src.shards.store import write_all
from tests.recorded import record

NAMES = ["cat", "dog", "newt"]
COUNTS = [200, 50, 3]
LABELS = np.repeat([0, 1, 2], [40, 40, 20])


def predicted(*right: int) -> np.ndarray:
    """Predictions with so many right ones in each class; the wrong ones say the next class."""
    return np.concatenate(
        [np.where(np.arange(n) < r, k, (k + 1) % 3) for k, (r, n) in enumerate(zip(right, (40, 40, 20), strict=True))]
    )


ARMS = {
    "base": predicted(40, 30, 2),
    "synaug": predicted(38, 32, 5),
    "guided": predicted(22, 31, 17),
    "all_real": predicted(40, 40, 20),
}


@pytest.fixture
def make(tmp_path):
    """Writes predictions as eval_acc does; returns the accuracy report and what was read back."""

    def write(arms=ARMS, contexts=None):
        report = {}
        for arm, answers in arms.items():
            groups = (
                {}
                if contexts is None
                else {"contexts": contexts, "context_names": ["in", "out"], "group_counts": [100, 100, 25, 25, 3, 0]}
            )
            report[arm] = accuracy_report(np.eye(3)[answers], LABELS, COUNTS, NAMES, **groups)
            rows = [{"actual": NAMES[y], "predicted": NAMES[k]} for y, k in zip(LABELS, answers, strict=True)]
            for i, row in enumerate(rows if contexts is not None else ()):
                row["context"] = ["in", "out"][contexts[i]]
            write_csv(tmp_path / f"{arm}.csv", rows)
        return report

    return write


def table_row(text: str, name: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def report_of(tmp_path, report):
    return improvement_report(report, read_predictions(tmp_path, report))


def test_the_rarest_class_comes_first_with_its_images_accuracies_and_differences(make, tmp_path):
    text = report_of(tmp_path, make())
    assert re.findall(r"^\| (cat|dog|newt) \|", text, re.MULTILINE) == ["newt", "dog", "cat"]
    row = table_row(text, "newt")
    assert row[:4] == ["newt", "3", "20", "10.0"] and row[4] == "25.0" and row[6] == "85.0"
    assert re.fullmatch(r"\+15\.0 \[[+-][0-9.]+, \+[0-9.]+\]", row[5])
    assert re.fullmatch(r"\*\*\+75\.0\*\* \[\+[0-9.]+, \+[0-9.]+\]", row[7])


def test_the_summary_holds_the_figures_of_the_accuracy_report(make, tmp_path):
    report = make()
    text = report_of(tmp_path, report)
    for name, key in (
        ("overall", "overall"),
        ("many (> 100 training images)", "many"),
        ("few (< 20)", "few"),
        ("mean of classes", "macro"),
    ):
        row = table_row(text, name)
        assert [row[i] for i in (1, 2, 4, 6)] == [f"{100 * report[arm][key]:.1f}" for arm in ARMS]


def test_it_says_which_classes_improved_and_which_got_worse_beyond_noise(make, tmp_path):
    synaug, guided = (line for line in report_of(tmp_path, make()).splitlines() if line.startswith("**"))
    assert "**guided** against base. Improved beyond noise: newt. Got worse beyond noise: cat." in guided
    assert "No difference that this test can tell: dog." in guided
    assert "**synaug** against base. Improved beyond noise: none. Got worse beyond noise: none." in synaug


@pytest.mark.parametrize(
    ("right", "difference"),
    [
        (33, r"\+3\.0 \[-[0-9.]+, \+[0-9.]+\]"),
        (27, r"-3\.0 \[-[0-9.]+, \+[0-9.]+\]"),
        (40, r"\*\*\+10\.0\*\* \[\+[1-9][0-9.]*, \+[0-9.]+\]"),
        (20, r"\*\*-10\.0\*\* \[-[0-9.]+, -[1-9][0-9.]*\]"),
    ],
    ids=["perhaps better", "perhaps worse", "better", "worse"],
)
def test_a_difference_of_a_summary_is_bold_where_its_interval_excludes_zero(make, tmp_path, right, difference):
    text = report_of(tmp_path, make({"base": ARMS["base"], "guided": predicted(40, right, 2)}))
    assert re.fullmatch(difference, table_row(text, "overall")[3])


def test_equal_predictions_are_no_improvement(make, tmp_path):
    text = report_of(tmp_path, make({"base": ARMS["base"], "guided": ARMS["base"]}))
    assert "Improved beyond noise: none. Got worse beyond noise: none." in text
    assert re.fullmatch(r"\+0\.0 \[-3\.\d, \+3\.\d\]", table_row(text, "overall")[3])


def test_it_warns_where_the_test_has_too_few_images_to_tell(tmp_path):
    labels = np.repeat([0, 1], [50, 4])
    arms = {"base": np.zeros(54, dtype=int), "guided": labels}
    report = {arm: accuracy_report(np.eye(3)[answers], labels, COUNTS, NAMES) for arm, answers in arms.items()}
    for arm, answers in arms.items():
        write_csv(
            tmp_path / f"{arm}.csv",
            [{"actual": NAMES[y], "predicted": NAMES[k]} for y, k in zip(labels, answers, strict=True)],
        )
    text = report_of(tmp_path, report)
    assert "**Too few test images to tell**: newt (0), dog (4); with fewer than 7" in text
    assert "Improved beyond noise: none." in text
    assert table_row(text, "newt") == ["newt", "3", "0", "-", "-", "-"]
    assert "few (< 20)" not in text


def test_groups_of_unequal_size_add_the_worst_and_the_mean_group_and_change_no_other_figure(make, tmp_path):
    plain = report_of(tmp_path, make())
    report = make(contexts=(np.arange(100) % 3 == 0).astype(int))
    text = report_of(tmp_path, report)
    for name, key in (("worst group", "worst"), ("mean of groups", "mean")):
        row = table_row(text, name)
        assert [row[i] for i in (1, 2, 4, 6)] == [f"{100 * report[arm]['groups'][key]:.1f}" for arm in ARMS]
        assert name not in plain
    for name in ("overall", "few (< 20)", "mean of classes"):
        assert [table_row(text, name)[i] for i in (1, 2, 4, 6)] == [table_row(plain, name)[i] for i in (1, 2, 4, 6)]


def test_a_reference_that_saw_no_more_images_is_no_bound(make, tmp_path):
    report = make()
    assert "| all_real |" in report_of(tmp_path, report)
    report["all_real"] = {"bound": False, **report["all_real"]}
    assert "all_real" not in report_of(tmp_path, report)


def spoil_other(folder, report):
    report["guided"]["overall"] += 0.01


def spoil_order(folder, report):
    lines = (folder / "guided.csv").read_text().splitlines()
    (folder / "guided.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")


def spoil_short(folder, report):
    lines = (folder / "guided.csv").read_text().splitlines()
    (folder / "guided.csv").write_text("\n".join(lines[:-1]) + "\n")


def spoil_names(folder, report):
    for arm in ARMS:
        path = folder / f"{arm}.csv"
        path.write_text(path.read_text().replace("newt", "toad"))


@pytest.mark.parametrize("spoil", [spoil_other, spoil_order, spoil_short, spoil_names])
def test_predictions_of_another_run_are_refused(make, tmp_path, spoil):
    report = make()
    spoil(tmp_path, report)
    with pytest.raises(InputError, match=r"accuracy.json are not of one run; run `dvc repro eval_acc` again"):
        read_predictions(tmp_path, report)


def test_the_same_metrics_give_the_same_bytes(make, tmp_path):
    report = make()
    assert report_of(tmp_path, report) == report_of(tmp_path, report)


@pytest.mark.parametrize("bound", [True, False])
def test_the_report_follows_from_what_eval_acc_writes_for_data_with_contexts(tmp_path, monkeypatch, bound):
    monkeypatch.chdir(tmp_path)
    contexts = np.arange(100) % 2
    samples = [
        (np.zeros((4, 4, 3), np.uint8), {"label": int(y), "context": int(a)})
        for y, a in zip(LABELS, contexts, strict=True)
    ]
    write_all(tmp_path / "data/real/train", samples[::3])
    write_all(tmp_path / "data/real/test", samples)
    write_names(tmp_path / "data/real", Names(tuple(NAMES), ("in", "out")))
    write_all(tmp_path / "data/real/pool", samples[:: 2 if bound else 3])
    folders = {arm.classifier: name for name, arm in stages.eval_acc.ARMS.items()}
    monkeypatch.setattr("stages.eval_acc.load_classifier", lambda folder: Said(folders[folder]))
    monkeypatch.setattr("stages.eval_acc.predict", lambda model, images: np.eye(3)[ARMS[model.arm]])
    stages.eval_acc.main()
    shutil.copytree("data/results", "metrics")
    record(tmp_path, "metrics/accuracy.json")
    commands.improvement.main()

    report = read_json("metrics/accuracy.json")
    assert report["guided"]["groups"]["per_group"][1] == {
        "class": "cat", "context": "out", "accuracy": 0.55, "train_images": 7, "test_images": 20,
    }  # fmt: skip
    assert report["all_real"].get("bound", True) == bound and "bound" not in report["guided"]
    assert (tmp_path / "metrics/confusion/base.csv").read_text().splitlines()[:2] == [
        "actual,context,predicted",
        "cat,in,cat",
    ]
    text = (tmp_path / "metrics/improvement.md").read_text()
    assert table_row(text, "worst group")[4] == "55.0" and ("all_real" in text) == bound


class Said:
    """Stands for a classifier; `predict` is faked as well and asks it which arm it is."""

    def __init__(self, arm: str) -> None:
        self.arm = arm

    def to(self, device):
        return self
