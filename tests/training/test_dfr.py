"""Deep feature re-weighting against scikit-learn by hand, and what it does with few or no groups."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from src.runtime.errors import InputError
from src.runtime.seeds import derive
from src.settings.sections import DfrSettings
from src.training.dfr import _halves, reweight
from src.training.samplers import subsample_indices

STRENGTHS = (1.0, 0.1, 0.01)


def dfr(*strengths: float, fits: int) -> DfrSettings:
    return DfrSettings(strengths=strengths or STRENGTHS, fits=fits)


def spurious(count: int, seed: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features that show the class weakly and the context strongly; nine in ten contexts agree with the class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    contexts = np.where(generator.random(count) < 0.9, labels, (labels + 1) % classes)
    x = generator.normal(size=(count, 2 * classes + 1))
    x[np.arange(count), labels] += 2
    x[np.arange(count), classes + contexts] += 6
    return 5 + 3 * x, labels, classes * labels + contexts


@pytest.mark.parametrize("classes", [2, 3])
def test_the_layer_is_the_mean_of_scikit_learns_fits(classes: int) -> None:
    train, _, _ = spurious(300, 0, classes)
    x, labels, groups = spurious(400, 1, classes)
    weight, bias = reweight(train, x, labels, groups, classes, dfr(fits=4), seed=7)
    scaler = StandardScaler().fit(train)
    z = scaler.transform(x)

    def fitted(rows: np.ndarray, strength: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        one = LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", random_state=seed % 2**32)
        if classes == 2:
            one.fit(z[rows], labels[rows])
            return np.vstack([0 * one.coef_, one.coef_]), np.array([0, one.intercept_[0]])
        rest = OneVsRestClassifier(one).fit(z[rows], labels[rows])
        return np.vstack([e.coef_ for e in rest.estimators_]), np.hstack([e.intercept_ for e in rest.estimators_])

    part, rest = _halves(groups, 7)
    chosen = part[subsample_indices(groups[part], derive("dfr", 7))]
    worst = []
    for strength in STRENGTHS:
        w, b = fitted(chosen, strength, 7)
        right = (z[rest] @ w.T + b).argmax(1) == labels[rest]
        worst.append(min(right[groups[rest] == g].mean() for g in set(groups[rest].tolist())))
    best = STRENGTHS[worst.index(max(worst))]
    fits = [fitted(subsample_indices(groups, derive("dfr", 7, i)), best, derive("dfr", 7, i)) for i in range(4)]
    w, b = np.mean([fit[0] for fit in fits], axis=0), np.mean([fit[1] for fit in fits], axis=0)
    assert np.allclose(x @ weight.T + bias, z @ w.T + b)


def test_halves_share_every_key_and_a_single_image_is_fitted_on() -> None:
    keys = np.array([0] * 7 + [1] * 4 + [5])
    part, rest = _halves(keys, seed=0)
    assert sorted([*part, *rest]) == list(range(12))
    assert np.bincount(keys[part]).tolist() == [4, 2, 0, 0, 0, 1] and np.bincount(keys[rest]).tolist() == [3, 2]


def test_groups_make_the_layer_forget_the_context_and_classes_alone_do_not() -> None:
    train, _, _ = spurious(300, 0)
    x, labels, groups = spurious(1000, 1)
    by_group = reweight(train, x, labels, groups, 2, dfr(fits=5), seed=0)[0][1]
    by_class = reweight(train, x, labels, labels, 2, dfr(fits=5), seed=0)[0][1]
    context = slice(2, 4)
    assert np.abs(by_group[context]).max() < 0.3 * np.abs(by_class[context]).max()


def test_one_image_of_every_group_is_enough_and_the_first_strength_is_then_taken() -> None:
    train, _, _ = spurious(50, 0)
    x, labels, groups = spurious(200, 1)
    first = np.array([np.flatnonzero(groups == g)[0] for g in range(4)])
    weight, bias = reweight(train, x[first], labels[first], groups[first], 2, dfr(100.0, 0.01, fits=2), seed=0)
    assert ((x[first] @ weight.T + bias).argmax(1) == labels[first]).all()


def test_a_class_without_validation_images_is_refused() -> None:
    x, labels, groups = spurious(50, 0)
    with pytest.raises(InputError, match="needs validation images of every class, and class 2 has none"):
        reweight(x, x, labels, groups, 3, dfr(fits=1), seed=0)
