"""Stage fit_generator: fit the chosen generator to images, if its preset asks for that; else nothing, at once."""

from pathlib import Path

from src.data.names import read_names
from src.generators.model_folder import folders_of
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.pipeline import inputs_of
from src.runtime.processes import device
from src.runtime.scratch import Scratch
from src.settings.params import load
from src.settings.provenance import unmoved
from src.settings.sections import Params
from src.settings.work_key import work_key

OUT = Path("data/fitted")


def main() -> None:
    params = load("fit_generator")
    if params.generator.fit is None:
        write_json(OUT / "fit.json", {"method": None})
        return
    from src.generators.fitting.methods import run_fit  # seconds, for presets with a fit alone
    from src.generators.loading import load as load_generator

    inputs = [path for path in inputs_of("fit_generator") if not path.startswith("models/")]
    scratch = Scratch("fit_generator", work_key(params, [*inputs, *folders_of(params.generator)]))
    run_fit(task(params, scratch), lambda: load_generator(params.generator, device()), scratch.path / "fitted")
    scratch.publish("fitted", OUT)


def task(params: Params, scratch: Scratch):
    """The images to fit to: the real long tail, or the corpus that the shipped generator saw of these classes."""
    from src.generators.fitting.task import FitTask
    from src.generators.fitting.textual_inversion import words_of
    from src.generators.tiny.glyphs import labelled_as
    from src.shards.store import Shards
    from src.synthesis.prompts import Prompts

    assert params.generator.fit is not None
    names, real = read_names("data/real"), Shards("data/real/train")
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    taught, classes = prompts.saying(words_of(len(prompts))), range(len(prompts))
    images, labels = real.images(), real.labels
    if params.generator.fit.data == "corpus":
        images, labels = labelled_as(names.classes, params.tiny)
    return FitTask(
        params.generator.fit, images, labels, prompts.words, tuple(map(prompts.plain, classes)),
        tuple(map(taught.plain, classes)), params.seed, scratch.path / "fit.safetensors", device(),
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(unmoved("fit_generator", main), arguments=False)
