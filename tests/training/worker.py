"""A training in a process of its own, for tests that kill it or start several: `python -m tests.training.worker`."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from src.classifiers.models import build
from src.data.labelled_images import LabelledImages
from src.runtime.checkpoint_file import save_checkpoint
from src.runtime.errors import InputError
from src.runtime.processes import rank, together
from src.runtime.scratch import Scratch
from src.training.loader import Batches
from src.training.loop import fit
from src.training.losses import make_objective
from src.training.samplers import class_uniform

from .fakes import METHOD, RECIPE, corners

DRO = replace(METHOD, loss="group_dro", group_dro_step=0.1, group_dro_adjustment=0.0)
IN_PARTS = {
    "plain": (METHOD, {"augment": "standard"}, ("none", 0.2)),
    "mixed": (replace(METHOD, loss="balanced_softmax"), {"parts": 4, "ema": 0.5}, ("mixup", 0.2)),
    "group_dro": (DRO, {"parts": 4}, ("none", 0.2)),
}


def train(
    case: str, scratch: Scratch | None = None, sampler: Callable[[int], np.ndarray] | None = None, parts: int = 2
):
    """Return the model and the curve of a case of IN_PARTS."""
    images, labels = corners(32, seed=0)
    groups = labels * 2 + np.arange(32) % 3 // 2
    method, changes, mixing = IN_PARTS[case]
    recipe = replace(RECIPE, **{"optimizer": "sgd", "batch": 32, "parts": parts, **changes})
    data = LabelledImages(images, labels, groups)
    sampler = sampler or class_uniform(labels, 32, 0)
    batches = Batches(data, 4, 16, sampler, recipe, 0, torch.device("cpu"), mixing)
    validation = LabelledImages(*corners(16, seed=1), np.arange(16) % 4 * 2)
    objective = make_objective(method, [8] * 4, [4] * 8)
    return fit(build("small_cnn", 4, 16, 0), batches, validation, objective, scratch, case)


def dying(step: int) -> Callable[[int], np.ndarray]:
    """A sampler under which the process is killed when it reads the step's batch."""
    healthy = class_uniform(corners(32, seed=0)[1], 32, 0)

    def sample(now: int) -> np.ndarray:
        if now == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return healthy(now)

    return sample


def store(path: Path, model, curve) -> None:
    save_checkpoint(path, dict(model.state_dict()), {"curve": curve})


def main() -> None:
    task, folder = sys.argv[1], Path(sys.argv[2])
    if task == "die":
        train("group_dro", Scratch("train", {}), dying(13))
    elif task == "finish":
        assert (Scratch("train", {}).path / "training.safetensors").exists()
        store(folder / "resumed", *train("group_dro", Scratch("train", {})))
        store(folder / "whole", *train("group_dro"))
    elif task == "alone":
        for case in IN_PARTS:
            store(folder / f"{case}-alone", *train(case))
    else:
        with together():
            for case in IN_PARTS:
                store(folder / f"{case}-{rank()}", *train(case))
            try:
                train("plain", parts=1)
            except InputError as error:
                (folder / f"refused-{rank()}").write_text(str(error))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
