"""Run studies: `python -m stages.study conditioning criteria`, all of them without a name; resumable.

Every experiment is one of DVC's (`dvc exp show` lists them); finished ones are kept in
metrics/studies/experiments.jsonl and never run twice on the same code and parameters. Tables and figures go to
metrics/studies/<name>.{md,csv,png} as soon as a study's last experiment has ended.
"""

import argparse
import os
from pathlib import Path
from statistics import median

from tqdm import tqdm

from src.errors import InputError, run_stage
from src.repository import git_text
from src.studies.campaign import Campaign
from src.studies.experiments import Experiment, Outcome, run_all
from src.studies.paper import commands
from src.studies.results import Results
from src.studies.study import known_studies, parse_seeds, read_study

SOURCES = ("src", "stages", "prompts", "models", "params.yaml", "dvc.yaml")


def main() -> None:
    options = _options()
    studies = [read_study(name) for name in options.names or known_studies()]
    if options.paper:
        known = studies if options.names else [study for study in studies if study.paper]
        print("\n\n".join("\n".join(commands(study)) for study in known))
        return
    campaign = Campaign(studies, Results(), None if options.seeds is None else parse_seeds(options.seeds))
    missing = campaign.missing()
    _announce(campaign, missing, options.jobs)
    if options.dry:
        return
    campaign.write()
    if missing:
        _run(campaign, missing, options.jobs)
    if campaign.failures:
        raise InputError(
            f"{len(campaign.failures)} of {len(missing)} experiments failed, the rest is done; the tables name the "
            "failed ones and .dvc/tmp/studies keeps their logs"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(known_studies())}; all without a name")
    parser.add_argument("--seeds", help="such as 400-402, in place of the study's own; then no table is written")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="seeds side by side (one per core)")
    parser.add_argument("--dry", action="store_true", help="say what would run and how long it would take")
    parser.add_argument("--paper", action="store_true", help="print the study at the papers' scale, with its GPU-hours")
    return parser.parse_args()


def _announce(campaign: Campaign, missing: list[Experiment], jobs: int) -> None:
    count, known = len(campaign.experiments), campaign.results.seconds()
    line = f"{count} experiments, {count - len(missing)} finished, {len(missing)} to run"
    if missing and known:
        line += f", about {len(missing) * median(known) / min(jobs, len({m.seed for m in missing})) / 60:.0f} min"
    tqdm.write(line)


def _run(campaign: Campaign, missing: list[Experiment], jobs: int) -> None:
    if dirty := git_text(Path("."), "status", "--porcelain", *SOURCES):
        raise InputError(f"{dirty.split()[1]} is not committed; commit first, so that results belong to a commit")
    with tqdm(total=len(missing), desc="studies", unit="experiment", smoothing=0.1) as bar:

        def finished(outcome: Outcome) -> None:
            campaign.end(outcome)
            if outcome.error is not None:
                one = outcome.experiment
                tqdm.write(f"failed: {one.name} {dict(one.settings)}: {outcome.error}")
            bar.set_postfix(failed=len(campaign.failures))
            bar.update()

        run_all(missing, jobs, finished)


if __name__ == "__main__":
    run_stage(main)
