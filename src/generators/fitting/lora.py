"""Low-rank adapters on the UNet's attention (Hu et al., ICLR 2022), fitted to the real images under class prompts.

As DreamBooth with LoRA does for one subject (Ruiz et al., CVPR 2023), here for all classes at once: SYNAuG's
class-distribution fitting (arXiv 2308.00994, sec. 3.3).
"""

from collections.abc import Callable, Mapping

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from src.generators.diffusion_model import DiffusionModel
from src.generators.fitting.task import DiffusionLoss, FitTask
from src.generators.frozen_layers import freeze
from src.generators.tiny.optimise import optimise
from src.runtime.seeds import derive, torch_seeded

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
CAPTION_ABSENT = 0.1  # share of a batch that is told nothing, for classifier-free guidance


def fit(task: FitTask, load: Callable[[], DiffusionModel]) -> dict[str, Tensor]:
    """The adapters' tensors by name."""
    generator = load()
    unet, loss = _with_adapters(generator, task.settings.rank, task.seed), DiffusionLoss(generator)
    absent = generator.absent(1, image=False)

    def loss_at(step: int) -> Tensor:
        chosen, draws = task.draw("lora", step)
        silent = torch.rand(len(chosen), generator=draws) < CAPTION_ABSENT
        told = generator.text([task.prompts[k] for k in task.labels[chosen]])
        for name, value in told.items():
            value[silent.to(value.device)] = absent[name].to(value)
        return loss(task.images[chosen], {**told, **generator.no_image(len(chosen))}, draws)

    adapters = nn.ParameterList([p for p in unet.parameters() if p.requires_grad])
    optimise([adapters], loss_at, task.settings, task.checkpoint, "LoRA")
    return {name: value.float().cpu() for name, value in get_peft_model_state_dict(unet).items()}


def apply(generator: DiffusionModel, tensors: Mapping[str, Tensor]) -> None:
    """Give the generator fitted adapters, which it has from then on."""
    rank = next(value.shape[0] for name, value in tensors.items() if "lora_A" in name)
    unet = _with_adapters(generator, rank, 0)
    set_peft_model_state_dict(unet, dict(tensors))
    freeze(unet)


def _with_adapters(generator: DiffusionModel, rank: int, seed: int) -> nn.Module:
    unet = generator.pipeline.unet
    with torch_seeded(derive("lora", seed)):
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=ATTENTION))
    for parameter in unet.parameters():
        if parameter.requires_grad:  # adapters are made in the network's own format, too coarse for small steps
            parameter.data = parameter.data.float()
    return unet
