"""Workers that come, die and stay behind: the same shards, nothing made twice without need, nothing left behind.

The workers are real processes; killing them is real.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.runtime import claims
from src.runtime.errors import InputError
from src.shards.store import shard_name
from src.synthesis import shelf
from src.synthesis.production import write_plan
from tests.workers.place import LONG, PLAN, SHARDS, SIZE, Fake, Place, contents, ended_well, stop_at, wait_for


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_workers_makes_the_same_shards_and_each_once(
    whole: dict[str, str], place: Place, count: int
) -> None:
    # Those of higher rank come first, and wait for the main one; nobody finishes a shard before all have begun one.
    assert ended_well(*[place.start(rank, count, hold=until_begun(place, count)) for rank in reversed(range(count))])
    assert len(place.makers()) == count
    assert contents(place.out) == whole
    assert sorted(place.made()) == list(range(SHARDS))
    assert place.left() == ["synth.published"]


def until_begun(place: Place, count: int) -> Callable[[int], None]:
    """Hold until so many processes have begun a shard."""
    return lambda k: wait_for(lambda: len(place.makers()) >= count)


def test_a_worker_that_is_killed_costs_the_shard_in_its_hands_and_the_others_finish_it(
    whole: dict[str, str], place: Place
) -> None:
    """Were shard 1 still being written while 3 is sampled, it would cost that one too: here it is not."""
    dying = place.start(1, 2, hold=stop_at(3, place.root / "mark"))
    main = place.start(0, 2, hold=lambda k: wait_for((place.root / "mark").exists))
    wait_for((place.root / "mark").exists)
    wait_for(lambda: shard_name(1) in place.finished())
    os.kill(dying.pid, signal.SIGKILL)
    assert ended_well(main)
    assert contents(place.out) == whole
    assert sorted(place.made()) == sorted([*range(SHARDS), 3])
    assert place.left() == ["synth.published"]


def test_when_the_main_process_is_killed_the_others_finish_the_shards_and_the_next_one_publishes_them(
    whole: dict[str, str], place: Place
) -> None:
    main = place.start(0, 2, hold=stop_at(2, place.root / "mark"))
    wait_for((place.root / "mark").exists)
    other = place.start(1, 2)
    wait_for(lambda: len(place.finished()) == SHARDS - 1)
    os.kill(main.pid, signal.SIGKILL)
    assert ended_well(other) and not place.out.exists()
    assert len(place.finished()) == SHARDS
    place.stage()
    assert contents(place.out) == whole
    assert sorted(place.made()) == sorted([*range(SHARDS), 2])


def test_what_was_killed_continues_at_once_where_it_was(whole: dict[str, str], place: Place) -> None:
    alone = place.start(0, 1, hold=stop_at(5, place.root / "mark"))
    wait_for(lambda: len(place.finished()) == 5 and (place.root / "mark").exists())
    os.kill(alone.pid, signal.SIGKILL)
    alone.join(LONG)
    start = time.monotonic()
    place.stage()  # not waiting for the claim of the dead
    assert time.monotonic() - start < claims.PATIENCE
    assert contents(place.out) == whole
    assert place.made() == [*range(6), *range(5, SHARDS)]


def test_workers_may_join_at_any_time_and_leave_by_signal(whole: dict[str, str], place: Place) -> None:
    enough = place.root / "enough"
    main = place.start(0, 1, hold=lambda k: wait_for(enough.exists) if k == 1 else None)
    wait_for(lambda: 1 in place.made())
    leaving = place.start(6, 7, hold=stop_at(4, place.root / "mark"))
    wait_for((place.root / "mark").exists)
    os.kill(leaving.pid, signal.SIGTERM)
    leaving.join(LONG)
    assert leaving.exitcode == 143
    staying = place.start(9, 10)
    wait_for(lambda: len(place.finished()) == SHARDS - 1)
    enough.touch()
    assert ended_well(main, staying)
    assert contents(place.out) == whole
    assert sorted(place.made()) == sorted([*range(SHARDS), 4])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_loses_no_shard_that_was_sampled(
    place: Place, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    """Even if it comes while one is being written and another waits to be."""
    write = shelf.write_shard

    def slow(*arguments: Any) -> str:
        (place.root / "writing").touch()
        wait_for((place.root / "told").exists)
        return write(*arguments)

    monkeypatch.setattr(shelf, "write_shard", slow)
    process = place.start(0, 1)
    wait_for((place.root / "writing").exists)
    wait_for((place.root / "sampled-1").exists)
    wait_for(lambda: state(process.pid) == "S")  # the second waits for the first
    os.kill(process.pid, number)
    (place.root / "told").touch()
    process.join(LONG)
    assert process.exitcode == code
    assert place.finished() == {shard_name(0), shard_name(1)}
    (scratch,) = place.scratches.iterdir()  # no bench is left beside it
    assert [path for name in ("claims", "mains") for path in (scratch / name).iterdir()] == []


def test_a_late_worker_leaves_at_once_and_leaves_nothing(
    whole: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.stage()
    made = place.made()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    place.stage()
    assert place.made() == made and place.left() == ["synth.published"]
    assert contents(place.out) == whole


def test_a_straggler_cannot_bring_a_published_scratch_back(
    whole: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine is suspended in the middle of a shard, and wakes up when all is over."""
    write = shelf.write_shard

    def suspended(path: Path, *arguments: Any) -> str:
        digest = write(path, *arguments)
        if not (place.root / "suspended").exists():
            (place.root / "suspended").touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(shelf, "write_shard", suspended)
        straggler = place.start(1, 2)
    monkeypatch.setattr(claims, "PATIENCE", 0.3)
    main = place.start(0, 2, hold=lambda k: wait_for(lambda: state(straggler.pid) == "T"))
    assert ended_well(main)
    published = contents(place.out)
    os.kill(straggler.pid, signal.SIGCONT)
    assert ended_well(straggler)
    assert place.left() == ["synth.published"]
    assert contents(place.out) == published == whole


