"""Evidence over many seeds: every arm at full and half budget, resumable, one single-threaded process per seed.

    python -m benchmarks.evidence --seeds 100-109 --split test --out metrics/evidence.json

Finished (seed, arm) pairs are kept beside the settings' hash and never computed twice. `--set` changes a parameter for
this run alone, as in `--set feedbacks.entropy.scale=0.1`.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from benchmarks.arms import Arm, chosen_arms
from benchmarks.seeds import Seed, generator_of, run_arm
from benchmarks.table import tables
from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.files import hash_file, hash_tree, read_bytes, read_json, write_json
from src.settings.params import check_value
from src.studies.study_files import parse_seeds

SETTINGS = (
    "dataset",
    "datasets",
    "generator",
    "generators",
    "feedbacks",
    "recipes",
    "budgets",
    "synth",
    "merge",
    "train",
    "second_stages",
    "retrain",
    "synaug",
    "evaluation",
)

SHOWING = ("reporting", "studies")  # packages of src


def settings(changes: Sequence[str]) -> dict[str, Any]:
    """What the evidence depends on, from params.yaml, with `a.b=value` changes."""
    params = yaml.safe_load(read_bytes("params.yaml"))
    chosen = {name: params[name] for name in SETTINGS}
    for change in changes:
        path, equals, value = change.partition("=")
        *parents, last = path.split(".")
        node: Any = chosen
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            raise InputError(f"--set {change} names no parameter of params.yaml that the evidence depends on")
        if not equals:
            raise InputError(f"--set {change} gives no value; write {path}=<value>")
        node[last] = yaml.safe_load(value)
        check_value(node[last], path)
    return chosen


def results_folder(params: dict[str, Any], split: str) -> Path:
    """Where finished pairs are kept: keyed by settings, generator weights, code and split."""
    generator = params["generators"][params["generator"]]["path"]
    key = [params, hash_tree(generator), [hash_file(path) for path in code()], split]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return Path(".dvc/tmp/scratch") / f"evidence-{digest}"


def code(root: Path = Path(".")) -> list[Path]:
    """The files that the evidence depends on: not those that only read and show what was measured."""
    found = [*(root / "src").rglob("*.py"), root / "benchmarks/arms.py", root / "benchmarks/seeds.py"]
    return sorted(path for path in found if path.relative_to(root).parts[1] not in SHOWING)


def run_seed(params: dict[str, Any], seed: int, split: str, arms: Sequence[Arm], folder: Path) -> None:
    """The arms of one seed, in this process; what is already in `folder` is left alone."""

    def keep(name: str, result: dict[str, Any]) -> None:
        write_json(folder / f"{seed}-{name}.json", result)

    missing = [arm for arm in arms if not (folder / f"{seed}-{arm.name}.json").exists()]
    run = Seed(params, seed, split)
    for name, accuracies in run.baselines():
        if not (folder / f"{seed}-{name}.json").exists():
            keep(name, {"full": accuracies()})
    generator = generator_of(params)
    for arm in missing:
        keep(arm.name, run_arm(run, arm, generator))


def collect(folder: Path, seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Results as arm -> seed -> report."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        seed, _, arm = path.stem.partition("-")
        if int(seed) in seeds:
            found.setdefault(arm, {})[seed] = read_json(path)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="100-109")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--arms", help="names or families (default, baselines, groups), comma-separated")
    parser.add_argument("--set", action="append", default=[], metavar="PARAMETER=VALUE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    params = settings(options.set)
    folder = results_folder(params, options.split)
    arms = chosen_arms(options.arms)
    if options.one is not None:
        run_seed(params, options.one, options.split, arms, options.folder)
        return
    seeds = parse_seeds(options.seeds)

    def start(seed: int) -> None:
        command = [
            sys.executable,
            "-m",
            "benchmarks.evidence",
            *sys.argv[1:],
            "--one",
            str(seed),
            "--folder",
            str(folder),
        ]
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        log = folder / f"{seed}.log"
        with open(log, "wb") as file:
            code = subprocess.run(command, env={**os.environ, **threads}, stdout=file, stderr=file).returncode
        if code:
            raise InputError(f"seed {seed} failed; its output is in {log}; the same command continues")

    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        list(tqdm(pool.map(start, seeds), total=len(seeds), desc="seeds", unit="seed"))
    report = {"settings": params, "split": options.split, "seeds": seeds, "arms": collect(folder, seeds)}
    if options.out:
        write_json(options.out, report)
    sys.stdout.write(tables(report))


if __name__ == "__main__":
    run_stage(main)
