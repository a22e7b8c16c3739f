"""One learnt word for each class, from its real images (Gal et al., ICLR 2023), all else frozen.

SYNAuG's class-distribution fitting (arXiv 2308.00994, sec. 3.3): prompts then say that word for the class's name.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from src.generators.diffusion_model import DiffusionModel
from src.generators.fitting.task import DiffusionLoss, FitTask
from src.generators.tiny.optimise import optimise
from src.runtime.errors import InputError


class LearntWords(nn.Module):
    """A token embedding (V, D) with rows of learnt words (C, D) behind its own."""

    def __init__(self, own: nn.Embedding, learnt: Tensor) -> None:
        super().__init__()
        self.own, self.learnt = own, learnt

    @property
    def weight(self) -> Tensor:
        """All rows, (V + C, D)."""
        return torch.cat([self.own.weight, self.learnt.to(self.own.weight)])

    def forward(self, tokens: Tensor) -> Tensor:
        """Embeddings (B, L, D) of token numbers (B, L)."""
        return nn.functional.embedding(tokens, self.weight)


def words_of(count: int) -> list[str]:
    """The learnt word of each class, which no tokenizer knows."""
    return [f"<class-{k}>" for k in range(count)]


def fit(task: FitTask, load: Callable[[], DiffusionModel]) -> dict[str, Tensor]:
    """The learnt words (C, D), which begin as the mean of the tokens of their class's name."""
    generator = load()
    pipeline, loss = generator.pipeline, DiffusionLoss(generator)
    table = pipeline.text_encoder.to(task.device).get_input_embeddings()
    called = [pipeline.tokenizer(words, add_special_tokens=False).input_ids for words in task.words]
    learnt = nn.Parameter(torch.stack([table.weight[ids].mean(0) for ids in called]).detach().float())
    apply(generator, {"words": learnt})
    tokens = pipeline.tokenizer(list(task.taught), padding="max_length", truncation=True, return_tensors="pt").input_ids

    def loss_at(step: int) -> Tensor:
        chosen, draws = task.draw("textual inversion", step)
        said = tokens[torch.from_numpy(task.labels[chosen])].to(task.device)
        condition = {"states": pipeline.text_encoder(said)[0].float(), **generator.no_image(len(chosen))}
        return loss(task.images[chosen], condition, draws)

    optimise([nn.ParameterList([learnt])], loss_at, task.settings, task.checkpoint, "textual inversion")
    return {"words": learnt.detach().float().cpu()}


def apply(generator: DiffusionModel, tensors: Mapping[str, Tensor]) -> None:
    """Teach the generator words (C, D), behind those that its text encoder knows."""
    learnt = tensors["words"].to(generator.device)
    pipeline = generator.pipeline
    if getattr(pipeline, "text_encoder_2", None) is not None:
        raise InputError("textual inversion is for one text encoder, and this generator has two; fit it by lora")
    encoder, words = pipeline.text_encoder, pipeline.tokenizer
    table = encoder.get_input_embeddings()
    words.add_tokens(words_of(len(learnt)))
    if len(words) != table.num_embeddings + len(learnt):
        raise InputError("the tokenizer and the text encoder differ in how many words they know; fit by lora")
    encoder.set_input_embeddings(LearntWords(table, learnt))
