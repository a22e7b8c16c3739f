"""Commands that are called wrongly: one line that says what they take, and nothing written."""

import importlib
import sys
from pathlib import Path

import pytest

from src.versions.import_closure import ROOT
from tests.micro import digests
from tests.wrong_input.running import stopped

pytestmark = pytest.mark.slow
BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if ".parse_args()" in path.read_text())


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("retrain", "stage 'retrain' works on one arm, synaug or guided, not on ''; run `python -m stages.retrain"),
        ("retrain unguided", "stage 'retrain' works on one arm, synaug or guided, not on 'unguided'"),
        ("retrain guided synaug", "stage 'retrain' works on one arm, synaug or guided, not on 'guided synaug'"),
        ("retrain ../guided", "stage 'retrain' works on one arm, synaug or guided, not on '../guided'"),
        ("merge_balance", "stage 'merge_balance' works on one arm, synaug or guided, not on ''"),
        ("merge_balance Guided", "stage 'merge_balance' works on one arm, synaug or guided, not on 'Guided'"),
        ("export nosuch", "'nosuch' is neither a balanced set (there are guided, synaug) nor a folder of shards"),
        ("export data/base", "'data/base' is neither a balanced set (there are guided, synaug) nor a folder of"),
        ("export ../../data/merged/guided", "is neither a balanced set"),
    ],
)
def test_a_stage_that_is_called_for_what_is_not_there_is_one_sentence(
    command, sentence, workspace, capsys, monkeypatch
):
    assert sentence in stopped(command, capsys, monkeypatch)
    assert not Path("export").exists()


def test_an_export_onto_a_file_is_one_sentence(workspace, capsys, monkeypatch):
    Path("taken").write_text("mine")
    assert "taken" in stopped("export guided taken", capsys, monkeypatch)
    assert Path("taken").read_text() == "mine"


def test_a_report_without_metrics_is_one_sentence(workspace, capsys, monkeypatch):
    Path("metrics/accuracy.json").unlink()
    assert "metrics/accuracy.json is missing" in stopped("improvement", capsys, monkeypatch)


def refused(main, capsys: pytest.CaptureFixture[str]) -> str:
    """What argparse says: usage, and one line with the error."""
    before = digests(Path("."))
    with pytest.raises(SystemExit) as exit_:
        main()
    output = capsys.readouterr().err
    assert exit_.value.code == 2 and output.startswith("usage: ") and "Traceback" not in output
    (line,) = (line for line in output.splitlines() if ": error: " in line)
    assert digests(Path(".")) == before
    return line


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("export", "the following arguments are required: what"),
        ("export guided here there", "unrecognized arguments: there"),
        ("export guided --format jpeg", "unrecognized arguments: --format jpeg"),
    ],
)
def test_an_export_with_wrong_arguments_is_one_line(command, sentence, workspace, capsys, monkeypatch):
    name, *arguments = command.split()
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    assert sentence in refused(importlib.import_module("commands.export").main, capsys)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_benchmark_with_an_option_that_it_does_not_have_is_one_line(benchmark, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [benchmark, "--no-such-option", "1"])
    assert "error: " in refused(importlib.import_module(f"benchmarks.{benchmark}").main, capsys)
