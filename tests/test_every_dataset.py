"""`-S dataset=<each>`: the whole pipeline on every data set of params.yaml, in miniature; and when data is missing."""

import csv
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.data.splits import split_hash
from src.runtime.files import read_json
from src.shards.store import Shards
from tests.data.presets import miniature
from tests.generators.miniatures import unclip
from tests.micro import (
    FROZEN,
    GENERATOR,
    commit,
    copy_repository,
    digests,
    dvc,
    keep_data_sets,
    outputs,
    read_yaml,
    set_parameters,
)
from tests.small import PARAMS, STAGES, enter, lay_out, run_all

pytestmark = pytest.mark.slow
ARMS = ("synaug", "guided")
SPLITS = ("train", "val", "test", "pool")
GROUPED = {
    "digits_nico", "digits_waterbirds", "digits_fair", "fashion_nico", "csv", "nico", "waterbirds", "waterbirds_erm",
    "utkface",
}  # fmt: skip


@pytest.fixture(scope="module")
def generator(tmp_path_factory) -> Path:
    """One of the shipped generator's kind, small and with random weights."""
    folder = tmp_path_factory.mktemp("generator") / "unclip"
    unclip(folder)
    return folder


def every(shards: Shards, field: str) -> list[Any]:
    return [shards.meta(i).get(field) for i in range(len(shards))]


def planned(name: str, classes: tuple[str, ...], contexts: tuple[str, ...] | None) -> Counter:
    """How many images the budget asks for, by (label, context), or by (label, None) where classes are balanced."""
    budget = read_yaml(Path("params.yaml"))["budgets"][name]
    real = Shards("data/real/train")
    by_group = budget["balance"] == "group"
    units = [(y, a) for y in range(len(classes)) for a in (range(len(contexts)) if by_group else [None])]
    there = Counter(zip(every(real, "label"), every(real, "context") if by_group else [None] * len(real), strict=True))
    filled = budget["fill"] == "up_to"
    return Counter({unit: budget["per_class"] - filled * there[unit] for unit in units})


def check_splits(classes: tuple[str, ...], contexts: tuple[str, ...] | None) -> None:
    """Names are right, splits disjoint but for train in pool, hashed as they lie there."""
    report = read_json("metrics/splits.json")
    names = read_json("data/real/names.json")
    assert names == {"classes": list(classes), "contexts": None if contexts is None else list(contexts)}
    parts = {split: Shards(f"data/real/{split}") for split in SPLITS}
    for split, shards in parts.items():
        assert len(shards) == report["images"][split] > 0
        assert report["sha256"][split] == split_hash(shards.image(i).tobytes() for i in range(len(shards)))
    train, val, test, pool = ({split_hash([image.tobytes()]) for image in s.images()} for s in parts.values())
    assert train <= pool and not pool & val and not pool & test and not val & test
    assert set(every(parts["train"], "label")) == set(range(len(classes)))
    assert list(report["train_counts"]) == list(classes)
    assert list(report["train_counts"].values()) == np.bincount(parts["train"].labels).tolist()
    assert ("groups" in report) == (contexts is not None)
    if contexts is not None:
        there = Counter(zip(every(parts["train"], "label"), every(parts["train"], "context"), strict=True))
        assert report["groups"] == {
            name: {where: there[y, a] for a, where in enumerate(contexts)} for y, name in enumerate(classes)
        }


def prompts(name: str, label: str, context: str | None, modified: bool) -> set[str]:
    """The prompts that the data set's prompt file has for a class, naming the context or not."""
    file = read_yaml(Path(f"prompts/{name}.yaml"))
    template = file[("modified" if modified else "template") + ("_context" if context else "")]
    words = {
        "class": file.get("words", {}).get(label, label),
        "context": file.get("contexts", {}).get(context, context),
    }
    modifiers = (file["modifiers"] if "modifiers" in file else file["classes"][label]) if modified else [""]
    return {template.format(**words, modifier=modifier) for modifier in modifiers}


