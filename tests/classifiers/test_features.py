"""Feature extraction: order, batches, evaluation mode."""

import numpy as np
import pytest

from src.classifiers.features import classifier_features, extract
from src.classifiers.models import build
from src.shards.pixels import to_tensor

IMAGES = np.random.default_rng(0).integers(256, size=(7, 32, 32, 3), dtype=np.uint8)


def test_classifier_features_are_those_the_head_sees_whatever_the_batch() -> None:
    model = build("small_cnn", 10, 32, seed=0)
    found = extract(classifier_features(model), IMAGES, batch=3)
    assert found.shape == (7, 64) and found.dtype == np.float64
    assert np.allclose(found, model.eval().features(to_tensor(IMAGES)).detach(), atol=1e-6)


def test_no_images_have_no_features() -> None:
    with pytest.raises(ValueError, match="no images"):
        extract(lambda x: x.flatten(1), IMAGES[:0])
