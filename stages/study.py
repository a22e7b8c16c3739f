"""Run studies: `python -m stages.study conditioning criteria`, all of them without a name; resumable.

Every experiment is one of DVC's (`dvc exp show` lists them); finished ones are kept in
metrics/studies/experiments.jsonl and never run twice on the same code and parameters. Tables and figures go to
metrics/studies/<name>.{md,csv,png}.
"""

import argparse
import os
import subprocess
from statistics import median

from tqdm import tqdm

from src.errors import InputError, run_stage
from src.studies.experiments import Experiment, Outcome, experiment, fingerprint, run_all
from src.studies.output import write_index, write_sheets, write_study
from src.studies.paper import commands
from src.studies.results import Results
from src.studies.study import Study, known_studies, parse_seeds, read_study

SOURCES = ("src", "stages", "prompts", "models", "params.yaml", "dvc.yaml")


def main() -> None:
    options = _options()
    studies = [read_study(name) for name in options.names or known_studies()]
    if options.paper:
        known = studies if options.names else [study for study in studies if study.paper]
        print("\n\n".join("\n".join(commands(study)) for study in known))
        return
    seeds = None if options.seeds is None else parse_seeds(options.seeds)
    wanted = {s.name: {(v.name, seed): experiment(v.settings, seed) for v in s.variants for seed in seeds or s.seeds}
              for s in studies}  # fmt: skip
    results, prints = Results(), {}
    every = {one.name: one for ones in wanted.values() for one in ones.values()}
    for one in tqdm(every.values(), "what is there already", unit="experiment", delay=2, leave=False):
        prints[one.name] = fingerprint(one)
    missing = [one for one in every.values() if results.get(one.name, prints[one.name]) is None]
    _announce(len(every), missing, results, options.jobs)
    failures = {} if options.dry or not missing else _run(missing, results, prints, options.jobs)
    if not options.dry:
        for study in studies:
            _write(study, wanted[study.name], results, prints, failures)
        write_index()
    if failures:
        raise InputError(
            f"{len(failures)} of {len(missing)} experiments failed, the rest is done; the tables name the failed ones "
            "and .dvc/tmp/studies keeps their logs"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(known_studies())}; all without a name")
    parser.add_argument("--seeds", help="such as 400-402, in place of the study's own; then no table is written")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="seeds side by side (one per core)")
    parser.add_argument("--dry", action="store_true", help="say what would run and how long it would take")
    parser.add_argument("--paper", action="store_true", help="print the study at the papers' scale, with its GPU-hours")
    return parser.parse_args()


def _announce(count: int, missing: list[Experiment], results: Results, jobs: int) -> None:
    line = f"{count} experiments, {count - len(missing)} finished, {len(missing)} to run"
    known = results.seconds()
    if missing and known:
        line += f", about {len(missing) * median(known) / min(jobs, len({m.seed for m in missing})) / 60:.0f} min"
    tqdm.write(line)


def _run(missing: list[Experiment], results: Results, prints: dict[str, str], jobs: int) -> dict[str, str]:
    """What failed experiments said, by name."""
    if dirty := subprocess.run(["git", "status", "--porcelain", *SOURCES], capture_output=True, text=True).stdout:
        raise InputError(f"{dirty.split()[1]} is not committed; commit first, so that results belong to a commit")
    failures: dict[str, str] = {}
    with tqdm(total=len(missing), desc="studies", unit="experiment", smoothing=0.1) as bar:

        def finished(outcome: Outcome) -> None:
            name = outcome.experiment.name
            if outcome.error is None:
                results.add(outcome, prints[name])
            else:
                failures[name] = outcome.error
                tqdm.write(f"failed: {name} {dict(outcome.experiment.settings)}: {outcome.error}")
            bar.set_postfix(failed=len(failures))
            bar.update()

        run_all(missing, jobs, finished)
    return failures


def _write(
    study: Study, wanted: dict[tuple[str, int], Experiment], results: Results, prints: dict[str, str],
    failures: dict[str, str],
) -> None:  # fmt: skip
    arms = {variant.name: variant.arm for variant in study.variants}
    measured: dict[str, dict[int, dict[str, float | None]]] = {name: {} for name in arms}
    for (variant, seed), one in wanted.items():
        if (row := results.get(one.name, prints[one.name])) is not None:
            measured[variant][seed] = row["arms"][arms[variant]]
    ours = {f"{variant}, seed {seed}": failures[one.name] for (variant, seed), one in wanted.items()
            if one.name in failures}  # fmt: skip
    if set(study.seeds) <= {seed for _, seed in wanted}:
        rows = [results.get(name, prints[name]) for name in sorted({one.name for one in wanted.values()})]
        write_study(study, measured, ours, [row for row in rows if row is not None])
        if study.sheets:
            write_sheets(study, {variant.name: wanted[variant.name, study.seeds[0]] for variant in study.variants})


if __name__ == "__main__":
    run_stage(main)
