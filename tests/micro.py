"""A copy of this repository, small enough to run whole in seconds: same code, tiny parameters, tiny generator."""

import atexit
import copy
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from src.runtime.pipeline import arms_of
from src.versions.import_closure import ROOT
from tests.feedback.settings import ENTROPY

RESULTS = ("data", "metrics", "models")  # the folders that stages write
TIMES = ("metrics/cost/", "metrics/sampling/")  # what differs between any two runs
GENERATOR = "models/tiny_unclip"
FROZEN = {
    "train_generator": GENERATOR, "train_fashion_generator": "models/tiny_fashion",
    "train_tiny_decoder": "models/tiny_decoder",
}  # fmt: skip
"""The frozen stages' models, in git."""
AFTER_SYNTH_GUIDED = ["synth_guided", "merge_balance@guided", "retrain@guided", "eval_fid_density_coverage", "eval_acc"]
OBSERVERS = ["summarise", "draw_sheets", "measure_cost@guided", "measure_difficulty"]  # of these; not in the run-cache
DATA_SETS = ("digits", "digits_waterbirds", "folder", "csv")  # those that tests of the micro run choose
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
    "feedbacks.entropy": {**ENTROPY, "every": 5},
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
    "tiny_decoder.images": 48,
    "tiny_decoder.steps": 2,
    "tiny_decoder.batch": 4,
}
for _generator in ("tiny", "tiny_fashion"):
    SETTINGS |= {
        f"{_generator}.images": 48,
        f"{_generator}.sizes": {
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
    }
    for _part in ("autoencoder", "clip", "feature_space", "unet"):
        SETTINGS |= {f"{_generator}.{_part}.steps": 2, f"{_generator}.{_part}.batch": 4}


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
    return list(arms_of(stage)) or [""]


def outputs(stage: Mapping[str, Any], arm: str | None = None) -> Iterator[tuple[str, str, bool]]:
    """(kind, path, whether it is cached) of every output of a stage of dvc.yaml, in one or all of its arms."""
    for name, words in (arms_of(stage) or {"": {}}).items():
        if arm not in (None, name):
            continue
        for kind in ("outs", "metrics", "plots"):
            for entry in stage.get("do", stage).get(kind, []):
                ((path, options),) = entry.items() if isinstance(entry, dict) else [(entry, {})]
                for word, value in {"key": name, **{f"item.{word}": value for word, value in words.items()}}.items():
                    path = path.replace(f"${{{word}}}", str(value))
                yield kind, path, options.get("cache", True)


def commit(repository: Path) -> None:
    run(repository, "git", "add", "--all")
    run(repository, "git", "commit", "--quiet", "--allow-empty", "--message", "state")


def read_yaml(path: Path) -> Any:
    return yaml.load(path.read_bytes(), yaml.CSafeLoader)


def write_yaml(path: Path, content: Any) -> None:
    path.unlink(missing_ok=True)  # it may be linked elsewhere
    path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))


PARAMS: dict[str, Any] = read_yaml(ROOT / "params.yaml")
"""Of this repository; whoever changes them takes a copy."""


def keep_data_sets(repository: Path, names: Collection[str]) -> None:
    """Leave params.yaml these data sets' presets alone: it is read in a tenth of the time, and by each stage twice."""
    params = read_yaml(repository / "params.yaml")
    for family in ("datasets", "recipes", "budgets"):
        params[family] = {name: preset for name, preset in params[family].items() if name in names}
    write_yaml(repository / "params.yaml", params)


def without_code(repository: Path) -> dict[str, Any]:
    """dvc.yaml as far as stages read it themselves: that is, without what DVC does with their files."""

    def told(stage: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: stage[name] for name in ("matrix", "foreach", "params") if name in stage}
        kept |= {"do": told(stage["do"])} if "do" in stage else {}
        return kept | {"deps": [path for path in stage.get("deps", []) if not path.endswith(".py")]}

    return {"stages": {name: told(stage) for name, stage in read_yaml(repository / "dvc.yaml")["stages"].items()}}


def set_parameters(repository: Path, changes: Mapping[str, Any]) -> None:
    """Write `changes` (dotted names; every one must exist) into params.yaml."""
    params = read_yaml(repository / "params.yaml")
    put(params, changes)
    write_yaml(repository / "params.yaml", params)


def put(params: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Make the changes (dotted names; every one must exist) in the contents of params.yaml."""
    for name, value in changes.items():
        *parents, last = name.split(".")
        node = params
        for parent in parents:
            node = node[parent]
        assert last in node, name
        node[last] = copy.deepcopy(value)


def environment(repository: Path) -> dict[str, str]:
    """This process's environment, without what belongs to another repository or launcher."""
    foreign = ("GIT_", "DVC_", "LAUNCH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    caches = {f"DVC_{name}_DIR": str(repository.parent / "dvc-home") for name in ("SITE_CACHE", "GLOBAL_CONFIG")}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return {**kept, **caches, "PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def run(repository: Path, *command: str, fails: bool = False, fresh: bool = False) -> str:
    """Run a command in the repository; return stdout and stderr together. It must succeed, or fail if `fails`.

    fresh: whether stages that it starts are to be interpreters of their own. They always are outside tests.
    """
    launch = {} if fresh or "PYTEST_CURRENT_TEST" not in os.environ else {"LAUNCH": " ".join(warm())}
    done = subprocess.run(
        command, cwd=repository, env={**environment(repository), **launch}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}"
    return done.stdout


def dvc(repository: Path, *arguments: str, fails: bool = False, fresh: bool = False) -> str:
    return run(repository, sys.executable, "-m", "dvc", *arguments, fails=fails, fresh=fresh)


def ran(said: str) -> list[str]:
    """The stages that DVC says it ran, in their order."""
    return re.findall(r"^Running stage '(\S+)'", said, re.MULTILINE)


@cache
def warm() -> list[str]:
    """`python` for a stage, or for anything after `-m`, that need not import torch and its like; see tests.warm."""
    script, address = ROOT / "tests/warm.py", Path(tempfile.mkdtemp(prefix="warm-")) / "socket"
    server = subprocess.Popen(
        [sys.executable, str(script), "--serve", str(address)], env=environment(address.parent), cwd=address.parent,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    atexit.register(lambda: (server.kill(), server.wait(), shutil.rmtree(address.parent)))
    while not address.exists():
        assert server.poll() is None, "the warm process has ended"
        time.sleep(0.01)
    return [sys.executable, "-I", str(script), str(address)]


def results(root: Path = Path()) -> dict[str, str]:
    """Digests of all that stages wrote below the folder but their cost, whose times differ; temporary files too."""
    files = digests(*(root / name for name in RESULTS))
    names = {os.path.relpath(path, root): digest for path, digest in files.items()}
    return {name: digest for name, digest in names.items() if not name.startswith(TIMES)}


def digests(*folders: Path) -> dict[str, str]:
    """Every file below the folders, temporary ones included, with the hash of its contents."""
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
