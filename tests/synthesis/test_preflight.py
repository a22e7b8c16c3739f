"""What later stages cannot use is refused before the first one trains."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.runtime.errors import InputError
from src.runtime.files import write_json
from src.runtime.pipeline import read_mapping
from src.synthesis import preflight
from src.synthesis.preflight import check_all, checked
from src.versions.import_closure import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for file in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "models").symlink_to(ROOT / "models")
    return tmp_path


def check_pipeline(root: Path) -> None:
    check_all(read_mapping(root / "dvc.yaml"), read_mapping(root / "params.yaml"), root)


def change(root: Path, old: str, new: str) -> None:
    text = (root / "params.yaml").read_text()
    assert text.count(old) >= 1
    (root / "params.yaml").write_text(text.replace(old, new, 1))


def test_the_committed_parameters_pass(root: Path) -> None:
    check_pipeline(root)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("feedback: hardness", "feedback: entrpy", "unknown feedback 'entrpy'; params.yaml knows none, loss"),
        ("generator: tiny_unclip", "generator: tiny", "unknown generator 'tiny'"),
        ("feedback: hardness", "feedback: disagreement", "needs several base classifiers; set committee to 4"),
        ("generator: tiny_unclip", "generator: gan", "generator=gan makes an image in one step"),
        ("dataset: digits", "dataset: digts", "unknown dataset 'digts'"),
        ("  image_dropout: 0.3", "  image_dropout: 3", "image_dropout"),
        ("    path: models/tiny_unclip", "    path: models/nothing", "has no model_index.json"),
    ],
)
def test_what_a_later_stage_would_refuse_is_refused(root: Path, old: str, new: str, problem: str) -> None:
    change(root, old, new)
    with pytest.raises(InputError, match=problem):
        check_pipeline(root)


def test_a_generator_of_a_hub_is_asked_for_and_not_fetched(root, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def info(self: object, name: str, **how: object) -> SimpleNamespace:
        asked.append(name)
        if "xl" in name:
            raise OSError("no such host")
        return SimpleNamespace(config=None)  # a hub need not know

    monkeypatch.setattr(preflight.HfApi, "model_info", info)
    monkeypatch.setattr(preflight, "try_to_load_from_cache", lambda *a, **k: None)
    change(root, "generator: tiny_unclip", "generator: sd21_unclip")
    check_pipeline(root)
    change(root, "generator: sd21_unclip", "generator: sdxl_ip_adapter")
    with pytest.raises(InputError, match=r"cannot be fetched \(no such host\); download its files on a machine"):
        check_pipeline(root)
    assert len(asked) == 2
    write_json(root / "cached.json", {"_class_name": "StableDiffusionXLPipeline"})
    monkeypatch.setattr(preflight, "try_to_load_from_cache", lambda *a, **k: str(root / "cached.json"))
    check_pipeline(root)
    assert len(asked) == 2


@pytest.mark.parametrize("cached", [True, False])
def test_a_generator_of_text_alone_is_shown_no_image(root, monkeypatch: pytest.MonkeyPatch, cached: bool) -> None:
    write_json(root / "cached.json", {"_class_name": "StableDiffusionPipeline"})
    told = SimpleNamespace(config={"diffusers": {"_class_name": "StableDiffusionPipeline"}})
    monkeypatch.setattr(preflight, "try_to_load_from_cache", lambda *a, **k: str(root / "cached.json") * cached or None)
    monkeypatch.setattr(preflight.HfApi, "model_info", lambda *a, **k: told)
    change(root, "generator: tiny_unclip", "generator: sd21")
    with pytest.raises(InputError, match=r"takes text alone, not synth\.conditioning=text_image; set it to text"):
        check_pipeline(root)
    change(root, "  conditioning: text_image", "  conditioning: text")
    check_pipeline(root)


def test_a_stage_does_not_begin_before_the_check_is_passed(root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    begun = []
    checked(lambda: begun.append(1))()
    change(root, "feedback: hardness", "feedback: entrpy")
    with pytest.raises(InputError, match="unknown feedback"):
        checked(lambda: begun.append(2))()
    assert begun == [1]
