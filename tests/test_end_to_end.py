"""The pipeline as its users meet it: `dvc repro` in a fresh clone, experiments, wrong settings, and the way back."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from src.generators import loading
from src.generators.loading import load as load_generator
from src.runtime.files import read_json
from src.settings.schema import changed
from src.shards.store import Shards
from tests.generators.miniatures import unclip
from tests.micro import (
    AFTER_SYNTH_GUIDED,
    FROZEN,
    OBSERVERS,
    RESULTS,
    SETTINGS,
    arms,
    commit,
    copy_repository,
    digests,
    dvc,
    outputs,
    ran,
    results,
    run,
    set_parameters,
)
from tests.small import STAGES
from tests.small import run as run_stage

pytestmark = pytest.mark.slow


def from_run_cache(said: str) -> list[str]:
    return re.findall(r"^Stage '(\S+)' is cached - skipping run", said, re.MULTILINE)


def lock(repository: Path) -> dict[str, Any]:
    return yaml.safe_load((repository / "dvc.lock").read_text())


@pytest.fixture(scope="module")
def reproduced(micro, tmp_path_factory) -> Path:
    """A clone in which `dvc repro` ran once from scratch, with the micro run's models in git. Tests leave it so.

    On a hostile machine: spaces and an emoji in the path, locale C, files for the user alone, no home to write to.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_ALL", "C")
        patch.setenv("HOME", "/proc/home")
        umask = os.umask(0o077)
        try:
            return _reproduced(micro.root, tmp_path_factory.mktemp("clone") / "my \N{BALLOON} clone")
        finally:
            os.umask(umask)


def _reproduced(models: Path, target: Path) -> Path:
    root = copy_repository(target, without=("dvc.lock", "metrics", *FROZEN.values()))
    set_parameters(root, SETTINGS)
    for model in FROZEN.values():
        shutil.copytree(models / model, root / model)
    dvc(root, "commit", "--force", *FROZEN)
    commit(root)
    said = dvc(root, "repro", fresh=True)
    assert len(ran(said)) == 17 and not set(FROZEN) & set(ran(said))
    commit(root)
    return root


def test_every_declared_output_exists(reproduced):
    stages = yaml.safe_load((reproduced / "dvc.yaml").read_text())["stages"].values()
    declared = {path for stage in stages for _, path, _ in outputs(stage)}
    assert [path for path in declared if not (reproduced / path).exists()] == []
    assert declared == {out["path"] for stage in lock(reproduced)["stages"].values() for out in stage.get("outs", [])}
    assert list((reproduced / "data").rglob("*.tmp")) == []


def test_the_results_hold_what_was_asked_for(reproduced):
    splits = read_json(reproduced / "metrics/splits.json")
    assert splits["images"]["test"] == 50 and splits["images"]["val"] == 40
    assert list(splits["train_counts"].values()) == sorted(splits["train_counts"].values(), reverse=True)
    for arm in ("synaug", "guided"):
        made = Shards(reproduced / "data/synth" / arm)
        assert np.bincount(made.labels).tolist() == [2] * 10
        assert all((made.meta(i)["source"] is None) == (arm == "synaug") for i in range(20))
    assert [made.meta(i)["updates"] for i in range(20)] == [1] * 20  # guided, at its first step
    real = Shards(reproduced / "data/real/train").labels
    assert all(real[made.meta(i)["source"]] == made.labels[i] for i in range(20))
    assert list(read_json(reproduced / "metrics/accuracy.json")) == ["base", "synaug", "guided", "all_real"]
    assert list(read_json(reproduced / "metrics/fid_density_coverage.json")) == ["synaug", "guided"]


def test_dvc_shows_a_dozen_numbers_on_a_line_and_they_are_those_of_the_files(reproduced):
    ((path, content),) = json.loads(dvc(reproduced, "metrics", "show", "--json"))[""]["data"].items()
    accuracy, quality = (
        read_json(reproduced / f"metrics/{name}.json") for name in ("accuracy", "fid_density_coverage")
    )
    expected = {"bound.acc": accuracy["all_real"]["overall"]}
    for prefix, arm in (("", "guided"), ("syn.", "synaug"), ("base.", "base")):
        expected |= {f"{prefix}acc": accuracy[arm]["overall"], f"{prefix}few": accuracy[arm]["few"]}
    guided, synaug = (quality[arm]["shipped"]["overall"] for arm in ("guided", "synaug"))
    expected |= {name: guided[name] for name in ("fid", "density", "coverage")}
    expected |= {"syn.fid": synaug["fid"], "agreement": quality["guided"]["class_agreement"]["overall"]}
    assert path == "metrics/summary.json" and len(content["data"]) == 12
    assert content["data"] == {name: round(value, 4) for name, value in expected.items()}
    assert max(map(len, dvc(reproduced, "metrics", "show").splitlines())) <= 160


def test_what_images_cost_is_measured_beside_the_pipeline(reproduced):
    for arm in ("guided", "synaug"):
        cost = read_json(reproduced / f"metrics/cost/{arm}.json")
        assert cost["images"] == 20 and cost["seconds"] > 0 and cost["gflop_per_image"] > 0
        assert ("guided_over_unguided" in cost) == (arm == "guided")


def test_running_everything_again_from_scratch_gives_the_same_bytes(reproduced, micro):
    """Once each stage in a process of its own under `dvc repro`, once all of them in one process."""
    assert (reproduced / "dvc.lock").read_text() == (micro.root / "dvc.lock").read_text()


def test_a_second_repro_runs_nothing(reproduced):
    before = digests(*(reproduced / folder for folder in RESULTS))
    said = dvc(reproduced, "repro")
    assert "Data and pipelines are up to date." in said and not ran(said) and not from_run_cache(said)
    assert digests(*(reproduced / folder for folder in RESULTS)) == before