def check_made(name: str, classes: tuple[str, ...], contexts: tuple[str, ...] | None) -> None:
    """Every class, or group, has the images that the budget asks for, and prompts name contexts where it says so."""
    real, budget, expected = Shards("data/real/train"), PARAMS["budgets"][name], planned(name, classes, contexts)
    every_context = every(real, "context")
    by_group = budget["balance"] == "group"
    for arm in ARMS:
        samples = Shards(f"data/synth/{arm}")
        labels, where = every(samples, "label"), every(samples, "context")
        assert Counter(zip(labels, where if by_group else [None] * len(samples), strict=True)) == +expected
        assert samples.images().shape[1:] == real.images().shape[1:]
        for i, (label, context, prompt) in enumerate(zip(labels, where, every(samples, "prompt"), strict=True)):
            source = samples.meta(i)["source"]
            alone = by_group and not ((real.labels == label) & (real.contexts == context)).any()  # an empty group
            assert (source is None) == (arm == "synaug" or (alone and budget["empty_group"] == "text"))
            assert source is None or (real.labels[source] == label and (alone or every_context[source] == context))
            named = contexts[context] if contexts is not None and budget["name_context"] else None
            assert prompt in prompts(name, classes[label], named, modified=arm == "synaug")


def check_metrics(contexts: tuple[str, ...] | None) -> None:
    accuracy = read_json("metrics/accuracy.json")
    assert list(accuracy) == ["base", *ARMS, "all_real"]
    for arm, report in accuracy.items():
        assert ("groups" in report, "fairness" in report) == (contexts is not None,) * 2
        assert 0 <= report["overall"] <= 1
        (first, *_) = csv.DictReader(Path(f"metrics/confusion/{arm}.csv").read_text().splitlines())
        assert ("context" in first) == (contexts is not None)
    same = len(Shards("data/real/train")) == len(Shards("data/real/pool"))
    assert accuracy["all_real"].get("bound", True) is not same
    for arm in ARMS:
        assert read_json("metrics/fid_density_coverage.json")[arm]["clip"]["overall"]["fid"] >= 0
        assert read_json(f"metrics/cost/{arm}.json")["images"] == len(Shards(f"data/synth/{arm}"))


@pytest.mark.parametrize("name", PARAMS["datasets"])
def test_the_whole_pipeline_runs_on_every_data_set(name, generator, tmp_path, monkeypatch):
    assert {*PARAMS["recipes"]} == {*PARAMS["budgets"]} == {*PARAMS["datasets"]}
    enter(tmp_path / name, name, generator, monkeypatch)
    run_all(name, monkeypatch)
    data = miniature(name, PARAMS["datasets"][name])
    assert (data.contexts is not None) == (name in GROUPED)
    assert [path for stage in STAGES.values() for _, path, _ in outputs(stage) if not Path(path).exists()] == []
    assert list(Path.cwd().rglob("*.tmp")) == []
    check_splits(data.classes, data.contexts)
    check_made(name, data.classes, data.contexts)
    check_metrics(data.contexts)


def test_missing_data_is_one_sentence_and_with_the_data_the_same_command_runs_to_the_end(
    generator, tmp_path, monkeypatch
):
    root = copy_repository(tmp_path / "repository", without=("dvc.lock", "metrics", GENERATOR))
    shutil.copytree(generator, root / GENERATOR)
    monkeypatch.chdir(root)
    keep_data_sets(root, ("digits", "cifar100_lt"))
    lay_out("cifar100_lt")
    set_parameters(
        root, {"dataset": "digits", "recipes.cifar100_lt.model": "small_cnn", "budgets.cifar100_lt.per_class": 35}
    )
    shutil.move("data/raw/cifar100_lt/cifar-100-python", tmp_path / "kept")
    dvc(root, "commit", "--force", *FROZEN)
    commit(root)
    command = ("exp", "run", "--set-param", "dataset=cifar100_lt")
    output = dvc(root, *command, fails=True)
    (sentence,) = (line for line in output.splitlines() if line.startswith("error: "))
    for words in ("cifar-100-python", "data/raw/cifar100_lt/SOURCE.md", "datasets.cifar100_lt.path"):
        assert words in sentence
    assert "Traceback" not in output and digests(root / "data/real") == {}
    shutil.move(tmp_path / "kept", "data/raw/cifar100_lt/cifar-100-python")
    output = dvc(root, *command)
    assert len(re.findall(r"^Running stage '(\S+)'", output, re.MULTILINE)) == 17
    check_splits(miniature("cifar100_lt", PARAMS["datasets"]["cifar100_lt"]).classes, None)
    check_metrics(None)
