"""A stage sees exactly the parameters that dvc.yaml declares for it, from the presets that are chosen."""

import copy
from typing import Any

import pytest
import yaml

from src.runtime.errors import InputError
from src.runtime.pipeline import arms_of, declared, read_mapping
from src.settings import params
from src.settings.dataset_settings import DATASETS
from src.settings.schema import build, plain
from src.settings.sections import PRESETS, section_kind
from src.versions.import_closure import ROOT
from tests.micro import PARAMS

PIPELINE = yaml.safe_load("""
stages:
  plain: {params: [seed, train.loss, synaug.last_layer.steps]}
  whole: {params: [train, train.loss, 'datasets.${dataset}', dataset, 'recipes.${dataset}', synth]}
  parts: {params: ['budgets.${dataset}.balance', 'datasets.${dataset}.image_size', 'datasets.${dataset}.pose']}
  arms:
    foreach: {synaug: {part: synaug}, guided: {part: retrain}}
    do: {params: [seed, '${item.part}']}
  matrix:
    matrix: {arm: [synaug, guided]}
    params: [seed]
  none: {}
  other: {params: [{other.yaml: [a]}]}
  typo: {params: [train.rate]}
  absent: {params: ['budgets.${dataset}.rate']}
  samples: {params: [dataset, 'generators.${generator}']}
  loads: {params: [dataset, 'generators.${generator}.path']}
""")
DIGITS = PARAMS["datasets"]["digits"]


def resolve(stage: str, arm: str | None = None, **change: Any) -> params.Params:
    """`change`: dotted names, with two underscores for each dot."""
    everything = copy.deepcopy(PARAMS)
    for name, value in change.items():
        *parents, last = name.split("__")
        node = everything
        for parent in parents:
            node = node[parent]
        node[last] = value
    return params.resolve(stage, PIPELINE, everything, arm)


