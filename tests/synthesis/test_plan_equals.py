"""The plan equals its first slow version image by image, and draws no more than it needs."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.runtime.errors import InputError
from src.synthesis import plan as plan_module
from src.synthesis.prompts import Prompts
from tests.synthesis import reference_plan
from tests.synthesis.plans import synthesis_plan

COUNTS = [6, 3, 1]
LABELS = np.repeat(np.arange(3), COUNTS)
NAMING = """template: a {class}
modified: a {modifier} {class}
template_context: a {class} in {context}
modified_context: a {modifier} {class} in {context}
modifiers: [m, n, o]
"""


@pytest.fixture(scope="module")
def prompts_of(tmp_path_factory):
    """Prompts for so many classes and contexts, as the data would name them."""
    path = tmp_path_factory.mktemp("prompts") / "p.yaml"
    path.write_text(NAMING)
    return lambda classes, contexts: Prompts(path, "abcd"[:classes], "xyz"[:contexts] or None)


@pytest.fixture
def prompts(prompts_of) -> Prompts:
    return prompts_of(3, 0)


def outcome(make, *args, **how):
    """The plan, or what it is refused with."""
    try:
        return make(*args, **how)
    except InputError as error:
        return str(error)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_plan_has_the_very_images_of_its_first_slow_version(prompts_of, data):
    classes, width = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 3))
    labels = np.array(data.draw(st.lists(st.integers(0, classes - 1), max_size=12)), int)
    counts = np.bincount(labels, minlength=classes).tolist()
    contexts = (
        np.array(data.draw(st.lists(st.integers(0, width - 1), min_size=12, max_size=12)))[: len(labels)]
        if width
        else None
    )
    how = {
        "modified": data.draw(st.booleans()),
        "labels": data.draw(st.sampled_from([labels, None])),
        "contexts": contexts,
        "context_count": width or None,
        "balance": data.draw(st.sampled_from(["class", "group"])),
        "name_context": data.draw(st.booleans()),
        "conditioned": data.draw(st.booleans()),
        "empty_group": data.draw(st.sampled_from(["class", "text"])),
    }
    fill, per_class = data.draw(st.sampled_from(["add", "up_to"])), data.draw(st.integers(1, 9))
    asked = counts, per_class, fill, data.draw(st.integers(-3, 2**40)), prompts_of(classes, width)
    made = outcome(synthesis_plan, *asked, **how)
    assert made == outcome(reference_plan.synthesis_plan, *asked, **how)
    if isinstance(made, list):
        assert {type(n) for p in made for n in (p.label, p.index, p.seed)} <= {int}
        assert {type(n) for p in made for n in (p.source, p.context)} <= {int, type(None)}


@pytest.mark.parametrize(
    ("how", "draws"),
    [({}, 0), ({"labels": LABELS}, 1), ({"modified": True}, 1), ({"labels": LABELS, "modified": True}, 2)],
)
def test_an_image_costs_one_seed_and_a_generator_for_each_thing_that_is_drawn(prompts, monkeypatch, how, draws):
    calls = Counter()
    for name in ("derive", "numpy_generator"):
        plain = getattr(plan_module, name)
        monkeypatch.setattr(plan_module, name, lambda *parts, n=name, f=plain: calls.update([n]) or f(*parts))
    for per_class in (10, 40):
        calls.clear()
        assert len(synthesis_plan(COUNTS, per_class, "add", 0, prompts, **how)) == 3 * per_class
        assert calls == Counter(derive=3 * per_class, numpy_generator=3 * per_class * draws)


def test_equal_prompts_are_one_string_so_that_a_million_images_hold_a_few(prompts):
    plan = synthesis_plan(COUNTS, 40, "add", 0, prompts, modified=True)
    assert len({id(p.prompt) for p in plan}) == len({p.prompt for p in plan}) == 9
