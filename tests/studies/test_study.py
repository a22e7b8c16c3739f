"""A study's file: what it must hold, and that all of ours can be run on the parameters that there are."""

import pytest
import yaml

from src.errors import InputError
from src.studies.experiments import experiment
from src.studies.study import known_studies, parse_seeds, read_study

GOOD = {
    "title": "T",
    "question": "Q?",
    "settings": {"feedback": "none"},
    "variants": {"a": {}, "b": {"set": {"seed": 1, "feedback": "loss"}, "arm": "base"}},
    "against": "a",
    "seeds": "3-4",
    "metrics": ["few"],
}


def written(folder, **changes):
    content = {**GOOD, **changes}
    (folder / "x.yaml").write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}, sort_keys=False))
    return read_study("x", folder)


def test_a_variant_has_the_common_settings_and_its_own_over_them(tmp_path):
    study = written(tmp_path)
    assert [(v.name, dict(v.settings), v.arm) for v in study.variants] == [
        ("a", {"feedback": "none"}, "guided"),
        ("b", {"feedback": "loss", "seed": 1}, "base"),
    ]
    assert study.seeds == (3, 4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"title": None}, "needs exactly"),
        ({"surprise": 1}, "needs exactly"),
        ({"settings": {"feedbacks.loss": {"scale": 1}}}, "set its parts, such as feedbacks.loss.<name>"),
        ({"against": "c"}, "compares with 'c'"),
        ({"metrics": ["luck"]}, "asks for the metric 'luck'; known: overall"),
        ({"seeds": "4-3"}, "no list such as"),
        ({"variants": {"a": {"sets": {}}}}, "something other than `set`, `arm` and `against`"),
        ({"variants": {"a": {}, "b": {"against": "c"}}}, "compares with 'c'"),
        ({"variants": {"a": {"arm": "leg"}}}, "from the arm 'leg'; known: base"),
        ({"reported": [{"variant": "a", "metric": "few", "value": 1}]}, "source for every reported number"),
        ({"reported": [{"variant": "z", "metric": "few", "value": 1, "source": "s"}]}, "for every reported number"),
    ],
)
def test_a_study_that_cannot_be_used_is_one_sentence(changes, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        written(tmp_path, **changes)


def test_an_unknown_study_lists_the_known_ones():
    with pytest.raises(InputError, match="unknown study 'nonsense'; known: budget, conditioning"):
        read_study("nonsense")


@pytest.mark.parametrize("name", known_studies())
def test_every_study_sets_parameters_that_there_are_and_variants_differ(name):
    study = read_study(name)
    asked = [(experiment(v.settings, study.seeds[0]).name, v.arm) for v in study.variants]
    assert len(set(asked)) == len(asked)
    assert set(study.seeds).isdisjoint(range(400))  # seeds that development and earlier evidence used


def test_seeds_are_ranges_or_lists():
    assert parse_seeds("5") == (5,) and parse_seeds("1,4-6") == (1, 4, 5, 6)


def test_a_variant_is_compared_with_its_own_choice_or_else_the_studys(tmp_path):
    variants = {"a": {}, "b": {}, "c": {"against": "b"}, "d": {"against": None}}
    assert [v.against for v in written(tmp_path, variants=variants).variants] == [None, "a", "b", None]