def test_declared_parameters_are_there_and_no_other():
    section = resolve("plain")
    expected = {"seed": PARAMS["seed"], "train": {"loss": PARAMS["train"]["loss"]}}
    assert plain(section) == {**expected, "synaug": {"last_layer": {"steps": PARAMS["synaug"]["last_layer"]["steps"]}}}
    for read, name in (
        (lambda: section.dataset, "dataset"), (lambda: section.train.sampler, "train.sampler"),
        (lambda: section.synaug.last_layer.lr, "synaug.last_layer.lr"), (lambda: resolve("none").seed, "seed"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"reads parameter '{name}', which dvc.yaml does not declare for it; add"):
            read()


def test_the_chosen_preset_stands_under_one_name_with_its_own():
    section = resolve("whole")
    assert section.dataset == section.data.name == section.recipe.name == PARAMS["dataset"] == "digits"
    assert section.data.pose.rotation == DIGITS["pose"]["rotation"] and type(section.data) is DATASETS["digits"]
    other = resolve("whole", dataset="cifar10_lt")
    assert plain(other.data) == {**PARAMS["datasets"]["cifar10_lt"], "name": "cifar10_lt"}
    assert type(other.data) is DATASETS["cifar10_lt"]


def test_a_preset_may_be_declared_in_parts_of_which_no_other_is_there():
    section = resolve("parts")
    assert plain(section.budget) == {"name": "digits", "balance": PARAMS["budgets"]["digits"]["balance"]}
    assert section.data.image_size == DIGITS["image_size"] and plain(section.data.pose) == DIGITS["pose"]
    with pytest.raises(InputError, match=r"'budgets\.digits\.fill', which dvc\.yaml does not declare"):
        _ = section.budget.fill
    with pytest.raises(InputError, match=r"'datasets\.digits\.head_count', which dvc\.yaml does not declare"):
        _ = section.data.head_count


def test_a_whole_contains_its_parts():
    assert plain(resolve("whole").train) == PARAMS["train"]


def test_an_arm_sees_its_own_parameters_and_without_one_a_stage_those_of_all():
    seed, synaug, retrain = ({name: PARAMS[name]} for name in ("seed", "synaug", "retrain"))
    assert plain(resolve("arms", "synaug")) == seed | synaug and plain(resolve("arms", "guided")) == seed | retrain
    assert plain(resolve("arms")) == seed | synaug | retrain
    assert plain(resolve("matrix", "guided")) == seed


def test_what_is_wrong_in_a_preset_that_is_not_chosen_or_a_part_not_declared_is_ignored():
    resolve("whole", datasets__cifar10_lt={"kind": 5}, synaug=None)
    resolve("parts", datasets__digits__head_count="many")


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("nowhere", "dvc.yaml has no stage 'nowhere'; it has plain, whole"),
        ("other", "stage 'other' declares parameters of another file"),
        ("typo", "dvc.yaml declares parameter 'train.rate' for stage 'typo', but params.yaml lacks it"),
        ("absent", "dvc.yaml declares parameter 'budgets.digits.rate' for stage 'absent', but params.yaml lacks it"),
    ],
)
def test_a_declaration_that_cannot_be_met_is_one_sentence(stage, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        resolve(stage)


def test_parameters_are_read_from_the_two_files_of_a_folder(tmp_path):
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    (tmp_path / "params.yaml").write_text("seed: 3\nretrain: 5\n")
    assert params.load("matrix", "guided", root=tmp_path).seed == 3
    for text, problem in (("a: [", "not valid YAML near line 1"), ("", "holds no"), (None, "is missing")):
        (tmp_path / "params.yaml").unlink()
        if text is not None:
            (tmp_path / "params.yaml").write_text(text)
        with pytest.raises(InputError, match=problem):
            params.load("matrix", root=tmp_path)
        (tmp_path / "params.yaml").touch()


@pytest.mark.parametrize("family", PRESETS)
def test_every_preset_of_this_repository_fits_the_schema(family):
    for name, values in PARAMS[family].items():
        path = f"{family}.{name}"
        assert holds(plain(build(section_kind(PRESETS[family], values, path), values, path)), values), path


def holds(section: Any, values: Any) -> bool:
    """Whether a section as plain values has these, and beyond them defaults alone."""
    if not isinstance(values, dict):
        return section == values
    return all(name in section and holds(section[name], value) for name, value in values.items())


def test_every_other_parameter_of_this_repository_fits_the_schema():
    selectors = {"dataset", "generator", "feedback"}
    for name in set(PARAMS) - set(PRESETS) - selectors:
        if isinstance(PARAMS[name], dict):
            assert holds(plain(build(section_kind(name, PARAMS[name], name), PARAMS[name], name)), PARAMS[name]), name
        else:
            assert plain(build(params.Params, {name: PARAMS[name]}, "", whole=frozenset())) == {name: PARAMS[name]}
    assert {name for name in PARAMS if not isinstance(PARAMS[name], dict)} == selectors | {"seed", "committee"}


def test_every_stage_of_this_repository_gets_its_parameters():
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    for name, entry in pipeline["stages"].items():
        for arm in [None, *arms_of(entry)]:
            shown = plain(params.resolve(name, pipeline, PARAMS, arm))
            assert bool(shown) == bool(declared(name, pipeline, arm)), name


def test_every_preset_of_the_tiny_generator_means_that_of_the_data_set():
    for generator in ("tiny_unclip", "tiny_lora", "pool", "sd21_unclip"):
        preset = PARAMS["generators"][generator]
        on_digits = resolve("samples", generator=generator).generator
        assert (on_digits.path, on_digits.tiny_decoder) == (preset["path"], preset["tiny_decoder"])
        on_photographs = resolve("samples", generator=generator, dataset="fashion_lt").generator
        assert on_photographs == resolve("samples", generator=generator, dataset="fashion_nico").generator
        if generator == "sd21_unclip":
            assert plain(on_photographs) == plain(on_digits)
            continue
        assert on_photographs.path == "models/tiny_fashion"
        assert on_photographs.tiny_decoder is None, "it decodes the latents of the digits' generator alone"
        assert plain(on_photographs) | {"path": 0, "tiny_decoder": 0} == plain(on_digits) | {
            "path": 0,
            "tiny_decoder": 0,
        }
    loads = resolve("loads", dataset="fashion_lt").generator
    assert loads.path == "models/tiny_fashion" and not loads.declares("tiny_decoder")
    assert (
        resolve("samples", dataset="fashion_lt", generators__tiny_unclip__path="elsewhere").generator.path
        == "elsewhere"
    )


def test_a_stage_that_reads_a_generators_path_reads_the_data_set():
    for stage, entry in read_mapping(ROOT / "dvc.yaml")["stages"].items():
        for arm in arms_of(entry) or (None,):
            names = declared(stage, read_mapping(ROOT / "dvc.yaml"), arm)
            if any(name.startswith("generators.") for name in names):
                assert "dataset" in names, stage
