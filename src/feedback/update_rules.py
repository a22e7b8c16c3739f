"""How a gradient moves what is sampled: the latents, the model output, or the image that it means."""

import torch
from torch import Tensor

from src.generators.prediction import Noise

RULES = ("latent", "score", "x0")


def latent_update(z: Tensor, direction: Tensor, usable: Tensor, scale: float | Tensor) -> Tensor:
    """Rule `latent` of the released code: z + w ||z|| g / ||g||.

    direction: g / ||g|| of each sample, and usable (B,) which samples have one, as from `unit`. scale: w, or that of
    each sample (B,).
    """
    length = scale * z.flatten(1).norm(dim=1)
    return z + per_sample(torch.where(usable, length, 0), z) * direction


def newton_scale(gap: Tensor, gradient: Tensor, length: Tensor, most: float) -> Tensor:
    """The w of a step w ||z|| g / ||g|| by which the criterion would change by `gap`, were it linear.

    Newton's step for a root, gap g / ||g||^2, where that is no longer than most ||z||. gap, length ||z||: (B,).
    Returns (B,) in [-most, most], 0 where the gap is 0 or not a number.
    """
    w = gap / (gradient.flatten(1).norm(dim=1) * length)
    return w.nan_to_num(nan=0.0, posinf=most, neginf=-most).clamp(-most, most)


def score_update(prediction_type: str, output: Tensor, w_g: Tensor, noise: Noise) -> Tensor:
    """Rule `score`: the model output after eps_hat <- eps_hat - s w g (arXiv 2502.15588, eq. 7).

    output, w_g: (B, C, h, w), the second the scaled gradient w g.
    """
    a, s = noise.a, noise.s
    if prediction_type == "epsilon":
        return output - s * w_g
    if prediction_type == "v_prediction":
        return output - (s / a) * w_g
    return output + (s**2 / a) * w_g


def per_sample(vector: Tensor, like: Tensor) -> Tensor:
    """(B,) shaped to multiply (B, ...)."""
    return vector.reshape(-1, *[1] * (like.dim() - 1))


def unit(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Each sample's gradient at norm 1, and which samples have one (B,): zero and non-finite ones are 0.

    Scaled by the largest entry first, so that the smallest normal numbers keep their direction too.
    """
    flat = gradient.flatten(1)
    peak = flat.abs().amax(1)
    usable = torch.isfinite(flat).all(1) & (peak > 0)
    scaled = torch.where(usable[:, None], flat / torch.where(usable, peak, 1)[:, None], 0)
    norm = torch.where(usable, scaled.norm(dim=1), 1)
    return (scaled / norm[:, None]).view_as(gradient), usable
