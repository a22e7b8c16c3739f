"""A study's map: every variant in its cell, which its name says, in an order that a reader expects."""

import io
import math
from dataclasses import replace

import pytest
from PIL import Image

from src.runtime.errors import InputError
from src.studies.maps import _gains, _in_order, accuracy_map, panels_of
from src.studies.study import Variant, values_of
from src.studies.study_files import read_study
from tests.studies.test_study_files import written
from tests.studies.test_summary import STUDY

MAP = r"guidance (?P<column>\S+), (?:(?P<panel>\w+) (?P<row>\S+)|none)"
NAMES = ("guidance 2, none", "guidance 2, loss 0.1", "guidance 7, none", "guidance 7, entropy matched")
ROW = {
    "arms": {"guided": {"few": 0.5}},
    "difficulty": {
        "entropy": {"real": {"overall": 0.9, "few": 1.2}, "guided": {"overall": 0.8, "few": 1.5}},
        "loss": {"real": {"overall": 1.3, "few": None}, "guided": {"overall": 1.5, "few": None}},
    },
}


def test_a_variant_without_feedback_stands_in_every_panel():
    study = replace(STUDY, map=MAP, variants=tuple(Variant(name, {}) for name in NAMES))
    none = {("none", "2"): NAMES[0], ("none", "7"): NAMES[2]}
    assert panels_of(study) == {
        "loss": {**none, ("0.1", "2"): NAMES[1]},
        "entropy": {**none, ("matched", "7"): NAMES[3]},
    }


def test_rows_and_columns_are_in_the_order_of_their_numbers():
    assert _in_order(["matched", "0.1", "none", "-0.03", "0.03", "0.1"]) == ["-0.03", "none", "0.03", "0.1", "matched"]
    assert _in_order(["7", "2.25", "10", "1"]) == ["1", "2.25", "7", "10"]


def test_a_gain_is_over_no_feedback_of_its_own_panel():
    panels = {length: {(row, "60"): f"{row} {length}" for row in ("none", "loss")} for length in ("1x", "4x")}
    means = {"none 1x": 0.5, "loss 1x": 0.75, "none 4x": 1.0, "loss 4x": 0.875}
    assert _gains(panels, means, "60") == {"none 1x": 0, "loss 1x": 0.25, "none 4x": 0, "loss 4x": -0.125}
    assert math.isnan(_gains(panels, {"loss 4x": 0.875}, "60")["loss 4x"]) and not _gains(panels, means, "15")


def test_a_map_is_drawn_whatever_is_missing():
    study = replace(STUDY, map=MAP, metrics=("few", "entropy_gap"), variants=tuple(Variant(name, {}) for name in NAMES))
    values = {seed: {"few": 0.5, "entropy_gap": -0.1} for seed in study.seeds}
    for measured in ({}, {NAMES[0]: values}, {name: values for name in NAMES}):
        with Image.open(io.BytesIO(accuracy_map(study, measured))) as image:
            assert image.width > 100 and image.height > 100


def test_a_gap_to_real_images_has_a_sign_and_its_distance_none():
    values = values_of(ROW, "guided", "test")
    assert values["entropy_few_gap"] == pytest.approx(0.3) and "loss_few_gap" not in values
    assert values["entropy_gap"] == pytest.approx(-0.1) and values["entropy_distance"] == pytest.approx(0.1)
    assert values["loss_gap"] == values["loss_distance"] == pytest.approx(0.2)
    assert not {"entropy_gap", "entropy_distance"} & set(values_of({**ROW, "arms": {"base": {}}}, "base", "test"))


@pytest.mark.parametrize("pattern", ["(", "guidance (?P<column>a), (?P<row>b)", r"(?P<column>x)(?P<panel>y)(?P<row>z)"])
def test_a_map_without_a_place_for_every_variant_is_refused(tmp_path, pattern):
    with pytest.raises(InputError, match="has no place"):
        written(tmp_path, map=pattern)


def test_the_map_of_feedback_has_a_place_for_every_variant():
    study = read_study("map")
    assert {name for cells in panels_of(study).values() for name in cells.values()} == {v.name for v in study.variants}
