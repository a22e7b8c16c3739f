"""The guided sampler, slow and obvious: one image at a time, the gradient from a forward of its own through the
whole graph at once, DDIM written out."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from src.generators.sampler import Denoise


def x0_and_eps(kind: str, z: Tensor, output: Tensor, a: float, s: float) -> tuple[Tensor, Tensor]:
    if kind == "epsilon":
        return (z - s * output) / a, output
    if kind == "v_prediction":
        return a * z - s * output, a * output + s * z
    return output, (z - a * output) / s


def criterion_gradient(climbed: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Of a criterion of the latents, everything of it in one graph."""
    with torch.enable_grad():
        leaf = z.detach().clone().requires_grad_()
        return torch.autograd.grad(climbed(leaf).sum(), leaf)[0]


@torch.no_grad()
def slow_sample(
    denoise: Denoise,
    decode: Callable[[Tensor], Tensor],
    value: Callable[[Tensor, Tensor], Tensor],
    schedule_of: Callable[[], Any],
    inputs: dict[str, Any],
    rule: str,
    scale: float,
    every: int,
    mix: bool,
    guidance_scale: float = 3.0,
) -> Tensor:
    """Latents of the batch. schedule_of: a fresh scheduler, DDIM or one whose own step is then taken."""
    finished = []
    for i in range(len(inputs["z"])):
        schedule = schedule_of()
        kind, tables = schedule.config.prediction_type, schedule.alphas_cumprod
        z, label = inputs["z"][i : i + 1], inputs["labels"][i : i + 1]
        told, untold = ({n: v[i : i + 1] for n, v in inputs[side].items()} for side in ("condition", "absent"))
        for step, t in enumerate(schedule.timesteps.tolist()):
            a, s = float(tables[t]) ** 0.5, (1 - float(tables[t])) ** 0.5

            def climbed(z: Tensor, t=t, told=told, label=label, kind=kind, a=a, s=s) -> Tensor:
                x0, _ = x0_and_eps(kind, z, denoise(z, t, told), a, s)
                return value(decode(s * x0 + (1 - s) * z if mix else x0), label)

            without, with_ = denoise(z, t, untold), denoise(z, t, told)
            output = without + guidance_scale * (with_ - without)
            if step % every == 0 and rule == "x0":
                x0, _ = x0_and_eps(kind, z, output, a, s)

                def judged(x: Tensor, z=z, label=label, s=s) -> Tensor:
                    return value(decode(s * x + (1 - s) * z if mix else x), label)

                g = criterion_gradient(judged, x0)
                x0 = x0 + scale * x0.norm() * g / g.norm()
                eps = (z - a * x0) / s
                output = {"epsilon": eps, "v_prediction": a * eps - s * x0, "sample": x0}[kind]
            elif step % every == 0:
                g = criterion_gradient(climbed, z)
                if rule == "latent":
                    z = z + scale * z.norm() * g / g.norm()
                else:
                    _, eps = x0_and_eps(kind, z, output, a, s)
                    eps = eps - s * scale * g
                    x0 = (z - s * eps) / a
                    output = {"epsilon": eps, "v_prediction": a * eps - s * x0, "sample": x0}[kind]
            if type(schedule).__name__ == "DDIMScheduler":
                x0, eps = x0_and_eps(kind, z, output, a, s)
                alpha_bar = float(tables[max(t - 1000 // len(schedule.timesteps), 0)])
                z = alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps
            else:
                z = schedule.step(output, t, z).prev_sample
        finished.append(z)
    return torch.cat(finished)
