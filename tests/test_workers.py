"""Workers that come, die and stay behind: the same shards, nothing made twice without need, nothing left behind.

The workers are real processes, forked with a synthesiser that takes no time; killing them is real.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from src import claims
from src.errors import InputError, run_stage
from src.generators import shard_plan
from src.generators.cost import spent
from src.generators.shard_plan import Shelf, write_plan
from src.scratch import shared
from src.shards import INDEX, shard_name
from tests.micro import digests

PROCESSES = multiprocessing.get_context("fork")
PLAN = list(range(15))
SIZE = 2
SHARDS = 8
LONG = 60  # seconds that no test lasts


class Fake:
    """Numbers become images of their own. Which process made what is written down; `hold` may stop it at one."""

    generator = SimpleNamespace(device=torch.device("cpu"))

    def __init__(self, log: Path, hold: Callable[[int], None] = lambda k: None) -> None:
        self.log, self.hold = log, hold

    def __call__(self, part: list[int]) -> list[tuple[np.ndarray, dict[str, Any]]]:
        with open(self.log, "a") as file:
            file.write(f"{part[0] // SIZE}\n")
        self.hold(part[0] // SIZE)
        return [(np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8), {"label": i % 3}) for i in part]


class Place:
    """A repository's folder in which the stage may run as any process of any number."""

    def __init__(self, root: Path) -> None:
        self.root, self.log, self.out = root, root / "log", root / "out"
        self.scratches = root / ".dvc" / "tmp" / "scratch"
        self.started: list[Any] = []

    def stage(self, hold: Callable[[int], None] = lambda k: None, out: Path | None = None) -> None:
        out = out or self.out
        with shared("synth", {"seed": 0}, out, wait=LONG) as scratch:
            made = Fake(self.log, hold)
            if scratch and write_plan(made, PLAN, SIZE, scratch.path / "shards", "test"):
                scratch.publish("shards", out)

    def start(self, rank: int, of: int, **how: Any) -> Any:
        def work() -> None:
            os.environ.update(RANK=str(rank), WORLD_SIZE=str(of))
            run_stage(lambda: self.stage(**how), shared=True)

        process = PROCESSES.Process(target=work)
        process.start()
        self.started.append(process)
        return process

    def made(self) -> list[int]:
        """Numbers of the shards that were sampled, in order; twice if they were made twice."""
        return [int(line) for line in self.log.read_text().split()] if self.log.exists() else []

    def finished(self) -> set[str]:
        return {path.name for path in self.scratches.glob("synth-*/shards/shard-*.tar")}

    def left(self) -> list[str]:
        """What lies in the scratch, but for the work that was published last."""
        return sorted(path.name for path in self.scratches.iterdir() if path.suffix != ".done")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(shard_plan, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(claims, "BEAT", 0.05)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    made = Place(tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.join()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of what one process makes in one go, by name."""
    alone = Place(tmp_path_factory.mktemp("alone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(alone.root))
        alone.stage()
    assert alone.left() == ["synth.published"] and alone.made() == list(range(SHARDS))
    return contents(alone.out)


def contents(folder: Path) -> dict[str, str]:
    return {Path(path).name: digest for path, digest in digests(folder).items()}


def wait_for(ready: Callable[[], object]) -> None:
    end = time.monotonic() + LONG
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def ended_well(*processes: Any) -> bool:
    for process in processes:
        process.join(LONG)
    return [process.exitcode for process in processes] == [0] * len(processes)


def stop_at(number: int, mark: Path) -> Callable[[int], None]:
    """Hold for ever in this shard, and say so."""

    def hold(k: int) -> None:
        if k == number:
            mark.touch()
            time.sleep(LONG)

    return hold


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_workers_makes_the_same_shards_and_each_once(
    whole: dict[str, str], place: Place, count: int
) -> None:
    # Those of higher rank come first, and wait for the main one.
    assert ended_well(*[place.start(rank, count, hold=lambda k: time.sleep(0.01)) for rank in reversed(range(count))])
    assert contents(place.out) == whole
    assert sorted(place.made()) == list(range(SHARDS))
    assert place.left() == ["synth.published"]


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
    write = shard_plan.write_shard

    def slow(*arguments: Any) -> str:
        (place.root / "writing").touch()
        wait_for((place.root / "told").exists)
        return write(*arguments)

    monkeypatch.setattr(shard_plan, "write_shard", slow)
    process = place.start(0, 1)
    wait_for((place.root / "writing").exists)
    wait_for(lambda: place.made() == [0, 1])  # the second waits for the first
    time.sleep(0.1)
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
    write = shard_plan.write_shard

    def suspended(path: Path, *arguments: Any) -> str:
        digest = write(path, *arguments)
        if not (place.root / "suspended").exists():
            (place.root / "suspended").touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(shard_plan, "write_shard", suspended)
        straggler = place.start(1, 2)
    monkeypatch.setattr(claims, "PATIENCE", 0.3)
    main = place.start(0, 2, hold=lambda k: wait_for(lambda: is_suspended(straggler.pid)))
    assert ended_well(main)
    published = contents(place.out)
    os.kill(straggler.pid, signal.SIGCONT)
    assert ended_well(straggler)
    assert place.left() == ["synth.published"]
    assert contents(place.out) == published == whole


def is_suspended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


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
    assert ended_well(*[place.start(0, 1, hold=lambda k: time.sleep(0.02), out=out) for out in outs])
    assert [contents(out) for out in outs] == [whole, whole]
    assert place.left() == ["synth.published"]
    assert sorted(place.made()) == list(range(SHARDS))


def test_what_another_main_process_is_about_to_publish_is_left_alone(place: Place) -> None:
    """Tidying once removed the other's half-written index: one of two experiments then failed, or lacked it."""
    folder = place.root / "shards"
    shelf = Shelf(folder, SHARDS)
    theirs = {folder / INDEX, folder / f".{INDEX}.0123.tmp"}
    for path in theirs | {folder / "stray"}:
        path.write_text("theirs")
    shelf.tidy()
    assert set(folder.iterdir()) == theirs


def spoil(place: Place, kind: str) -> None:
    (scratch,) = place.scratches.glob("synth-*")
    shard, known = scratch / "shards" / shard_name(4), scratch / "sums" / f"{shard_name(4)}.sha256"
    data = bytearray(shard.read_bytes())
    data[700] ^= 1
    changes: dict[str, Callable[[], object]] = {
        "a flipped bit": lambda: shard.write_bytes(data),
        "a truncated shard": lambda: shard.write_bytes(data[:1000]),
        "an empty shard": lambda: shard.write_bytes(b""),
        "no shard": shard.unlink,
        "no sum": known.unlink,
        "an empty sum": lambda: known.write_bytes(b""),
        "another sum": lambda: known.write_text("0" * 64),
        "a sum that is no text": lambda: known.write_bytes(b"\xff\xfe"),
    }
    changes[kind]()


@pytest.mark.parametrize(
    "kind",
    ["a flipped bit", "a truncated shard", "an empty shard", "no shard", "no sum", "an empty sum", "another sum",
     "a sum that is no text"],
)  # fmt: skip
def test_a_damaged_shard_in_the_scratch_is_made_again_alone(
    whole: dict[str, str], place: Place, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(place, 6)
    spoil(place, kind)
    place.stage()
    assert contents(place.out) == whole
    assert place.made() == [*range(7), *([4, 6, 7] if kind.startswith("no ") else [6, 7, 4])]
    said = capsys.readouterr().err
    assert ("shard-00004.tar is damaged, so it alone is made again" in said) != kind.startswith("no ")


def interrupted(place: Place, after: int) -> None:
    def stop(k: int) -> None:
        if k == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.stage(hold=stop)
    assert len(place.finished()) == after


def test_a_disk_that_never_returns_what_was_written_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write = shard_plan.write_shard

    def changed(path: Path, first: int, *more: Any) -> str:
        digest = write(path, first, *more)
        if first == 4:
            path.write_bytes(b"")
        return digest

    monkeypatch.setattr(shard_plan, "write_shard", changed)
    with pytest.raises(InputError, match=r"shard-00002.tar is damaged each time it is written; check the disk"):
        place.stage()
    assert not place.out.exists()


def test_what_killed_processes_leave_stops_nothing_and_is_not_published(
    whole: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(place, 4)
    (scratch,) = place.scratches.glob("synth-*")
    for name in ("shards/.shard-00004.tar.77.tmp", "shards/.index.jsonl.77.tmp", "shards/index.jsonl", "key.json",
                 "sums/.shard-00004.tar.sha256.77.tmp", "sums/shard-00005.tar.sha256", "claims/shard-00006.tar",
                 "shards/shard-00099.tar", "cost/.00004.json.77.tmp", "cost/00002.json", "mains/x"):  # fmt: skip
        (scratch / name).write_bytes(b"")
    (scratch / "cost/00003.json").write_text('{"images": "two"}')
    (place.scratches / f".{scratch.name}.killed.tmp").mkdir()
    monkeypatch.setattr(claims, "PATIENCE", 0.1)
    place.stage()
    assert contents(place.out) == whole
    assert place.made() == [*range(5), 4, 5, 7, 6]
    assert place.left() == ["synth.published"]


def test_an_unreadable_note_of_the_cost_is_left_out_of_the_sum(place: Place) -> None:
    folder = place.root / "shards"
    assert write_plan(Fake(place.log), PLAN, SIZE, folder, "test")
    for name, text in (("00002", ""), ("00003", '{"images": "two"}'), ("00004", "[]"), ("00005", '{"images": 2}')):
        (place.root / "cost" / f"{name}.json").write_text(text)
    assert write_plan(Fake(place.log), PLAN, SIZE, folder, "test")
    assert spent(place.root / "cost")["images"] == len(PLAN) - 4 * SIZE
    assert place.made() == list(range(SHARDS))


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
