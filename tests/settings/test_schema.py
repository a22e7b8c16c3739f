"""A section holds what params.yaml says of it, of the right kinds, or the one sentence that says what is wrong."""

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, dataclass
from typing import Annotated, Any

import pytest

from src.runtime.errors import InputError
from src.settings.schema import Range, Section, build, plain


@dataclass(frozen=True, kw_only=True)
class Pose(Section):
    scale_min: float
    scale_max: float
    shear: float = 0.0

    def __post_init__(self) -> None:
        if self.scale_min > self.scale_max:
            raise InputError("scale_min <= scale_max must hold")


@dataclass(frozen=True, kw_only=True)
class Fitting(Section):
    lr: float
    steps: Annotated[int, Range(1, 9)]
    loss: str
    nesterov: bool
    warmup: float | None
    factors: tuple[Annotated[float, Range(0)], ...]
    rows: dict[str, tuple[int, ...]]
    pose: Pose
    tail: Pose | None = None
    size: Annotated[int, Range(8)] | None = None


VALUES: dict[str, Any] = {
    "lr": 0.05, "steps": 3, "loss": "focal", "nesterov": True, "warmup": None, "factors": [0.5, 1],
    "rows": {"cat": [1, 2]}, "pose": {"scale_min": 0.5, "scale_max": 2},
}  # fmt: skip


def fitting(**change: Any) -> Fitting:
    return build(Fitting, {**VALUES, **change}, "fitting")


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in VALUES.items() if key != name}


def test_a_section_holds_the_values_and_defaults_as_attributes():
    section = fitting()
    assert (section.lr, section.steps, section.loss, section.nesterov, section.warmup) == (0.05, 3, "focal", True, None)
    assert section.factors == (0.5, 1) and section.rows == {"cat": (1, 2)}
    assert (section.pose.scale_min, section.pose.shear) == (0.5, 0.0) and section.tail is section.size is None
    assert fitting(tail=VALUES["pose"]).tail == section.pose


def test_a_section_as_plain_values_is_json_and_builds_the_same_again():
    section = fitting(size=8)
    values = plain(section)
    assert values == {**VALUES, "pose": {**VALUES["pose"], "shear": 0.0}, "tail": None, "size": 8}
    assert json.loads(json.dumps(values)) == values
    assert build(Fitting, values, "fitting") == section == build(Fitting, section, "fitting")


def test_a_whole_number_stays_one_where_any_number_may_stand():
    """It would name other work if it were turned into a fraction."""
    assert type(fitting(lr=1).lr) is int and json.dumps(plain(fitting(lr=1))["lr"]) == "1"


