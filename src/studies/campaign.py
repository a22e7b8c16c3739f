"""Studies on their way: which experiments they lack, and each one's table as soon as the last of its own has ended."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from src.runtime.errors import InputError
from src.settings.arms import SYNTHETIC
from src.studies.experiments import Experiment, experiment_of
from src.studies.fingerprint import code_digest, inputs_digest, made_by, same_inputs, same_outputs
from src.studies.maps import column_of
from src.studies.origin import of_one_code
from src.studies.results import Results, recorded
from src.studies.running import SHEETS, TARGETS, Outcome
from src.studies.study import DIFFICULTY, Study, values_of
from src.studies.study_writer import shown_as_older, write_index, write_sheets, write_study


class Campaign:
    """The experiments of some studies, shared between them; what is finished, and what failed, by name."""

    def __init__(self, studies: Iterable[Study], results: Results, seeds: Sequence[int] | None = None) -> None:
        """seeds: in place of the studies' own; then a study has a table only if its own are among them."""
        self.studies = list(studies)
        self.results = results
        self.wanted = {
            study.name: {
                (variant.name, seed): experiment_of(variant.settings, seed)
                for variant in study.variants
                for seed in seeds or study.seeds
            }
            for study in self.studies
        }
        self.experiments = {e.name: e for experiments in self.wanted.values() for e in experiments.values()}
        self.targets = self._targets()
        hard = [self.wanted[study.name] for study in self.studies if {*DIFFICULTY} & {*study.metrics}]
        self._judged = {e.name for experiments in hard for e in experiments.values()}
        every = tqdm(self.experiments.values(), "what is there already", unit="experiment", delay=2, leave=False)
        self._inputs = {experiment.name: inputs_digest(experiment) for experiment in every}
        self._code = code_digest()
        self._same = same_outputs(results.codes())
        self.failures: dict[str, str] = {}
        self._written: set[str] = set()

    def missing(self) -> list[Experiment]:
        """The experiments without results from these parameters and today's code, or of `same_outputs`."""
        return [experiment for experiment in self.experiments.values() if not self._finished(experiment)]

    def older(self) -> list[Experiment]:
        """Those of the missing ones that have results from older code."""
        return [experiment for experiment in self.missing() if self._row(experiment) is not None]

    def end(self, outcome: Outcome) -> None:
        """Keep what an experiment measured, or why it failed, and write the tables that waited for it."""
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
        for experiment in lacking:
            try:
                recorded(experiment.name)
            except InputError:
                continue
            self._keep(Outcome(experiment, None, None))
        for study in self.studies:
            if self._rows(study):
                self._write(study)
        write_index()
        return len(lacking) - len(self.missing())

    def _keep(self, outcome: Outcome) -> None:
        """What one experiment left must not end the others: what cannot be read is its failure."""
        experiment = outcome.experiment
        try:
            if not made_by(experiment, recorded(experiment.name)[1], self._code):
                raise InputError("it was made by other code or parameters than this study's; run the study again")
            self.results.add(outcome, self._inputs[experiment.name], self._code, self.targets[experiment.name])
        except InputError as error:
            self.failures[experiment.name] = str(error)
        except (KeyError, TypeError, ValueError) as error:
            self.failures[experiment.name] = f"its metrics cannot be read ({type(error).__name__}: {error})"

    def write(self) -> None:
        """Write what each study leaves, once, if all its experiments have ended; then the index of all of them.

        A study of older code alone is written too, unless its table says so already.
        """
        waiting = [study for study in self.studies if study.name not in self._written]
        ended = [study for study in waiting if self._ended(study) or self._outdated(study)]
        for study in ended:
            self._write(study)
            self._written |= {study.name} if self._ended(study) else set()
        if ended:
            write_index()

    def _row(self, experiment: Experiment) -> dict[str, Any] | None:
        row = self.results.get(experiment.name)
        if row is None or row["inputs"] == self._inputs[experiment.name]:
            return row
        return row if row["code"] in self._same and same_inputs(experiment, row["commit"]) else None

    def _finished(self, experiment: Experiment) -> bool:
        row = self._row(experiment)
        if row is None or row["code"] not in {self._code, *self._same}:
            return False
        judged = bool(row.get("difficulty")) or experiment.name not in self._judged
        return judged and (row.get("sheets", True) or SHEETS not in self.targets[experiment.name])

    def _targets(self) -> dict[str, tuple[str, ...]]:
        """The stages that each experiment is to reach, by its name: what its studies' tables and pictures read."""
        targets = {name: set(TARGETS) for name in self.experiments}
        for study in self.studies:
            for (variant, seed), experiment in self.wanted[study.name].items():
                if variant in study.sheets and seed == study.seeds[0]:
                    targets[experiment.name].add(SHEETS)
        return {name: tuple(sorted(stages)) for name, stages in targets.items()}

    def _rows(self, study: Study) -> dict[tuple[str, int], Mapping[str, Any]]:
        """The rows of the study's experiments, of whatever code, by variant and seed."""
        rows = {key: self._row(experiment) for key, experiment in self.wanted[study.name].items()}
        return {key: row for key, row in rows.items() if row is not None}

    def _has_its_seeds(self, study: Study) -> bool:
        return set(study.seeds) <= {seed for _, seed in self.wanted[study.name]}

    def _ended(self, study: Study) -> bool:
        experiments = self.wanted[study.name].values()
        return self._has_its_seeds(study) and all(e.name in self.failures or self._finished(e) for e in experiments)

    def _outdated(self, study: Study) -> bool:
        _, origin = of_one_code(self._rows(study), self._code, self._same)
        return self._has_its_seeds(study) and origin.older and not shown_as_older(study)

    def _write(self, study: Study) -> None:
        wanted = self.wanted[study.name]
        variants = {variant.name: variant for variant in study.variants}
        rows, origin = of_one_code(self._rows(study), self._code, self._same)
        measured: dict[str, dict[int, dict[str, float | None]]] = {name: {} for name in variants}
        for (name, seed), row in rows.items():
            measured[name][seed] = values_of(row, variants[name].arm, study.split)
        failures = {
            f"{name}, seed {seed}": self.failures[experiment.name]
            for (name, seed), experiment in wanted.items()
            if experiment.name in self.failures
        }
        read = {
            (row["name"], variants[name].arm): {**row, "column": column_of(study, name)}
            for (name, _), row in rows.items()
        }
        finished = [(row, arm) for (_, arm), row in sorted(read.items()) if arm in SYNTHETIC]
        write_study(study, measured, failures, finished, origin)
        if study.sheets and not origin.older:
            write_sheets(study, {name: wanted[name, study.seeds[0]] for name in variants})
