"""Second stages: the head of a trained classifier is made again or rescaled for balance, and the backbone stays.

cRT, LWS and tau-normalisation: Kang et al. (ICLR 2020). DFR: Kirichenko et al. (ICLR 2023). All work on
features that are computed once, from images as they are; published cRT and LWS augment these images. Fine-tuning
alone trains the whole network.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from src.classifiers.features import classifier_features, feature_batches
from src.classifiers.models import Classifier
from src.data.labelled_images import LabelledImages
from src.evaluation.accuracy import macro_accuracy
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.scratch import Scratch
from src.runtime.seeds import derive, torch_seeded
from src.settings.recipe import Recipe
from src.settings.sections import HeadSettings, SecondStages
from src.shards.lazy_images import Images
from src.training.fine_tuning import finetune_real
from src.training.last_layer import train_on_features

TAUS = np.arange(41) / 20  # 0 to 2, twice as fine as the published search


@dataclass(frozen=True)
class Task:
    """What a second stage has to work with.

    real: what the first stage was trained on, or the real part of it. validation: images that choose tau and that DFR
    fits on. recipe: the first stage's. scratch: where a long stage keeps its checkpoint, or None.
    """

    real: LabelledImages
    validation: LabelledImages
    recipe: Recipe
    settings: SecondStages
    seed: int
    scratch: Scratch | None = None


def second_stage(name: str, model: Classifier, task: Task) -> Classifier:
    """Change `model.head` in place by the stage called `name`, and return the model in evaluation mode.

    Except by fine-tuning the backbone, batch-normalisation statistics included, does not change. InputError for an
    unknown name, or LWS and tau-normalisation of a cosine head.
    """
    check_second_stage(name, str(model.config.get("head", "linear")))
    SECOND_STAGES[name](model, replace(task, seed=derive(name, task.seed)))
    return model.eval()


def check_second_stage(name: str, head: str) -> None:
    """InputError for an unknown name, or for a stage that rescales a linear head if this one is none."""
    choose("second stage", SECOND_STAGES, name)
    if name in NEED_LINEAR and head != "linear":
        raise InputError(
            f"second_stage {name} rescales a linear head, and the loss ldam trains a cosine head, whose "
            f"weights have no length; choose crt, dfr or none"
        )


def none(model: Classifier, task: Task) -> None:
    """Leave the model as it is."""


def crt(model: Classifier, task: Task) -> None:
    """Classifier re-training (section 4): a new head, of random weights, trained with class-uniform batches."""
    device = model.head.weight.device
    head = copy.deepcopy(model.head).cpu()
    with torch_seeded(task.seed):
        head.reset_parameters()
    model.head = head.to(device)
    _train(model, task, task.settings.crt, list(model.head.parameters()), model.head)


def lws(model: Classifier, task: Task) -> None:
    """Learnable weight scaling (section 4): one factor per class on the frozen head's logits, then folded into it."""
    scale = nn.Parameter(torch.ones(model.head.out_features, device=model.head.weight.device))
    _train(model, task, task.settings.lws, [scale], lambda features: scale * model.head(features))
    with torch.no_grad():
        model.head.weight.mul_(scale[:, None])
        model.head.bias.mul_(scale)


def tau_norm(model: Classifier, task: Task) -> None:
    """w_k / |w_k|^tau without bias (section 4), tau by macro accuracy on validation, the smallest of equals."""
    weight = model.head.weight.detach().double().cpu().numpy()  # (C, D)
    norms = np.linalg.norm(weight, axis=1).clip(min=np.finfo(np.float32).tiny)
    logits, labels = _features(model, task.validation.images) @ weight.T, task.validation.labels  # (M, C), (M,)
    best = TAUS[int(np.argmax([macro_accuracy(logits / norms**tau, labels) for tau in TAUS]))]
    _set_head(model, weight / norms[:, None] ** best, np.zeros(len(weight)))


def dfr(model: Classifier, task: Task) -> None:
    """Deep feature re-weighting by groups, or classes where there are none; see `src.training.dfr`.

    A cosine head becomes a linear one.
    """
    from src.training.dfr import reweight  # scikit-learn: a second, for this second stage alone

    validation = task.validation
    features = _features(model, validation.images)
    layer = reweight(
        _features(model, task.real.images), features, validation.labels, validation.keys("group"),
        model.head.out_features, task.settings.dfr, task.seed,
    )  # fmt: skip
    _set_head(model, *layer)


def finetune(model: Classifier, task: Task) -> None:
    """The whole network on the real images; see `src.training.fine_tuning`."""
    scratch = None if task.scratch is None else task.scratch.part("finetune")
    finetune_real(model, task.real, task.validation, task.recipe, task.settings.finetune, task.seed, scratch)


SECOND_STAGES: dict[str, Callable[[Classifier, Task], None]] = {
    "none": none,
    "crt": crt,
    "lws": lws,
    "tau_norm": tau_norm,
    "dfr": dfr,
    "finetune": finetune,
}
NEED_LINEAR = frozenset({"lws", "tau_norm"})
BY_LABELS = frozenset({"crt", "lws", "finetune"})  # trained on the labels of the first stage's images


def _train(
    model: Classifier,
    task: Task,
    settings: HeadSettings,
    parameters: list[nn.Parameter],
    logits: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    """Class-uniform batches of fixed features, cosine decay to 0, all else as in the first stage."""
    labels, recipe = task.real.labels, task.recipe
    steps = max(1, settings.least_steps, round(settings.length * recipe.steps_for(len(labels))))
    recipe = recipe.going_on(steps, "cosine", lr=recipe.lr if settings.lr is None else settings.lr)
    features = _features(model, task.real.images)
    train_on_features(parameters, logits, features, labels, labels, recipe, task.seed)


def _features(model: Classifier, images: Images) -> np.ndarray:
    """Penultimate features, float32 (N, D)."""
    return np.concatenate(list(feature_batches(classifier_features(model), images, torch.float32)))


def _set_head(model: Classifier, weight: np.ndarray, bias: np.ndarray) -> None:
    old = model.head.weight
    model.head = nn.Linear(weight.shape[1], len(weight)).to(old)
    model.config = {name: value for name, value in model.config.items() if name != "head"}
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weight))
        model.head.bias.copy_(torch.from_numpy(bias))
