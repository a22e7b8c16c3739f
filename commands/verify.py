"""Command verify: are this machine's results those that the commit holds, byte for byte, or as near as another seed's?

python -m commands.verify            # after `dvc repro`; exits 0 if equal, or if every number is within its spread
python -m commands.verify --record   # and notes the outputs under this processor in metrics/processors.json
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from src.runtime.arithmetic import arithmetic
from src.runtime.entry import run_stage
from src.runtime.errors import InputError, listed
from src.runtime.files import parse_yaml, read_json, write_json
from src.runtime.machine import processor
from src.runtime.pipeline import read_lock
from src.studies.experiments import BENCHMARK, experiment_of
from src.studies.fingerprint import code_digest, same_outputs
from src.studies.origin import of_one_code
from src.studies.results import Results
from src.versions.git import file_at
from stages.summarise import PREFIXES

LOCK, SUMMARY, PROCESSORS = Path("dvc.lock"), "metrics/summary.json", Path("metrics/processors.json")
MEASURES = {"acc": "overall", "worst": "worst_group"}  # of a study's row, where it has another name there
SPREAD = 2  # standard deviations over seeds

Outs = dict[str, dict[str, str]]
"""Of every stage, its outputs by path, each with its hash."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    kept, here = committed("dvc.lock")["stages"], read_lock(LOCK)
    if moved := inputs_that_differ(kept, here):
        raise InputError(
            f"the work tree differs from the commit in {listed(moved, 1)}, so its results are others by right; go back "
            "to the commit's parameters and code, and run `dvc repro`"
        )
    print(f"{processor()}, arithmetic {arithmetic()}")
    differing = stages_that_differ(outs(kept), outs(here))
    numbers = compared(committed(SUMMARY), read_json(SUMMARY), spread())
    print("\n".join(screen(outs(kept), differing, numbers)))
    if options.record:
        record(outs(here))
    if differing and not all(number["within"] for number in numbers):
        raise InputError(f"results differ by more than {SPREAD} standard deviations over seeds")


def committed(path: str) -> Any:
    """A JSON or YAML file of HEAD; InputError without it."""
    content = file_at(Path.cwd(), "HEAD", path)
    if content is None:
        raise InputError(f"the commit has no {path}; check another one out")
    return json.loads(content) if path.endswith(".json") else parse_yaml(content, path)


def outs(lock: Mapping[str, Any]) -> Outs:
    """Of a dvc.lock, stages in its order."""
    return {stage: {out["path"]: out["md5"] for out in entry.get("outs", ())} for stage, entry in lock.items()}


def inputs_that_differ(kept: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Stages that only one of them has; parameters, code and data that no stage made, where they differ."""
    made = {path for stages in (outs(kept), outs(here)) for paths in stages.values() for path in paths}
    differ = sorted(kept.keys() ^ here.keys())
    for stage in kept.keys() & here.keys():
        one, other = (
            {
                **{dep["path"]: dep.get("md5") for dep in lock[stage].get("deps", ()) if dep["path"] not in made},
                **lock[stage].get("params", {}).get("params.yaml", {}),
            }
            for lock in (kept, here)
        )
        differ += [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
    return sorted(set(differ))


def stages_that_differ(kept: Outs, here: Outs) -> dict[str, list[str]]:
    """Stages with outputs of other bytes, in the order of the pipeline, and which."""
    differ = {
        stage: [path for path, md5 in paths.items() if here[stage].get(path) != md5] for stage, paths in kept.items()
    }
    return {stage: paths for stage, paths in differ.items() if paths}


def spread() -> dict[str, float]:
    """SPREAD standard deviations of each number of the summary over the seeds of default runs in studies' rows; of
    none where the commit's choices are not a benchmark's."""
    results, params = Results(), committed("params.yaml")
    chosen = experiment_of({name: params[name] for name in BENCHMARK}, 0).settings
    newest, _ = of_one_code(results.of(chosen), code_digest(), same_outputs(results.codes()))
    arms = {prefix.rstrip("."): arm for arm, prefix in PREFIXES.items()} | {"bound": "all_real"}
    found = {}
    for name in committed(SUMMARY):
        prefix, _, measure = name.rpartition(".")
        values = [row["arms"][arms[prefix]].get(MEASURES.get(measure, measure)) for row in newest.values()]
        known = [value for value in values if value is not None]
        if len(known) > 1:
            found[name] = SPREAD * float(np.std(known, ddof=1))
    return found


def compared(kept: Mapping[str, Any], here: Mapping[str, Any], spreads: Mapping[str, float]) -> list[dict[str, Any]]:
    """Of each number what the commit has, what is here, and whether the difference is within the spread over seeds."""
    rows = []
    for name in kept:
        one, other = kept[name], here.get(name)
        difference = None if None in (one, other) else other - one
        within = one == other or (difference is not None and abs(difference) <= spreads.get(name, 0.0))
        rows.append({"name": name, "kept": one, "here": other, "spread": spreads.get(name), "within": within})
    return rows


def screen(kept: Outs, differing: Mapping[str, list[str]], numbers: list[dict[str, Any]]) -> list[str]:
    """What to print, in one screen."""
    if not differing:
        return [f"the same bytes: all {sum(map(len, kept.values()))} outputs of {len(kept)} stages are as committed"]
    lines = [f"other bytes, from {next(iter(differing))} on:", "", f"{'stage':28}outputs that differ"]
    for stage, paths in differing.items():
        lines.append(f"{stage:28}{len(paths)} of {len(kept[stage])}: {paths[0]}{' ...' * (len(paths) > 1)}")
    lines += ["", f"{'number':12}{'committed':>11}{'here':>11}{f'{SPREAD} sd of seeds':>15}   within"]
    for row in numbers:
        values = ["?" if row[part] is None else f"{row[part]:.4g}" for part in ("kept", "here", "spread")]
        lines.append(
            f"{row['name']:12}{values[0]:>11}{values[1]:>11}{values[2]:>15}   {'yes' if row['within'] else 'NO'}"
        )
    return lines


def record(found: Outs) -> None:
    """Note the outputs' hashes under this processor, beside those of others."""
    known = read_json(PROCESSORS) if PROCESSORS.exists() else {}
    text = json.dumps(found, sort_keys=True)
    entry = {"arithmetic": arithmetic(), "outputs": hashlib.sha256(text.encode()).hexdigest(), "stages": found}
    write_json(PROCESSORS, {**known, processor(): entry})


if __name__ == "__main__":
    run_stage(main)
