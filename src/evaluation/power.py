"""What differences a test split can tell, known before anything is trained."""

from collections.abc import Iterator, Sequence

import numpy as np

from src.data.imbalance import shots
from src.evaluation.paired_tests import posterior_interval

COARSE = 0.1  # a difference of accuracies that a test should tell


def tellable(test_counts: Sequence[int], train_counts: Sequence[int]) -> dict[str, tuple[int, float]]:
    """Return by shot its test images and the half-width, in [0, 1], of the 95 % interval of a difference there.

    Counts are of the images of each class, (C,). Of two classifiers that are right on the same half of the images:
    others have wider ones.
    """
    counts, told = np.asarray(test_counts), {}
    for shot, classes in shots(train_counts).items():
        images = counts[classes][counts[classes] > 0]
        if len(images):
            table = np.stack([images / 2, 0 * images, 0 * images, images / 2], 1)
            low, high = posterior_interval(table, lambda a: a.mean(1), f"power {shot}")
            told[shot] = int(images.sum()), (high - low) / 2
    return told


def weak_tests(test_counts: Sequence[int], train_counts: Sequence[int]) -> Iterator[str]:
    """A sentence for each shot whose test images tell coarse differences alone, or are none."""
    told = tellable(test_counts, train_counts)
    for shot, classes in shots(train_counts).items():
        if not classes:
            continue
        images, half = told.get(shot, (0, 1.0))
        if half > COARSE:
            yield (
                f"the test split has {images} images of {len(classes)} {shot}-shot classes, so that one run tells no "
                f"difference there below about {100 * half:.0f} points; add test images, or repeat over seeds (queue "
                "-S seed=0,1,2,3,4), which cut other test splits where none is given"
            )
