"""The default data: scikit-learn's handwritten digits (UCI, 1,797 real images), upsampled and posed once.

The unposed digits saturate (any synthetic data lifts them to 94 %), so every image is given one random pose
from the run's seed, as a photograph would have one.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.data.pose import apply_poses, draw_poses
from src.data.splits import split_per_class
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.dataset_settings import PoseRange

CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
INK_LEVELS = 16  # UCI counts ink pixels in 4 x 4 blocks


RESERVED = 60  # images of each class that serve as test, and as nothing else, under every seed
DEVELOPMENT = range(5)  # seeds by whose validation splits, of protocol 1, methods and defaults were chosen


def reserved_for_test(labels: np.ndarray, per_class: int) -> dict[int, np.ndarray]:
    """The images of each class that test may use, at least RESERVED, in a fixed order: the same for every seed.

    No choice was made on them: they are of those that were in no validation split of DEVELOPMENT. labels: (1797,).
    Raises InputError for more than there are.
    """
    validated = [split_per_class(labels, 60, 30, numpy_generator("split", seed))["val"] for seed in DEVELOPMENT]
    fresh = np.setdiff1d(np.arange(len(labels)), np.concatenate(validated))
    chosen = {}
    for label in range(len(CLASS_NAMES)):
        members = numpy_generator("test handwriting", label).permutation(fresh[labels[fresh] == label])
        if per_class > len(members):
            raise InputError(
                f"a test split of {per_class} images a class is more than the {len(members)} of class "
                f"{CLASS_NAMES[label]} on which nothing was ever chosen; lower test_per_class or test_per_group"
            )
        chosen[label] = members[: max(per_class, RESERVED)]
    return chosen


def upsample(scans: Tensor, size: int) -> Tensor:
    """Block counts as fractions (N, 1, 8, 8) in [0, 1] to (N, 1, size, size) in [0, 1], bicubic."""
    return F.interpolate(scans, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)


def posed_digits(size: int, pose_range: PoseRange, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """All real digits, each in one random pose: images uint8 (1797, size, size, 3), labels int64 (1797,)."""
    from sklearn.datasets import load_digits  # a second, in the one stage that reads them

    digits = load_digits()
    scans = torch.from_numpy(digits.images / INK_LEVELS).float()[:, None]  # (N, 1, 8, 8)
    posed = apply_poses(upsample(scans, size), draw_poses(len(scans), pose_range, generator))
    images = (posed * 255).round().to(torch.uint8).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous()
    return images.numpy(), digits.target.astype(np.int64)
