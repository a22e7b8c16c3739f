"""One seed of a benchmark: splits, classifiers, and every arm made from them, as the pipeline's stages make them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.arms import CRITERIA, Arm
from src.classifiers.features import classifier_features, extract
from src.classifiers.models import Classifier
from src.data.datasets import prepare
from src.data.labelled_images import LabelledImages, group_ids
from src.data.merge import merge, to_replace
from src.data.names import Names
from src.data.prepared_data import ImageSource
from src.evaluation.accuracy import accuracy_report, predict
from src.evaluation.class_agreement import agreement
from src.evaluation.image_quality import compare
from src.feedback.classifier_criterion import feedback_value
from src.feedback.guidance import Schedule
from src.generators.diffusion_model import DiffusionModel
from src.generators.loading import load as load_generator
from src.shards.pixels import centre_square, to_tensor
from src.synthesis.budget import plan_for
from src.synthesis.plan import PlannedImage
from src.synthesis.production import cut
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import Synthesiser, settings_from
from src.training.arms import Setting, plain, train_guided, train_real, train_synaug

CPU = torch.device("cpu")


class Seed:
    """One seed of a benchmark: its splits and classifiers; arms are made from it."""

    def __init__(self, params: dict[str, Any], seed: int, split: str) -> None:
        """split: `val` while the configuration is chosen, `test` for the fresh seeds."""
        self.params, self.seed, self.split = params, seed, split
        name = params["dataset"]
        dataset = {"name": name, **params["datasets"][name]}
        data = prepare(dataset, seed)
        self.names = Names(data.class_names, data.context_names)
        self.splits = {part: self._stored(source, dataset["image_size"]) for part, source in data.splits.items()}
        self.prompts = Prompts(f"prompts/{name}.yaml", self.names.classes, self.names.contexts)
        self.budget, self.method = params["budgets"][name], params["train"]
        self.setting = Setting(
            params["recipes"][name], self.method, params["second_stages"], self.splits["val"],
            *self.splits["train"].counts(self.names), seed, CPU,
        )  # fmt: skip
        self.base = self.train(plain(self.method))
        self.reference = self.train(plain(self.method), "pool")
        self._made: dict[str, tuple[np.ndarray, list[dict[str, Any]]]] = {}

    def _stored(self, source: ImageSource, size: int) -> LabelledImages:
        """The images as prepare_lt stores them, in memory."""
        images = np.stack([centre_square(source.read(i), size) for i in range(len(source))])
        return LabelledImages(images, source.labels, group_ids(source.labels, source.contexts, self.names))

    def train(self, method: Mapping[str, Any], split: str = "train") -> Classifier:
        """A classifier on real images alone, by a method as in `train` of params.yaml."""
        data = self.splits[split]
        counts, group_counts = data.counts(self.names)
        setting = replace(self.setting, counts=counts, group_counts=group_counts)
        return train_real(setting, data, method, None, split)[0]

    def accuracy(self, model: Classifier) -> dict[str, Any]:
        """The accuracy report on the seed's split, without detail by class or group."""
        tested, contexts = self.splits[self.split], self.names.contexts
        groups: dict[str, Any] = {}
        if contexts and tested.groups is not None:
            groups = {
                "contexts": tested.groups % len(contexts),
                "context_names": contexts,
                "group_counts": self.setting.group_counts,
            }
        report = accuracy_report(
            predict(model, tested.images), tested.labels, self.setting.counts, self.names.classes, **groups
        )
        if "groups" in report:
            report["groups"] = {name: value for name, value in report["groups"].items() if name != "per_group"}
        return {name: value for name, value in report.items() if name not in ("per_class", "confusion")}

    def baselines(self) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
        """Arms without synthetic images: what they are called and how to get their accuracies."""
        yield "base_ce", lambda: self.accuracy(self.base)
        yield "base_bs", lambda: self.accuracy(self.train({**plain(self.method), "loss": "balanced_softmax"}))
        yield "all_real", lambda: self.accuracy(self.reference)

    def critic(self, arm: Arm) -> Classifier:
        """The classifier that gives the arm's feedback."""
        return self.base if arm.critic == "cross_entropy" else self.train({**plain(self.method), "loss": arm.critic})

    def plan(self, arm: Arm) -> list[PlannedImage]:
        real = self.splits["train"]
        contexts = None
        if self.names.contexts and real.groups is not None:
            contexts = real.groups % len(self.names.contexts)
        return plan_for(
            self.budget, real.labels, contexts, self.names, self.seed, self.prompts,
            conditioned=arm.conditioning != "text", modified=arm.synaug,
        )  # fmt: skip

    def synthesise(self, arm: Arm, generator: DiffusionModel) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """The arm's images (N, H, W, 3) in plan order and their provenance; made once for arms that share them."""
        key = repr(replace(arm, name="", method={}))
        if key not in self._made:
            self._made[key] = self._synthesise(arm, generator)
        return self._made[key]

    def _synthesise(self, arm: Arm, generator: DiffusionModel) -> tuple[np.ndarray, list[dict[str, Any]]]:
        synth = self.params["synth"]
        feedback = {**self.params["feedbacks"][arm.feedback], **arm.changes}
        images, labels = self.splits["train"].images, self.splits["train"].labels
        plan = self.plan(arm)
        settings = settings_from(
            self.params["generators"][self.params["generator"]],
            arm.conditioning,
            synth["image_dropout"] * arm.dropout,
        )
        value = feedback_value(feedback, self.critic(arm), images, labels, CPU)
        make = Synthesiser(
            generator, settings, plan, images, value, Schedule.from_mapping(feedback),
            decoder=feedback["decoder"], size=images.shape[1], candidates=feedback["candidates"],
        )  # fmt: skip
        samples = [sample for part in cut(plan, synth["shard_size"]) for sample in make(part)]
        return np.stack([image for image, _ in samples]), [meta for _, meta in samples]

    def judge(self, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """FID, density, coverage against val in the reference classifier's features, and class agreement."""
        features = classifier_features(self.reference)
        real = extract(features, self.splits["val"].images)
        return {
            **compare(real, extract(features, images), self.params["evaluation"]["nearest_k"]),
            "class_agreement": agreement(
                predict(self.reference, images), labels, self.setting.counts, self.names.classes
            ),
        }

    def criteria(self, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Mean of every criterion of the base classifier over finished images, guided or not: what feedback raises."""
        real, means = self.splits["train"], {}
        for name in CRITERIA:
            value = feedback_value(self.params["feedbacks"][name], self.base, real.images, real.labels, CPU)
            assert value is not None
            with torch.no_grad():
                means[name] = float(value(to_tensor(images), torch.from_numpy(labels)).double().mean())
        return means

    def retrain(self, arm: Arm, images: np.ndarray, provenance: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Accuracies of the classifier that the arm's paper trains on real and these synthetic images."""
        real, balance = self.splits["train"], self.budget["balance"]
        labels, contexts, real_contexts = np.array([meta["label"] for meta in provenance]), None, None
        if self.names.contexts and real.groups is not None and all("context" in meta for meta in provenance):
            real_contexts = real.groups % len(self.names.contexts)
            contexts = np.array([meta["context"] for meta in provenance])
        replaced = to_replace(
            real.labels, self.params["merge"]["replace_fraction"], self.params["merge"]["replace_classes"]
        )
        merged = merge(real.labels, labels, arm.synaug, real_contexts, contexts, balance, replaced)
        groups = None if merged.context is None else group_ids(merged.label, merged.context, self.names)
        everything = np.concatenate([real.images, images[merged.position[merged.synthetic]]])
        data = LabelledImages(everything, merged.label, groups)
        method = {**self.method, **arm.method}
        retrain = self.params["retrain"]
        retrain = {**retrain, "second_stage": arm.method.get("second_stage", retrain["second_stage"])}
        setting = replace(self.setting, method=method)
        if arm.synaug:
            synaug = self.params["synaug"]
            return self.accuracy(train_synaug(setting, data, merged.synthetic, retrain, synaug, balance, None)[0])
        return self.accuracy(train_guided(setting, data, merged.synthetic, retrain, balance, None)[0])


def run_arm(seed: Seed, arm: Arm, generator: DiffusionModel) -> dict[str, Any]:
    """Accuracies of an arm; with synthetic images also their quality, what feedback did, and those of half the budget.

    Half the budget is for data without groups: groups of few images each would be halved to nothing.
    """
    if not arm.synthetic:
        return {"full": seed.accuracy(seed.train({**plain(seed.method), **arm.method}))}
    images, provenance = seed.synthesise(arm, generator)
    labels = np.array([meta["label"] for meta in provenance])
    report = {
        "quality": seed.judge(images, labels),
        "criteria": seed.criteria(images, labels),
        "skipped_updates": int(sum(meta["skipped"] for meta in provenance)),
        "full": seed.retrain(arm, images, provenance),
    }
    if seed.names.contexts is None:
        half = [i for i, meta in enumerate(provenance) if meta["index"] < seed.budget["per_class"] // 2]
        report["half"] = seed.retrain(arm, images[half], [provenance[i] for i in half])
    return report


def generator_of(params: dict[str, Any]) -> DiffusionModel:
    return load_generator(params["generators"][params["generator"]], CPU)
