"""The synthesis stages: what their code consists of, and what a cost takes in of the sampling before it."""

from pathlib import Path

import pytest

from src.runtime.files import hash_file, write_json
from src.settings.params import load
from src.shards.store import INDEX
from src.synthesis.production import scratch_key
from src.versions.import_closure import ROOT, import_closure
from stages.measure_cost import SYNTHESISERS, sampling


def test_synaug_imports_no_classifier_no_feedback_and_neither_arm_what_only_looks_at_images() -> None:
    """Otherwise a change there would remake all of its images."""
    code = {arm: import_closure(ROOT / f"stages/synth_{arm}.py") for arm in SYNTHESISERS}
    assert [
        path for path in code["synaug"] if path.startswith(("src/feedback", "src/training", "src/classifiers"))
    ] == []
    observers = {"src/shards/contact_sheet.py", "src/synthesis/cost.py", "src/data/image_files.py"}
    assert not observers & (code["synaug"] | code["guided"])


def test_the_sampler_and_the_synthesiser_know_no_feedback() -> None:
    for path in ("src/generators/sampler.py", "src/synthesis/synthesiser.py"):
        assert not any(name.startswith("src/feedback") for name in import_closure(ROOT / path))


def test_a_cost_takes_in_the_sampling_of_these_very_images_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index, note = Path("data/synth/guided", INDEX), Path("metrics/sampling/guided.json")
    index.parent.mkdir(parents=True)
    index.write_text("an index")
    assert sampling("guided") == {}
    note.parent.mkdir(parents=True)
    took = {"images": 3, "seconds": 1.5, "peak_memory_gb": 0.1}
    write_json(note, {"index": hash_file(index), **took})
    assert sampling("guided") == took
    index.write_text("the index of other images")
    assert sampling("guided") == {}


def test_unfinished_images_are_known_by_the_chosen_generators_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    hashed: list[str] = []
    monkeypatch.setattr("src.settings.params.hash_tree", lambda path: hashed.append(path) or path)
    for stage, more in (
        ("synth_guided", ["data/real/val", "data/base", "data/committee", "models/tiny_decoder"]),
        ("synth_synaug", []),
    ):
        hashed.clear()
        params = load(stage)
        assert scratch_key(stage, params)["inputs"] == hashed
        data = ["data/real/train", "data/real/names.json", "data/fitted", *more, f"prompts/{params.dataset}.yaml"]
        assert sorted(hashed) == sorted([*data, "models/tiny_unclip"])
