"""How each arm is trained: real images alone, feedback-guided images in balanced batches, or SYNAuG's three steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from src.classifiers.models import Classifier, build
from src.data.labelled_images import LabelledImages
from src.runtime.errors import InputError
from src.runtime.scratch import Scratch
from src.runtime.seeds import derive
from src.shards.lazy_images import subset
from src.training.last_layer import retrain_last_layer
from src.training.loop import fit
from src.training.losses import head_for, make_objective
from src.training.mixing import NEEDS_SECOND_BATCH
from src.training.recipe import Recipe
from src.training.samplers import Sampler, balanced_minibatches, class_uniform, make_sampler, minority_sampler
from src.training.second_stage import BY_LABELS, check_second_stage, second_stage

Trained = tuple[Classifier, list[dict[str, Any]]]
BESIDE = ("name", "model", "weights", "image_size", "selection")  # what a recipe preset says besides the optimisation
NO_BALANCE = {"loss": "cross_entropy", "sampler": "instance", "weighting": "none", "second_stage": "none"}


@dataclass(frozen=True)
class Setting:
    """What the arms of one run share.

    recipe: the preset of params.yaml, how to optimise which model. method: `train` of params.yaml, how the imbalance
    is met. second_stages: of params.yaml, the settings of each. counts, group_counts: *real* training images per class
    and, where there are contexts, per group.
    """

    recipe: Mapping[str, Any]
    method: Mapping[str, Any]
    second_stages: Mapping[str, Mapping[str, Any]]
    validation: LabelledImages
    counts: Sequence[int]
    group_counts: Sequence[int] | None
    seed: int
    device: torch.device

    def fit(
        self, data: LabelledImages, sampler: Sampler, method: Mapping[str, Any], scratch: Scratch | None, describe: str
    ) -> Trained:
        """A fresh classifier, trained on the sampler's batches under the method's loss and mixing."""
        size, head = image_size(self.recipe, data.images.shape[1]), head_for(method["loss"])
        check_second_stage(method["second_stage"], head)  # now, not after hours of training
        if method["loss"] == "group_dro" and data.groups is None and self.group_counts is not None:
            raise InputError(
                "train.loss=group_dro needs to know the context of synthetic images; set the budget's balance=group, "
                "or condition on images"
            )
        network = build(
            self.recipe["model"], len(self.counts), size, derive("weights", self.seed), head, self.recipe["weights"]
        )
        recipe, second, groups = optimisation(self.recipe), None, None
        if data.groups is not None and self.group_counts is not None:  # of what is trained on, synthetic images too
            groups = np.bincount(data.groups, minlength=len(self.group_counts)).tolist()
        if method["mixing"] in NEEDS_SECOND_BATCH:
            second = minority_sampler(data.labels, recipe.batch, derive("minority", self.seed))
        return fit(
            network.to(self.device), data.images, data.labels, sampler, recipe,
            (self.validation.images, self.validation.labels),
            make_objective(method, self.counts, groups), derive("steps", self.seed), scratch, describe,
            groups=data.groups, mixing=(method["mixing"], method["mixing_alpha"]), mixing_sampler=second,
            selection=self.recipe["selection"], validation_groups=self.validation.groups,
        )  # fmt: skip

    def finish(self, trained: Trained, real: LabelledImages, method: Mapping[str, Any]) -> Trained:
        """The second stage that the method names, on real images."""
        network, curve = trained
        name = method["second_stage"]
        network = second_stage(
            name, network, real.images, real.labels,
            validation=(self.validation.images, self.validation.labels),
            validation_groups=self.validation.groups, recipe=optimisation(self.recipe),
            settings=self.second_stages.get(name, {}), seed=derive("second stage", self.seed),
        )  # fmt: skip
        return network, curve


def optimisation(recipe: Mapping[str, Any]) -> Recipe:
    """The optimisation that a recipe preset of params.yaml describes."""
    return Recipe(**{name: value for name, value in recipe.items() if name not in BESIDE})


def image_size(recipe: Mapping[str, Any], stored: int) -> int:
    """The pixels that the recipe's model sees of images stored with so many; InputError where it asks for more.

    Only training images could be enlarged, by a random crop: those that judge and guide would stay small.
    """
    size: int = recipe["image_size"] or stored
    if size > stored:
        name = recipe.get("name", "<dataset>")  # of a preset as params.yaml has it: none
        raise InputError(
            f"recipes.{name}.image_size={size} is above the {stored} pixels that images are stored with; lower it, or "
            f"raise datasets.{name}.image_size"
        )
    return size


def plain(method: Mapping[str, Any]) -> dict[str, Any]:
    """The method without any answer to the imbalance."""
    return {**method, **NO_BALANCE}


def train_real(
    setting: Setting, data: LabelledImages, method: Mapping[str, Any], scratch: Scratch | None, describe: str
) -> Trained:
    """Real images alone, met by the method: the base classifier, the reference, and every baseline without images."""
    batch = optimisation(setting.recipe).batch
    sampler = make_sampler(method["sampler"], data.labels, data.groups, batch, derive("batches", setting.seed))
    return setting.finish(setting.fit(data, sampler, method, scratch, describe), data, method)


def train_guided(
    setting: Setting, data: LabelledImages, synthetic: np.ndarray, retrain: Mapping[str, Any], balance: str,
    scratch: Scratch | None,
) -> Trained:  # fmt: skip
    """Balanced mini-batches (arXiv 2310.00158): `fraction_real` of each batch real, classes uniform in both parts.

    data: all images, the real ones first. synthetic: bool (N,). retrain: of params.yaml. balance: "class" or "group".
    """
    method, keys = _for_synthetic(setting.method, retrain), data.keys(balance)
    _check_heads(data.labels[~synthetic], len(setting.counts), None, method["second_stage"])
    sampler = balanced_minibatches(
        keys[~synthetic], keys[synthetic], optimisation(setting.recipe).batch, retrain["fraction_real"],
        derive("batches", setting.seed),
    )  # fmt: skip
    trained = setting.fit(data, sampler, method, scratch, "guided")
    return _heads(setting, trained, data, synthetic, method, None, balance)


def train_synaug(
    setting: Setting, data: LabelledImages, synthetic: np.ndarray, retrain: Mapping[str, Any],
    synaug: Mapping[str, Any], balance: str, scratch: Scratch | None,
) -> Trained:  # fmt: skip
    """SYNAuG (arXiv 2308.00994): uniform union with Mixup or CutMix, then the last layer on uniform real images.

    synaug: of params.yaml; zero steps of its last_layer skip the third step. Other arguments as in `train_guided`.
    """
    method = _for_synthetic(setting.method, retrain)
    method |= {"mixing": synaug["mixing"], "mixing_alpha": synaug["mixing_alpha"]}
    last = last_layer_recipe(setting.recipe, synaug["last_layer"])
    _check_heads(data.labels[~synthetic], len(setting.counts), last, method["second_stage"])
    sampler = class_uniform(data.keys(balance), optimisation(setting.recipe).batch, derive("batches", setting.seed))
    trained = setting.fit(data, sampler, method, scratch, "synaug")
    return _heads(setting, trained, data, synthetic, method, last, balance)


def last_layer_recipe(recipe: Mapping[str, Any], last_layer: Mapping[str, Any]) -> Recipe | None:
    """SYNAuG's third step: the recipe with the changes of `synaug.last_layer`; None for zero steps."""
    if not last_layer["steps"]:
        return None
    schedule = "cosine" if recipe["schedule"] == "step" else recipe["schedule"]
    short: dict[str, Any] = {
        "epochs": None,
        "warmup": 0,
        "parts": 1,
        "schedule": schedule,
        "milestones": [],
        "factors": [],
    }
    return optimisation({**recipe, **last_layer, **short})


