"""The real data: disjoint, hashed, reproducible splits with the long tail where training sees it."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from src.data.datasets import DATASETS
from src.data.imbalance import exponential_counts
from src.data.prepared_data import PreparedData
from src.data.splits import split_hash
from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.settings import dataset_settings
from src.versions.import_closure import ROOT
from tests.data.loading import load
from tests.micro import PARAMS

DIGITS = {
    "kind": "digits",
    "name": "digits",
    **PARAMS["datasets"]["digits"],
}


@pytest.fixture(scope="module")
def default() -> PreparedData:
    return load(DIGITS)


def images(data: PreparedData, split: str) -> set[bytes]:
    source = data.splits[split]
    return {source.read(i).tobytes() for i in range(len(source))}


def hashes(data: PreparedData) -> dict[str, str]:
    return {
        name: split_hash(source.read(i).tobytes() for i in range(len(source))) for name, source in data.splits.items()
    }


def test_no_image_is_in_two_splits_and_training_sees_a_part_of_the_pool(default):
    for one, other in combinations(("pool", "val", "test"), 2):
        assert images(default, one).isdisjoint(images(default, other))
    assert images(default, "train") < images(default, "pool")


def test_every_image_of_the_data_set_is_in_one_split(default):
    assert sum(len(default.splits[name]) for name in ("pool", "val", "test")) == 1797


def test_training_is_long_tailed_as_asked_and_what_is_measured_on_is_uniform(default):
    assert default.counts == exponential_counts(DIGITS["head_count"], 10, DIGITS["imbalance_factor"])
    assert default.counts[0] == DIGITS["head_count"] > default.counts[-1] >= 1
    for name in ("val", "test"):
        assert np.bincount(default.splits[name].labels).tolist() == [DIGITS[f"{name}_per_class"]] * 10
    assert np.bincount(default.splits["pool"].labels).min() >= DIGITS["head_count"]


def test_images_are_rgb_and_each_split_is_in_step_with_its_labels(default):
    size = DIGITS["image_size"]
    for source in default.splits.values():
        pixels = np.stack([source.read(i) for i in range(len(source))])
        assert pixels.dtype == np.uint8 and pixels.shape == (len(source.labels), size, size, 3)
        assert set(source.labels) == set(range(len(default.class_names)))


def test_ids_say_which_of_scikit_learns_digits_an_image_is(default):
    truth = load_digits().target
    for source in default.splits.values():
        assert [truth[int(name.removeprefix("digits/"))] for name in source.ids] == source.labels.tolist()


def test_the_shipped_hashes_are_those_of_the_default(default):
    if PARAMS["dataset"] != "digits" or PARAMS["seed"] != 0:
        pytest.skip("metrics/ holds another experiment")
    assert hashes(default) == read_json(ROOT / "metrics/splits.json")["sha256"]


def test_a_seed_names_the_data_and_another_seed_is_another_split_in_other_poses(default):
    assert hashes(load(DIGITS)) == hashes(default)
    other = load(DIGITS, seed=1)
    assert all(hashes(other)[name] != hashes(default)[name] for name in default.splits)
    assert images(other, "test").isdisjoint(images(default, "test"))


def test_a_milder_tail_contains_a_harder_one_and_leaves_what_is_measured_on_alone(default):
    mild = load({**DIGITS, "imbalance_factor": DIGITS["imbalance_factor"] / 6})
    assert images(default, "train") < images(mild, "train")
    assert [hashes(mild)[name] == hashes(default)[name] for name in ("train", "val", "test", "pool")] == [
        False, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind": "imagenet"}, "unknown kind of data set for datasets.digits 'imagenet'; choose one of: digits"),
        ({"image_size": 7}, "datasets.digits.image_size must be at least 8"),
        ({"image_size": "32"}, "datasets.digits.image_size is the text '32', not a number; write 32 in"),
        ({"head_count": 60, "imbalance_factor": 61}, "leaves class 9 without a training image"),
        ({"head_count": 100, "imbalance_factor": 10}, "lower the head count"),
        ({"test_per_class": 100}, "lower test_per_class or test_per_group"),
        ({"val_per_class": 170}, "lower test_per_class or val_per_class"),
        ({"pose": {**DIGITS["pose"], "scale_min": 2}}, "scale_min <= scale_max"),
    ],
)
def test_settings_that_the_data_cannot_meet_are_refused(change, problem):
    with pytest.raises(InputError, match=problem):
        load({**DIGITS, **change})


@pytest.mark.parametrize(
    ("absent", "problem"),
    [("head_count", r"lacks datasets.digits.head_count; add it"), ("kind", r"lacks datasets.digits.kind; add it")],
)
def test_a_setting_that_the_preset_lacks_is_named(absent, problem):
    with pytest.raises(InputError, match=problem):
        load({name: value for name, value in DIGITS.items() if name != absent})


def test_every_kind_that_has_settings_has_a_loader_and_no_other():
    assert set(DATASETS) == set(dataset_settings.DATASETS)
