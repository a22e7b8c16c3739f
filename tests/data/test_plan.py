"""The plan fills classes to the asked counts, and an image never depends on the others."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from src.data.plan import synthesis_plan
from src.data.prompts import Prompts
from src.errors import InputError

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
        (COUNTS, 5, "up_to", r"synth.per_class=5 is below the head count 6"),
        (COUNTS, 0, "add", r"synth.per_class=0 makes no images"),
        ([6, 6, 6], 6, "up_to", "images already"),
        (COUNTS, 6, "top_up", "unknown synth.fill 'top_up'; known: add, up_to"),
        ([6, 3], 6, "add", "names 3 classes, the data has 2"),
        ([6, 3, 0], 6, "add", "class 2 has no real image to condition on"),
    ],
)
def test_a_plan_that_cannot_be_met_is_refused(prompts, counts, per_class, fill, problem):
    with pytest.raises(InputError, match=problem):
        synthesis_plan(counts, per_class, fill, 0, prompts, labels=np.repeat(np.arange(len(counts)), counts))
