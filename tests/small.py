"""The pipeline on a data set's miniature, in this process: everything but the data set's own ways cut to seconds."""

import importlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from src.runtime.files import read_json
from src.settings.sections import TINY_OF
from src.versions.import_closure import ROOT
from tests.data.presets import miniature
from tests.micro import GENERATOR, PARAMS, arms, keep_data_sets, read_yaml, set_parameters, without_code, write_yaml

STAGES = {name: stage for name, stage in read_yaml(ROOT / "dvc.yaml")["stages"].items() if not stage.get("frozen")}
DEEP = ("cifar10_lt", "cifar100_lt")  # kinds whose own network is trained; elsewhere it is a small one


def enter(root: Path, name: str, generator: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a new folder with what stages read of this repository for the data set, and with that generator."""
    for file in ("params.yaml", f"prompts/{name}.yaml", f"data/raw/{name}/SOURCE.md"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, root / file)
    keep_data_sets(root, (name,))
    write_yaml(root / "dvc.yaml", without_code(ROOT))
    for path in {GENERATOR, *(own["path"] for own in TINY_OF.values())}:
        shutil.copytree(generator, root / path)
    monkeypatch.chdir(root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return root


def lay_out(name: str) -> None:
    """Write the preset's miniature where the preset looks for it, and set everything else to a few steps."""
    settings, recipe = PARAMS["datasets"][name], PARAMS["recipes"][name]
    changes = miniature(name, settings).write(Path(settings.get("path") or f"data/raw/{name}"), settings)
    deep = settings["kind"] in DEEP
    seen = 16 if deep else 32  # pixels; where the recipe sees less than is stored, so it does here
    stored = seen + 8 * bool(recipe["image_size"] and recipe["image_size"] < settings["image_size"])
    set_parameters(
        Path.cwd(),
        {
            "dataset": name,
            **{f"datasets.{name}.{key}": value for key, value in changes.items()},
            f"datasets.{name}.image_size": stored,
            f"recipes.{name}": {
                **shortened(recipe, batch=16 if deep else 8),
                "model": recipe["model"] if deep else "small_cnn",
                "image_size": recipe["image_size"] and seen,
            },
            "generators.tiny_unclip.steps": 2,
            "synaug.last_layer.steps": 2,
            "synaug.last_layer.batch": 4,
            "evaluation.nearest_k": 2,
        },
    )


def shortened(recipe: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """The recipe over one epoch, or four steps, from random weights, its milestones spread evenly."""
    unit, length = ("steps", 4) if recipe["steps"] else ("epochs", 1)
    warmup = recipe["warmup"] * length / recipe[unit]
    parts = len(recipe["milestones"]) + 1
    return {
        **recipe,
        unit: length,
        "warmup": int(warmup) if unit == "steps" else warmup,
        "milestones": [length * k / parts for k in range(1, parts)],
        "batch": batch,
        "weights": None,
    }


def fill(name: str) -> None:
    """Set the budget, once the counts are known: one more than the largest has, or two for each."""
    budget = read_yaml(Path("params.yaml"))["budgets"][name]
    splits = read_json("data/results/splits.json")
    sizes = list(splits["train_counts"].values())
    if budget["balance"] == "group":
        sizes = [count for row in splits["groups"].values() for count in row.values()]
    set_parameters(Path.cwd(), {f"budgets.{name}.per_class": max(sizes) + 1 if budget["fill"] == "up_to" else 2})


def run(stage: str, monkeypatch: pytest.MonkeyPatch, *arms: str) -> None:
    """A stage in its arms, or a command with one argument, in this process; without any, it runs once."""
    for arm in arms or ("",):
        monkeypatch.setattr(sys, "argv", [stage, *filter(None, [arm])])
        script(stage).main()


def script(name: str) -> ModuleType:
    """The module of a stage or command."""
    folder = "stages" if (ROOT / "stages" / f"{name}.py").exists() else "commands"
    return importlib.import_module(f"{folder}.{name}")


def run_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All stages but the generator's on the preset's miniature."""
    lay_out(name)
    for stage, entry in STAGES.items():
        run(stage, monkeypatch, *arms(entry))
        if stage == "prepare_lt":
            fill(name)
