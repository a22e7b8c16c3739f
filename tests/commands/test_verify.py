"""`make verify`: the same bytes, or the first stage that differs and each number beside its spread over seeds."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import verify
from src.runtime.errors import InputError
from src.runtime.files import read_yaml
from src.studies.experiments import BENCHMARK, experiment_of
from src.studies.fingerprint import code_digest

ROOT = Path(__file__).parents[2]
DEFAULT = dict(experiment_of({name: read_yaml(ROOT / "params.yaml")[name] for name in BENCHMARK}, 0, ROOT).settings)
LOCK = {
    "schema": "2.0",
    "stages": {
        "train_base": {
            "deps": [{"path": "src/training/loop.py", "md5": "1" * 32}],
            "params": {"params.yaml": {"seed": 0}},
            "outs": [{"path": "data/base", "md5": "2" * 32}, {"path": "data/results/base.csv", "md5": "3" * 32}],
        },
        "eval_acc": {
            "deps": [{"path": "data/base", "md5": "2" * 32}],
            "outs": [{"path": "data/results/accuracy.json", "md5": "4" * 32}],
        },
    },
}
SUMMARY = {"acc": 0.84, "few": 0.77, "syn.acc": 0.80, "base.acc": None, "fid": 3.4}


def row(seed: int, few: float) -> dict[str, Any]:
    guided = {"overall": 0.84 + seed / 100, "few": few, "fid": 3.0}
    return {
        "name": f"s{seed}", "seed": seed, "settings": DEFAULT, "inputs": "", "code": code_digest(ROOT),
        "commit": "0" * 40, "seconds": 1.0,
        "arms": {"guided": guided, "synaug": {"overall": 0.8}, "base": {"overall": 0.6}},
    }  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with these results, committed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["verify"])
    monkeypatch.setattr(verify, "code_digest", lambda: code_digest(ROOT))
    write(LOCK, SUMMARY)
    rows = [row(seed, few) for seed, few in enumerate((0.70, 0.75, 0.80))]
    Path("metrics/studies").mkdir()
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    Path("metrics/studies/experiments.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rows))
    for arguments in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm a"):
        subprocess.run(["git", *arguments.split()], check=True)
    return tmp_path


def write(lock: dict[str, Any], summary: dict[str, Any]) -> None:
    Path("dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    Path("metrics").mkdir(exist_ok=True)
    Path("metrics/summary.json").write_text(json.dumps(summary))


def changed(stage: str, part: str, place: int, **values: Any) -> dict[str, Any]:
    lock = json.loads(json.dumps(LOCK))
    lock["stages"][stage][part][place] |= values
    return lock


def test_the_same_bytes_are_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify.main()
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("arithmetic pinned")
    assert second == "the same bytes: all 3 outputs of 2 stages are as committed"


def test_other_bytes_name_the_first_stage_and_pass_while_every_number_is_within_its_spread(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = changed("train_base", "outs", 1, md5="5" * 32)
    lock["stages"]["eval_acc"]["outs"][0]["md5"] = "6" * 32
    write(lock, {**SUMMARY, "few": 0.70})  # 7 points lower, where two standard deviations are 10
    verify.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "other bytes, from train_base on:"
    assert [line.split() for line in lines if line.startswith(("train_base ", "few "))] == [
        ["train_base", "1", "of", "2:", "data/results/base.csv"],
        ["few", "0.77", "0.7", "0.1", "yes"],
    ]
    assert len(lines) < 40


@pytest.mark.parametrize("summary", [{"few": 0.6}, {"fid": 3.5}, {"base.acc": 0.6}])
def test_a_number_beyond_its_spread_fails_in_one_sentence(
    project: Path, summary: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    write(changed("eval_acc", "outs", 0, md5="6" * 32), {**SUMMARY, **summary})
    with pytest.raises(InputError, match="by more than 2 standard deviations over seeds"):
        verify.main()
    (name,) = summary
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith(f"{name} ")] == ["NO"]


def test_a_data_set_that_no_study_runs_on_has_no_spread_of_another(project: Path) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("\ndataset: digits", "\ndataset: folder"))
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "b"], check=True)
    assert verify.spread() == {}


@pytest.mark.parametrize(
    ("lock", "named"),
    [
        (changed("train_base", "deps", 0, md5="9" * 32), "src/training/loop.py"),
        ({**LOCK, "stages": {k: v for k, v in LOCK["stages"].items() if k != "eval_acc"}}, "eval_acc"),
    ],
)
def test_results_of_other_code_or_parameters_are_not_compared(project: Path, lock: dict[str, Any], named: str) -> None:
    write(lock, SUMMARY)
    with pytest.raises(InputError, match=rf"the work tree differs from the commit in {named}.*others by right"):
        verify.main()


def test_outputs_are_noted_under_the_processor_beside_those_of_others(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["verify", "--record"])
    for name in ("one", "other"):
        monkeypatch.setattr(verify, "processor", lambda name=name: name)
        verify.main()
    noted = json.loads(Path("metrics/processors.json").read_text())
    assert list(noted) == ["one", "other"] and noted["one"] == noted["other"]
    assert noted["one"]["stages"]["train_base"]["data/base"] == "2" * 32
