"""What a generator is fitted to: the real long tail, or the corpus that the shipped generator saw of these classes."""

from pathlib import Path

from src.data.names import read_names
from src.generators.fitting.task import FitTask
from src.generators.fitting.textual_inversion import words_of
from src.generators.tiny.glyphs import labelled_as
from src.runtime.processes import device
from src.settings.sections import Params
from src.shards.store import Shards
from src.synthesis.prompts import Prompts


def fit_task(params: Params, checkpoint: Path) -> FitTask:
    """Of a preset with a fit. checkpoint: where an unfinished fit lies. InputError as for `Prompts`, `labelled_as`."""
    assert params.generator.fit is not None
    names, real = read_names("data/real"), Shards("data/real/train")
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    taught, classes = prompts.saying(words_of(len(prompts))), range(len(prompts))
    images, labels = real.images(), real.labels
    if params.generator.fit.data == "corpus":
        images, labels = labelled_as(names.classes, params.tiny)
    return FitTask(
        params.generator.fit, images, labels, prompts.words, tuple(map(prompts.plain, classes)),
        tuple(map(taught.plain, classes)), params.seed, checkpoint, device(),
    )  # fmt: skip
