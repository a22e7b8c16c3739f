"""A budget preset becomes the plan that its words ask for, and the arms differ in their conditioning alone."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.data.names import Names
from src.runtime.errors import InputError
from src.settings.schema import build
from src.settings.sections import Budget
from src.synthesis.plan import PlannedImage, synthesis_plan
from src.synthesis.prompts import Prompts
from tests.micro import PARAMS
from tests.synthesis import plans

PRESETS = PARAMS["budgets"]
NAMES = Names(("a", "b", "c"), ("x", "y"))
LABELS = np.array([0, 0, 0, 1, 1, 2])
CONTEXTS = np.array([0, 0, 1, 0, 0, 1])  # groups 2, 1, 2, 0, 0, 1
COUNTS = [3, 2, 1]
BUDGET = {"per_class": 4, "fill": "add", "balance": "class", "name_context": False, "empty_group": "class"}
BY_GROUP = {**BUDGET, "balance": "group", "name_context": True, "empty_group": "text"}
TEXT = """template: a {class}
modified: a {modifier} {class}
template_context: a {class} in {context}
modified_context: a {modifier} {class} in {context}
modifiers: [m, n]
"""


@pytest.fixture
def words(tmp_path: Path) -> Prompts:
    (tmp_path / "words.yaml").write_text(TEXT)
    return Prompts(tmp_path / "words.yaml", NAMES.classes, NAMES.contexts)


def of(budget: dict[str, Any]) -> Budget:
    return build(Budget, budget, "budgets.digits")


def planned(words: Prompts, budget: dict[str, Any], grouped: bool = True, **how: bool) -> list[PlannedImage]:
    names = NAMES if grouped else Names(NAMES.classes)
    how = {"conditioned": True, "modified": False, **how}
    return synthesis_plan(of(budget), LABELS, CONTEXTS if grouped else None, names, 0, words, **how)


@pytest.mark.parametrize("modified", [False, True])
def test_on_data_without_contexts_a_budget_is_the_plan_of_its_counts(words, modified):
    for labels, conditioned in ((LABELS, True), (None, False)):
        expected = plans.synthesis_plan(COUNTS, 4, "add", 0, words, modified=modified, labels=labels)
        assert planned(words, BUDGET, grouped=False, conditioned=conditioned, modified=modified) == expected


def test_classes_are_counted_even_those_that_come_last_and_have_no_image(words):
    names = Names((*NAMES.classes[:2], "none"))
    plan = synthesis_plan(
        of({**BUDGET, "fill": "up_to"}), LABELS[:5], None, names, 0, words, conditioned=False, modified=False
    )  # fmt: skip
    assert Counter(p.label for p in plan) == {0: 1, 1: 2, 2: 4}


@pytest.mark.parametrize(("fill", "made"), [("add", [4] * 6), ("up_to", [2, 3, 2, 4, 4, 3])])
def test_a_budget_by_group_is_filled_in_every_class_and_context(words, fill, made):
    plan = planned(words, {**BY_GROUP, "fill": fill})
    assert np.bincount([p.label * 2 + p.context for p in plan], minlength=6).tolist() == made
    assert all(p.prompt == f"a {'abc'[p.label]} in {'xy'[p.context]}" for p in plan)


@pytest.mark.parametrize("empty_group", ["class", "text"])
def test_an_empty_group_is_conditioned_as_the_budget_says(words, empty_group):
    plan = planned(words, {**BY_GROUP, "empty_group": empty_group})
    for p in plan:
        own = np.flatnonzero((p.label == LABELS) & (p.context == CONTEXTS))
        among = own if len(own) else np.flatnonzero(p.label == LABELS)
        assert (p.source is None) == (len(own) == 0 and empty_group == "text")
        assert p.source is None or p.source in among


@pytest.mark.parametrize("budget", [BUDGET, BY_GROUP])
def test_arms_make_the_same_images_but_for_their_conditioning(words, budget):
    """The same number of each class or group, from the same noise."""
    image, text = planned(words, budget), planned(words, budget, conditioned=False, modified=True)
    assert [(p.label, p.index, p.seed) for p in image] == [(p.label, p.index, p.seed) for p in text]
    assert {p.source for p in text} == {None}
    assert [p.context for p in text] == ([p.context for p in image] if budget is BY_GROUP else [None] * len(text))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_budget_of_data_with_contexts_or_without(name, words):
    grouped = PRESETS[name]["balance"] == "group" or PRESETS[name]["name_context"]
    plan = planned(words, {**PRESETS[name], "per_class": 5}, grouped=grouped)
    assert {p.label for p in plan} == {0, 1, 2}


@pytest.mark.parametrize("change", [{"balance": "group"}, {"name_context": True}])
def test_a_budget_of_groups_on_data_without_any_is_refused(words, change):
    with pytest.raises(InputError, match=r"this data has no contexts; set the budget's balance=class and name_context"):
        planned(words, {**BUDGET, **change}, grouped=False)
