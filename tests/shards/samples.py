"""Samples for the tests of shards: small images of noise, each with what is known of it."""

import numpy as np


def samples(count: int) -> list:
    pixels = np.random.default_rng(0).integers(256, size=(count, 6, 5, 3), dtype=np.uint8)
    return [(image, {"label": i % 3, "prompt": f"a photo of {i}"}) for i, image in enumerate(pixels)]
