"""Planning at full size: what 1.3 million entries of ImageNet-LT cost in seconds and memory before any image is made.

    python -m benchmarks.planning --out benchmarks/results/planning.json

For both arms and for 1/8, 1/4, 1/2 and all of the thousand classes, a fresh process plans, cuts the plan into shards,
reads the indices of the real and of the synthetic shards, merges, writes and reads the merged CSV, and draws batches;
it keeps everything, so that its peak is what all of it takes together. As every eighth class makes an eighth of the
entries, a step that went through all entries for each class would show as quadratic.

`cpu_seconds` are the process's own, `seconds` by the clock, `peak_mib` is the most memory so far; all from the start of
the process, so imports of libraries are in the sums. `growth` is the slope of log CPU seconds over log entries, with
imports left out: 1 is linear.

The counts are a stand-in, as the published lists are not at hand: quantiles of a Pareto distribution of power 6, from
which the data set was drawn, between its largest class and its smallest, scaled to its sum. The indices are as the
stages write them, one line per image, with invented offsets and hashes; there are no images.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import command_line, machine, peak_mib
from benchmarks.shard_stage import guided_meta, write_invented_index
from src.data.merge import uniformise, union
from src.data.merged_index import read_merged, write_merged
from src.data.names import Names
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.markdown import markdown_table
from src.runtime.pipeline import read_mapping
from src.settings.params import Params, resolve
from src.shards.store import Shards
from src.synthesis.plan import synthesis_plan
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import cut
from src.training.samplers import balanced_minibatches, class_uniform, instance_uniform

CLASSES, REAL, LARGEST, SMALLEST, POWER = 1000, 115_846, 1280, 5, 6  # Liu et al., CVPR 2019
STEPS = (8, 4, 2, 1)  # every eighth class, every fourth, ...
ARMS = ("guided", "synaug")
BATCH, BATCHES = 512, 2000


def profile() -> np.ndarray:
    """Images per class, int64 (1000,), the largest first, with the published sum and extremes."""
    ranks = (np.arange(CLASSES) + 0.5) / CLASSES
    shape = ranks ** (-1 / POWER) - 1

    def scaled(scale: float) -> np.ndarray:
        return np.clip(np.rint(SMALLEST + scale * shape), SMALLEST, LARGEST).astype(int)

    low, high = 0.0, float(REAL)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if scaled(middle).sum() <= REAL else (low, middle)
    counts = scaled(low)
    counts[CLASSES // 2 : CLASSES // 2 + REAL - counts.sum()] += 1
    return counts


def parameters() -> Params:
    """The seed, the budget of ImageNet-LT and how images are stored."""
    declared = {"stages": {"planning": {"params": ["seed", "budgets.${dataset}", "synth"]}}}
    return resolve("planning", declared, {**read_mapping(Path("params.yaml")), "dataset": "imagenet_lt"})


def run(arm: str, step: int, folder: Path, started: float) -> dict[str, Any]:
    """Everything but the images, for every step-th class; what each part took, in order.

    started: when the process was, in seconds since the epoch.
    """
    parts: dict[str, dict[str, float]] = {}
    parts["imports"] = {"seconds": time.time() - started, "cpu_seconds": time.process_time(), "peak_mib": peak_mib()}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start, own = time.perf_counter(), time.process_time()
        result = work()
        seconds, cpu = time.perf_counter() - start, time.process_time() - own
        parts[name] = {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak_mib()}
        return result

    params, counts = parameters(), profile()[::step]
    names = Names(tuple(f"class {label}" for label in range(len(counts))))
    labels = np.repeat(np.arange(len(counts)), counts)
    settings = {"conditioned": arm == "guided", "modified": arm == "synaug"}
    prompts = Prompts("prompts/imagenet_lt.yaml", names.classes)
    plan = timed("plan", lambda: synthesis_plan(params.budget, labels, None, names, params.seed, prompts, **settings))
    shards = timed("cut", lambda: cut(plan, params.synth.shard_size))
    real, synthetic = timed("read indices", lambda: (Shards(folder / "real"), Shards(folder / "synthetic")))
    merged = timed("merge", lambda: (uniformise if arm == "synaug" else union)(real, synthetic))
    timed("write CSV", lambda: write_merged(folder / "merged.csv", merged))
    index = timed("read CSV", lambda: read_merged(folder / "merged.csv"))
    timed("check", lambda: index.check(real, synthetic))
    y, y_real, y_synthetic = index.label, index.label[~index.synthetic], index.label[index.synthetic]
    samplers = {
        "instance": lambda: instance_uniform(y, BATCH, 0),
        "class": lambda: class_uniform(y, BATCH, 0),
        "half and half": lambda: balanced_minibatches(y_real, y_synthetic, BATCH, 0.5, 0),
    }
    built = timed("build samplers", lambda: {name: build() for name, build in samplers.items()})
    for name, sample in built.items():
        timed(f"draw {name}", lambda s=sample: [s(number) for number in range(BATCHES)])
    assert np.array_equal(synthetic.labels, [p.label for p in plan])
    total = {key: sum(part[key] for part in parts.values()) for key in ("seconds", "cpu_seconds")}
    return {
        "arm": arm, "classes": len(counts), "real": len(labels), "planned": len(plan), "shards": len(shards),
        "prompts": len({p.prompt for p in plan}), "entries": len(y), "parts": parts,
        **total, "peak_mib": peak_mib(),
    }  # fmt: skip


def write_indices(step: int, folder: Path) -> None:
    """index.jsonl of the real shards and of the synthetic ones, in the order of the plan."""
    params, counts = parameters(), profile()[::step]
    needed, draw = params.budget.per_class - counts, np.random.default_rng(0)
    order = ((k, number) for number in range(needed.max()) for k in np.flatnonzero(needed > number).tolist())
    synthetic = (guided_meta(label, number, counts.sum(), draw) for label, number in order)
    real = ({"label": label, "source": i} for i, label in enumerate(np.repeat(np.arange(len(counts)), counts).tolist()))
    write_invented_index(folder / "real", real, params.synth.shard_size)
    write_invented_index(folder / "synthetic", synthetic, params.synth.shard_size)


def growth(rows: list[dict[str, Any]]) -> float:
    """Slope of the straight line through log CPU seconds over log entries."""
    own = [row["cpu_seconds"] - row["parts"]["imports"]["cpu_seconds"] for row in rows]
    return float(np.polyfit(np.log([row["entries"] for row in rows]), np.log(own), 1)[0])


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--steps", default=",".join(map(str, STEPS)), help="of the classes, at each size")
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)  # one size, in this process alone
    options = parser.parse_args()
    if options.run:
        arm, step, folder, started = options.run
        sys.stdout.write(json.dumps(run(arm, int(step), Path(folder), float(started))))
        return
    rows = []
    for step in map(int, options.steps.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            write_indices(step, Path(folder))
            for arm in ARMS:
                command = [sys.executable, "-m", "benchmarks.planning", "--run", arm, str(step), folder]
                done = subprocess.run([*command, str(time.time())], check=True, stdout=subprocess.PIPE)
                rows.append(json.loads(done.stdout))
    columns = ("arm", "classes", "planned", "entries", "seconds", "cpu_seconds", "peak_mib")
    sys.stdout.write(markdown_table(rows, columns))
    slopes = {}
    if len({row["classes"] for row in rows}) > 1:
        slopes = {arm: growth([row for row in rows if row["arm"] == arm]) for arm in ARMS}
        sys.stdout.write("".join(f"{arm}: CPU seconds grow as entries to the {slopes[arm]:.2f}\n" for arm in ARMS))
    if options.out:
        report = {"machine": machine(), "batch": BATCH, "batches": BATCHES, "growth": slopes, "runs": rows}
        write_json(options.out, report)


if __name__ == "__main__":
    run_stage(main)
