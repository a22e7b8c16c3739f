"""Studies on their way: which experiments they lack, and each one's table as soon as the last of its own has ended."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from src.runtime.errors import InputError
from src.studies.experiments import Experiment, experiment, fingerprint, made_here
from src.studies.results import Results, revision
from src.studies.running import Outcome
from src.studies.study import SYNTHETIC, Study
from src.studies.study_writer import write_index, write_sheets, write_study
from src.versions.git import commit_of


class Campaign:
    """The experiments of some studies, shared between them; what is finished, and what failed, by name."""

    def __init__(self, studies: Iterable[Study], results: Results, seeds: Sequence[int] | None = None) -> None:
        """seeds: in place of the studies' own; then a study has a table only if its own are among them."""
        self.studies = list(studies)
        self.results = results
        self.wanted = {
            study.name: {(v.name, seed): experiment(v.settings, seed)
                         for v in study.variants for seed in seeds or study.seeds}
            for study in self.studies
        }  # fmt: skip
        self.experiments = {one.name: one for ones in self.wanted.values() for one in ones.values()}
        every = tqdm(self.experiments.values(), "what is there already", unit="experiment", delay=2, leave=False)
        self._prints = {one.name: fingerprint(one) for one in every}
        self._start = commit_of(Path("."), "HEAD") or "HEAD"
        self.failures: dict[str, str] = {}
        self._written: set[str] = set()

    def missing(self) -> list[Experiment]:
        """The experiments that have no results from this state of code and parameters, in the studies' order."""
        return [one for one in self.experiments.values() if self._row(one) is None]

    def end(self, outcome: Outcome) -> None:
        """Keep what an experiment measured, or what it said when it failed, and write the tables that waited for it."""
        if outcome.error is None:
            self._keep(outcome)
        else:
            self.failures[outcome.experiment.name] = outcome.error
        self.write()

    def collect(self) -> int:
        """Take up what DVC keeps already, made by this code elsewhere or from its queue; return how many.

        Then write every study's table, whatever it still lacks.
        """
        lacking = self.missing()
        for one in lacking:
            try:
                revision(one.name)
            except InputError:
                continue
            self._keep(Outcome(one, None, None, None))
        for study in self.studies:
            if any(self._row(one) is not None for one in self.wanted[study.name].values()):
                self._write(study)
        write_index()
        return len(lacking) - len(self.missing())

    def _keep(self, outcome: Outcome) -> None:
        """What one experiment left must not end the others: what cannot be read is its failure."""
        one = outcome.experiment
        try:
            if not made_here(one, revision(one.name), self._start):
                raise InputError("it was made by other code or parameters than this study's; run the study again")
            self.results.add(outcome, self._prints[one.name])
        except InputError as error:
            self.failures[one.name] = str(error)
        except (KeyError, TypeError, ValueError) as error:
            self.failures[one.name] = f"its metrics cannot be read ({type(error).__name__}: {error})"

    def write(self) -> None:
        """Write what each study leaves, once, if all its experiments have ended; then the index of all of them."""
        ended = [study for study in self.studies if study.name not in self._written and self._ended(study)]
        for study in ended:
            self._write(study)
            self._written.add(study.name)
        if ended:
            write_index()

    def _row(self, one: Experiment) -> dict[str, Any] | None:
        return self.results.get(one.name, self._prints[one.name])

    def _ended(self, study: Study) -> bool:
        wanted = self.wanted[study.name]
        if not set(study.seeds) <= {seed for _, seed in wanted}:
            return False
        return all(one.name in self.failures or self._row(one) is not None for one in wanted.values())

    def _write(self, study: Study) -> None:
        wanted = self.wanted[study.name]
        arms = {variant.name: variant.arm for variant in study.variants}
        measured: dict[str, dict[int, dict[str, float | None]]] = {name: {} for name in arms}
        for (variant, seed), one in wanted.items():
            if (row := self._row(one)) is not None:
                measured[variant][seed] = row["arms"][arms[variant]]
        failed = {f"{variant}, seed {seed}": self.failures[one.name] for (variant, seed), one in wanted.items()
                  if one.name in self.failures}  # fmt: skip
        read = {(one.name, arms[variant]): one for (variant, _), one in wanted.items() if arms[variant] in SYNTHETIC}
        rows = [(row, arm) for (_, arm), one in sorted(read.items()) if (row := self._row(one)) is not None]
        write_study(study, measured, failed, rows)
        if study.sheets:
            write_sheets(study, {variant.name: wanted[variant.name, study.seeds[0]] for variant in study.variants})
