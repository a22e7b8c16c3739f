"""Deep feature re-weighting: the last layer as a logistic regression on group-balanced validation features.

Kirichenko et al. (ICLR 2023), "DFR on validation", with the settings of their released code.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from src.runtime.errors import InputError
from src.runtime.seeds import derive, numpy_generator
from src.settings.sections import DfrSettings
from src.training.samplers import subsample_indices

Layer = tuple[np.ndarray, np.ndarray]


def reweight(
    train_features: np.ndarray, features: np.ndarray, labels: np.ndarray, keys: np.ndarray, classes: int,
    settings: DfrSettings, seed: int,
) -> Layer:  # fmt: skip
    """Return the weight (C, D) and bias (C,) of a linear layer on unscaled features.

    train_features: (N, D), which only standardise. features: (M, D) of validation images. labels, keys: (M,);
    the keys, groups or else classes, are what a subset balances. Of the settings' strengths, scikit-learn's C, the best
    for the worst key wins, the first of equals: fitted on half of every key's images, judged on the rest. Then comes
    the mean of `fits` layers, each on another balanced subset of all images. InputError for a class without validation
    images.
    """
    if missing := sorted(set(range(classes)) - set(labels.tolist())):
        raise InputError(f"second_stage dfr needs validation images of every class, and class {missing[0]} has none")
    scaler = StandardScaler().fit(train_features)
    x = scaler.transform(features)
    part, rest = _halves(keys, seed)
    chosen = part[subsample_indices(keys[part], derive("dfr", seed))]
    worst = [
        _worst(_fit(x[chosen], labels[chosen], classes, strength, seed), x[rest], labels[rest], keys[rest])
        for strength in settings.strengths
    ]
    strength = settings.strengths[int(np.argmax(worst))]
    layers = []
    for i in range(settings.fits):
        chosen = subsample_indices(keys, derive("dfr", seed, i))
        layers.append(_fit(x[chosen], labels[chosen], classes, strength, derive("dfr", seed, i)))
    weight, bias = (np.mean(arrays, axis=0) for arrays in zip(*layers, strict=True))
    weight = weight / scaler.scale_
    return weight, bias - weight @ scaler.mean_


def _halves(keys: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    # Every key is halved by itself, so that a rare one is on both sides; a single image is fitted on.
    generator = numpy_generator("dfr halves", seed)
    members = [generator.permutation(np.flatnonzero(keys == key)) for key in np.unique(keys)]
    sides = [np.array_split(indices, 2) for indices in members]
    return np.concatenate([first for first, _ in sides]), np.concatenate([second for _, second in sides])


def _worst(layer: Layer, x: np.ndarray, labels: np.ndarray, keys: np.ndarray) -> float:
    right = (x @ layer[0].T + layer[1]).argmax(1) == labels
    return min((float(right[keys == key].mean()) for key in np.unique(keys)), default=0.0)


def _fit(x: np.ndarray, labels: np.ndarray, classes: int, strength: float, seed: int) -> Layer:
    """L1 logistic regression; one class against the rest where there are more than two, as liblinear does it."""
    positives = [1] if classes == 2 else range(classes)
    weight, bias = np.zeros((classes, x.shape[1])), np.zeros(classes)
    for k in positives:
        model = LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", random_state=seed % 2**32)
        model.fit(x, labels == k)
        weight[k], bias[k] = model.coef_[0], model.intercept_[0]
    return weight, bias
