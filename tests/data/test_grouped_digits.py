"""Group benchmarks from real digits: each real image once, in one context, every combination in test."""

from itertools import combinations

import numpy as np
import pytest

from src.data.digit_contexts import paint
from src.data.digits import CLASS_NAMES, RESERVED, posed_digits
from src.data.prepared_data import PreparedData
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.dataset_settings import PoseRange
from tests.data.loading import load, settings_of
from tests.micro import PARAMS

NAMES = ("digits_nico", "digits_waterbirds", "digits_fair")
REAL = 1797


def settings(name: str) -> dict:
    return {"name": name, **PARAMS["datasets"][name]}


@pytest.fixture(scope="module", params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def data(name) -> PreparedData:
    return load(settings(name))


def numbers(data: PreparedData, split: str) -> set[str]:
    """The real images of a split."""
    return {image.split("-")[0] for image in data.splits[split].ids}


def groups(data: PreparedData, split: str) -> np.ndarray:
    """Images by (class, context)."""
    source, shape = data.splits[split], (len(data.class_names), len(data.context_names))
    return np.bincount(source.labels * shape[1] + source.contexts, minlength=np.prod(shape)).reshape(shape)


def test_no_real_image_is_used_twice(data):
    for split, source in data.splits.items():
        assert len(numbers(data, split)) == len(source)
    for one, other in combinations(("pool", "val", "test"), 2):
        assert numbers(data, one).isdisjoint(numbers(data, other))


def test_the_pool_is_training_and_all_that_is_left_of_the_classes(data):
    assert set(data.splits["train"].ids) <= set(data.splits["pool"].ids)
    digits = posed_digits(8, PoseRange(0, 1, 1, 0, 0), numpy_generator(0))[1]
    available = np.isin(digits, [CLASS_NAMES.index(name) for name in data.class_names]).sum()
    unused = len(data.class_names) * (RESERVED - len(data.splits["test"]) // len(data.class_names))
    assert sum(len(data.splits[split]) for split in ("pool", "val", "test")) == available - unused <= REAL


def test_training_has_the_listed_counts_and_what_is_measured_on_has_every_combination(data, name):
    asked = settings(name)
    assert groups(data, "train").tolist() == list(asked["train"].values())
    for split in ("val", "test"):
        assert np.unique(groups(data, split)).tolist() == [asked[f"{split}_per_group"]]
    assert groups(data, "pool").min() > groups(data, "train").min()


def test_an_image_is_its_real_digit_in_its_pose_painted_in_its_context(data, name):
    asked = settings(name)
    posed, digits = posed_digits(asked["image_size"], settings_of(asked).pose, numpy_generator("pose", 0))
    for split in ("train", "test"):
        source = data.splits[split]
        for i in range(0, len(source), 37):
            number, context = source.ids[i].split("-")
            assert CLASS_NAMES[digits[int(number)]] == data.class_names[source.labels[i]]
            assert context == data.context_names[source.contexts[i]]
            image = paint(posed[int(number)], context, numpy_generator("paint", 0, int(number)))
            assert np.array_equal(source.read(i), image)


def test_a_seed_names_the_data_and_another_seed_is_another_split():
    one, again, other = (load(settings("digits_nico"), seed) for seed in (0, 0, 1))
    assert one.splits["test"].ids == again.splits["test"].ids != other.splits["test"].ids
    assert np.array_equal(one.splits["test"].read(3), again.splits["test"].read(3))


def test_other_training_counts_leave_what_is_measured_on_alone():
    asked = settings("digits_waterbirds")
    one, other = (load({**asked, "train": counts}) for counts in (asked["train"], {"three": [9, 1], "eight": [1, 9]}))
    for split in ("val", "test"):
        assert one.splits[split].ids == other.splits[split].ids
        assert np.array_equal(one.splits[split].read(0), other.splits[split].read(0))


def test_nico_has_rare_and_empty_groups_but_every_context_of_training_is_seen():
    counts = groups(load(settings("digits_nico")), "train")
    assert counts.shape == (10, 6)
    assert (counts == 0).sum() >= 10 and ((counts >= 1) & (counts <= 5)).sum() >= 10
    assert counts.sum(0).min() > 0


def test_waterbirds_has_the_proportions_of_waterbirds():
    counts = groups(load(settings("digits_waterbirds")), "train").ravel()
    published = np.array([3498, 184, 56, 1057])
    assert counts.tolist() == np.ceil(published * counts[0] / published[0] - 0.5).tolist()


def test_the_context_says_more_of_a_fair_image_than_chance():
    counts = groups(load(settings("digits_fair")), "train")
    assert (counts.argmax(1) == 0).any() and (counts.argmax(1) == 1).any()
    assert counts.max(1).sum() / counts.sum() > 0.8


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"contexts": ["scanned", "autumn"]}, "unknown context 'autumn'"),
        ({"contexts": ["scanned", "scanned"]}, "contexts must be a list of different contexts"),
        ({"contexts": "scanned"}, "contexts must be a list"),
        ({"train": {"three": [1, 1]}}, "at least two classes"),
        (
            {"train": {"three": [1, 1], "ten": [1, 1]}},
            "unknown class of datasets.digits_waterbirds.train 'ten'; choose one of: zero",
        ),
        ({"train": {"three": [1, 1], 8: [1, 1]}}, "train has the name 8, which YAML does not read as text"),
        ({"train": {"three": [1, 1], "eight": [1]}}, "eight must list 2 counts, one for each context"),
        ({"train": {"three": [1, 1], "eight": [-1, 1]}}, r"eight\.0 must be at least 0"),
        ({"train": {"three": [1, 1], "eight": [0, 0]}}, "leaves the class without a training image"),
        (
            {"train": {"three": [150, 1], "eight": [1, 1]}},
            "class 'three' has 123 real images.*asks for 167",
        ),
        ({"test_per_group": 0}, "test_per_group must be at least 1"),
    ],
)
def test_settings_that_the_data_cannot_meet_are_refused(change, problem):
    with pytest.raises(InputError, match=problem):
        load({**settings("digits_waterbirds"), **change})
