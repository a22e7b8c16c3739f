"""A copy of this repository, small enough to run whole in seconds: same code, tiny parameters, tiny generator."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from src.versions.import_closure import ROOT

RESULTS = ("data", "metrics", "models")  # the folders that stages write
GENERATOR = "models/tiny_unclip"
SETTINGS: dict[str, Any] = {
    "seed": 0,
    "dataset": "digits",
    "generator": "tiny_unclip",
    "feedback": "entropy",
    "datasets.digits.head_count": 60,
    "datasets.digits.imbalance_factor": 60,
    "datasets.digits.test_per_class": 5,
    "datasets.digits.val_per_class": 4,
    "generators.tiny_unclip.steps": 3,
    "feedbacks.entropy": {
        "criterion": "entropy",
        "scale": 0.03,
        "every": 5,
        "first": 0,
        "last": None,
        "rule": "latent",
        "mix": False,
        "stop_gradient": False,
        "decoder": "full",
        "rescale": False,
        "shrinkage": "tied",
        "candidates": 1,
    },
    "budgets.digits.fill": "add",
    "budgets.digits.per_class": 2,
    "synth.conditioning": "text_image",
    "synth.shard_size": 4,
    "recipes.digits.steps": 4,
    "recipes.digits.batch": 8,
    "recipes.digits.warmup": 1,
    "synaug.last_layer.steps": 2,
    "synaug.last_layer.batch": 4,
    "evaluation.nearest_k": 2,
    "tiny.images": 48,
    "tiny.sizes": {
        "text_width": 16,
        "text_layers": 1,
        "vision_width": 16,
        "vision_layers": 1,
        "patch": 16,
        "embedding": 8,
        "vae_widths": [8, 8, 8],
        "unet_widths": [16, 16],
        "unet_layers": 1,
    },
    **{f"tiny.{part}.{name}": value for part in ("autoencoder", "clip", "unet") for name, value in
       (("steps", 2), ("batch", 4))},
}  # fmt: skip


def copy_repository(target: Path, without: tuple[str, ...] = ()) -> Path:
    """Copy what git tracks or would track, but for files and folders in `without`, and commit it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, env=environment(target), check=True, capture_output=True,
    )  # fmt: skip
    for name in listed.stdout.decode().split("\0"):
        if (ROOT / name).is_file() and not f"{name}/".startswith(tuple(f"{path}/" for path in without)):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    run(target, "git", "init", "--quiet")
    for key, value in {"user.name": "Test", "user.email": "test@example.org", "commit.gpgsign": "false"}.items():
        run(target, "git", "config", key, value)
    commit(target)
    return target


def arms(stage: Mapping[str, Any]) -> list[str]:
    """The arms that a stage of dvc.yaml runs for; one empty name if it runs once."""
    return stage.get("matrix", {}).get("arm", [""])


def outputs(stage: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """(kind, path, whether it is cached) of every output of a stage of dvc.yaml, in all its arms."""
    for kind in ("outs", "metrics", "plots"):
        for entry in stage.get(kind, []):
            ((path, options),) = entry.items() if isinstance(entry, dict) else [(entry, {})]
            for arm in arms(stage):
                yield kind, path.replace("${item.arm}", arm), options.get("cache", True)


def commit(repository: Path) -> None:
    run(repository, "git", "add", "--all")
    run(repository, "git", "commit", "--quiet", "--allow-empty", "--message", "state")


def set_parameters(repository: Path, changes: Mapping[str, Any]) -> None:
    """Write `changes` (dotted names; every one must exist) into params.yaml."""
    path = repository / "params.yaml"
    params = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        *parents, last = name.split(".")
        node = params
        for parent in parents:
            node = node[parent]
        assert last in node, name
        node[last] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def environment(repository: Path) -> dict[str, str]:
    """This process's environment, without what belongs to another repository or launcher."""
    foreign = ("GIT_", "DVC_", "LAUNCH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    caches = {f"DVC_{name}_DIR": str(repository.parent / "dvc-home") for name in ("SITE_CACHE", "GLOBAL_CONFIG")}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return {**kept, **caches, "PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def run(repository: Path, *command: str, fails: bool = False) -> str:
    """Run a command in the repository; return stdout and stderr together. It must succeed, or fail if `fails`."""
    done = subprocess.run(
        command, cwd=repository, env=environment(repository), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}"
    return done.stdout


def dvc(repository: Path, *arguments: str, fails: bool = False) -> str:
    return run(repository, sys.executable, "-m", "dvc", *arguments, fails=fails)


def results() -> dict[str, str]:
    """Digests of all that stages wrote into the working directory but their cost, whose times differ between runs."""
    return {path: digest for path, digest in digests(*map(Path, RESULTS)).items() if "metrics/cost/" not in path}


def digests(*folders: Path) -> dict[str, str]:
    """Every file below the folders, temporary ones included, with the hash of its contents."""
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
