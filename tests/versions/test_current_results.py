"""Results are shown only beside the parameters that made them, all the way up the pipeline."""

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.runtime.errors import InputError
from src.versions.current_results import COST, DIFFICULTY, SHEETS, is_current, require_current
from src.versions.import_closure import ROOT

PARAMS = {
    "seed": 0,
    "dataset": "digits",
    "generator": "tiny",
    "datasets": {"digits": {"size": 32}, "folder": {"size": 64}},
    "generators": {"tiny": {"steps": 12, "tolerance": 1e-05}, "large": {"steps": 50}},
}
METRICS = b"{}"
LOCK = {
    "prepare": {
        "params": {"params.yaml": {"datasets.digits": {"size": 32}, "seed": 0}},
        "outs": [{"path": "data/real", "md5": "a"}],
    },
    "synthesise": {
        "params": {"params.yaml": {"generators.tiny": {"steps": 12, "tolerance": 1e-05}}},
        "deps": [{"path": "data/real", "md5": "a"}, {"path": "src/code.py", "md5": "anything"}],
        "outs": [{"path": "data/synth", "md5": "b"}],
    },
    "summarise@arm": {
        "deps": [{"path": "data/synth", "md5": "b"}],
        "outs": [{"path": "metrics/accuracy.json", "md5": hashlib.md5(METRICS).hexdigest()}],
    },
    "other": {"params": {"params.yaml": {"unrelated": 1}}, "outs": [{"path": "models/other", "md5": "c"}]},
}


def repository(root: Path, params: Any = PARAMS, stages: Any = LOCK) -> Path:
    (root / "metrics").mkdir()
    (root / "metrics/accuracy.json").write_bytes(METRICS)
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    return root


def test_results_of_these_parameters_are_current(tmp_path) -> None:
    require_current(repository(tmp_path))


def test_a_number_as_dvc_writes_it_is_the_same_number(tmp_path) -> None:
    text = (repository(tmp_path) / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("1.0e-05", "1e-05"))
    assert "1e-05" in (tmp_path / "params.yaml").read_text()
    require_current(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dataset": "folder"}, "(dataset=folder, generator=tiny, seed=0) has none yet"),
        ({"generator": "large"}, "(dataset=digits, generator=large, seed=0) has none yet"),
        ({"seed": 1}, "(dataset=digits, generator=tiny, seed=1) has none yet"),
        ({"generators": {"tiny": {"steps": 13, "tolerance": 1e-05}}}, "with another generators.tiny.steps) has none"),
        ({"datasets": {}}, "with another datasets.digits) has none yet"),
    ],
)
def test_results_of_other_parameters_are_not(tmp_path, change, words) -> None:
    with pytest.raises(InputError) as error:
        require_current(repository(tmp_path, {**PARAMS, **change}))
    assert str(error.value).startswith("the results here are of dataset=digits, generator=tiny, seed=0; this run (")
    assert words in str(error.value)


def test_a_run_that_stopped_on_its_way_has_no_results_yet(tmp_path) -> None:
    stages: Any = copy.deepcopy(LOCK)
    stages["prepare"]["params"]["params.yaml"]["seed"] = 1
    stages["prepare"]["outs"][0]["md5"] = "of another seed"
    with pytest.raises(InputError, match=r"seed=1.*files that changed since"):
        require_current(repository(tmp_path, {**PARAMS, "seed": 1}, stages))


def test_a_file_that_its_stage_did_not_write_is_no_result_of_it(tmp_path) -> None:
    (repository(tmp_path) / "metrics/accuracy.json").write_text("merged by hand")
    with pytest.raises(InputError, match="files that changed since"):
        require_current(tmp_path)


def test_without_a_record_there_are_no_results(tmp_path) -> None:
    (repository(tmp_path) / "dvc.lock").unlink()
    with pytest.raises(InputError, match="there are no results here"):
        require_current(tmp_path)


def test_only_what_is_asked_for_need_be_current(tmp_path) -> None:
    (repository(tmp_path) / "metrics/accuracy.json").write_text("merged by hand")
    require_current(tmp_path, "data/synth")


def test_the_committed_results_are_those_of_the_committed_parameters() -> None:
    require_current(ROOT)
    require_current(ROOT, "data/merged/")


@pytest.mark.parametrize("beside", [COST, DIFFICULTY, SHEETS])
def test_what_stages_beside_the_others_say_of_other_images_is_none_of_these_and_holds_up_nothing(
    tmp_path, beside
) -> None:
    stages: Any = copy.deepcopy(LOCK)
    name = f"{beside}@arm" if beside == COST else beside
    stages[name] = {
        "deps": [{"path": "data/synth", "md5": "b"}],
        "outs": [{"path": "metrics/beside.json", "md5": hashlib.md5(METRICS).hexdigest()}],
    }
    root = repository(tmp_path, stages=stages)
    assert is_current(root, beside)
    stages[name]["deps"][0]["md5"] = "of another seed"
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    require_current(root)
    assert not is_current(root, beside)


@pytest.mark.parametrize("older", ["a", "z"])
def test_results_of_two_values_of_a_parameter_are_current_under_neither(tmp_path, older) -> None:
    """Where a run stopped after a stage whose output the new value does not change, whatever the stages are called."""
    stages: Any = copy.deepcopy(LOCK)
    for name, seed in ((older, 1), ("m", 0)):
        stages[name] = {"params": {"params.yaml": {"seed": seed}}, "outs": [{"path": f"data/{name}", "md5": name}]}
        stages["summarise@arm"]["deps"].append({"path": f"data/{name}", "md5": name})
    with pytest.raises(InputError, match="has none yet"):
        require_current(repository(tmp_path, stages=stages))
