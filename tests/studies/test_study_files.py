"""A study's file: what it must hold, and that all of ours can be run on the parameters that there are."""

import pytest
import yaml

from src.runtime.errors import InputError
from src.runtime.pipeline import read_mapping
from src.settings.params import resolve
from src.studies.experiments import Experiment, experiment_of, parameters_of
from src.studies.fingerprint import deciding_stages
from src.studies.study_files import BENCHMARK, known_studies, parse_seeds, read_study
from src.versions.import_closure import ROOT

GOOD = {
    "title": "T",
    "question": "Q?",
    "settings": {"feedback": "none"},
    "variants": {"a": {}, "b": {"set": {"feedback": "loss", "synth.conditioning": "text"}, "arm": "base"}},
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
        ("a", {**BENCHMARK, "feedback": "none"}, "guided"),
        ("b", {**BENCHMARK, "feedback": "loss", "synth.conditioning": "text"}, "base"),
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
        ({"variants": {"a": {"sets": {}}}}, "something other than set, arm, against;"),
        ({"variants": {"a": {}, "b": {"against": "c"}}}, "compares with 'c'"),
        ({"variants": {"a": {}, "b": {"against": ["a", "c"]}}}, "compares with 'c'"),
        ({"variants": {"a": {"images": 3}}}, "something other than set, arm, against;"),
        ({"sheets": ["a", "c"]}, "asks for sheets of 'c', which is none of a, b"),
        ({"split": "train"}, "reads the split 'train'; known: test, val"),
        ({"variants": {"a": {"arm": "leg"}}}, "from the arm 'leg'; known: base"),
        ({"reported": [{"variant": "a", "metric": "few", "value": 1}]}, "source for every reported number"),
        ({"variants": ["a", "b"]}, "needs variants by their names"),
        ({"variants": {"a": {"set": {"seed": 1}}}}, "sets the seed of variant 'a'"),
        ({"metrics": ["fid", "few"]}, "an accuracy as its first metric"),
        ({"judged": ["fid"]}, "judges by its metrics alone"),
        (
            {"reported": [{"variant": "a", "metric": "few", "value": 1, "source": ""}]},
            "source for every reported number",
        ),
        ({"contrasts": {"x": {"a": 1, "b": -0.5}}}, "needs of the contrast 'x' weights"),
        ({"contrasts": {"x": {"a": 1, "z": -1}}}, "needs of the contrast 'x' weights"),
        ({"paper": {"images": 3}}, "needs of paper images and seeds"),
        ({"paper": {"images": 3, "seeds": 0, "seed": 1}}, "needs of paper images and seeds"),
        ({"paper": {"images": "many", "seeds": 0}}, "'many' as the number of images"),
        ({"paper": {"images": 3, "seeds": 0, "variants": {"c": {"against": "d"}}}}, "compares with 'd'"),
        ({"reported": [{"variant": "z", "metric": "few", "value": 1, "source": "s"}]}, "for every reported number"),
    ],
)
def test_a_study_that_cannot_be_used_is_one_sentence(changes, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        written(tmp_path, **changes)


def test_at_the_papers_scale_a_study_has_its_variants_or_those_of_its_own(tmp_path):
    told = [{"variant": name, "metric": "few", "value": 1, "source": "s"} for name in ("b", None)]
    paper = written(
        tmp_path, reported=told, paper={"settings": {"feedback": "hardness"}, "images": 5, "seeds": 0}
    ).paper
    assert [(v.name, v.arm, v.against, v.images) for v in paper.variants] == [
        ("a", "guided", (), 5),
        ("b", "base", ("a",), 5),
    ]
    assert [v.settings["feedback"] for v in paper.variants] == ["hardness"] * 2 and len(paper.reported) == 2
    assert (paper.name, paper.seeds, paper.metrics) == ("x-paper", (0,), ("few",))
    own = {"c": None, "d": {"images": 7, "arm": "synaug"}}
    paper = written(tmp_path, reported=told, paper={"variants": own, "images": 5, "seeds": "0-1", "note": "n"}).paper
    assert [(v.name, v.arm, v.against, v.images) for v in paper.variants] == [
        ("c", "guided", (), 5),
        ("d", "synaug", ("c",), 7),
    ]
    assert [entry["variant"] for entry in paper.reported] == [None] and paper.note == "n"


def test_an_unknown_study_lists_the_known_ones():
    with pytest.raises(InputError, match="unknown study 'nonsense'; choose one of: approximations, baselines"):
        read_study("nonsense")


@pytest.mark.parametrize("name", known_studies())
def test_every_study_sets_parameters_that_there_are_and_variants_differ(name):
    study = read_study(name)
    assert study.name == name  # its tables are called so
    asked = [(experiment_of(v.settings, study.seeds[0]).name, v.arm) for v in study.variants]
    assert len(set(asked)) == len(asked)
    # Seeds that development and the history used are for studies that ask the history's questions again, or choose.
    assert study.history or study.split == "val" or set(study.seeds).isdisjoint(range(400))


@pytest.mark.parametrize("name", [name for name in known_studies() if read_study(name).history])
def test_a_study_that_asks_again_has_the_seeds_and_the_split_of_its_history(name):
    study = read_study(name)
    first, _ = (ROOT / "metrics/history" / study.history).read_text().split("\n", 1)
    assert f"seeds {study.seeds[0]} to {study.seeds[-1]}, {study.split} split" in first
    assert f"(../../studies/{name}.yaml)" in first


@pytest.mark.parametrize("name", known_studies())
def test_what_a_study_sets_can_be_used_by_every_stage(name):
    pipeline = read_mapping(ROOT / "dvc.yaml")
    for variant in read_study(name).variants:
        everything = parameters_of(Experiment(variant.settings, 0))
        for stage in deciding_stages(pipeline):
            resolve(stage, pipeline, everything)


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", [3]), ("0-4", [0, 1, 2, 3, 4]), ("1,5,7", [1, 5, 7]), ("100-101,7", [100, 101, 7])]
)
def test_seeds_are_a_list_of_numbers_and_ranges(text, seeds):
    assert list(parse_seeds(text)) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-b", "-3", "1;2", "1,,2", "4-1"])
def test_anything_else_is_refused_as_seeds(text):
    with pytest.raises(InputError, match="are no list such as 0-4 or 1,5,7"):
        parse_seeds(text)


def test_a_variant_is_compared_with_its_own_choice_or_else_the_studys(tmp_path):
    variants = {"a": {}, "b": {}, "c": {"against": "b"}, "d": {"against": None}, "e": {"against": ["a", "d"]}}
    against = [v.against for v in written(tmp_path, variants=variants).variants]
    assert against == [(), ("a",), ("b",), (), ("a", "d")]


def test_a_study_is_judged_by_its_first_metric_unless_it_says_more(tmp_path):
    assert written(tmp_path, metrics=["few", "fid"]).judged == ("few",)
    assert written(tmp_path, metrics=["few", "fid"], judged=["few", "fid"]).judged == ("few", "fid")