def test_a_section_cannot_be_changed_but_copied_and_sent_to_workers():
    section = fitting()
    with pytest.raises(FrozenInstanceError):
        section.lr = 1.0
    plain(section)["pose"]["shear"] = 3
    assert section.pose.shear == 0
    assert pickle.loads(pickle.dumps(section)) == copy.deepcopy(section) == section


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 2.5}, "fitting.steps must be a whole number, not 2.5"),
        ({"steps": True}, "fitting.steps must be a whole number, not True"),
        ({"steps": None}, "fitting.steps must be a whole number, not None"),
        ({"steps": "many"}, "fitting.steps must be a whole number, not 'many'"),
        ({"steps": "3"}, "fitting.steps is the text '3', not a number; write 3 in params.yaml"),
        ({"lr": "high"}, "fitting.lr must be a number, not 'high'"),
        ({"lr": False}, "fitting.lr must be a number, not False"),
        ({"lr": [1]}, r"fitting.lr must be a number, not \[1\]"),
        ({"lr": "1e-4"}, "fitting.lr is the text '1e-4', not a number; write 0.0001 in params.yaml"),
        ({"lr": "2.5e5"}, "fitting.lr is the text '2.5e5', not a number; write 250000.0 in params.yaml"),
        ({"lr": float("nan")}, "fitting.lr must be finite, not nan"),
        ({"lr": -float("inf")}, "fitting.lr must be finite, not -inf"),
        ({"lr": 10**400}, "fitting.lr must be finite, not one of more than 300 digits"),
        ({"lr": "nan"}, "fitting.lr must be a number, not 'nan'"),
        ({"warmup": "1e1"}, "fitting.warmup is the text '1e1', not a number; write 10.0"),
        ({"loss": ["focal"]}, r"fitting.loss must be text, not \['focal'\]; correct it in params.yaml, in quotes"),
        ({"loss": None}, "fitting.loss must be text, not None"),
        ({"nesterov": 1}, "fitting.nesterov must be true or false, not 1"),
        ({"nesterov": "on"}, "fitting.nesterov must be true or false, not 'on'"),
        ({"factors": 0.5}, "fitting.factors must be a list, not 0.5"),
        ({"factors": [0.1, float("nan")]}, "fitting.factors.1 must be finite, not nan"),
        ({"rows": [1]}, r"fitting.rows must hold `name: value` lines, not \[1\]"),
        ({"rows": {"cat": [1, 0.5]}}, "fitting.rows.cat.1 must be a whole number, not 0.5"),
        ({"rows": {8: [1]}}, "fitting.rows has the name 8, which YAML does not read as text; put it in quotes"),
        ({"pose": 22}, "fitting.pose must hold `name: value` lines, not 22"),
        ({"pose": {"scale_min": "low", "scale_max": 1}}, "fitting.pose.scale_min must be a number, not 'low'"),
        ({"tail": 100}, "fitting.tail must hold `name: value` lines, not 100"),
        ({"size": {}}, "fitting.size must be a whole number, not {}"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(change, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        fitting(**change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "fitting.steps must be at least 1, not 0"),
        ({"steps": 10}, "fitting.steps must be at most 9, not 10"),
        ({"factors": [1, -0.5]}, "fitting.factors.1 must be at least 0, not -0.5"),
        ({"size": 7}, "fitting.size must be at least 8, not 7"),
        ({"pose": {"scale_min": 2, "scale_max": 1}}, "scale_min <= scale_max must hold"),
    ],
)
def test_a_value_out_of_range_is_refused_and_the_borders_are_not(change, sentence):
    assert fitting(steps=1, factors=[0], size=8) and fitting(steps=9)
    with pytest.raises(InputError, match=f"^{sentence}"):
        fitting(**change)


@pytest.mark.parametrize("name", [name for name in VALUES if name != "tail"])
def test_a_value_that_is_missing_is_named(name):
    with pytest.raises(InputError, match=f"^params.yaml lacks fitting.{name}; add it there$"):
        build(Fitting, without(name), "fitting")


def test_a_name_that_nothing_reads_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"^params\.yaml has fitting\.rate, which nothing reads; known: lr, steps"):
        fitting(rate=1)
    with pytest.raises(InputError, match=r"^params\.yaml has fitting\.pose\.angle, which nothing reads"):
        fitting(pose={**VALUES["pose"], "angle": 1})
    with pytest.raises(InputError, match=r"^fitting has the name True, which YAML does not read as text"):
        build(Fitting, {**VALUES, True: 1}, "fitting")


def test_a_part_without_any_lines_is_no_part():
    assert fitting(tail={}).tail is None
    with pytest.raises(InputError, match=r"lacks fitting\.pose\.scale_min"):
        fitting(pose={})


def test_what_a_stage_does_not_declare_is_absent_and_says_where_to_add_it():
    declared = {"lr": 0.1, "pose": {"scale_min": 3}, "tail": {"scale_min": 1, "scale_max": 2}}
    section = build(Fitting, declared, "fitting", "train", frozenset({"fitting.lr", "fitting.tail"}))
    assert section.lr == 0.1 and section.pose.scale_min == 3 and plain(section)["pose"] == {"scale_min": 3}
    for read, name in ((lambda: section.steps, "steps"), (lambda: section.size, "size"),
                       (lambda: section.pose.shear, "pose.shear")):  # fmt: skip
        with pytest.raises(InputError) as error:
            read()
        assert str(error.value) == (
            f"stage 'train' reads parameter 'fitting.{name}', which dvc.yaml does not declare for it; add it under "
            "params"
        )


def test_a_part_that_is_declared_whole_is_checked_whole():
    assert build(Fitting, {"tail": VALUES["pose"]}, "fitting", "", frozenset({"fitting.tail"})).tail.shear == 0.0
    for scale_max, problem in ((None, "fitting.pose.scale_max must be a number"), (0, "<=")):
        pose = {"scale_min": 3, "scale_max": scale_max}
        with pytest.raises(InputError, match=problem):
            build(Fitting, {"pose": pose}, "fitting", "", frozenset({"fitting.pose"}))


def test_a_misspelt_name_in_code_is_a_defect_of_the_program():
    with pytest.raises(AttributeError, match="rate"):
        _ = fitting().rate
