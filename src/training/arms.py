"""How each arm is trained: real images alone, feedback-guided images in balanced batches, or SYNAuG's three steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from src.classifiers.models import Classifier, build
from src.data.labelled_images import LabelledImages
from src.evaluation.accuracy import predict
from src.runtime.entry import tell
from src.runtime.errors import InputError
from src.runtime.scratch import Scratch
from src.runtime.seeds import derive
from src.settings.recipe import Recipe
from src.settings.schema import changed
from src.settings.sections import LastLayerSettings, MethodSettings, RetrainSettings, SecondStages, SynaugSettings
from src.shards.lazy_images import subset
from src.training.last_layer import retrain_last_layer
from src.training.loader import Batches
from src.training.loop import fit
from src.training.losses import head_for, make_objective
from src.training.mixing import NEEDS_SECOND_BATCH
from src.training.optimisation import check_choices
from src.training.samplers import Sampler, balanced_minibatches, class_uniform, make_sampler, minority_sampler
from src.training.second_stage import BY_LABELS, Task, check_second_stage, second_stage


class Trained(NamedTuple):
    """curve: rows of loss and validation accuracy. later: of each stage after the training, the share of validation
    images that it put into another class."""

    model: Classifier
    curve: list[dict[str, Any]]
    later: Mapping[str, float] = {}


@dataclass(frozen=True)
class Setting:
    """What the arms of one run share.

    recipe: how to optimise which model. method: `train` of params.yaml, how the imbalance is met. counts, group_counts:
    *real* training images per class and, where there are contexts, per group. InputError for an unknown choice of the
    recipe.
    """

    recipe: Recipe
    method: MethodSettings
    second_stages: SecondStages
    validation: LabelledImages
    counts: Sequence[int]
    group_counts: Sequence[int] | None
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        check_choices(self.recipe)

    def fit(
        self, data: LabelledImages, sampler: Sampler, method: MethodSettings, scratch: Scratch | None, describe: str
    ) -> Trained:
        """A fresh classifier, trained on the sampler's batches under the method's loss and mixing."""
        recipe, head = self.recipe, head_for(method.loss)
        size = image_size(recipe, data.images.shape[1])
        check_second_stage(method.second_stage, head)  # now, not after hours of training
        if method.loss == "group_dro" and data.groups is None and self.group_counts is not None:
            raise InputError(
                "train.loss=group_dro needs to know the context of synthetic images; set the budget's "
                "name_context=true, for prompts that ask for one, or balance=group"
            )
        network = build(recipe.model, len(self.counts), size, derive("weights", self.seed), head, recipe.weights)
        second, groups = None, None
        if data.groups is not None and self.group_counts is not None:  # of what is trained on, synthetic images too
            groups = np.bincount(data.groups, minlength=len(self.group_counts)).tolist()
        if method.mixing in NEEDS_SECOND_BATCH:
            second = minority_sampler(data.labels, recipe.batch, derive("minority", self.seed))
        batches = Batches(
            data, len(self.counts), size, sampler, recipe, derive("steps", self.seed), self.device,
            (method.mixing, method.mixing_alpha), second,
        )  # fmt: skip
        objective = make_objective(method, self.counts, groups)
        return Trained(*fit(network.to(self.device), batches, self.validation, objective, scratch, describe))

    def finish(self, trained: Trained, real: LabelledImages, name: str, scratch: Scratch | None) -> Trained:
        """The second stage of that name, on real images; none where the name is "none"."""
        seed = derive("second stage", self.seed)
        task = Task(real, self.validation, self.recipe, self.second_stages, seed, scratch)
        if name == "none":
            return trained
        return self.changed(trained, name, lambda model: second_stage(name, model, task))

    def changed(self, trained: Trained, stage: str, change: Callable[[Classifier], Classifier]) -> Trained:
        """The model after a later stage, with the share of validation images that it moved; none is said aloud."""
        before = predict(trained.model, self.validation.images).argmax(1)
        model = change(trained.model)
        moved = float((predict(model, self.validation.images).argmax(1) != before).mean())
        if moved == 0:
            tell(f"{stage} has put no validation image into another class: its results are those without it")
        return Trained(model, trained.curve, {**trained.later, stage: moved})


def image_size(recipe: Recipe, stored: int) -> int:
    """The pixels that the recipe's model sees of images stored with so many; InputError where it asks for more.

    Only training images could be enlarged, by a random crop: those that judge and guide would stay small.
    """
    size = recipe.image_size or stored
    if size > stored:
        raise InputError(
            f"recipes.{recipe.name}.image_size={size} is above the {stored} pixels that images are stored with; lower "
            f"it, or raise datasets.{recipe.name}.image_size"
        )
    return size


def without_balancing(method: MethodSettings) -> MethodSettings:
    """The method without any answer to the imbalance; Mixup and CutMix are none, CMO is."""
    mixing = "none" if method.mixing in NEEDS_SECOND_BATCH else method.mixing
    plain = replace(method, loss="cross_entropy", sampler="instance", weighting="none", second_stage="none")
    return replace(plain, mixing=mixing)


def train_real(setting: Setting, data: LabelledImages, scratch: Scratch | None, describe: str) -> Trained:
    """Real images alone, met by the method: the base classifier, the reference, and every baseline without images."""
    method, batch, seed = setting.method, setting.recipe.batch, derive("batches", setting.seed)
    sampler = make_sampler(method.sampler, data.labels, data.groups, batch, seed)
    return setting.finish(setting.fit(data, sampler, method, scratch, describe), data, method.second_stage, scratch)


def train_guided(
    setting: Setting, data: LabelledImages, synthetic: np.ndarray, retrain: RetrainSettings, balance: str,
    scratch: Scratch | None,
) -> Trained:  # fmt: skip
    """Balanced mini-batches (arXiv 2310.00158): `fraction_real` of each batch real, classes uniform in both parts.

    data: all images, the real ones first. synthetic: bool (N,). balance: "class" or "group".
    """
    method, keys = _for_synthetic(setting.method, retrain), data.keys(balance)
    method = changed(method, mixing=retrain.mixing or method.mixing)
    _check_heads(data.labels[~synthetic], len(setting.counts), None, method.second_stage)
    sampler = balanced_minibatches(
        keys[~synthetic], keys[synthetic], setting.recipe.batch, retrain.fraction_real, derive("batches", setting.seed)
    )
    trained = setting.fit(data, sampler, method, scratch, "guided")
    return _heads(setting, trained, data, synthetic, None, method.second_stage, balance, scratch)


def train_synaug(
    setting: Setting, data: LabelledImages, synthetic: np.ndarray, retrain: RetrainSettings,
    synaug: SynaugSettings, balance: str, scratch: Scratch | None,
) -> Trained:  # fmt: skip
    """SYNAuG (arXiv 2308.00994): classes equally often, Mixup or CutMix, then the last layer on uniform real images.

    synaug: zero steps of its last_layer skip the third step. Other arguments as in `train_guided`.
    """
    method = _for_synthetic(setting.method, retrain)
    method = changed(method, mixing=synaug.mixing, mixing_alpha=synaug.mixing_alpha)
    last = last_layer_recipe(setting.recipe, synaug.last_layer)
    _check_heads(data.labels[~synthetic], len(setting.counts), last, method.second_stage)
    sampler = class_uniform(data.keys(balance), setting.recipe.batch, derive("batches", setting.seed))
    trained = setting.fit(data, sampler, method, scratch, "synaug")
    return _heads(setting, trained, data, synthetic, last, method.second_stage, balance, scratch)


def last_layer_recipe(recipe: Recipe, last_layer: LastLayerSettings) -> Recipe | None:
    """SYNAuG's third step: the recipe with the changes of `synaug.last_layer`; None for zero steps.

    Without a rate of its own it has the recipe's, in proportion to the batch (Goyal et al., arXiv 1706.02677): one rate
    for all would be too small for SGD where it suits AdamW.
    """
    if not last_layer.steps:
        return None
    schedule = "cosine" if recipe.schedule == "step" else recipe.schedule
    lr = recipe.lr * last_layer.batch / recipe.batch if last_layer.lr is None else last_layer.lr
    return recipe.going_on(last_layer.steps, schedule, batch=last_layer.batch, parts=1, lr=lr)


def _for_synthetic(method: MethodSettings, retrain: RetrainSettings) -> MethodSettings:
    # Batches are uniform already: weighting by the real counts would tip them over.
    return changed(method, loss=retrain.loss or method.loss, weighting="none", second_stage=retrain.second_stage)


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
    setting: Setting, trained: Trained, data: LabelledImages, synthetic: np.ndarray, last: Recipe | None, second: str,
    balance: str, scratch: Scratch | None,
) -> Trained:  # fmt: skip
    """SYNAuG's last layer and the second stage, on real images; without either these are not even looked for."""
    if last is None and second == "none":
        return trained
    real = _real(data, synthetic)
    if last is not None:
        seed = derive("last layer", setting.seed)
        trained = setting.changed(
            trained, "last_layer", lambda model: retrain_last_layer(model, real, balance, last, seed)
        )
    return setting.finish(trained, real, second, scratch)


def _real(data: LabelledImages, synthetic: np.ndarray) -> LabelledImages:
    # Real images come first, so this is a view of an array and a short index of what is read lazily.
    first = slice(int((~synthetic).sum()))
    groups = None if data.groups is None else data.groups[first]
    return LabelledImages(subset(data.images, first), data.labels[first], groups)
