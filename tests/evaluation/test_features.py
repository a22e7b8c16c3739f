"""Feature extraction: order, batches, evaluation mode, and CLIP's own normalisation."""

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from src.data.images import to_tensor
from src.evaluation.features import CLIP_MEAN, CLIP_STD, classifier_features, clip_features, extract
from src.training.models import build

IMAGES = np.random.default_rng(0).integers(256, size=(7, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def clip() -> CLIPVisionModelWithProjection:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return CLIPVisionModelWithProjection(CLIPVisionConfig(image_size=32, patch_size=16, projection_dim=5, **sizes))


def test_classifier_features_are_those_the_head_sees_whatever_the_batch() -> None:
    model = build("small_cnn", 10, 32, seed=0)
    found = extract(classifier_features(model), IMAGES, batch=3)
    assert found.shape == (7, 64) and found.dtype == np.float64
    assert np.allclose(found, model.eval().features(to_tensor(IMAGES)).detach(), atol=1e-6)


def test_clip_sees_images_normalised_as_it_was_trained(clip) -> None:
    x = (to_tensor(IMAGES) + 1) / 2
    x = (x - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1)
    expected = clip(pixel_values=x).image_embeds.detach()
    assert np.allclose(extract(clip_features(clip), IMAGES, batch=4), expected, atol=1e-6)


def test_images_of_another_size_are_resized_for_clip(clip) -> None:
    grey = np.full((2, 80, 48, 3), 130, dtype=np.uint8)
    expected = extract(clip_features(clip), np.full((2, 32, 32, 3), 130, dtype=np.uint8))
    assert np.allclose(extract(clip_features(clip), grey), expected, atol=1e-5)


def test_no_images_have_no_features() -> None:
    with pytest.raises(ValueError, match="no images"):
        extract(lambda x: x.flatten(1), IMAGES[:0])
