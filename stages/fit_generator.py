"""Stage fit_generator: fit the chosen generator to images, if its preset asks for that; else nothing, at once."""

from pathlib import Path

from src.generators.model_folder import folders_of
from src.runtime.files import write_json
from src.runtime.pipeline import inputs_of
from src.runtime.processes import device
from src.runtime.scratch import Scratch
from src.settings.params import load, work_key
from src.settings.provenance import run

OUT = Path("data/fitted")


def main() -> None:
    params = load("fit_generator")
    if params.generator.fit is None:
        write_json(OUT / "fit.json", {"method": None})
        return
    from src.generators.fitting.methods import run_fit  # seconds, for presets with a fit alone
    from src.generators.loading import load as load_generator
    from src.synthesis.fit_task import fit_task

    inputs = [path for path in inputs_of("fit_generator") if not path.startswith("models/")]
    scratch = Scratch("fit_generator", work_key(params, [*inputs, *folders_of(params.generator)]))
    task = fit_task(params, scratch.path / "fit.safetensors")
    run_fit(task, lambda: load_generator(params.generator, device()), scratch.path / "fitted")
    scratch.publish("fitted", OUT)


if __name__ == "__main__":
    run("fit_generator", main, arguments=False)
