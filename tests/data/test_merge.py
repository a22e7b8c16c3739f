"""Which images an arm trains on: all real ones, and the synthetic ones that its paper uses."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.merge import kept_images, uniformise, union, within_budget
from src.data.merged_index import read_merged
from src.runtime.errors import InputError
from src.settings.sections import MergeSettings
from src.shards.store import Shards, write_all
from tests.data.known import Known
from tests.micro import set_parameters
from tests.small import run

labels = st.lists(st.integers(0, 4), min_size=1, max_size=40).map(np.array)
contexts = st.lists(st.integers(0, 2), min_size=40, max_size=40).map(np.array)
ABOUT = Known(np.array([0, 0, 0, 1])), Known(np.array([0, 1, 1, 0, 1]))  # real images, synthetic images


def known(image_labels, image_contexts=None) -> Known:
    return Known(np.array(image_labels), None if image_contexts is None else np.array(image_contexts))


def kept(real: np.ndarray, fraction: float, classes: int) -> np.ndarray:
    return kept_images(real, MergeSettings(replace_fraction=fraction, replace_classes=classes))


def used(merged) -> list[int]:
    """Positions of the synthetic images."""
    return merged.position[merged.synthetic].tolist()


def test_feedback_guidance_takes_every_image_the_real_ones_first():
    merged = union(*ABOUT)
    assert merged.position.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert merged.synthetic.tolist() == [False] * 4 + [True] * 5
    assert merged.label.tolist() == [0, 0, 0, 1, 0, 1, 1, 0, 1]


def test_synaug_fills_every_class_up_to_the_largest_real_one_with_its_first_images():
    merged = uniformise(*ABOUT)
    assert np.bincount(merged.label).tolist() == [3, 3]
    assert merged.position.tolist() == [0, 1, 2, 3, 1, 2]


@given(labels, labels)
def test_uniformised_classes_reach_the_largest_real_one_or_use_all_there_is(real, synthetic):
    counts, extra = (np.bincount(part, minlength=5) for part in (real, synthetic))
    classes = max(real.max(), synthetic.max()) + 1
    if (counts + extra)[:classes].min() == 0:
        return
    merged = uniformise(Known(real), Known(synthetic))
    assert np.bincount(merged.label, minlength=5).tolist() == np.minimum(counts + extra, counts.max()).tolist()
    assert merged.position[~merged.synthetic].tolist() == list(range(len(real)))
    assert np.array_equal(merged.label[merged.synthetic], synthetic[merged.position[merged.synthetic]])
    assert len(set(used(merged))) == merged.synthetic.sum()


@pytest.mark.parametrize("merge", [uniformise, union])
def test_a_class_without_any_image_is_named(merge):
    with pytest.raises(InputError, match="class 1 has neither real nor synthetic images; raise the budget's per_class"):
        merge(known([0, 0]), known([0, 2]))


@given(labels, labels, contexts, contexts)
def test_by_group_every_group_reaches_the_largest_real_one_or_uses_all_there_is(
    real, synthetic, real_contexts, synthetic_contexts
):
    parts = Known(real, real_contexts[: len(real)]), Known(synthetic, synthetic_contexts[: len(synthetic)])
    counts, extra = (np.bincount(part.labels * 3 + part.contexts, minlength=15) for part in parts)
    classes, width = max(real.max(), synthetic.max()) + 1, max(part.contexts.max() for part in parts) + 1
    if (counts + extra).reshape(5, 3)[:classes, :width].min() == 0:
        return
    merged = uniformise(*parts, balance="group")
    filled = np.bincount(merged.label * 3 + merged.context, minlength=15)
    assert filled.tolist() == np.minimum(counts + extra, counts.max()).tolist()
    assert np.array_equal(merged.context[merged.synthetic], parts[1].contexts[merged.position[merged.synthetic]])


def test_by_group_the_first_images_of_each_group_are_taken():
    real, synthetic = known([0, 0, 0, 1, 1], [0, 0, 1, 0, 1]), known([0, 0, 0, 1, 1, 1], [0, 1, 1, 0, 0, 1])
    merged = uniformise(real, synthetic, balance="group")
    assert used(merged) == [1, 3, 5]
    assert merged.context.tolist() == [0, 0, 1, 0, 1, 1, 0, 1]


def test_by_class_contexts_change_nothing_but_are_kept():
    real, synthetic = ABOUT
    plain, grouped = uniformise(*ABOUT), real._replace(contexts=np.array([0, 1, 0, 1]))
    merged = uniformise(grouped, synthetic._replace(contexts=np.array([1, 1, 0, 0, 1])))
    assert np.array_equal(plain.position, merged.position) and plain.context is None
    assert merged.context.tolist() == [0, 1, 0, 1, 1, 0]
    assert uniformise(grouped, synthetic).context is None


@pytest.mark.parametrize("merge", [uniformise, union])
@pytest.mark.parametrize(
    ("synthetic_contexts", "balance", "problem"),
    [
        ([0, 1], "group", "class 1 in context 1 has neither real nor synthetic images; raise the budget's per_class"),
        (None, "group", "the budget's balance=group needs real and synthetic images with contexts; set it to class"),
        (None, "colour", "unknown budget balance 'colour'; choose one of: class, group"),
    ],
)
def test_groups_that_cannot_be_merged_are_refused(merge, synthetic_contexts, balance, problem):
    with pytest.raises(InputError, match=problem):
        merge(known([0, 1], [0, 0]), known([1, 0], synthetic_contexts), balance)


def merged_slowly(real: Known, synthetic: Known, fill_up: bool, unit: int) -> np.ndarray:
    """Positions of the synthetic images that are taken, by a search for every class or group."""
    groups = [part.labels if unit == 1 else part.labels * unit + part.contexts for part in (real, synthetic)]
    counts = np.bincount(groups[0], minlength=(max(real.labels.max(), synthetic.labels.max()) + 1) * unit)
    wanted = counts.max() - counts
    taken = [np.flatnonzero(groups[1] == g)[: wanted[g] if fill_up else None] for g in range(len(counts))]
    return np.sort(np.concatenate(taken))


@given(labels, labels, contexts, contexts, st.sampled_from([uniformise, union]), st.sampled_from(["class", "group"]))
def test_one_sort_takes_what_a_search_for_every_class_or_group_takes(
    real, synthetic, real_contexts, synthetic_contexts, merge, balance
):
    parts = Known(real, real_contexts[: len(real)]), Known(synthetic, synthetic_contexts[: len(synthetic)])
    unit = 1 if balance == "class" else max(part.contexts.max() for part in parts) + 1
    chosen = merged_slowly(*parts, merge is uniformise, unit)
    try:
        merged = merge(*parts, balance)
    except InputError as error:
        assert "has neither real nor synthetic images" in str(error)
        return
    assert merged.position.tolist() == [*range(len(real)), *chosen]
    assert merged.label.tolist() == [*real, *synthetic[chosen]]
    assert merged.context.tolist() == [*parts[0].contexts, *parts[1].contexts[chosen]]
    assert {column.dtype for column in (merged.position, merged.label, merged.context)} == {np.dtype(np.int64)}


@given(labels, st.floats(0, 1), st.integers(0, 5))
def test_replaced_images_are_the_share_of_every_class_and_all_of_the_last_classes(real, fraction, classes):
    count = int(real.max()) + 1
    classes = min(classes, count)
    stays, sizes = kept(real, fraction, classes), np.bincount(real, minlength=count)
    expected = [size if k >= count - classes else round(fraction * size) for k, size in enumerate(sizes.tolist())]
    assert np.bincount(real[~stays], minlength=count).tolist() == expected
    for k in range(count - classes):  # the first ones stay, so that a smaller share replaces fewer of the same
        assert sorted(stays[real == k].tolist(), reverse=True) == stays[real == k].tolist()


def test_more_classes_than_there_are_cannot_be_replaced():
    with pytest.raises(InputError, match=r"merge.replace_classes=4 must lie in 0..3, the number of classes"):
        kept(np.array([0, 1, 2]), 0, 4)


def test_synthetic_images_take_the_places_of_replaced_ones():
    merged = uniformise(*ABOUT, kept=np.array([True, False, True, False]))
    assert merged.position[~merged.synthetic].tolist() == [0, 2] and used(merged) == [0, 1, 2, 4]
    assert np.bincount(merged.label).tolist() == [3, 3]


def test_places_of_replaced_images_that_stay_empty_are_refused_with_the_class_and_both_numbers():
    real, synthetic = known([0] * 4 + [1] * 3), known([0] * 3 + [1] * 3)
    sentence = (
        r"^class 1 has 4 places to fill, replaced real images' among them, and synthetic images for 3; raise "
        r"budgets\.<dataset>\.per_class, or lower merge\.replace_fraction and merge\.replace_classes$"
    )
    with pytest.raises(InputError, match=sentence):
        uniformise(real, synthetic, kept=kept(real.labels, 0, 1))
    with pytest.raises(InputError, match=r"class 0 has 4 places to fill, .* and synthetic images for 3"):
        uniformise(real, synthetic, kept=kept(real.labels, 1, 0))
    enough = known([0] * 4 + [1] * 4)
    assert np.bincount(uniformise(real, enough, kept=kept(real.labels, 1, 0)).label).tolist() == [4, 4]


def test_by_group_the_context_that_cannot_be_filled_is_named():
    real, synthetic = known([0, 0, 0, 1, 1], [0, 0, 1, 0, 1]), known([0, 0, 0, 1, 1, 1], [0, 1, 1, 0, 0, 1])
    with pytest.raises(InputError, match=r"class 1 in context 1 has 2 places to fill, .* and synthetic images for 1"):
        uniformise(real, synthetic, "group", kept(real.labels, 0, 1))


def test_without_replaced_images_and_where_nothing_is_filled_up_there_may_be_fewer():
    real, synthetic = known([0] * 4 + [1]), known([0, 1])
    assert np.bincount(uniformise(real, synthetic, kept=kept(real.labels, 0, 0)).label).tolist() == [4, 2]
    assert np.bincount(union(real, synthetic, kept=kept(real.labels, 0, 1)).label).tolist() == [5, 1]


@pytest.mark.parametrize("merge", [uniformise, union])
def test_keeping_and_offering_every_image_changes_nothing(merge):
    plain, whole = merge(*ABOUT), merge(*ABOUT, kept=kept(ABOUT[0].labels, 0, 0), offered=np.ones(5, bool))
    assert all(
        np.array_equal(getattr(plain, name), getattr(whole, name)) for name in ("synthetic", "position", "label")
    )


def numbered(folder, indices) -> Shards:
    """Synthetic images of two classes in turns, whose numbers within the class are given."""
    image = np.zeros((2, 2, 3), np.uint8)
    write_all(folder, [(image, {"label": i % 2, **({} if k is None else {"index": k})}) for i, k in enumerate(indices)])
    return Shards(folder)


def test_a_budget_takes_the_first_images_of_every_class_by_their_number_and_a_smaller_one_fewer_of_the_same(tmp_path):
    synthetic, real = numbered(tmp_path, [2, 2, 0, 1, 1, 0, 3]), known([0] * 4 + [1])
    assert within_budget(synthetic, None) is None
    offered = [within_budget(synthetic, n) for n in (1, 2, 3, 4)]
    assert [np.flatnonzero(one).tolist() for one in offered[:2]] == [[2, 5], [2, 3, 4, 5]]
    assert all((less <= more).all() for less, more in pairwise(offered)) and offered[3].all()
    budgets = [union(real, synthetic, offered=one) for one in offered]
    assert [used(merged) for merged in budgets[:2]] == [[2, 5], [2, 3, 4, 5]]
    assert [np.bincount(merged.label).tolist() for merged in budgets] == [[5, 2], [6, 3], [7, 4], [8, 4]]
    assert used(uniformise(real, synthetic, offered=offered[1])) == [3, 5]  # of class 0 none is wanted
    with pytest.raises(InputError, match=r"class 1 has 4 places to fill, .* synthetic images for 2"):
        uniformise(real, synthetic, kept=kept(real.labels, 0, 1), offered=offered[1])


def test_images_without_a_number_have_no_first_ones(tmp_path):
    with pytest.raises(InputError, match=r"has images without an index, which merge\.per_class needs; leave it empty"):
        within_budget(numbered(tmp_path, [0, None]), 1)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["synaug", "guided"])
def test_either_arm_trains_on_all_that_was_made_and_its_budget_can_be_cut(workspace, monkeypatch, arm):
    # SYNAuG trained on 441 of the 600 images that it was judged on, guided on all: 60 a class did not mean the same.
    synthetic = Shards(f"data/synth/{arm}").labels
    run("merge_balance", monkeypatch, arm)
    merged = read_merged(workspace / f"data/merged/{arm}.csv")
    assert (~merged.synthetic).sum() == len(Shards("data/real/train"))
    assert np.array_equal(merged.label[merged.synthetic], synthetic)
    set_parameters(workspace, {"merge.per_class": 1})
    run("merge_balance", monkeypatch, arm)
    fewer = read_merged(workspace / f"data/merged/{arm}.csv")
    assert np.bincount(fewer.label[fewer.synthetic]).tolist() == [1] * len(np.bincount(synthetic))
    assert set(used(fewer)) < set(used(merged))
    set_parameters(workspace, {"merge.replace_fraction": 0.5})
    with pytest.raises(InputError, match=r"class 0 has 30 places to fill, .* lower merge\.replace_fraction"):
        run("merge_balance", monkeypatch, arm)
