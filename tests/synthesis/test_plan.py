"""The plan fills classes to the asked counts, and an image never depends on the others."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.runtime.errors import InputError
from src.synthesis.plan import PlannedImage
from src.synthesis.prompts import Prompts
from tests.synthesis.plans import synthesis_plan

COUNTS = [6, 3, 1]
LABELS = np.repeat(np.arange(3), COUNTS)


@pytest.fixture
def prompts(tmp_path: Path) -> Prompts:
    (tmp_path / "p.yaml").write_text(
        "template: a {class}\nmodified: a {modifier} {class}\nclasses: {a: [m, n], b: [m, n], c: [m, n]}\n"
    )
    return Prompts(tmp_path / "p.yaml")


def test_add_makes_as_many_for_every_class_in_balanced_order(prompts):
    plan = synthesis_plan(COUNTS, 4, "add", 0, prompts)
    assert [(image.index, image.label) for image in plan] == [(i, k) for i in range(4) for k in range(3)]
    assert [image.prompt for image in plan[:3]] == ["a a", "a b", "a c"]
    assert {image.source for image in plan} == {None}


def test_up_to_fills_every_class_to_the_same_count(prompts):
    made = Counter(image.label for image in synthesis_plan(COUNTS, 6, "up_to", 0, prompts))
    assert [made[k] + COUNTS[k] for k in range(3)] == [6, 6, 6]


def test_a_smaller_budget_makes_the_first_images_of_a_larger_one(prompts):
    small, large = (synthesis_plan(COUNTS, n, "add", 0, prompts, modified=True, labels=LABELS) for n in (2, 50))
    assert small == large[: len(small)]
    filled = synthesis_plan(COUNTS, 50, "up_to", 0, prompts, modified=True, labels=LABELS)
    assert set(filled) < set(large)


def test_a_rank_is_an_image_s_own_and_changes_nothing_else(prompts):
    small, large = (synthesis_plan(COUNTS, n, "add", 0, prompts, labels=LABELS, ranked=True) for n in (2, 200))
    assert small == large[: len(small)]
    assert [replace(p, rank=None) for p in large] == synthesis_plan(COUNTS, 200, "add", 0, prompts, labels=LABELS)
    ranks = np.array([p.rank for p in large])
    assert len(set(ranks)) == len(ranks) and 0 <= ranks.min() < ranks.max() < 1
    assert [np.histogram(ranks[k::3], 4, (0, 1))[0].min() > 30 for k in range(3)] == [True] * 3


def test_images_differ_in_seed_and_so_do_runs(prompts):
    plans = [synthesis_plan(COUNTS, 20, "add", seed, prompts) for seed in (0, 1)]
    assert len({image.seed for plan in plans for image in plan}) == 120


def test_every_real_image_of_the_class_and_no_other_is_a_source(prompts):
    plan = synthesis_plan(COUNTS, 60, "add", 0, prompts, labels=LABELS)
    for k in range(3):
        sources = {image.source for image in plan if image.label == k}
        assert sources == set(np.flatnonzero(k == LABELS))


def test_modifiers_vary_over_the_images_of_a_class(prompts):
    plan = synthesis_plan(COUNTS, 20, "add", 0, prompts, modified=True)
    assert {image.prompt for image in plan if image.label == 2} == {"a m c", "a n c"}


@pytest.mark.parametrize(
    ("counts", "per_class", "fill", "problem"),
    [
        (COUNTS, 5, "up_to", "the budget's per_class=5 is below the head count 6"),
        (COUNTS, 0, "add", "the budget's per_class=0 makes no images"),
        ([6, 6, 6], 6, "up_to", "images already"),
        (COUNTS, 6, "top_up", "unknown budget fill 'top_up'; choose one of: add, up_to"),
        ([6, 3], 6, "add", "names 3 classes, the data has 2"),
        ([6, 3, 0], 6, "add", "class 2 has no real image to condition on"),
    ],
)
def test_a_plan_that_cannot_be_met_is_refused(prompts, counts, per_class, fill, problem):
    with pytest.raises(InputError, match=problem):
        synthesis_plan(counts, per_class, fill, 0, prompts, labels=np.repeat(np.arange(len(counts)), counts))


CONTEXTS = np.array([0, 0, 0, 0, 1, 1, 0, 0, 0, 1])  # groups 4, 2, 3, 0, 0, 1
GROUPS = np.array([[4, 2], [3, 0], [0, 1]])


@pytest.fixture
def naming(tmp_path: Path) -> Prompts:
    (tmp_path / "n.yaml").write_text(
        "template: a {class}\nmodified: a {modifier} {class}\ntemplate_context: a {class} in {context}\n"
        "modified_context: a {modifier} {class} in {context}\nmodifiers: [m, n]\n"
    )
    return Prompts(tmp_path / "n.yaml", ["a", "b", "c"], ["x", "y"])


def grouped(prompts: Prompts, per_class: int, fill: str = "add", **changes) -> list[PlannedImage]:
    given = {"labels": LABELS, "contexts": CONTEXTS, "context_count": 2, "balance": "group", **changes}
    return synthesis_plan(COUNTS, per_class, fill, 0, prompts, **given)


def counted(plan: list[PlannedImage]) -> np.ndarray:
    counts = np.zeros((3, 2), int)
    for image in plan:
        counts[image.label, image.context] += 1
    return counts


def test_by_group_every_class_in_every_context_is_filled_empty_ones_too(naming):
    assert counted(grouped(naming, 5)).tolist() == [[5, 5]] * 3
    assert (counted(grouped(naming, 6, "up_to")) + GROUPS).tolist() == [[6, 6]] * 3
    first = grouped(naming, 5)[:6]
    assert [(p.index, p.label, p.context) for p in first] == [(0, k, a) for k in range(3) for a in range(2)]


def test_by_group_a_smaller_budget_makes_the_first_images_of_a_larger_one(naming):
    small, large = (grouped(naming, n, modified=True, name_context=True) for n in (2, 20))
    assert small == large[: len(small)]
    assert set(grouped(naming, 20, "up_to", modified=True, name_context=True)) < set(large)
    assert len({p.seed for p in large}) == len(large)


def test_an_image_is_conditioned_on_its_group_or_where_that_is_empty_on_its_class(naming):
    plan = grouped(naming, 60)
    for k, a in np.ndindex(3, 2):
        own = np.flatnonzero((k == LABELS) & (a == CONTEXTS))
        sources = {p.source for p in plan if (p.label, p.context) == (k, a)}
        assert sources == set(own if len(own) else np.flatnonzero(k == LABELS))


def test_an_empty_group_may_be_left_to_its_prompt(naming):
    plan = grouped(naming, 5, empty_group="text", name_context=True)
    for p in plan:
        assert (p.source is None) == (GROUPS[p.label, p.context] == 0)
    images = grouped(naming, 5, name_context=True)
    assert [p for p in plan if p.source is not None] == [p for p in images if GROUPS[p.label, p.context]]


def test_prompts_name_the_context_only_if_told_to(naming):
    assert {p.prompt for p in grouped(naming, 3)} == {"a a", "a b", "a c"}
    for p in grouped(naming, 3, name_context=True):
        assert p.prompt == f"a {'abc'[p.label]} in {'xy'[p.context]}"
    for p in grouped(naming, 3, name_context=True, modified=True, conditioned=False):
        assert p.prompt.endswith(f"{'abc'[p.label]} in {'xy'[p.context]}") and p.source is None


def test_by_class_the_context_is_that_of_the_conditioning_image(naming):
    plan = grouped(naming, 30, balance="class", name_context=True)
    assert Counter(p.label for p in plan) == dict.fromkeys(range(3), 30)
    for p in plan:
        assert p.context == CONTEXTS[p.source] and p.prompt == f"a {'abc'[p.label]} in {'xy'[p.context]}"
    assert {p.context for p in plan if p.label == 0} == {0, 1}
    text = grouped(naming, 30, balance="class", name_context=True, conditioned=False)
    assert [p.prompt for p in text] == [p.prompt for p in plan] and {p.source for p in text} == {None}


def test_contexts_that_no_prompt_names_change_nothing_else_of_a_plan_by_class(naming):
    plain = synthesis_plan(COUNTS, 5, "add", 0, naming, labels=LABELS)
    known = grouped(naming, 5, balance="class")
    assert [(p.label, p.index, p.seed, p.prompt, p.source) for p in plain] == [
        (p.label, p.index, p.seed, p.prompt, p.source) for p in known
    ]
    assert [p.context for p in known] == [CONTEXTS[p.source] for p in known]
    assert {p.context for p in grouped(naming, 5, balance="class", conditioned=False)} == {None}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"balance": "colour"}, "unknown budget balance 'colour'; choose one of: class, group"),
        ({"empty_group": "skip"}, "unknown budget empty_group 'skip'; choose one of: class, text"),
        ({"contexts": None}, "this data has no contexts; set the budget's balance=class and name_context=false"),
        ({"balance": "class", "name_context": True, "contexts": None}, "this data has no contexts"),
        ({"name_context": True, "context_count": 3}, "the prompts know 2 contexts, the data has 3"),
        ({"fill": "up_to", "per_class": 3}, "the budget's per_class=3 is below the largest group's 4.*for every group"),
        (
            {"labels": LABELS * (LABELS < 2)},
            "class 2 has no real image to condition on; set synth.conditioning to text",
        ),
        (
            {"labels": LABELS * (LABELS < 2), "balance": "class", "name_context": True, "conditioned": False},
            "class 2 has no real image to condition on; set the budget's name_context to false",
        ),
    ],
)
def test_a_plan_of_groups_that_cannot_be_met_is_refused(naming, changes, problem):
    given = {"per_class": 5, **changes}
    with pytest.raises(InputError, match=problem):
        grouped(naming, **given)


def test_prompts_without_a_word_for_contexts_are_refused(prompts):
    with pytest.raises(InputError, match="the prompts know 0 contexts, the data has 2"):
        grouped(prompts, 5, name_context=True)


def test_partners_are_real_images_of_the_class_and_change_no_other_draw(prompts):
    plain, mixed = (synthesis_plan(COUNTS, 20, "add", 0, prompts, labels=LABELS, mixed=m) for m in (False, True))
    assert [replace(image, partner=None) for image in mixed] == plain
    assert all(LABELS[image.partner] == image.label for image in mixed)
    assert len({image.partner for image in mixed}) > len(COUNTS)
    assert any(image.partner != image.source for image in mixed)


def test_a_cohort_s_images_follow_each_other_and_are_those_of_a_plan_without(prompts):
    alone, together = (synthesis_plan(COUNTS, 5, "add", 0, prompts, labels=LABELS, cohort=n) for n in (1, 2))
    assert [(image.label, image.index) for image in together[:6]] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert [(image.label, image.index) for image in together[-3:]] == [(0, 4), (1, 4), (2, 4)]  # the last, alone
    assert sorted(alone, key=lambda image: image.seed) == sorted(
        (replace(image, cohort=None) for image in together), key=lambda image: image.seed
    )
    cohorts = {image.cohort: (image.label, image.index // 2) for image in together}
    assert len(cohorts) == len(set(cohorts.values())) == 9
    assert all(cohorts[image.cohort] == (image.label, image.index // 2) for image in together)
    larger = synthesis_plan(COUNTS, 8, "add", 0, prompts, labels=LABELS, cohort=2)
    assert larger[: len(together) - 3] == together[:-3]


def test_a_translation_begins_from_an_image_of_the_class_or_of_one_that_has_more(prompts):
    plans = {
        kind: synthesis_plan(COUNTS, 40, "add", 0, prompts, labels=LABELS, modified=True, translation=kind)
        for kind in ("none", "intra_class", "inter_class")
    }
    assert {image.start for image in plans["none"]} == {None}
    begun = {
        kind: {k: {int(image.start) for image in plan if image.label == k} for k in range(3)}
        for kind, plan in plans.items()
        if kind != "none"
    }
    assert begun["intra_class"] == {0: set(range(6)), 1: {6, 7, 8}, 2: {9}}
    assert begun["inter_class"] == {0: set(range(6)), 1: set(range(6)), 2: set(range(9))}
    assert [replace(image, start=None) for image in plans["inter_class"]] == plans["none"]


def test_an_unknown_translation_or_one_of_a_class_without_images_is_refused(prompts):
    with pytest.raises(InputError, match=r"unknown synaug\.translation 'upside'; choose one of: none, intra_class"):
        synthesis_plan(COUNTS, 4, "add", 0, prompts, translation="upside")
    with pytest.raises(InputError, match="class 2 has no real image to begin from; set "):
        synthesis_plan([2, 1, 0], 4, "add", 0, prompts, translation="intra_class")
