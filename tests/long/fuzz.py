"""Fuzz every parser: files damaged at random and made up from nothing must be read, or refused with an InputError.

    python -m tests.long.fuzz --seconds 600 --jobs 2 --out tests/long/results/fuzz.json
    python -m tests.long.fuzz --parser names --seconds 60

Any other exception, a hang, or a GiB of memory for a small file is a failure: its input is kept, as small as could be
found, under --keep, and the exit code is 1. Every parser runs in a process of its own, so that one that dies is a
failure too and the next goes on. Run again, it leaves out what is finished with the same code; a parser asked for by
name is done again if its code has changed, and the others keep their results, each with the code it belongs to.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.measure import digest_of, machine
from src.runtime.choices import choose
from src.runtime.entry import run_stage
from src.runtime.files import read_json, write_json
from src.versions.import_closure import ROOT, import_closure
from tests.long.fuzzing.parsers import PARSERS
from tests.long.fuzzing.target import HANG_SECONDS, fuzz

PACKAGES = ("hypothesis", "pillow", "pyyaml", "safetensors")
CODE = ("tests/long/fuzzing/*.py", "tests/data/[!t]*.py", "tests/data/published/[!t]*.py")  # not the tests themselves
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # files are written ten times as fast there
RESULTS = "results.json"  # of a child: how many inputs, and the failures
PATIENCE = 30 * HANG_SECONDS  # on one input: asleep, or in code that no signal interrupts


def work(name: str, folder: str, seconds: float, seed: int, beat: Any) -> None:
    """The child's part: fuzz, and leave the counts and failures in the folder."""
    target = fuzz(name, Path(folder), seconds, seed, beat)
    for k, failure in enumerate(target.failures.values()):
        failure["input"] = f"{k}-{Path(failure['file']).name}", failure["input"].hex()
    (Path(folder) / RESULTS).write_text(json.dumps([target.counts, list(target.failures.values())]))


def supervise(name: str, seconds: float, seed: int, keep: Path) -> dict[str, Any]:
    """Fuzz one parser, again with another seed if its process dies, and keep the inputs that failed."""
    counts: dict[str, int] = {}
    failures, start, context = [], time.monotonic(), multiprocessing.get_context("spawn")
    while (left := seconds - (time.monotonic() - start)) > 0 and len(failures) < 20:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            beat = context.Value("d", time.time())
            child = context.Process(target=work, args=(name, folder, left, seed, beat), daemon=True)
            child.start()
            while child.is_alive() and time.time() - beat.value < PATIENCE:
                child.join(0.5)
            exit_code = child.exitcode
            child.kill()
            child.join()
            results = Path(folder) / RESULTS
            if results.is_file():
                counts, new_failures = json.loads(results.read_text())
                failures += [_kept(failure, keep / name) for failure in new_failures]
                break
            failures.append(_dead(Path(folder) / "here", exit_code, keep / name))
            seed += 1_000_000
    executions = sum(counts.values())
    return {"executions": executions, **counts, "seconds": time.monotonic() - start, "failures": failures}


def _kept(failure: dict[str, Any], folder: Path) -> dict[str, Any]:
    name, data = failure.pop("input")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(bytes.fromhex(data))
    return {**failure, "kept": str(folder / name)}


def _dead(folder: Path, code: int | None, keep: Path) -> dict[str, Any]:
    """The file that changed last is the one that the process died of, or did not come back from."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    name, data = (files[-1].name, files[-1].read_bytes()) if files else ("none", b"")
    problem = "no end" if code is None else f"the process died with exit code {code}"
    failure = {"file": name, "problem": problem, "bytes": len(data), "input": (f"dead-{name}", data.hex())}
    return _kept(failure, keep)


def code() -> set[str]:
    """The files that a result belongs to: how inputs are made, and all that the parsers import."""
    return set().union(*(import_closure(path) for pattern in CODE for path in ROOT.glob(pattern)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parser", action="append", help=f"one of {', '.join(PARSERS)}; all if absent")
    parser.add_argument("--seconds", type=float, default=600, help="for each parser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="parsers side by side")
    parser.add_argument("--keep", type=Path, default=Path(".dvc/tmp/fuzz"), help="where failing inputs go")
    parser.add_argument("--out", type=Path, help="a JSON file for the counts")
    arguments = parser.parse_args()
    names = arguments.parser or list(PARSERS)
    for name in names:
        choose("parser", PARSERS, name)
    described = machine()
    described["versions"] |= {package: importlib.metadata.version(package) for package in PACKAGES}
    report = {**described, "seconds_per_parser": arguments.seconds, "seed": arguments.seed}
    report["parsers"], digest = {}, digest_of(*code())
    if arguments.out and arguments.out.exists():
        before = read_json(arguments.out)
        if all(before.get(key) == report[key] for key in ("seconds_per_parser", "seed")):
            report["parsers"] = before["parsers"]
    todo = [name for name in names if report["parsers"].get(name, {}).get("code") != digest]
    lock = threading.Lock()

    def fuzz_and_report(name: str) -> None:
        result = {"code": digest, **supervise(name, arguments.seconds, arguments.seed, arguments.keep)}
        with lock:
            report["parsers"][name] = result
            if arguments.out:
                write_json(arguments.out, report)
            print(f"{name}: {result['executions']} inputs, {len(result['failures'])} failures", flush=True)
            for failure in result["failures"]:
                print(f"  {failure['problem']}\n  kept as {failure['kept']}", flush=True)

    with ThreadPoolExecutor(max(arguments.jobs, 1)) as pool:
        list(pool.map(fuzz_and_report, todo))
    if any(result["failures"] for result in report["parsers"].values()):
        sys.exit(1)


if __name__ == "__main__":
    run_stage(main)