def _for_synthetic(method: Mapping[str, Any], retrain: Mapping[str, Any]) -> dict[str, Any]:
    # Batches are uniform already: weighting by the real counts would tip them over.
    own = {name: retrain[name] for name in ("loss", "mixing") if retrain[name] is not None}
    return {**method, "weighting": "none", "second_stage": retrain["second_stage"], **own}


def _check_heads(real: np.ndarray, classes: int, last: Recipe | None, second: str) -> None:
    """InputError where a head is trained on real images alone, labels (N,), and a class, all replaced, has none.

    DFR is trained on validation images and standardises by the real ones, of which it needs any.
    """
    stages = [] if last is None else [("synaug.last_layer", "synaug.last_layer.steps: 0")]
    if second in BY_LABELS or (second == "dfr" and len(real) == 0):
        stages.append((f"retrain.second_stage {second}", "retrain.second_stage: none"))
    missing = np.flatnonzero(np.bincount(real, minlength=classes) == 0)
    if stages and len(missing):
        names, cures = (" and ".join(words) for words in zip(*stages, strict=True))
        raise InputError(f"class {missing[0]} has no real image left, and {names} would need one; set {cures}")


def _heads(
    setting: Setting, trained: Trained, data: LabelledImages, synthetic: np.ndarray, method: Mapping[str, Any],
    last: Recipe | None, balance: str,
) -> Trained:  # fmt: skip
    """SYNAuG's last layer and the second stage, on real images; without either these are not even looked for."""
    if last is None and method["second_stage"] == "none":
        return trained
    (network, curve), real = trained, _real(data, synthetic)
    if last is not None:
        network = retrain_last_layer(
            network, real.images, real.keys(balance), real.labels, last, derive("last layer", setting.seed)
        )
    return setting.finish((network, curve), real, method)


def _real(data: LabelledImages, synthetic: np.ndarray) -> LabelledImages:
    # Real images come first, so this is a view of an array and a short index of what is read lazily.
    first = slice(int((~synthetic).sum()))
    return LabelledImages(
        subset(data.images, first), data.labels[first], None if data.groups is None else data.groups[first]
    )
