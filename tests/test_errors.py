"""How a stage ends: one sentence for the user's mistake, the traceback for a defect."""

import errno

import pytest

from src.errors import InputError, run_stage


def ends_with(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as stop:
        run_stage(main)
    return stop.value.code, capsys.readouterr().err


def test_a_users_mistake_is_one_line_and_exit_code_2(capsys):
    code, text = ends_with(InputError("unknown dataset 'x'; known: digits"), capsys)
    assert (code, text) == (2, "error: unknown dataset 'x'; known: digits\n")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_an_unusable_disk_is_one_line_naming_the_file(number, capsys):
    code, text = ends_with(OSError(number, "text", "data/x.tar"), capsys)
    assert code == 2 and text.startswith("error: cannot use data/x.tar: ") and text.count("\n") == 1


def test_an_interrupted_stage_says_how_to_continue(capsys):
    assert ends_with(KeyboardInterrupt(), capsys) == (
        130,
        "interrupted; run the same command to continue\n",
    )


@pytest.mark.parametrize(("rank", "shared", "runs"), [("0", False, 1), ("1", False, 0), ("1", True, 1)])
def test_only_the_first_process_runs_a_stage_that_is_not_shared(rank, shared, runs, monkeypatch):
    monkeypatch.setenv("RANK", rank)
    calls = []
    run_stage(lambda: calls.append(rank), shared=shared)
    assert len(calls) == runs


@pytest.mark.parametrize("error", [ValueError("a defect"), OSError(errno.EIO, "a broken disk")])
def test_any_other_failure_keeps_its_traceback(error):
    def main() -> None:
        raise error

    with pytest.raises(type(error)):
        run_stage(main)
