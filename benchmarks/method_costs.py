"""What each arm of the study every_arm costs beside what it is compared with: seconds of the stages that make it.

    python -m benchmarks.method_costs --out benchmarks/results/method_costs.json

Every stage runs anew (`dvc exp run --temp --force`) on the study's first seed, each experiment on one core, as many
side by side as there are cores; what a stage takes to start, some seconds, is part of it. Of an arm with synthetic
images the stages are those that train a committee, fit the generator, make images, merge them and train on them; of
the base its training. The table also goes to docs/results.md.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tqdm import tqdm

from benchmarks.measure import command_line, machine
from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.files import write_json
from src.runtime.markdown import markdown_table, write_between
from src.settings.arms import BASE
from src.studies.experiments import Experiment, experiment_of
from src.studies.running import exp_run, forget, shares
from src.studies.study import Study
from src.studies.study_files import read_study

PAGE, MARK = Path("docs/results.md"), "method-costs"
LEAD = """What each costs on one core (`python -m benchmarks.method_costs`, {cpu}): seconds of the stages that make and
merge an arm's images, with the training of a committee or the fit of a generator where there is one, and of those that
train on them; and all of it beside what the arm is compared with.

"""
STARTS, ENDS = re.compile(r"Running stage '(.+)':"), re.compile("Updating lock file|Generating lock file")


def stages_of(arm: str) -> tuple[str, ...]:
    """The stages that an arm's classifier needs beyond those of every arm."""
    if arm == BASE:
        return ("train_base",)
    return ("train_committee", "fit_generator", f"synth_{arm}", f"merge_balance@{arm}", f"retrain@{arm}")


def seconds_of(lines: Iterable[str], stages: Iterable[str]) -> dict[str, float]:
    """From DVC's lines, read as they come, how long each of these stages ran."""
    took, running, start = dict.fromkeys(stages, 0.0), "", 0.0
    for line in lines:
        if begun := STARTS.match(line):
            running, start = begun[1], time.perf_counter()
        elif ENDS.match(line) and running in took:
            took[running], running = time.perf_counter() - start, ""
    return took


def measured(experiment: Experiment, arms: Iterable[str], cores: set[int]) -> dict[str, float]:
    """Seconds by stage of all that these arms need. Raises InputError if the experiment fails."""
    needed = [stages_of(arm) for arm in arms]
    name = f"cost-{experiment.name}"
    command, environment = exp_run(experiment, name, ["--force", *(stages[-1] for stages in needed)])
    forget(name)  # of a run that was killed
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env={**environment, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    if cores:
        os.sched_setaffinity(process.pid, cores)
    assert process.stdout is not None
    took = seconds_of(process.stdout, chain(*needed))
    failed = process.wait() != 0
    forget(name)
    if failed:
        raise InputError(
            f"{dict(experiment.settings)} fails with code {process.returncode}; try it with dvc exp run -S"
        )
    return took


def arms_of(study: Study) -> dict[str, tuple[Experiment, set[str]]]:
    """The study's experiments on its first seed by name, each with the arms that are read from it."""
    found: dict[str, tuple[Experiment, set[str]]] = {}
    for variant in study.variants:
        experiment = experiment_of(variant.settings, study.seeds[0])
        found.setdefault(experiment.name, (experiment, set()))[1].add(variant.arm)
    return found


def _of(seconds: Mapping[str, float], arm: str) -> dict[str, float]:
    return {stage: seconds[stage] for stage in stages_of(arm)}


def table(study: Study, took: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: seconds of making images and of training, and the ratio of their sum to that of what it is against."""
    rows: list[dict[str, Any]] = []
    for variant in study.variants:
        seconds, others = took[variant.name], [sum(took[other].values()) for other in variant.against]
        trained = sum(value for stage, value in seconds.items() if stage.startswith(("train_base", "retrain")))
        row = {
            "variant": variant.name,
            "images, s": round(sum(seconds.values()) - trained),
            "training, s": round(trained),
        }
        ratio = f"{sum(seconds.values()) / others[0]:.1f} times {variant.against[0]}" if others else None
        rows.append({**row, "all of it": ratio})
    return markdown_table(rows, ["variant", "images, s", "training, s", "all of it"])


def main() -> None:
    options = command_line(__doc__).parse_args()
    study, jobs = read_study("every_arm"), os.cpu_count() or 1
    free: SimpleQueue[set[int]] = SimpleQueue()
    for cores in shares(jobs):
        free.put(cores)
    experiments = arms_of(study)
    bar = tqdm(total=len(experiments), desc="costs", unit="experiment")

    def cost(experiment: Experiment, arms: set[str]) -> dict[str, float]:
        cores = free.get()
        try:
            return measured(experiment, sorted(arms), cores)
        finally:
            free.put(cores)
            bar.update()

    with ThreadPoolExecutor(jobs) as pool, bar:
        by_name = dict(zip(experiments, pool.map(lambda of: cost(*of), experiments.values()), strict=True))
    took = {v.name: _of(by_name[experiment_of(v.settings, study.seeds[0]).name], v.arm) for v in study.variants}
    print(shown := table(study, took), end="")
    if options.out:
        here = machine()
        write_json(options.out, {"machine": here, "study": study.name, "seed": study.seeds[0], "seconds": took})
        write_between(PAGE, LEAD.format(cpu=here["cpu"]) + shown, MARK)


if __name__ == "__main__":
    run_stage(main)
