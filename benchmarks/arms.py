"""The evidence's arms: what differs between them, in the words of params.yaml, and one seed of all of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from src.data.datasets import Prepared, prepare
from src.data.images import to_tensor
from src.data.merge import merge
from src.data.plan import PlannedImage, synthesis_plan
from src.data.prompts import Prompts
from src.evaluation.accuracy import accuracy_report, predict
from src.evaluation.agreement import agreement
from src.evaluation.features import classifier_features, extract
from src.evaluation.quality import compare
from src.feedback.classifier import feedback_value
from src.feedback.guidance import Schedule
from src.generators.backbone import Backbone
from src.generators.loading import load as load_generator
from src.generators.shard_plan import cut
from src.generators.synthesis import Synthesiser, settings_from
from src.training.arms import last_layer_recipe, recipe_from, train_guided, train_real, train_synaug
from src.training.models import Classifier

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Arm:
    """A synthetic arm: SYNAuG's text-only images, or FG's with a conditioning, image dropout and feedback.

    critic: the loss with which the classifier that gives the feedback was trained on the real images.
    changes: to the feedback preset of params.yaml.
    """

    name: str
    conditioning: str = "text_image"
    dropout: bool = True
    feedback: str = "none"
    synaug: bool = False
    critic: str = "cross_entropy"
    changes: Mapping[str, Any] = field(default_factory=dict)


ARMS = (
    Arm("synaug", "text", dropout=False, synaug=True),
    Arm("text", "text", dropout=False),
    Arm("text_image", dropout=False),
    Arm("dropout"),
    Arm("loss", feedback="loss"),
    Arm("entropy", feedback="entropy"),
    Arm("hardness", feedback="hardness"),
)
# Conditions under which feedback might help, and approximations of it; run only when `--arms` asks for them.
CRITERIA = ("loss", "entropy", "hardness")
SCORE_SCALES = {"loss": 0.2, "entropy": 0.3, "hardness": 0.001}  # median |g| here: 0.5, 0.3, 160
MORE_ARMS = (
    *(Arm(f"{name}_{scale}", feedback=name, changes={"scale": scale}) for name in CRITERIA for scale in (0.003, 0.01)),
    *(Arm(f"{name}_late", feedback=name, changes={"first": 6}) for name in CRITERIA),
    *(Arm(f"{name}_early", feedback=name, changes={"last": 0}) for name in CRITERIA),
    *(Arm(f"{name}_down", feedback=name, changes={"scale": -0.01}) for name in CRITERIA),
    *(Arm(f"{name}_score", feedback=name, changes={"rule": "score", "scale": w}) for name, w in SCORE_SCALES.items()),
    *(Arm(f"{name}_bs", feedback=name, changes={"scale": 0.01}, critic="balanced_softmax") for name in CRITERIA),
    Arm("entropy_released", feedback="entropy", changes={"mix": True, "rescale": True}),
    Arm("entropy_stop_gradient", feedback="entropy", changes={"stop_gradient": True}),
    Arm("entropy_half_decoder", feedback="entropy", changes={"decoder": "half"}),
    Arm("entropy_tiny_decoder", feedback="entropy", changes={"decoder": "tiny"}),
)


class Seed:
    """One seed of the default benchmark: its splits and classifiers; arms are made from it."""

    def __init__(self, params: dict[str, Any], seed: int, split: str) -> None:
        """split: `val` while the configuration is chosen, `test` for the fresh seeds."""
        self.params, self.seed, self.split = params, seed, split
        dataset = {"name": params["dataset"], **params["datasets"][params["dataset"]]}
        self.data: Prepared = prepare(dataset, seed)
        self.prompts = Prompts(f"prompts/{params['dataset']}.yaml")
        self.recipe = recipe_from(params["train"])
        self.base = self._train("train", "cross_entropy")
        self.reference = self._train("pool", "cross_entropy")

    def _train(self, split: str, loss: str) -> Classifier:
        data = self.data.splits[split]
        counts = np.bincount(data[1]).tolist()
        recipe = recipe_from(self.params["train"], loss=loss)
        validation = self.data.splits["val"]
        return train_real(self.params["train"]["model"], data, validation, counts, recipe, self.seed, CPU, None, loss)[
            0
        ]

    def accuracy(self, model: Classifier) -> dict[str, Any]:
        """The accuracy report on the seed's split, without per-class detail."""
        images, labels = self.data.splits[self.split]
        report = accuracy_report(predict(model, images), labels, self.data.counts, self.data.class_names)
        return {name: value for name, value in report.items() if name not in ("per_class", "confusion")}

    def baselines(self) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
        """Arms without synthetic images: what they are called and how to get their accuracies."""
        yield "base_ce", lambda: self.accuracy(self.base)
        yield "base_bs", lambda: self.accuracy(self._train("train", "balanced_softmax"))
        yield "all_real", lambda: self.accuracy(self.reference)

    def critic(self, arm: Arm) -> Classifier:
        """The classifier that gives the arm's feedback."""
        return self.base if arm.critic == "cross_entropy" else self._train("train", arm.critic)

    def plan(self, arm: Arm) -> list[PlannedImage]:
        labels = None if arm.conditioning == "text" else self.data.splits["train"][1]
        synth = self.params["synth"]
        return synthesis_plan(
            self.data.counts, synth["per_class"], synth["fill"], self.seed, self.prompts,
            modified=arm.synaug, labels=labels,
        )  # fmt: skip

    def synthesise(self, arm: Arm, generator: Backbone) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """The arm's images (N, H, W, 3) in plan order and their provenance."""
        synth = self.params["synth"]
        feedback = {**self.params["feedbacks"][arm.feedback], **arm.changes}
        images, labels = self.data.splits["train"]
        plan = self.plan(arm)
        settings = settings_from(
            self.params["generators"][self.params["generator"]],
            arm.conditioning,
            synth["image_dropout"] * arm.dropout,
        )
        value = feedback_value(feedback, self.critic(arm), images, labels, CPU)
        make = Synthesiser(
            generator, settings, plan, images, value, Schedule.from_mapping(feedback),
            decoder=feedback["decoder"], size=images.shape[1],
        )  # fmt: skip
        samples = [sample for part in cut(plan, synth["shard_size"]) for sample in make(part)]
        return np.stack([image for image, _ in samples]), [meta for _, meta in samples]

    def judge(self, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """FID, density, coverage against val in the reference classifier's features, and class agreement."""
        features = classifier_features(self.reference)
        real = extract(features, self.data.splits["val"][0])
        return {
            **compare(real, extract(features, images), self.params["evaluation"]["nearest_k"]),
            "class_agreement": agreement(predict(self.reference, images), labels, self.data.counts),
        }

    def criteria(self, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Mean of every criterion of the base classifier over finished images, guided or not: what feedback raises."""
        real, means = self.data.splits["train"], {}
        for name in CRITERIA:
            value = feedback_value(self.params["feedbacks"][name], self.base, *real, CPU)
            assert value is not None
            with torch.no_grad():
                means[name] = float(value(to_tensor(images), torch.from_numpy(labels)).double().mean())
        return means

    def retrain(self, arm: Arm, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """Accuracies of the classifier that the arm's paper trains on real and these synthetic images."""
        real_images, real_labels = self.data.splits["train"]
        merged = merge(real_labels, labels, uniformise=arm.synaug)
        chosen = merged.position[merged.synthetic]
        data = np.concatenate([real_images, images[chosen]]), merged.label
        common = (
            self.params["train"]["model"],
            data,
            merged.synthetic,
            self.data.splits["val"],
            self.data.counts,
        )
        if not arm.synaug:
            fraction = self.params["retrain"]["fraction_real"]
            return self.accuracy(train_guided(*common, self.recipe, fraction, self.seed, CPU, None)[0])
        synaug = self.params["synaug"]
        recipe = recipe_from(self.params["train"], mixing=synaug["mixing"], mixing_alpha=synaug["mixing_alpha"])
        last = last_layer_recipe(self.params["train"], synaug["last_layer"])
        return self.accuracy(train_synaug(*common, recipe, last, self.seed, CPU, None)[0])


def run_arm(seed: Seed, arm: Arm, generator: Backbone) -> dict[str, Any]:
    """Quality of the arm's images, what its feedback did, and accuracies at the full and at half the budget."""
    images, provenance = seed.synthesise(arm, generator)
    labels = np.array([meta["label"] for meta in provenance])
    first_half = np.array([meta["index"] for meta in provenance]) < seed.params["synth"]["per_class"] // 2
    return {
        "quality": seed.judge(images, labels),
        "criteria": seed.criteria(images, labels),
        "skipped_updates": int(sum(meta["skipped"] for meta in provenance)),
        "full": seed.retrain(arm, images, labels),
        "half": seed.retrain(arm, images[first_half], labels[first_half]),
    }


def generator_of(params: dict[str, Any]) -> Backbone:
    return load_generator(params["generators"][params["generator"]], CPU)
