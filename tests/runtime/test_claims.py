"""Claims: one owner while it lives, another soon after its death, whatever the clocks of the machines say."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.runtime import claims
from src.runtime.claims import Claims, Gone, here, started

ELSEWHERE = "another machine"


class Clock:
    """A monotonic clock that the test moves; sleeping moves it too."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    built = Clock()
    monkeypatch.setattr(claims, "time", SimpleNamespace(monotonic=lambda: built.now, sleep=built.sleep))
    return built


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Claims]:
    """The claims of a process that another machine runs, which counts when the test says so."""
    with monkeypatch.context() as patch:
        patch.setattr(claims, "here", lambda: ELSEWHERE)
        built = Claims(tmp_path)
    yield built


def test_a_claim_has_one_owner_until_it_is_released(tmp_path: Path) -> None:
    with Claims(tmp_path) as first, Claims(tmp_path) as second:
        assert first.take("a") and not second.take("a") and second.take("b")
        first.release("a")
        assert second.take("a") and not first.take("a")
    assert list(tmp_path.iterdir()) == []


def test_of_many_that_try_at_once_one_gets_each_piece(tmp_path: Path) -> None:
    takers, got = [Claims(tmp_path) for _ in range(8)], []
    threads = [
        threading.Thread(target=lambda taker=taker: got.extend(k for k in range(50) if taker.take(str(k))))
        for taker in takers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(50))


def killed_owner(folder: Path) -> multiprocessing.Process:
    """A process that claimed "a" and was killed; nobody has asked for its exit code yet."""
    taken = multiprocessing.get_context("fork").Event()

    def own() -> None:
        Claims(folder).take("a")
        taken.set()
        signal.pause()

    process = multiprocessing.get_context("fork").Process(target=own)
    process.start()
    assert taken.wait(20)
    assert not Claims(folder).take("a")
    os.kill(process.pid, signal.SIGKILL)
    return process


def test_the_claim_of_a_process_that_was_killed_on_this_machine_is_void_at_once(tmp_path: Path) -> None:
    process = killed_owner(tmp_path)
    watcher, end = Claims(tmp_path, patience=1e9), time.monotonic() + 20
    while not watcher.take("a"):  # until the signal has arrived
        assert time.monotonic() < end
    process.join()
    assert started(process.pid) is None and not Claims(tmp_path).take("a")


def test_a_process_that_has_the_number_of_a_dead_one_is_not_its_heir(tmp_path: Path) -> None:
    dead = {"host": here(), "pid": os.getpid(), "start": "1", "token": "x", "beats": 3}
    (tmp_path / "a").write_text(json.dumps(dead))
    assert Claims(tmp_path).take("a")


def test_a_claim_from_another_machine_is_void_only_after_the_patience_without_a_count(
    tmp_path: Path, foreign: Claims, clock: Clock
) -> None:
    assert foreign.take("a")
    watcher = Claims(tmp_path, patience=60)
    for _ in range(5):  # as long as it counts
        assert not watcher.take("a")
        clock.now += 59
        foreign.beat()
    assert not watcher.take("a")
    clock.now += 59.9
    assert not watcher.take("a")
    clock.now += 0.2
    assert watcher.take("a")
    # The owner that was only suspended finds out, and does not take its claim back.
    foreign.beat()
    foreign.release("a")
    assert not Claims(tmp_path).take("a")
    watcher.release("a")
    assert Claims(tmp_path).take("a")


@pytest.mark.parametrize("jump", [-(10**9), 10**9])
def test_no_clock_but_the_watchers_own_monotonic_one_matters(
    tmp_path: Path, foreign: Claims, clock: Clock, jump: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a clock that is set nor the time stamps that another machine gives its files."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    assert foreign.take("a")
    os.utime(tmp_path / "a", (now + jump, now + jump))
    watcher = Claims(tmp_path, patience=60)
    assert not watcher.take("a")
    clock.now += 30
    foreign.beat()
    os.utime(tmp_path / "a", (now - jump, now - jump))
    clock.now += 40
    assert not watcher.take("a")
    clock.now += 61
    assert watcher.take("a")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\x00", b'{"pid": "x"}', b'{"host": 3, "pid": -1}'])
def test_a_claim_that_names_nobody_is_void_after_the_patience(tmp_path: Path, clock: Clock, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    watcher = Claims(tmp_path, patience=60)
    assert not watcher.take("a")
    clock.now += 61
    assert watcher.take("a")


def test_a_void_claim_goes_to_one_of_those_who_see_it(tmp_path: Path, foreign: Claims, clock: Clock) -> None:
    assert foreign.take("a")
    watchers = [Claims(tmp_path, patience=60) for _ in range(3)]
    assert not any(watcher.take("a") for watcher in watchers)
    clock.now += 61
    assert [watcher.take("a") for watcher in watchers] == [True, False, False]


def test_a_taker_that_is_overtaken_gives_the_new_claim_back(
    tmp_path: Path, foreign: Claims, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look at the void claim and its move, another took over."""
    assert foreign.take("a")
    slow, fast = Claims(tmp_path, patience=60), Claims(tmp_path, patience=60)
    assert not slow.take("a") and not fast.take("a")
    clock.now += 61
    move = os.rename

    def overtaken(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", move)
        assert fast.take("a")
        move(source, target)

    monkeypatch.setattr(os, "rename", overtaken)
    assert not slow.take("a")
    fast.beat()
    assert json.loads((tmp_path / "a").read_text())["token"] == fast.token
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_heart_beats_while_the_owner_works_and_not_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.01)
    with Claims(tmp_path) as owner:
        owner.take("a")
        first, end = (tmp_path / "a").read_bytes(), time.monotonic() + 20
        while (tmp_path / "a").read_bytes() == first:
            assert time.monotonic() < end
    time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_said_and_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "claims").mkdir()
    owner = Claims(tmp_path / "claims")
    owner.take("a")
    (tmp_path / "claims").rename(tmp_path / "away")
    with pytest.raises(Gone):
        owner.take("b")
    owner.beat()
    owner.release("a")
    assert [path.name for path in tmp_path.iterdir()] == ["away"]


def test_the_others_are_those_who_live(tmp_path: Path, foreign: Claims, clock: Clock) -> None:
    first, second = Claims(tmp_path), Claims(tmp_path, patience=60)
    first.take("one")
    assert not first.others()
    second.take("two")
    assert first.others() and second.others()
    first.release("one")
    assert not second.others()
    foreign.take("far")
    (tmp_path / ".far.tmp").touch()
    assert not second.others() and clock.now >= 160  # watched for the patience, in vain


def test_another_machines_process_that_counts_while_it_is_watched_lives(
    tmp_path: Path, foreign: Claims, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign.take("far")
    monkeypatch.setattr(claims.time, "sleep", lambda seconds: foreign.beat())
    assert Claims(tmp_path).others()


def test_a_full_disk_leaves_no_claim_that_names_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"), Claims(tmp_path) as owner:
        owner.take("a")
    assert list(tmp_path.iterdir()) == []
