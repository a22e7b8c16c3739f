"""One parser under fuzzing: it is given an input in a folder of its own, and what comes of it is judged.

Right are what the parser returns and an InputError. Wrong are any other exception, no end within ten seconds of work,
and the MemoryError of a small file that asks for much: the process may take no more than a GiB beyond what it has.
"""

import resource
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from src.runtime.errors import InputError
from tests.long.fuzzing.inputs import damaged, made_up
from tests.long.fuzzing.parsers import PARSERS

HANG_SECONDS = 10
MEMORY = 1 << 30  # bytes
TRIALS = 300  # to make a failing input smaller
QUIET = settings(
    max_examples=20, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


class Hang(BaseException):
    """Not an Exception, which the parser might catch."""


class Target:
    """A parser and its folder. `counts`: of inputs accepted, refused and failed; `failures`: the first of each kind."""

    def __init__(self, name: str, folder: Path, beat: Any = None) -> None:
        """beat: a shared number that tells another process when the last input began."""
        self.parser, self.here, self.beat = PARSERS[name], folder / "here", beat
        self.here.mkdir(parents=True)
        self.parser.write(self.here)
        self.parser.read(self.here)
        self.valid = {str(path.relative_to(self.here)): path.read_bytes() for path in self._files("**/*")}
        chosen = {str(path.relative_to(self.here)) for pattern in self.parser.names for path in self._files(pattern)}
        self.names = sorted(chosen)
        self.counts: Counter[str] = Counter()
        self.failures: dict[str, dict[str, Any]] = {}

    def run(self, name: str, data: bytes) -> str | None:
        """Have the parser read its files with this one in place of its own; returns what is wrong, None if nothing."""
        if self.parser.alone:
            shutil.rmtree(self.here)
            self.here.mkdir()
        (self.here / name).write_bytes(data)
        if self.beat is not None:
            self.beat.value = time.time()
        problem, kind = None, "accepted"
        try:
            with _limited():
                self.parser.read(self.here)
        except InputError:
            kind = "refused"
        except (Exception, Hang) as error:
            problem, kind = _signature(error), "failed"
        (self.here / name).write_bytes(self.valid[name])
        self.counts[kind] += 1
        return problem

    def try_one(self, name: str, data: bytes) -> None:
        """`run`, and keep the smallest input found for a failure that is new."""
        problem = self.run(name, data)
        if problem is not None and problem not in self.failures:
            small = self._smaller(name, data, problem)
            self.failures[problem] = {"file": name, "problem": problem, "bytes": len(small), "input": small}

    def mutations(self, count: int, random: Random) -> None:
        """So many damaged files."""
        for _ in range(count):
            name = random.choice(self.names)
            self.try_one(name, damaged(self.valid[name], name, random))

    def made_up(self, number: int) -> None:
        """A round of hypothesis's inputs, from nothing; another round for another number."""
        cases = st.sampled_from(self.names).flatmap(lambda name: st.tuples(st.just(name), made_up(name)))
        QUIET(seeded(number)(given(cases)(lambda case: self.try_one(*case))))()

    def _files(self, pattern: str) -> list[Path]:
        return [path for path in self.here.glob(pattern) if path.is_file()]

    def _smaller(self, name: str, data: bytes, problem: str) -> bytes:
        """Zeller's delta debugging, shortened: drop ever smaller pieces as long as the same goes wrong."""
        piece, trials = max(len(data) // 2, 1), 0
        while trials < TRIALS and "Hang" not in problem:
            for start in range(0, len(data), piece):
                trials += 1
                shorter = data[:start] + data[start + piece :]
                if len(shorter) < len(data) and self.run(name, shorter) == problem:
                    data = shorter
                    break
            else:
                if piece == 1:
                    break
                piece = max(piece // 2, 1)
        return data


def limit_memory() -> None:
    """Let this process take at most MEMORY beyond what it has: address space, which is what Linux can limit."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))


@contextmanager
def _limited() -> Iterator[None]:
    """HANG_SECONDS of work, since another process may take the processor meanwhile."""
    signal.signal(signal.SIGPROF, _hang)
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _hang(*_: object) -> None:
    raise Hang(f"no end after {HANG_SECONDS} seconds of work")


def _signature(error: BaseException) -> str:
    """The kind of exception and the line of this program that it went through last."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/src/" in frame.filename]
    place = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    where = place.filename[place.filename.rfind("/src/") + 1 :]
    return f"{type(error).__name__} at {where}:{place.lineno} ({place.name}): {str(error)[:200]}".split("\n")[0]


def fuzz(name: str, folder: Path, seconds: float, seed: int, beat: Any = None) -> Target:
    """Feed the parser for so long."""
    target, random, rounds = Target(name, folder, beat), Random(f"{name} {seed}"), 0
    deadline = time.monotonic() + seconds
    limit_memory()
    while time.monotonic() < deadline:
        rounds += 1
        target.mutations(200, random)
        target.made_up(1000 * seed + rounds)
    return target