def test_another_feedback_reruns_what_it_must_and_the_way_back_costs_nothing(reproduced):
    first = lock(reproduced)
    assert ran(dvc(reproduced, "exp", "run", "--set-param", "feedback=loss")) == [*AFTER_SYNTH_GUIDED, *OBSERVERS]
    other = lock(reproduced)
    changed = {name for name in first["stages"] if first["stages"][name] != other["stages"][name]}
    assert changed == {*AFTER_SYNTH_GUIDED, *OBSERVERS}

    set_parameters(reproduced, {"feedback": "entropy"})
    said = dvc(reproduced, "repro")
    assert (ran(said), from_run_cache(said)) == (OBSERVERS, AFTER_SYNTH_GUIDED)
    assert lock(reproduced) == first


def test_two_branches_that_each_ran_an_experiment_merge_as_docs_troubleshooting_says(reproduced, tmp_path):
    root = tmp_path / "both"
    shutil.copytree(reproduced, root, symlinks=True)
    start = run(root, "git", "rev-parse", "HEAD").strip()
    for feedback in ("loss", "none"):
        run(root, "git", "checkout", "--quiet", "-b", f"with_{feedback}", start)
        set_parameters(root, {"feedback": feedback})
        dvc(root, "repro")
        commit(root)
    assert "CONFLICT (content): Merge conflict in dvc.lock" in run(root, "git", "merge", "with_loss", fails=True)
    run(root, "git", "checkout", "--ours", ".")
    assert not {"prepare_lt", "train_base"} & set(ran(dvc(root, "repro")))
    run(root, "git", "commit", "--quiet", "--all", "--message", "merged")
    assert "up to date" in dvc(root, "status")
    assert (root / "dvc.lock").read_text() == run(root, "git", "show", "with_none:dvc.lock")


def test_a_shallow_clone_has_its_data_back_and_can_be_reported(reproduced, tmp_path):
    root = tmp_path / "shallow"
    run(tmp_path, "git", "clone", "--quiet", "--depth", "1", reproduced.as_uri(), str(root))
    (root / ".dvc/cache").symlink_to(reproduced / ".dvc/cache")
    dvc(root, "checkout")
    assert "up to date" in dvc(root, "status")
    run(root, sys.executable, "-m", "commands.report")
    assert (root / "report/index.html").stat().st_size > 10_000


def test_a_wrong_setting_stops_dvc_with_a_sentence_and_the_way_back_costs_nothing(reproduced):
    first = lock(reproduced), digests(*(reproduced / folder for folder in RESULTS))
    for setting, wrong, right, sentence in [
        ("dataset", "imagenet", "digits", "data/raw/imagenet"),  # where its files would be: it has no such preset
        ("generator", "dalle", "tiny_unclip", "Parameters 'generators.dalle."),  # all of its, in any order, are missing
        ("feedback", "applause", "entropy", "Parameters 'feedbacks.applause' are missing from 'params.yaml'"),
        ("datasets.digits.imbalance_factor", 61, 60, "error: imbalance factor 61 leaves class 9 without"),
    ]:
        set_parameters(reproduced, {setting: wrong})
        said = dvc(reproduced, "repro", fails=True)
        assert sentence in said and "Traceback" not in said
        assert lock(reproduced) == first[0]
        set_parameters(reproduced, {setting: right})
    assert ran(dvc(reproduced, "repro")) == []
    assert (lock(reproduced), digests(*(reproduced / folder for folder in RESULTS))) == first


def test_processes_share_the_images_and_change_no_byte(workspace):
    before = results()
    shutil.rmtree("data/synth/guided")
    command = [sys.executable, "-m", "stages.synth_guided"]
    workers = [subprocess.Popen(command, env={**os.environ, "WORLD_SIZE": "2", "RANK": str(rank)}) for rank in (1, 0)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert results() == before


def test_a_generator_from_a_hub_needs_no_folder(workspace, monkeypatch):
    before = results()
    set_parameters(workspace, {"generators.tiny_unclip.path": "someone/unclip"})
    monkeypatch.setattr(
        loading, "load", lambda settings, *rest: load_generator(changed(settings, path="models/tiny_unclip"), *rest)
    )
    for name in ("synth_guided", "synth_synaug"):
        run_stage(name, monkeypatch)
    assert results() == before


def test_the_whole_pipeline_runs_with_a_stable_unclip_in_place_of_the_hubs(workspace, tmp_path, monkeypatch):
    """As `-S generator=sd21_unclip -S generators.sd21_unclip.path=<folder>`; the shipped generator is not needed."""
    for folder in RESULTS:
        shutil.rmtree(folder)
    preset = {**unclip(tmp_path / "sd21_unclip"), "steps": 2, "image_size": 64}
    set_parameters(
        workspace,
        {"generator": "sd21_unclip", **{f"generators.sd21_unclip.{name}": value for name, value in preset.items()}},
    )
    for name, stage in STAGES.items():
        run_stage(name, monkeypatch, *arms(stage))
    assert [path for stage in STAGES.values() for _, path, _ in outputs(stage) if not Path(path).exists()] == []
    for arm in ("synaug", "guided"):
        made = Shards(f"data/synth/{arm}")
        assert made.images().shape == (20, 32, 32, 3) and np.bincount(made.labels).tolist() == [2] * 10
        assert {made.meta(i)["updates"] for i in range(20)} == {int(arm == "guided")}
        assert read_json("metrics/fid_density_coverage.json")[arm]["clip"]["overall"]["fid"] > 0
        assert read_json(f"metrics/cost/{arm}.json")["images"] == 20
    assert list(read_json("metrics/accuracy.json")) == ["base", "synaug", "guided", "all_real"]
