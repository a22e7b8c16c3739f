"""One resumable optimisation loop for the tiny generator's networks."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from src.runtime.checkpoint_file import load_checkpoint, save_checkpoint
from src.runtime.errors import InputError
from src.settings.sections import TrainingLength

CHECKPOINT_EVERY = 200  # steps


def learning_rate(step: int, length: TrainingLength) -> float:
    """Of a step: warm-up over the first 3 %, then along a cosine to 0."""
    warmup = max(1, round(0.03 * length.steps))
    if step < warmup:
        return length.lr * (step + 1) / warmup
    return length.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, length.steps - warmup)))


def _tensors(networks: nn.ModuleList, average: list[Tensor], optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"network.{name}": value for name, value in networks.state_dict().items()}
    tensors |= {f"average.{i}": value for i, value in enumerate(average)}
    for i, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{name}": value for name, value in state.items()}
    return tensors


def _restore(
    tensors: dict[str, Tensor], networks: nn.ModuleList, average: list[Tensor], optimiser: torch.optim.Optimizer
) -> None:
    networks.load_state_dict({n.removeprefix("network."): v for n, v in tensors.items() if n.startswith("network.")})
    for i, value in enumerate(average):
        value.copy_(tensors[f"average.{i}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def optimise(
    networks: Iterable[nn.Module],
    loss_at: Callable[[int], Tensor],
    length: TrainingLength,
    checkpoint: Path,
    label: str,
    betas: tuple[float, float] = (0.9, 0.99),
) -> None:
    """Minimise `loss_at(step)`, a scalar that depends on nothing but the step and the weights.

    Continues from `checkpoint` if that is there; a killed run ends with the same weights as an uninterrupted
    one on the same machine. With `length.ema` the networks end with their averaged weights. Raises InputError
    if the loss stops being finite.
    """
    modules = nn.ModuleList(networks)
    parameters = [p for p in modules.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=length.lr, weight_decay=0.01, betas=betas, fused=True)
    average = [p.detach().clone() for p in parameters] if length.ema else []
    start = 0
    if saved := load_checkpoint(checkpoint):
        tensors, state = saved
        start = state["step"]
        _restore(tensors, modules, average, optimiser)
    modules.train()
    running = math.nan
    progress = tqdm(range(start, length.steps), initial=start, total=length.steps, desc=label, mininterval=2)
    for step in progress:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, length)
        loss = loss_at(step)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if average:
            decay = min(length.ema, (step + 1) / (step + 10))
            torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - decay)
        if step % 50 == 0 or step + 1 == length.steps:
            value = loss.item()
            if not math.isfinite(value):
                raise InputError(
                    f"{label}: the loss is {value} at step {step}; lower its learning rate in params.yaml."
                )
            running = value if math.isnan(running) else 0.9 * running + 0.1 * value
            progress.set_postfix(loss=f"{running:.4f}")
        if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == length.steps:
            save_checkpoint(checkpoint, _tensors(modules, average, optimiser), {"step": step + 1})
    with torch.no_grad():
        for parameter, mean in zip(parameters, average, strict=False):
            parameter.copy_(mean)
    modules.eval().requires_grad_(False)
