"""Studies that run: what is missing, and tables as soon as the last experiment of a study has ended."""

import pytest

from src.runtime.errors import InputError
from src.studies import campaign, results
from src.studies.campaign import Campaign
from src.studies.experiments import Experiment
from src.studies.results import Results
from src.studies.running import Outcome
from src.studies.study import Study, Variant

NONE, LOSS, HARDNESS = (Variant(name, {"feedback": name}, "guided") for name in ("none", "loss", "hardness"))


def study(name: str, *variants: Variant) -> Study:
    return Study(name, "Title", "Question?", variants, "none", (1, 2), ("few",))


STUDIES = [study("first", NONE, LOSS), study("second", NONE, HARDNESS)]


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Make a campaign of these studies on what is finished; what it writes is listed instead."""
    written = []
    monkeypatch.setattr(campaign, "write_study", lambda study, *what: written.append((study.name, *what)))
    monkeypatch.setattr(campaign, "write_index", lambda: written.append("index"))
    monkeypatch.setattr(results, "measured", lambda name: {"guided": {"few": 0.5}})
    monkeypatch.setattr(campaign, "revision", lambda name: "a commit")
    monkeypatch.setattr(campaign, "made_here", lambda one, commit, start: commit == "a commit")
    return lambda **how: (Campaign(STUDIES, Results(tmp_path / "experiments.jsonl"), **how), written)


def ended(one: Experiment, error: str | None = None) -> Outcome:
    return Outcome(one, 1.0, 1, error)


def test_an_experiment_that_two_studies_share_is_asked_for_once(start):
    made, _ = start()
    assert len(made.missing()) == len({one.name for one in made.missing()}) == 6


def test_a_table_is_written_as_soon_as_its_last_experiment_has_ended(start):
    made, written = start()
    of_first = [one for one in made.missing() if one.settings.get("feedback") != "hardness"]
    for one in of_first[:-1]:
        made.end(ended(one))
    assert written == []
    made.end(ended(of_first[-1]))
    (name, measured, failed, rows), index = written
    assert (name, index, failed, len(rows)) == ("first", "index", {}, 4)
    assert measured == {"none": {1: {"few": 0.5}, 2: {"few": 0.5}}, "loss": {1: {"few": 0.5}, 2: {"few": 0.5}}}


def test_another_run_asks_for_what_is_missing_alone_and_writes_what_is_complete(start):
    first, _ = start()
    for one in first.missing()[:4]:
        first.end(ended(one))
    again, written = start()
    assert [one.name for one in again.missing()] == [one.name for one in first.missing()]
    assert len(again.missing()) == 2
    written.clear()
    again.write()
    assert [entry[0] for entry in written[:-1]] == ["first"]


def test_a_failed_experiment_is_named_in_the_tables_that_wanted_it(start):
    made, written = start()
    for one in made.missing():
        fails = one.settings.get("feedback") == "hardness" and one.seed == 2
        made.end(ended(one, "the disk is full" if fails else None))
    assert made.failures and [one.name for one in made.missing()] == list(made.failures)
    second = next(entry for entry in written if entry[0] == "second")
    assert second[2] == {"hardness, seed 2": "the disk is full"}
    assert second[1]["hardness"] == {1: {"few": 0.5}}


def test_seeds_other_than_the_studys_own_make_no_table(start):
    made, written = start(seeds=(7,))
    for one in made.missing():
        made.end(ended(one))
    assert made.missing() == [] and written == []


def test_an_experiment_whose_metrics_cannot_be_read_fails_alone(start, monkeypatch):
    made, _ = start()
    broken, *others = made.missing()
    monkeypatch.setattr(results, "measured", lambda name: {}["fid"] if name == broken.name else {"guided": {"few": 1}})
    for one in (broken, *others):
        made.end(ended(one))
    assert made.failures == {broken.name: "its metrics cannot be read (KeyError: 'fid')"}
    assert made.missing() == [broken]


def test_an_experiment_of_code_that_was_edited_meanwhile_is_not_credited_to_this(start, monkeypatch):
    made, _ = start()
    one = made.missing()[0]
    monkeypatch.setattr(campaign, "made_here", lambda *what: False)
    made.end(ended(one))
    assert "other code or parameters" in made.failures[one.name] and one in made.missing()


def test_what_dvc_keeps_already_is_taken_up_and_the_tables_say_what_is_missing(start, monkeypatch):
    made, written = start()
    absent = {one.name for one in made.missing() if one.settings.get("feedback") == "loss"}

    def revision(name):
        if name in absent:
            raise InputError("DVC keeps no such experiment")
        return "a commit"

    monkeypatch.setattr(campaign, "revision", revision)
    assert made.collect() == 4 and made.failures == {}
    assert {one.name for one in made.missing()} == absent
    (first, measured, *_), (second, *_), index = written
    assert (first, second, index) == ("first", "second", "index") and measured["loss"] == {}
