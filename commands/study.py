"""Run studies: `python -m commands.study conditioning criteria`, all of them without a name; resumable.

Every experiment is one of DVC's (`dvc exp show` lists them); finished ones are kept in
metrics/studies/experiments.jsonl and never run twice on the same code and parameters. Results of older code are shown
as older and run again. Tables and figures go to metrics/studies/<name>.{md,csv,png} as soon as a study's last
experiment has ended. What runs says so in .dvc/tmp/studies/<experiment>.log.

--tables makes tables and figures again from what is kept, and runs nothing.

At the papers' scale DVC's queue does the work: --paper prints its commands, --collect makes the tables of what ended.
"""

import argparse
import os
from pathlib import Path
from statistics import median

from tqdm import tqdm

from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.studies.campaign import Campaign
from src.studies.experiments import Experiment
from src.studies.paper import commands
from src.studies.results import Results
from src.studies.running import Outcome, quiet, run_all
from src.studies.study import Study
from src.studies.study_files import known_studies, parse_seeds, read_study
from src.studies.study_writer import write_again, write_index
from src.versions.git import git_text

FIRST = 300.0  # seconds, of an experiment before any has been measured: about two cores' for the digits
SOURCES = ("src", "stages", "prompts", "models", "params.yaml", "dvc.yaml")


def main() -> None:
    options = _options()
    studies = [read_study(name) for name in options.names or known_studies()]
    if options.paper:
        print("\n".join(commands(studies if options.names else [study for study in studies if study.paper])))
        return
    if options.tables:
        with quiet():
            protocols = Results().protocols()
            for study in studies:
                write_again(study, protocols)
            write_index()
        return
    if options.collect:
        _collect([study.paper for study in studies if study.paper])
        return
    campaign = Campaign(studies, Results(), None if options.seeds is None else parse_seeds(options.seeds))
    missing = campaign.missing()
    _announce(campaign, missing, options.jobs)
    if options.dry:
        return
    with quiet():
        campaign.write()
    if missing:
        _run(campaign, missing, options.jobs)
    if campaign.failures:
        raise InputError(
            f"{len(campaign.failures)} of {len(missing)} experiments failed, the rest is done; why stands above and in "
            "the tables, and .dvc/tmp/studies keeps their logs"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(known_studies())}; all without a name")
    parser.add_argument("--seeds", help="such as 400-402, in place of the study's own, which its table needs")
    parser.add_argument("--jobs", type=_jobs, default=os.cpu_count() or 1, help="seeds side by side (one per core)")
    parser.add_argument("--dry", action="store_true", help="say what would run and how long it would take")
    parser.add_argument("--tables", action="store_true", help="make the tables and figures again, without running")
    parser.add_argument("--paper", action="store_true", help="print the study at the papers' scale, with its GPU-hours")
    parser.add_argument("--collect", action="store_true", help="make the tables at the papers' scale of what has ended")
    return parser.parse_args()


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of experiments; give 1 or more")
    return int(text)


def _collect(studies: list[Study]) -> None:
    campaign = Campaign(studies, Results())
    with quiet():
        added = campaign.collect()
    tqdm.write(f"{added} experiments taken up, {len(campaign.missing())} of {len(campaign.experiments)} still missing")
    for name, why in campaign.failures.items():
        tqdm.write(f"not taken up: {name}: {why}")


def _announce(campaign: Campaign, missing: list[Experiment], jobs: int) -> None:
    count = len(campaign.experiments)
    line = f"{count} experiments, {count - len(missing)} finished, {len(missing)} to run"
    if older := len(campaign.older()):
        line += f" ({older} of them have results of older code; those hold if `dvc repro` gives the committed bytes)"
    tqdm.write(line + (f", about {hours(campaign.results, missing, jobs) * 60:.0f} min" if missing else ""))


def hours(results: Results, missing: list[Experiment], jobs: int) -> float:
    """How long they should take side by side: as long as the same settings took on other seeds, else as the median."""
    usual = median(results.seconds() or [FIRST])
    seconds = [median(results.seconds(experiment.settings) or [usual]) for experiment in missing]
    return max(*seconds, sum(seconds) / jobs) / 3600


def _run(campaign: Campaign, missing: list[Experiment], jobs: int) -> None:
    if dirty := git_text(Path("."), "status", "--porcelain", *SOURCES):
        raise InputError(
            f"{dirty.split()[1]} is not committed; commit first, so that results belong to a commit. If it is not your "
            "change, a study that was killed may have left it: `git reset --hard`, `git switch` to your branch, and "
            "`git stash pop` where `git stash list` shows that DVC had put yours aside"
        )
    with tqdm(total=len(missing), desc="studies", unit="experiment", smoothing=0.1) as bar:
        running = 0

        def show(change: int) -> None:
            nonlocal running
            running += change
            bar.set_postfix(running=running, failed=len(campaign.failures))

        def finished(outcome: Outcome) -> None:
            with quiet():
                campaign.end(outcome)
            experiment = outcome.experiment
            if why := campaign.failures.get(experiment.name):
                tqdm.write(f"failed: {experiment.name} {dict(experiment.settings)}: {why}")
            bar.update()
            show(-1)

        run_all(missing, jobs, finished, lambda experiment: show(1), campaign.targets)


if __name__ == "__main__":
    run_stage(main)
