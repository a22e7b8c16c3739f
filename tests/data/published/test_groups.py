"""Data sets with groups: NICO++ and Waterbirds from their own formats, and what UTKFace shares with them."""

import random
import shutil
from itertools import combinations

import numpy as np
import pytest

from src.data.prepared_data import PreparedData
from src.data.published.nico import CONTEXTS
from src.runtime.errors import InputError
from tests.data.loading import load
from tests.data.published import miniatures

WRITERS = [miniatures.nico, miniatures.waterbirds, miniatures.utkface]


def groups(data: PreparedData, split: str) -> list[int]:
    source = data.splits[split]
    assert source.contexts is not None and data.context_names is not None
    number = len(data.class_names) * len(data.context_names)
    return np.bincount(source.labels * len(data.context_names) + source.contexts, minlength=number).tolist()


def recorded(data: PreparedData) -> list[int]:
    return [images for of_class in data.record({})["groups"].values() for images in of_class.values()]


@pytest.mark.parametrize("write", WRITERS)
def test_splits_are_disjoint_readable_and_the_same_from_the_same_files(write, tmp_path):
    data, again = load(write(tmp_path / "one")), load(write(tmp_path / "two"))
    for one, other in combinations(("train", "val", "test"), 2):
        assert set(data.splits[one].ids).isdisjoint(data.splits[other].ids)
    for name, source in data.splits.items():
        assert source.ids == again.splits[name].ids and len(source) == len(source.labels) == len(source.contexts) > 0
        assert np.array_equal(source.read(0), again.splits[name].read(0))
    assert data.splits["pool"] is data.splits["train"]
    assert recorded(data) == groups(data, "train")


@pytest.mark.parametrize("write", WRITERS)
def test_missing_data_are_one_sentence_and_so_is_a_file_that_vanishes(write, tmp_path):
    settings = write(tmp_path)
    with pytest.raises(InputError, match=rf"'{settings['name']}' lacks .*, looked for in .*nowhere; .*SOURCE\.md says"):
        load({**settings, "path": str(tmp_path / "nowhere")})
    source = load(settings).splits["test"]
    next(path for path in tmp_path.rglob("*.jpg") if path.as_posix().endswith(source.ids[0])).unlink()
    with pytest.raises(InputError, match="is missing"):
        source.read(0)


def reference_split(names: dict[str, dict[str, list[str]]], held_out: int) -> dict[str, set[str]]:
    """SubpopBench's split in its own words, over names that are sorted first: context by context, class by class."""
    random.seed(666)
    val, test, every = [], [], []
    for context in CONTEXTS:
        for members in names[context].values():
            current = sorted(members)
            random.shuffle(current)
            size = min(len(current), held_out)
            val += current[: size // 3]
            test += current[size // 3 : size]
            every += current
    return {"train": set(every) - set(val) - set(test), "val": set(val), "test": set(test)}


def test_nico_is_split_as_in_subpopbench_with_no_training_image_in_groups_of_at_most_75(tmp_path):
    sizes = {"hot_air_balloon": (80, 75, 10, 76, 3, 0), "dog": (0, 74, 2, 90, 0, 1)}
    settings = miniatures.nico(tmp_path, sizes, held_out=75)
    data = load(settings, seed=5)
    assert data.class_names == ("dog", "hot air balloon") and data.context_names == CONTEXTS
    assert groups(data, "train") == [0, 0, 0, 15, 0, 0, 5, 0, 0, 1, 0, 0]
    assert groups(data, "val") == [0, 24, 0, 25, 0, 0, 25, 25, 3, 25, 1, 0]
    assert groups(data, "test") == [0, 50, 2, 50, 0, 1, 50, 50, 7, 50, 2, 0]
    root = tmp_path / "public_dg_0416/train"
    names = {
        context: {
            name: [str(path.relative_to(tmp_path)) for path in (root / context / name).glob("*")] for name in sizes
        }
        for context in CONTEXTS
    }
    assert {name: set(data.splits[name].ids) for name in ("train", "val", "test")} == reference_split(names, 75)


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ("[]", "does not number its classes"),
        ('{"dog": 0, "cat": 2}', "does not number its classes"),
        ('{"dog": true, "cat": 0}', "does not number its classes"),
        ("{", "is not valid JSON"),
        ('{"dog": 0}', r"hot_air_balloon is none of the classes"),
    ],
)
def test_a_nico_mapping_that_does_not_fit_is_refused(tmp_path, mapping, problem):
    settings = miniatures.nico(tmp_path)
    (tmp_path / "dg_label_id_mapping.json").write_text(mapping)
    with pytest.raises(InputError, match=problem):
        load(settings)


def test_a_nico_folder_that_no_context_claims_is_refused_rather_than_lost(tmp_path):
    settings = miniatures.nico(tmp_path)
    (tmp_path / "public_dg_0416/train/snow").mkdir()
    with pytest.raises(InputError, match=r"snow is none of the contexts autumn, dim"):
        load(settings)
    with pytest.raises(InputError, match="held_out must be at least 3, not 2"):  # one each for val, and two for test
        load({**settings, "held_out": 2})


def test_contexts_of_nico_that_are_absent_or_empty_are_named_rather_than_counted_as_no_images(tmp_path):
    settings, root = miniatures.nico(tmp_path), tmp_path / "public_dg_0416/train"
    shutil.rmtree(root / "dim/dog")  # a group may be empty
    assert len(load(settings).splits["train"]) > 0
    shutil.rmtree(root / "rock")
    for name in ("dog", "hot_air_balloon"):
        shutil.rmtree(root / "water" / name)
    with pytest.raises(InputError, match=r"train holds no classes in the contexts rock, water; unpack .* again$"):
        load(settings)


def test_waterbirds_groups_are_the_published_ones_and_need_no_image_to_be_counted(tmp_path):
    published = {0: (3498, 184, 56, 1057), 1: (467, 466, 133, 133), 2: (2255, 2255, 642, 642)}
    data = load(miniatures.waterbirds(tmp_path, published, images=False))
    assert recorded(data) == [3498, 184, 56, 1057]
    assert [groups(data, name) for name in ("train", "val", "test")] == [list(counts) for counts in published.values()]
    assert [len(data.splits[name]) for name in ("train", "val", "test")] == [4795, 1199, 5794]
    assert data.class_names == ("landbird", "waterbird") and data.context_names == ("land", "water")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("img_filename", "file", r"lacks the columns img_filename"),
        ("jpg,0,0,0,", "jpg,2,0,0,", r"line [0-9]+ needs an img_filename"),
        ("jpg,0,0,0,", "jpg,0,3,0,", r"line [0-9]+ needs"),
        ("jpg,0,0,0,", "jpg,0,0,,", r"line [0-9]+ needs"),
        ("_0_0_0001.jpg", "_0_0_0003.jpg", r"bird_0_0_0003\.jpg twice in the train split"),
        ("_0_0_0000.jpg", "_1_0_0000.jpg", r"bird_1_0_0000\.jpg in both the train and the val split"),
    ],
)
def test_a_damaged_waterbirds_table_is_refused(tmp_path, old, new, problem):
    settings = miniatures.waterbirds(tmp_path, images=False)
    path = tmp_path / "waterbird_complete95_forest2water2" / "metadata.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=problem):
        load(settings)
    path.write_bytes(b"img_filename\xe9")
    with pytest.raises(InputError, match=r"metadata\.csv .*not a CSV text"):
        load(settings)
