"""The default data: scikit-learn's handwritten digits (UCI, 1,797 real images), upsampled and posed once.

The unposed digits saturate (any synthetic data lifts them to 94 %), so every image is given one random pose
from the run's seed, as a photograph would have one.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.data.pose import apply_poses, draw_poses
from src.settings.dataset_settings import PoseRange

CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
INK_LEVELS = 16  # UCI counts ink pixels in 4 x 4 blocks


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
