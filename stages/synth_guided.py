"""Stage synth_guided: sample the generator on text and real images under the base classifier's feedback."""

from pathlib import Path

from src.classifiers.models import Classifier
from src.classifiers.models import load as load_classifier
from src.data.names import Names, read_names
from src.feedback.guidance import feedback_on
from src.generators.loading import load as load_generator
from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.processes import device
from src.settings.provenance import unmoved
from src.settings.sections import Params
from src.shards.store import Shards
from src.synthesis.conditioning import Conditioning
from src.synthesis.plan import synthesis_plan
from src.synthesis.production import synthesise
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import Synthesiser


def synthesiser(params: Params) -> Synthesiser:
    """Text and a real image of the class, dropout on its embedding, and feedback from the classifier of real images."""
    names, real, synth = read_names("data/real"), Shards("data/real/train"), params.synth
    prompts, images = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts), real.images()
    plan = synthesis_plan(
        params.budget, real.labels, real.contexts, names, params.seed, prompts,
        conditioned=synth.conditioning != "text", modified=False, mixed=synth.embedding_mix is not None,
        cohort=params.feedback.cohort,
    )  # fmt: skip
    generator = load_generator(params.generator, device())
    plain = [prompts.plain(label) for label in range(len(names.classes))]
    feedback = feedback_on(generator, params.feedback, base_classifiers(names), images, real.labels, plain)
    conditioning = Conditioning(
        generator, plan, synth.conditioning, synth.image_dropout, synth.dropout_form, params.generator.noise_level,
        images, synth.embedding_mix,
    )  # fmt: skip
    return Synthesiser(
        generator, params.generator, plan, conditioning, feedback, images.shape[1], params.feedback.candidates
    )


def base_classifiers(names: Names) -> list[Classifier]:
    """The base classifier and, after it, the other members of its committee."""
    members = sorted(Path("data/base/members").glob("*"), key=lambda path: int(path.name))
    classifiers = [load_classifier(folder) for folder in (Path("data/base"), *members)]
    for classifier in classifiers:
        if classifier.config["classes"] != len(names.classes):
            raise InputError(
                f"data/base tells {classifier.config['classes']} classes apart, the data has {len(names.classes)}; "
                "run `dvc repro train_base` to train it on this data"
            )
    return classifiers


def main() -> None:
    synthesise("synth_guided", synthesiser)


if __name__ == "__main__":
    run_stage(unmoved("synth_guided", main), shared=True, arguments=False)
