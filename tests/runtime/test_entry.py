"""How a stage ends: one sentence for the user's mistake, the traceback for a defect."""

import errno
import os
import signal
import threading

import pytest

from src.runtime.entry import run_stage, tell
from src.runtime.errors import InputError


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


def test_sigterm_ends_a_stage_like_ctrl_c_and_only_a_stage(capsys):
    unwound = []

    def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        except KeyboardInterrupt:
            unwound.append(True)
            raise

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        run_stage(main)
    assert (stop.value.code, unwound) == (143, [True])
    assert capsys.readouterr().err == "terminated; run the same command to continue\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stage_in_a_thread_leaves_signals_alone():
    done = []
    thread = threading.Thread(target=lambda: run_stage(lambda: done.append(True)))
    thread.start()
    thread.join()
    assert done


def test_a_launchers_number_that_is_none_is_the_users_mistake(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(SystemExit) as stop:
        run_stage(lambda: None)
    assert stop.value.code == 2 and "RANK=first" in capsys.readouterr().err


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


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you")])
def test_too_little_memory_is_one_sentence(error, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as left:
        run_stage(main)
    assert left.value.code == 2 and "not enough memory; lower the batch" in capsys.readouterr().err


def test_another_runtime_error_is_a_defect_and_keeps_its_traceback():
    def main():
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_stage(main)


def test_a_command_without_arguments_refuses_some(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["stage", "--epochs", "3"])
    with pytest.raises(SystemExit) as left:
        run_stage(lambda: pytest.fail("it ran"), arguments=False)
    assert left.value.code == 2 and "takes no arguments, such as --epochs" in capsys.readouterr().err


def test_a_stage_that_its_parent_keeps_from_ctrl_c_as_nohup_does_goes_on():
    """SIGTERM still ends it: that is what a scheduler sends."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run_stage(lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(SystemExit) as stop:
            run_stage(lambda: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGINT, before)
    assert stop.value.code == 143


def test_all_of_a_long_list_is_in_a_file_that_the_sentence_names(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problems = [f"image {i}\n.png" for i in range(12)]
    code, text = ends_with(InputError("12 images cannot be used (image 0 and 11 more); mend them", problems), capsys)
    assert code == 2 and text.endswith("; mend them (all 12 are in problems.txt)\n")
    assert (tmp_path / "problems.txt").read_text() == "".join(f"image {i}\\n.png\n" for i in range(12))
    (tmp_path / "problems.txt").unlink()
    _, text = ends_with(InputError("2 images cannot be used", problems[:2]), capsys)
    assert text == "error: 2 images cannot be used\n" and not (tmp_path / "problems.txt").exists()


def test_a_note_is_one_line_from_the_first_process(capsys, monkeypatch):
    tell("the folder holds 'a\nb'")
    assert capsys.readouterr().err == "note: the folder holds 'a\\nb'\n"
    monkeypatch.setenv("RANK", "1")
    tell("again")
    assert capsys.readouterr().err == ""
