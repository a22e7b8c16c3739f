"""The guided arm's synthesis from params.yaml: text and a real image, dropout, feedback, and its rounds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from src.classifiers.models import Classifier, load
from src.data.labelled_images import LabelledImages, labelled
from src.data.names import Names, read_names
from src.feedback.classifier_criterion import Value, feedback_value, values_of
from src.feedback.guidance import Feedback, feedback_on
from src.feedback.real_targets import RealTargets
from src.generators.diffusion_model import DiffusionModel
from src.generators.fitting.methods import load_fitted
from src.runtime.errors import InputError
from src.runtime.processes import device
from src.runtime.scratch import Scratch
from src.runtime.seeds import derive
from src.settings.sections import FeedbackSettings, Params
from src.settings.together import check_feedback
from src.shards.lazy_images import subset
from src.shards.store import Shards
from src.synthesis.conditioning import Conditioning
from src.synthesis.fitted_prompts import prompts_for
from src.synthesis.pilot import matched_round
from src.synthesis.plan import PlannedImage, synthesis_plan
from src.synthesis.pool import Judge, one_step_synthesiser
from src.synthesis.production import Round
from src.synthesis.prompts import Prompts
from src.synthesis.rounds import online_rounds
from src.synthesis.synthesiser import Synthesiser, cut
from src.training.fine_tuning import train_on

REAL, BASE, COMMITTEE = "data/real", "data/base", "data/committee"


def synthesiser(params: Params) -> Synthesiser:
    """Text and a real image of the class, dropout on its embedding, and feedback from the classifier of real images.
    InputError for what the feedback cannot be asked together with the rest."""
    check_feedback(params)
    names, real, synth = read_names(REAL), Shards(f"{REAL}/train"), params.synth
    images = real.images()
    plan = synthesis_plan(
        params.budget, real.labels, real.contexts, names, params.seed, prompts_for(params, names),
        conditioned=synth.conditioning != "text" and not params.generator.one_step, modified=False,
        mixed=synth.embedding_mix is not None,
        cohort=params.feedback.cohort, ranked=params.feedback.target is not None,
    )  # fmt: skip
    if of_one_step := one_step_synthesiser(params, plan, images.shape[1], names, pool_judge(params, names)):
        return of_one_step
    generator = load_fitted(params.generator, device())
    feedback = guide(params, generator, base_classifiers(names))
    conditioning = Conditioning(
        generator, plan, synth.conditioning, synth.image_dropout, synth.dropout_form, params.generator.noise_level,
        images, synth.embedding_mix,
    )  # fmt: skip
    return Synthesiser(
        generator, params.generator, plan, conditioning, feedback, images.shape[1], params.feedback.candidates
    )


def guide(params: Params, generator: DiffusionModel, classifiers: Sequence[Classifier]) -> Feedback | None:
    """The feedback that the preset asks of these classifiers, the first of them the base."""
    names, real = read_names(REAL), Shards(f"{REAL}/train")
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)  # for CLIP: no learnt words
    plain = [prompts.plain(label) for label in range(len(names.classes))]
    feedback = feedback_on(generator, params.feedback, classifiers, real.images(), real.labels, plain)
    return None if feedback is None else replace(feedback, targets=real_targets(params, feedback.value, names))


def real_targets(params: Params, value: Value, names: Names) -> RealTargets | None:
    """Where a criterion is on the validation images, as they are stored; None for a feedback without a target."""
    if params.feedback.target is None:
        return None
    held_out = Shards(f"{REAL}/val")
    values = values_of(value, held_out.images(), held_out.labels, device())
    return RealTargets(values, held_out.labels, len(names.classes))


def criterion_of(settings: FeedbackSettings, names: Names) -> Value:
    """The criterion, which is not "none", of the base classifier or its committee, on images as they are stored."""
    real = Shards(f"{REAL}/train")
    value = feedback_value(settings, base_classifiers(names), real.images(), real.labels, device())
    assert value is not None
    return value


def pool_judge(params: Params, names: Names) -> Judge | None:
    """Who chooses among the pool's images by the preset's criterion; None for "none"."""
    if params.feedback.criterion == "none":
        return None

    def judge(
        pool: Shards, places: np.ndarray, plan: Sequence[PlannedImage]
    ) -> tuple[np.ndarray, Sequence[float] | None]:
        value = criterion_of(params.feedback, names)
        targets, values = real_targets(params, value, names), np.full(len(pool), np.nan)
        values[places] = values_of(value, subset(pool.images(), places), pool.labels[places], device())
        ranks = [p.rank for p in plan if p.rank is not None]
        return values, None if targets is None else targets.at([p.label for p in plan], ranks).tolist()

    return judge


def base_classifiers(names: Names) -> list[Classifier]:
    """The base classifier and, after it, the other members of the committee."""
    members = sorted((path for path in Path(COMMITTEE).iterdir() if path.is_dir()), key=lambda path: int(path.name))
    classifiers = [load(folder) for folder in (Path(BASE), *members)]
    for classifier in classifiers:
        if classifier.config["classes"] != len(names.classes):
            raise InputError(
                f"{BASE} tells {classifier.config['classes']} classes apart, the data has {len(names.classes)}; "
                "run `dvc repro train_base` to train it on this data"
            )
    return classifiers


def rounds(params: Params, synthesiser: Synthesiser, scratch: Scratch) -> Sequence[Round]:
    """Online feedback: the rounds between which the base classifier goes on training; none without.

    Of a feedback whose scales a pilot finds: one round, under these.
    """
    if isinstance(synthesiser.guide, Feedback) and params.feedback.pilot is not None:
        return matched_round(synthesiser, synthesiser.guide, params.feedback.pilot, params.synth.shard_size)
    if params.online.rounds == 1 or synthesiser.guide is None:
        return ()
    names, real = read_names(REAL), Shards(f"{REAL}/train")
    validation, balance = labelled(Shards(f"{REAL}/val"), names), params.budget.balance
    base, *members = base_classifiers(names)

    def guided_by(model: Classifier) -> Feedback:
        feedback = guide(params, synthesiser.generator, [model, *members])
        assert feedback is not None
        return feedback

    def train(k: int, model: Classifier, data: LabelledImages, synthetic: np.ndarray) -> Classifier:
        return train_on(
            model, data, synthetic, validation, params.recipe, params.online, balance,
            derive("online", params.seed, k), scratch.part(f"training-{k}"), device(),
        )  # fmt: skip

    shards = len(cut(synthesiser.plan, params.synth.shard_size))
    return online_rounds(synthesiser, shards, params.online.rounds, base, guided_by, train, real, names)
