"""Studies that run: what is missing, and tables as soon as the last experiment of a study has ended."""

from dataclasses import replace

import pytest

from src.runtime.errors import InputError
from src.studies import campaign, results
from src.studies.campaign import Campaign
from src.studies.experiments import Experiment
from src.studies.origin import Origin
from src.studies.results import Results
from src.studies.running import Outcome
from src.studies.study import Study, Variant

NONE, LOSS, HARDNESS = (Variant(name, {"feedback": name}, "guided") for name in ("none", "loss", "hardness"))
GUIDED = {"arms": {"guided": {"few": 0.5}}}
COMMITS = ("5" * 40, "a" * 40)  # that the experiment starts from, and its own


HARD = {"loss": {kind: {"overall": 1.0} for kind in ("real", "guided")}}


def study(name: str, *variants: Variant) -> Study:
    return Study(
        name=name, title="Title", question="Question?", variants=variants, against="none", seeds=(1, 2),
        metrics=("few",), judged=("few",),
    )  # fmt: skip


STUDIES = [study("first", NONE, LOSS), study("second", NONE, HARDNESS)]


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Make a campaign of these studies on what is finished; what it writes is listed instead."""
    written = []
    monkeypatch.setattr(campaign, "write_study", lambda study, *what: written.append((study.name, *what)))
    monkeypatch.setattr(campaign, "write_index", lambda: written.append("index"))
    monkeypatch.setattr(results, "measured", lambda _: GUIDED)
    monkeypatch.setattr(campaign, "code_digest", lambda: "today's")
    monkeypatch.setattr(campaign, "recorded", lambda name: COMMITS)
    monkeypatch.setattr(results, "recorded", lambda name: COMMITS)
    monkeypatch.setattr(campaign, "made_by", lambda experiment, commit, code: (commit, code) == (COMMITS[1], "today's"))
    return lambda **how: (Campaign(STUDIES, Results(tmp_path / "experiments.jsonl"), **how), written)


def test_experiments_measure_what_their_studies_read(start, monkeypatch):
    """Stages that no table or picture shows are left out; a row without what another study reads is run again."""
    first, _ = start()
    assert set(first.targets.values()) == {("summarise",)}
    for experiment in first.missing():
        first.end(ended(experiment))
    gaps = replace(STUDIES[0], metrics=("few", "loss_gap"), sheets=("loss",))
    monkeypatch.setattr(campaign, "write_sheets", lambda *_: None)
    monkeypatch.setattr("tests.studies.test_campaign.STUDIES", [gaps, STUDIES[1]])
    again, _ = start()
    assert {(e.seed, e.settings.get("feedback"), again.targets[e.name]) for e in again.missing()} == {
        (1, "none", ("summarise",)),
        (1, "loss", ("draw_sheets", "summarise")),
        (2, "none", ("summarise",)),
        (2, "loss", ("summarise",)),
    }
    monkeypatch.setattr(results, "measured", lambda _: {**GUIDED, "difficulty": HARD})
    for experiment in again.missing():
        again.end(ended(experiment))
    assert not again.missing()


def ended(experiment: Experiment, error: str | None = None) -> Outcome:
    return Outcome(experiment, 1.0, error)


def test_an_experiment_that_two_studies_share_is_asked_for_once(start):
    running, _ = start()
    assert len(running.missing()) == len({experiment.name for experiment in running.missing()}) == 6


def test_a_table_is_written_as_soon_as_its_last_experiment_has_ended(start):
    running, written = start()
    of_first = [experiment for experiment in running.missing() if experiment.settings.get("feedback") != "hardness"]
    for experiment in of_first[:-1]:
        running.end(ended(experiment))
    assert written == []
    running.end(ended(of_first[-1]))
    (name, measured, failed, rows, origin), index = written
    assert (name, index, failed, len(rows)) == ("first", "index", {}, 4)
    assert origin == Origin(("5555555",), older=False)
    assert measured == {"none": {1: {"few": 0.5}, 2: {"few": 0.5}}, "loss": {1: {"few": 0.5}, 2: {"few": 0.5}}}


def test_another_run_asks_for_what_is_missing_alone_and_writes_what_is_complete(start):
    first, _ = start()
    for experiment in first.missing()[:4]:
        first.end(ended(experiment))
    again, written = start()
    assert [experiment.name for experiment in again.missing()] == [experiment.name for experiment in first.missing()]
    assert len(again.missing()) == 2
    written.clear()
    again.write()
    assert [entry[0] for entry in written[:-1]] == ["first"]


def test_a_failed_experiment_is_named_in_the_tables_that_wanted_it(start):
    running, written = start()
    for experiment in running.missing():
        fails = experiment.settings.get("feedback") == "hardness" and experiment.seed == 2
        running.end(ended(experiment, "the disk is full" if fails else None))
    assert running.failures and [experiment.name for experiment in running.missing()] == list(running.failures)
    second = next(entry for entry in written if entry[0] == "second")
    assert second[2] == {"hardness, seed 2": "the disk is full"}
    assert second[1]["hardness"] == {1: {"few": 0.5}}


def test_seeds_other_than_the_studys_own_make_no_table(start):
    running, written = start(seeds=(7,))
    for experiment in running.missing():
        running.end(ended(experiment))
    assert running.missing() == [] and written == []


def test_an_experiment_whose_metrics_cannot_be_read_fails_alone(start, monkeypatch):
    running, _ = start()
    broken, *others = running.missing()
    monkeypatch.setattr(results, "recorded", lambda name: (COMMITS[0], name))
    monkeypatch.setattr(results, "measured", lambda name: {}["fid"] if name == broken.name else GUIDED)
    for experiment in (broken, *others):
        running.end(ended(experiment))
    assert running.failures == {broken.name: "its metrics cannot be read (KeyError: 'fid')"}
    assert running.missing() == [broken]


def test_an_experiment_of_code_that_was_edited_meanwhile_is_not_credited_to_this(start, monkeypatch):
    running, _ = start()
    experiment = running.missing()[0]
    monkeypatch.setattr(campaign, "made_by", lambda *what: False)
    running.end(ended(experiment))
    assert "other code or parameters" in running.failures[experiment.name] and experiment in running.missing()


def test_what_dvc_keeps_already_is_taken_up_and_the_tables_say_what_is_missing(start, monkeypatch):
    running, written = start()
    absent = {experiment.name for experiment in running.missing() if experiment.settings.get("feedback") == "loss"}

    def recorded(name):
        if name in absent:
            raise InputError("DVC keeps no such experiment")
        return COMMITS

    monkeypatch.setattr(campaign, "recorded", recorded)
    assert running.collect() == 4 and running.failures == {}
    assert {experiment.name for experiment in running.missing()} == absent
    (first, measured, *_), (second, *_), index = written
    assert (first, second, index) == ("first", "second", "index") and measured["loss"] == {}


def test_rows_of_older_code_are_missing_and_shown_as_older_once(start, monkeypatch):
    first, _ = start()
    for experiment in first.missing():
        first.end(ended(experiment))
    monkeypatch.setattr(campaign, "code_digest", lambda: "tomorrow's")
    monkeypatch.setattr(campaign, "shown_as_older", lambda study: study.name == "second")
    later, written = start()
    assert len(later.missing()) == len(later.older()) == 6
    written.clear()
    later.write()
    (name, measured, _, rows, origin), index = written
    assert (name, index, len(rows)) == ("first", "index", 4) and measured["none"] == {1: {"few": 0.5}, 2: {"few": 0.5}}
    assert origin == Origin(("5555555",), older=True)


def test_rows_of_older_code_are_never_among_todays(start, monkeypatch):
    first, _ = start()
    for experiment in first.missing():
        first.end(ended(experiment))
    monkeypatch.setattr(campaign, "code_digest", lambda: "tomorrow's")
    monkeypatch.setattr(campaign, "made_by", lambda *what: True)
    later, written = start()
    monkeypatch.setattr(results, "measured", lambda commit: {"arms": {"guided": {"few": 0.75}}})
    written.clear()
    later.end(ended(next(e for e in later.missing() if e.settings.get("feedback") == "loss" and e.seed == 1)))
    later._write(STUDIES[0])
    _, measured, _, _, origin = written[-1]
    assert measured == {"none": {}, "loss": {1: {"few": 0.75}}} and not origin.older


def test_a_study_of_the_validation_split_reads_its_accuracies_there(start, monkeypatch):
    row = {"arms": {"guided": {"few": 0.5, "fid": 3.0}}, "validation": {"guided": {"few": 0.25}}}
    monkeypatch.setattr(results, "measured", lambda commit: row)
    running, written = start()
    for experiment in running.missing():
        running.end(ended(experiment))
    running._write(replace(STUDIES[0], split="val"))
    assert written[-1][1]["loss"] == {1: {"few": 0.25, "fid": 3.0}, 2: {"few": 0.25, "fid": 3.0}}
