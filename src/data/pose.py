"""A random pose (rotation, scale, shift, shear) per image: photographs have one, normalised scans do not."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.settings.dataset_settings import PoseRange


@dataclass(frozen=True)
class Poses:
    """One pose per image: rotation and shear in degrees, scale as a factor, shift (N, 2) in pixels."""

    rotation: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    shear: np.ndarray


def draw_poses(count: int, pose_range: PoseRange, generator: np.random.Generator) -> Poses:
    """`count` independent poses, uniform in the range."""
    r = pose_range
    return Poses(
        rotation=generator.uniform(-r.rotation, r.rotation, count),
        scale=generator.uniform(r.scale_min, r.scale_max, count),
        shift=generator.uniform(-r.shift, r.shift, (count, 2)),
        shear=generator.uniform(-r.shear, r.shear, count),
    )


def apply_poses(images: Tensor, poses: Poses) -> Tensor:
    """Pose images (N, C, H, W) whose background is 0; what enters from outside the frame is 0. Bilinear."""
    phi, psi = np.deg2rad(poses.rotation), np.deg2rad(poses.shear)
    rotation = np.stack([np.cos(phi), -np.sin(phi), np.sin(phi), np.cos(phi)], -1).reshape(-1, 2, 2)
    shear = np.tile(np.eye(2), (len(phi), 1, 1))
    shear[:, 0, 1] = np.tan(psi)
    forward = poses.scale[:, None, None] * rotation @ shear  # object -> image
    inverse = np.linalg.inv(forward)  # affine_grid maps output to input coordinates
    height, width = images.shape[-2:]
    shift = 2 * poses.shift / np.array([width, height])
    theta = np.concatenate([inverse, -(inverse @ shift[:, :, None])], -1)
    grid = F.affine_grid(torch.from_numpy(theta).to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
