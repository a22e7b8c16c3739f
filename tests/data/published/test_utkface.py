"""UTKFace: everything is in a file's name, and a name that does not tell it is left out and listed."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.published.utkface import VALUES, attributes
from src.runtime.errors import InputError
from tests.data.loading import load
from tests.data.published import miniatures


@pytest.mark.parametrize("end", [".jpg", ".jpg.chip.jpg", " .jpg.chip.jpg", "jpg.chip.jpg", ".JPG"])
def test_a_name_may_end_in_every_way_in_which_published_ones_do(end):
    assert attributes(f"55_0_3_20170116232725357{end}") == {"age": 2, "gender": 0, "race": 3}


@given(st.integers(0, 116), st.integers(0, 1), st.integers(0, 4), st.integers(10**16, 10**17 - 1), st.booleans())
def test_a_face_s_name_tells_its_age_group_gender_and_race(age, gender, race, time, chip):
    name = f"{age}_{gender}_{race}_{time}.jpg" + (".chip.jpg" if chip else "")
    expected = 0 if age < 20 else 1 if age < 40 else 2
    assert attributes(name) == {"age": expected, "gender": gender, "race": race}


@pytest.mark.parametrize(
    "name",
    [
        "61_1_20170109142408075.jpg.chip.jpg",
        "53__0_20170116184028385.jpg",
        "44_1_.jpg",
        "10_2_0_20170116184028385.jpg",
        "10_1_5_20170116184028385.jpg",
        "-1_1_0_20170116184028385.jpg",
        "10_1_0_20170116184028385.png",
    ],
)
def test_a_name_without_four_fields_in_their_ranges_tells_nothing(name):
    assert attributes(name) is None


def test_faces_without_a_race_are_listed_and_the_fifth_race_is_dropped(tmp_path):
    data = load(miniatures.utkface(tmp_path))
    assert data.skipped == (
        "39_1_20170116174525125.jpg.chip.jpg",
        "61_1_20170109142408075.jpg.chip.jpg",
        "61_1_20170109150557335.jpg.chip.jpg",
    )
    assert data.class_names == ("under 20", "20 to 39", "40 or older")
    assert data.context_names == ("White", "Black", "Asian", "Indian")
    every = [name for split in ("train", "val", "test") for name in data.splits[split].ids]
    assert len(every) == 3 * (12 + 10 + 8 + 6) + 2
    assert {"24_0_1_20170116220224657 .jpg.chip.jpg", "55_0_0_20170116232725357jpg.chip.jpg"} <= set(every)
    for split in ("train", "val", "test"):
        source = data.splits[split]
        for name, label, context in zip(source.ids, source.labels, source.contexts, strict=True):
            assert attributes(name) == {"age": label, "gender": attributes(name)["gender"], "race": context}


@pytest.mark.parametrize(("target", "sensitive"), [(a, b) for a, b in product(VALUES, VALUES) if a != b])
def test_any_attribute_can_be_the_target_and_any_other_the_sensitive_one(tmp_path, target, sensitive):
    data = load({**miniatures.utkface(tmp_path), "target": target, "sensitive": sensitive})
    for names, attribute in ((data.class_names, target), (data.context_names, sensitive)):
        assert names == VALUES[attribute][: 4 if attribute == "race" else None]
    name, label = data.splits["train"].ids[0], data.splits["train"].labels[0]
    assert attributes(name)[target] == label


def test_each_group_is_split_in_the_same_shares(tmp_path):
    data = load(miniatures.utkface(tmp_path))
    count = {
        name: Counter(zip(data.splits[name].labels.tolist(), data.splits[name].contexts.tolist(), strict=True))
        for name in ("train", "val", "test")
    }
    for race, number in enumerate((12, 10, 8, 6)):
        assert [count[name][2, race] for name in ("val", "test")] == [number // 5] * 2
        assert sum(count[name][2, race] for name in count) == number + (race == 0)  # the face whose name has no dot


def test_another_seed_is_another_split_of_the_faces(tmp_path):
    settings = miniatures.utkface(tmp_path)
    assert load(settings).splits["test"].ids != load(settings, 1).splits["test"].ids


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"target": "height"}, "unknown attribute of UTKFace 'height'; choose one of: age, gender, race"),
        ({"target": "race"}, "are both race"),
        ({"val_fraction": 0.6, "test_fraction": 0.4}, "leave nothing to train on"),
        ({"test_fraction": 0}, "leaves the test split empty"),
        ({"drop_races": ["other"]}, "drop_races.0 must be a whole number"),
        ({"drop_races": [9]}, "drop_races.0 must be at most 4, not 9"),
    ],
)
def test_settings_that_the_faces_cannot_meet_are_refused(tmp_path, change, problem):
    with pytest.raises(InputError, match=problem):
        load({**miniatures.utkface(tmp_path), **change})
