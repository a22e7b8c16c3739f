"""Tests of the diagnosis: it names what was planted, with its numbers, and is silent on what is healthy."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.reporting.diagnosis import diagnose
from src.reporting.findings import (
    AS_HARD,
    CAUSES_FIRST,
    DESTRUCTIVE,
    EASIER,
    FAR,
    HARDER,
    INERT,
    LABELS,
    NO_EFFECT,
    NO_GAIN,
    NOTE,
    TOO_FEW,
    WARNING,
    WEAK_JUDGE,
    Finding,
)
from src.versions.import_closure import ROOT
from tests.micro import PARAMS
from tests.reporting import made
from tests.reporting.plants import (
    PLANTED,
    agreement,
    alike,
    feedback,
    images,
    never_guided,
    run,
    strange,
    taught_nothing,
    too_weak,
    two_classes_swapped,
)


def warnings(findings: list[Finding]) -> list[str]:
    return [finding.name for finding in findings if finding.severity == WARNING]


def test_a_healthy_run_has_no_finding():
    assert diagnose(**run()) == []


@pytest.mark.parametrize(("plant", "name"), PLANTED.items(), ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_failure_is_named_and_alone_unless_it_destroys_images_which_has_consequences(plant, name):
    metrics = run()
    plant(metrics)
    named = warnings(diagnose(**metrics))
    assert name in named if name == DESTRUCTIVE else named == [name]


def test_a_later_stage_that_moved_nothing_is_no_result() -> None:
    validation = {"guided": {"later_stages": {"crt": 0.2, "lws": 0.0}}, "base": {"overall": 0.6}}
    [finding] = diagnose(**run(), validation=validation)
    assert (finding.name, finding.arm) == (NO_EFFECT, "guided") and finding.numbers.startswith("lws put none")


@pytest.mark.parametrize(("unguided", "name"), [(0.7, EASIER), (0.85, AS_HARD), (0.95, AS_HARD), (1.1, HARDER)])
@pytest.mark.parametrize("guided", [1.2, None])
def test_whether_feedback_has_anything_to_do_is_a_note(unguided: float, guided: float | None, name: str) -> None:
    [finding] = diagnose(**run(), difficulty=made.difficulty(unguided, guided))
    assert (finding.name, finding.severity) == (name, NOTE)
    assert (
        "mean loss of few-shot classes: 0.90 of real" in finding.numbers
        and f"{unguided:.2f} of images" in finding.numbers
    )
    assert ("1.20 of these with it" in finding.numbers) == (guided is not None)


@pytest.mark.parametrize(("few", "name"), [({"unguided": 1.1}, HARDER), ({"unguided": None}, EASIER), (None, EASIER)])
def test_few_shot_classes_decide_and_all_where_none_is_judged(few: dict[str, Any] | None, name: str) -> None:
    of_few = made.difficulty(1.1)["loss"]["few"]
    parts = few and {kind: of_few[kind] if few.get(kind, 1) else None for kind in of_few}
    [finding] = diagnose(**run(), difficulty={"loss": {**made.difficulty(0.7)["loss"], "few": parts}})
    assert finding.name == name and (" of few-shot classes" in finding.numbers) == (name == HARDER)


@pytest.mark.parametrize("broken", [None, {"overall": None}, {"overall": {"real": None, "unguided": {"mean": 1.0}}}])
def test_without_both_means_nothing_is_said_of_difficulty(broken: dict[str, Any] | None) -> None:
    assert diagnose(**run(), difficulty={"loss": broken}) == []


def test_another_criterion_does_not_decide_whether_images_are_easy() -> None:
    by_entropy, by_loss = made.difficulty(0.7)["loss"], made.difficulty(1.1)["loss"]
    [finding] = diagnose(**run(), difficulty={"entropy": by_entropy, "loss": by_loss})
    assert finding.name == HARDER


def test_a_criterion_that_is_led_down_to_its_target_is_not_called_inert() -> None:
    metrics = run()
    too_weak(metrics)
    assert warnings(diagnose(**metrics)) == [INERT]
    entropy = {**made.SETTINGS["feedbacks"]["entropy"], "target": "real"}
    assert diagnose(**{**metrics, "settings": {**made.SETTINGS, "feedbacks": {"entropy": entropy}}}) == []


def test_the_numbers_that_led_to_a_finding_are_said():
    metrics = run()
    two_classes_swapped(metrics)
    [finding] = diagnose(**metrics)
    assert "72.0" in finding.numbers and "25.0" in finding.numbers
    assert finding.numbers.index("two (2.0") < finding.numbers.index("three (5.0") and "zero" not in finding.numbers


def test_an_advice_names_what_was_set():
    metrics = run()
    strange(metrics)
    metrics["settings"] = {**made.SETTINGS, "synth": {"conditioning": "text"}}
    assert "synth.conditioning=text_image" in diagnose(**metrics)[0].advice
    metrics = run()
    too_weak(metrics)
    assert "feedback scale 0.03" in diagnose(**metrics)[0].numbers


def test_raised_feedback_is_destructive_only_where_the_images_suffered():
    metrics = run()
    feedback(metrics, after=1.2)
    assert diagnose(**metrics) == []


def test_bad_images_under_ordinary_feedback_are_not_laid_to_it():
    metrics = run()
    strange(metrics)
    feedback(metrics, before=0.8, after=0.9)
    assert warnings(diagnose(**metrics)) == [FAR]


def test_a_run_without_feedback_is_not_called_inert():
    metrics = run()
    metrics["quality"]["guided"]["feedback"] = None
    assert diagnose(**metrics) == []
    metrics = run()
    never_guided(metrics)
    metrics["settings"] = {**made.SETTINGS, "feedback": "none", "feedbacks": {"none": {"criterion": "none"}}}
    assert diagnose(**metrics) == []
    metrics["settings"] = {**made.SETTINGS, "feedbacks": {"entropy": {"scale": 0}}}
    assert diagnose(**metrics) == []


def test_what_is_wrong_with_synaug_is_a_note_and_not_a_warning():
    metrics = run()
    images(metrics, arm="synaug", fid=25.0, density=0.2, precision=0.3)
    metrics["quality"]["synaug"]["class_agreement"]["overall"] = 0.4
    metrics["accuracy"]["synaug"] = copy.deepcopy(metrics["accuracy"]["base"])
    findings = diagnose(**metrics)
    assert {finding.name for finding in findings} == {FAR, LABELS, NO_GAIN}
    assert {finding.severity for finding in findings} == {NOTE} and {finding.arm for finding in findings} == {"synaug"}


def test_warnings_come_before_notes():
    metrics = run()
    images(metrics, arm="synaug", fid=25.0, density=0.2, precision=0.3)
    alike(metrics)
    assert [finding.severity for finding in diagnose(**metrics)] == [WARNING, NOTE]


def test_causes_come_before_what_they_may_cause():
    metrics = run()
    strange(metrics)
    metrics["accuracy"]["guided"] = copy.deepcopy(metrics["accuracy"]["base"])
    for row in metrics["accuracy"]["base"]["per_class"].values():
        row["test_images"] = 20
    names = [finding.name for finding in diagnose(**metrics, improved={"guided": False}) if finding.arm != "synaug"]
    assert names.index(FAR) < names.index(NO_GAIN) < names.index(TOO_FEW)  # a limit is a note, and notes are last
    assert sorted(names[:-1], key=CAUSES_FIRST.index) == names[:-1]


def test_few_images_are_told_as_a_limit():
    metrics = run()
    for arm in metrics["accuracy"].values():
        for row in arm["per_class"].values():
            row["test_images"] = 20
    images(metrics, real_images=40, synthetic_images=60)
    findings = [finding for finding in diagnose(**metrics) if finding.name == TOO_FEW]
    assert [finding.arm for finding in findings] == ["base", "guided"]
    assert "40 test images" in findings[0].numbers and "40 real and 60 synthetic" in findings[1].numbers


def test_a_handful_of_images_of_a_class_condemns_no_class():
    metrics = run()
    agreement(metrics, 0.9, two=0.0)
    assert LABELS in warnings(diagnose(**metrics))
    images(metrics, synthetic_images=30)
    assert LABELS not in warnings(diagnose(**metrics))


def test_where_real_images_would_not_help_either_no_gain_is_expected():
    metrics = run()
    taught_nothing(metrics)
    metrics["accuracy"]["all_real"] = copy.deepcopy(metrics["accuracy"]["base"])
    assert NO_GAIN not in warnings(diagnose(**metrics))


def test_where_the_base_has_every_real_image_already_nothing_bounds_the_gain():
    metrics = run()
    taught_nothing(metrics)
    metrics["accuracy"]["all_real"] = {"bound": False, **copy.deepcopy(metrics["accuracy"]["base"])}
    [finding] = diagnose(**metrics)
    assert finding.name == NO_GAIN and "all real" not in finding.numbers
    for arm in ("base", "guided"):
        metrics["accuracy"][arm] |= {"few": 0.99}
    assert NO_GAIN not in warnings(diagnose(**metrics))


def test_a_class_that_the_judge_does_not_know_is_not_said_to_have_wrong_images():
    metrics = run()
    agreement(metrics, 0.72, two=0.02, three=0.05)
    metrics["accuracy"]["all_real"]["per_class"]["two"]["accuracy"] = 0.0
    [finding] = diagnose(**metrics)
    assert "three (5.0" in finding.numbers and "two" not in finding.numbers


def test_a_judge_that_knows_nothing_is_named_and_accuses_nobody():
    metrics = run()
    agreement(metrics, 0.26)
    metrics["accuracy"]["all_real"] |= {"overall": 0.27}
    [finding] = [finding for finding in diagnose(**metrics) if finding.name in (WEAK_JUDGE, LABELS)]
    assert (finding.name, finding.severity) == (WEAK_JUDGE, NOTE)


def test_classes_that_text_alone_shows_no_more_are_laid_to_prompts_and_generator_and_not_to_feedback():
    metrics = run()
    agreement(metrics, 0.27)
    feedback(metrics, before=0.5, after=0.9)
    assert DESTRUCTIVE in warnings(diagnose(**metrics))
    metrics["quality"]["synaug"]["class_agreement"]["overall"] = 0.26
    found = {finding.name: finding for finding in diagnose(**metrics) if finding.arm == "guided"}
    assert DESTRUCTIVE not in found and "the generator does not know these classes" in found[LABELS].advice


def test_entropy_that_was_high_from_the_start_is_not_laid_to_feedback():
    metrics = run()
    strange(metrics)
    feedback(metrics, before=1.38, after=1.38)
    assert DESTRUCTIVE not in warnings(diagnose(**metrics))


def test_groups_are_judged_by_the_worst():
    metrics = run()
    for arm, report in metrics["accuracy"].items():
        report |= copy.deepcopy(made.groups())
        report["groups"]["worst"] = {"base": 0.1, "synaug": 0.6, "guided": 0.1, "all_real": 0.8}[arm]
    [finding] = diagnose(**metrics)
    assert finding.name == NO_GAIN and "worst-group accuracy" in finding.numbers and "50 test images" in finding.numbers


def test_the_committed_default_has_no_warning():
    def read(name: str) -> dict[str, Any]:
        return json.loads((ROOT / "metrics" / name).read_text())

    findings = diagnose(read("accuracy.json"), read("fid_density_coverage.json"), settings=PARAMS)
    assert warnings(findings) == []
    assert not any(finding.arm == "guided" for finding in findings)


PATHS = st.lists(st.integers(0, 400), max_size=30)


@settings(max_examples=60, deadline=None)
@given(PATHS, st.sampled_from([None, ...]))
def test_no_missing_field_is_an_exception(chosen, instead):
    metrics = run()
    metrics["accuracy"]["base"] |= made.groups()
    for number in chosen:
        places = [(node, key) for node, key in _places(metrics["accuracy"]) + _places(metrics["quality"])]
        node, key = places[number % len(places)]
        if instead is None and not isinstance(node[key], dict | list):
            node[key] = None
        elif instead is ... and isinstance(key, str) and key not in ("class", "context", "test_images"):
            del node[key]
    diagnose(**metrics)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    if not isinstance(tree, dict):
        return []
    return [(tree, key) for key in tree] + [place for value in tree.values() for place in _places(value)] or [
        ({0: 0}, 0)
    ]
