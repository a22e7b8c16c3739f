"""Samplers: exact shares in every batch, and the same batch for the same seed and step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.runtime.errors import InputError
from src.training import samplers
from src.training.samplers import (
    SAMPLERS,
    balanced_minibatches,
    class_uniform,
    group_uniform,
    instance_uniform,
    make_sampler,
    minority_sampler,
    subsample_indices,
    subsample_uniform,
)

NONE = np.array([], dtype=np.int64)
label_arrays = st.lists(st.integers(0, 5), min_size=1, max_size=40).map(np.array)


def found_key_by_key(keys: np.ndarray) -> list[np.ndarray]:
    """Positions of every key, each searched for among all: what the samplers did before they sorted."""
    return [np.flatnonzero(keys == key) for key in np.unique(keys)]


@given(label_arrays, label_arrays, st.integers(1, 17), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_every_sampler_draws_what_a_search_key_by_key_draws(labels, others, batch, seed) -> None:
    def draws() -> list[list[int]]:
        made = [make_sampler(name, labels, labels, batch, seed) for name in SAMPLERS]
        made += [minority_sampler(labels, batch, seed), balanced_minibatches(labels, others, batch, 0.5, seed)]
        return [sample(step).tolist() for sample in made for step in range(3)]

    sorted_once = draws()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samplers, "_members", found_key_by_key)
        assert sorted_once == draws()


@given(label_arrays, st.integers(1, 17), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_one_epoch_shows_every_image_once(labels, batch, seed) -> None:
    sample = instance_uniform(labels, batch, seed)
    steps = -(-3 * len(labels) // batch)
    drawn = np.concatenate([sample(step) for step in range(steps)])[: 3 * len(labels)]
    assert (np.bincount(drawn, minlength=len(labels)) == 3).all()


@pytest.mark.parametrize("make", [class_uniform, group_uniform])
@given(label_arrays, st.integers(1, 17), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_class_or_group_counts_in_a_batch_differ_by_one_at_most(make, labels, batch, seed) -> None:
    drawn = labels[make(labels, batch, seed)(step=4)]
    counts = np.bincount(drawn, minlength=6)[np.unique(labels)]
    assert len(drawn) == batch and counts.max() - counts.min() <= 1


def test_every_image_of_a_class_is_equally_likely() -> None:
    labels = np.array([0] * 3 + [1] * 30)
    sample = class_uniform(labels, 64, seed=0)
    frequency = np.bincount(np.concatenate([sample(step) for step in range(400)]), minlength=33) / 400 / 32
    assert np.allclose(frequency[:3], 1 / 3, atol=0.02) and np.allclose(frequency[3:], 1 / 30, atol=0.01)


@given(label_arrays, label_arrays, st.integers(1, 20), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_balanced_batch_is_uniform_over_all_classes_and_has_the_asked_share_of_real_images(
    real, synthetic, batch, fraction
) -> None:
    size = round(fraction * batch)
    parts = [part for part, wanted in ((real, size), (synthetic, batch - size)) if wanted]
    for step in range(3):
        drawn = balanced_minibatches(real, synthetic, batch, fraction, seed=0)(step)
        labels, is_real = np.concatenate([real, synthetic])[drawn], drawn < len(real)
        counts = np.bincount(labels, minlength=6)[np.unique(np.concatenate(parts))]
        assert len(drawn) == counts.sum() == batch and counts.max() - counts.min() <= 1
        # Exactly the share, as far as classes that one part alone has leave it open.
        only_real = is_real & ~np.isin(labels, synthetic)
        only_synthetic = ~is_real & ~np.isin(labels, real)
        assert is_real.sum() == np.clip(size, only_real.sum(), batch - only_synthetic.sum())


@pytest.mark.parametrize(
    ("counts", "synthetic"),
    [
        pytest.param([98, 5, 2, 30], [0, 93, 96, 68], id="digits_waterbirds"),
        pytest.param([4980, *range(4980, 5, -550)], None, id="places"),
    ],
)
def test_a_class_or_group_that_needs_no_synthetic_images_is_as_frequent_as_any_other(counts, synthetic) -> None:
    # With each half uniform by itself it got .125 of a batch where the others got .292, and half of theirs.
    synthetic = synthetic or [max(counts) - count for count in counts]
    real, made = (np.arange(len(counts)).repeat(numbers) for numbers in (counts, synthetic))
    sample = balanced_minibatches(real, made, 64, 0.5, seed=3)
    drawn = np.concatenate([sample(step) for step in range(200)])
    labels = np.concatenate([real, made])[drawn]
    assert np.allclose(np.bincount(labels) / len(labels), 1 / len(counts), atol=0.005)
    assert (drawn < len(real)).mean() == 0.5


def test_parts_of_a_balanced_batch_hold_real_and_synthetic_images() -> None:
    # Batch-normalisation parts are slices of a batch: with the real images first each held one kind alone.
    labels = np.arange(10).repeat(20)
    sample = balanced_minibatches(labels, labels, 64, 0.5, seed=0)
    shares = np.array([(sample(step) < len(labels)).reshape(2, 32).mean(1) for step in range(200)])
    assert np.allclose(shares.mean(0), 0.5, atol=0.02) and shares.min() > 0


@pytest.mark.parametrize("make", [instance_uniform, class_uniform, group_uniform, subsample_uniform, minority_sampler])
def test_a_batch_depends_on_seed_and_step_alone(make) -> None:
    labels = np.arange(30) % 4
    forward = [make(labels, 8, seed=5)(step) for step in range(9)]
    later = make(labels, 8, seed=5)
    assert all(np.array_equal(later(step), forward[step]) for step in (8, 2, 5))
    assert not np.array_equal(make(labels, 8, seed=6)(0), forward[0])


def test_the_uniform_subsample_has_the_smallest_class_of_each() -> None:
    labels = np.array([0] * 9 + [1] * 2 + [3] * 5)
    chosen = subsample_indices(labels, seed=0)
    assert len(set(chosen)) == 6 and np.bincount(labels[chosen]).tolist() == [2, 2, 0, 2]
    assert np.array_equal(chosen, subsample_indices(labels, seed=0))


@given(label_arrays, st.integers(1, 17), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_a_subsample_is_shown_once_per_epoch_and_nothing_else(keys, batch, seed) -> None:
    sample = subsample_uniform(keys, batch, seed)
    smallest, kinds = np.bincount(keys)[np.unique(keys)].min(), len(np.unique(keys))
    drawn = np.concatenate([sample(step) for step in range(-(-smallest * kinds // batch))])[: smallest * kinds]
    assert len(set(drawn)) == smallest * kinds
    assert (np.bincount(keys[drawn])[np.unique(keys)] == smallest).all()


def test_foregrounds_are_drawn_in_inverse_proportion_to_their_class() -> None:
    labels = np.array([2] * 6 + [0] * 90 + [1] * 24)[np.random.default_rng(0).permutation(120)]
    sample = minority_sampler(labels, 64, seed=0)
    drawn = np.concatenate([sample(step) for step in range(400)])
    weights = 1 / np.bincount(labels)[labels]
    expected = len(drawn) * weights / weights.sum()
    assert (np.abs(np.bincount(drawn, minlength=120) - expected) < 5 * np.sqrt(expected)).all()
    assert np.allclose(np.bincount(labels[drawn]) / len(drawn), 1 / 3, atol=0.01)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_named_sampler_balances_what_its_name_says(name: str) -> None:
    labels = np.repeat([0, 0, 1, 1], [40, 10, 6, 4])
    groups = np.repeat([0, 1, 2, 3], [40, 10, 6, 4])
    drawn = np.concatenate([make_sampler(name, labels, groups, 20, seed=1)(step) for step in range(300)])
    shares = np.bincount(groups[drawn]) / len(drawn)
    if name.endswith("class"):
        assert np.isclose(shares[:2].sum(), 0.5)
    else:
        assert np.allclose(shares, np.array([40, 10, 6, 4]) / 60 if name == "instance" else 0.25)
    assert len(set(drawn)) == {"subsample_class": 20, "subsample_group": 16}.get(name, 60)


def test_samplers_by_group_are_refused_where_there_are_no_contexts() -> None:
    for name in ("group", "subsample_group"):
        with pytest.raises(InputError, match=f"train.sampler {name} works by group, and this data set has no contexts"):
            make_sampler(name, np.array([0, 1]), None, 4, seed=0)
    with pytest.raises(InputError, match="unknown sampler 'random'; choose one of: instance, class"):
        make_sampler("random", np.array([0, 1]), None, 4, seed=0)


def test_nothing_to_sample_from_is_refused() -> None:
    for make in (instance_uniform, class_uniform, group_uniform, subsample_uniform, minority_sampler):
        with pytest.raises(InputError, match="no training images"):
            make(NONE, 8, seed=0)
    with pytest.raises(InputError, match="no synthetic images"):
        balanced_minibatches(np.array([0, 1]), NONE, 8, 0.5, seed=0)


def test_without_real_images_half_real_batches_are_refused_with_the_setting_to_change() -> None:
    sentence = (
        r"^no real image is left for the retrain\.fraction_real=0\.5 of each batch; set retrain\.fraction_real to 0"
    )
    with pytest.raises(InputError, match=sentence):
        balanced_minibatches(NONE, np.array([0, 1]), 8, 0.5, seed=0)


def test_a_part_with_no_share_may_be_empty() -> None:
    assert (balanced_minibatches(np.array([0, 1]), NONE, 8, 1.0, seed=0)(0) < 2).all()