def state(pid: int) -> str:
    """Of the main thread: R runs or would like to, S waits, T is suspended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_worker_whose_scratch_is_published_before_it_begins_ends_quietly(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert not write_plan(Fake(place.log), PLAN, SIZE, place.root / "gone" / "shards", "test")
    assert not (place.root / "gone").exists() and place.made() == []


def test_a_main_process_whose_scratch_is_deleted_says_so(place: Place) -> None:
    def delete(k: int) -> None:
        if k == 2:
            for path in place.scratches.glob("synth-*"):
                path.rename(place.root / "away")

    with pytest.raises(InputError, match="was removed while it was being filled; run the stage again"):
        place.stage(hold=delete)


def test_two_main_processes_share_the_work_and_both_publish(whole: dict[str, str], place: Place) -> None:
    outs = [place.root / name for name in "ab"]
    # The second may open late: the first does not publish before.
    assert ended_well(*[place.start(0, 1, hold=until_begun(place, 2), out=out) for out in outs])
    assert len(place.makers()) == 2
    assert [contents(out) for out in outs] == [whole, whole]
    assert place.left() == ["synth.published"]
    assert sorted(place.made()) == list(range(SHARDS))


def test_the_bar_of_the_main_process_counts_what_others_make(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = place.start(1, 2, hold=lambda k: wait_for(lambda: len(place.finished()) >= 1) if k == 1 else None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    place.stage(hold=lambda k: wait_for(lambda: len(place.finished()) >= SHARDS - 1) if k == 2 else None)
    assert ended_well(worker)
    assert len(place.made()) == SHARDS and "15/15" in capsys.readouterr().err


def test_an_unknown_image_format_is_told_before_anything_is_sampled(place: Place) -> None:
    with pytest.raises(InputError, match="image_format"):
        write_plan(Fake(place.log), PLAN, SIZE, place.root / "shards", "test", "gif")
    assert place.made() == []
