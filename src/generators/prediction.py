"""What a diffusion model's output says about x_0.

With a = sqrt(alpha_bar_t) and s = sqrt(1 - alpha_bar_t), the model output o means (Ho et al. 2020,
Salimans & Ho 2022): epsilon: o = eps; v_prediction: o = a eps - s x_0; sample: o = x_0.
"""

from dataclasses import dataclass

from torch import Tensor

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")


@dataclass(frozen=True)
class Noise:
    """The noise level of one step: a = sqrt(alpha_bar_t), s = sqrt(1 - alpha_bar_t), as host floats."""

    a: float
    s: float


def x0_hat(prediction_type: str, z: Tensor, output: Tensor, noise: Noise) -> Tensor:
    """The model's own estimate of x_0 from z_t and its output, same shape as z."""
    a, s = noise.a, noise.s
    if prediction_type == "epsilon":
        return (z - s * output) / a
    if prediction_type == "v_prediction":
        return a * z - s * output
    return output


def output_for(prediction_type: str, z: Tensor, x0: Tensor, noise: Noise) -> Tensor:
    """The model output at z_t that means this x_0: the inverse of `x0_hat`, where s > 0; same shape as z."""
    a, s = noise.a, noise.s
    if prediction_type == "epsilon":
        return (z - a * x0) / s
    if prediction_type == "v_prediction":
        return (a * z - x0) / s
    return x0
