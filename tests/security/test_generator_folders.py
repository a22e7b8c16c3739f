"""A generator's folder brings weights and settings; code in it is not run, and no index in it leads elsewhere."""

import builtins
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from src.generators.model_folder import check_folder
from src.runtime.errors import InputError
from src.versions.import_closure import ROOT
from tests.generators.miniatures import load as load_generator
from tests.security.burglar import Burglar, loaded

CPU = torch.device("cpu")
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def generator(tmp_path) -> Path:
    """The shipped generator, to spoil."""
    return shutil.copytree(ROOT / "models/tiny_unclip", tmp_path / "generator")


@pytest.mark.parametrize("form", ["plain", "zip", "legacy"])
@pytest.mark.parametrize("name", [WEIGHTS, "diffusion_pytorch_model.bin"])
def test_a_generators_pickled_weights_are_not_opened(name, form, generator, payload):
    (generator / "unet" / WEIGHTS).unlink()
    loaded(generator / "unet" / name, payload, form)
    with pytest.raises(InputError, match="safetensors"):
        load_generator({"path": str(generator)}, CPU)


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": "EvilPipeline"},
        {"_class_name": ["pipeline", "StableDiffusionPipeline"]},
        {"unet": ["payload", "Evil"]},
        {"scheduler": ["payload", "Evil"]},
        {"scheduler": ["tests.security.payload", "Evil"]},
        {"scheduler": ["os", "system"]},
        {"scheduler": ["diffusers", "DiffusionPipeline"]},
        {"tokenizer": ["transformers", "AutoTokenizer"]},
        {"feature_extractor": ["transformers", "AutoImageProcessor"]},
        {"text_encoder": ["transformers", "AutoModel"]},
        {"image_encoder": ["transformers", "AutoModelForCausalLM"]},
        {"vae": ["diffusers", "AutoModel"]},
        {"mine": ["payload", "Evil"]},
        {"../../outside": ["diffusers", "UNet2DConditionModel"]},
    ],
)  # fmt: skip
def test_an_index_brings_no_code_and_nobody_is_asked_to_trust_it(change, generator, payload, monkeypatch):
    asked = []
    monkeypatch.setattr(builtins, "input", lambda *_: asked.append(1) or "y")
    index = {**json.loads((generator / "model_index.json").read_text()), **change}
    (generator / "model_index.json").write_text(json.dumps(index))
    booby_trap(generator, payload, change)
    with pytest.raises(InputError) as raised:
        load_generator({"path": str(generator)}, CPU)
    assert not asked and ("unet" not in change or "asks for code of 'payload'" in str(raised.value))


def test_code_beside_a_sound_generator_is_ignored(generator, payload):
    booby_trap(generator, payload)
    assert load_generator({"path": str(generator)}, CPU).image_size == 32


def booby_trap(generator: Path, payload: Burglar, foreign: Iterable[str] = ()) -> None:
    """Code in every folder, which every configuration names; the parts in `foreign` are of a kind that nobody knows."""
    maps = {"AutoConfig": "payload.Evil", "AutoModel": "payload.Evil", "AutoTokenizer": ["payload.Evil", None]}
    for folder in (generator, *(path for path in generator.iterdir() if path.is_dir())):
        for name in ("payload", "pipeline"):
            (folder / f"{name}.py").write_text(f"import os\nos.mkdir({str(payload.canary)!r})\nclass Evil: pass\n")
        kind = {"model_type": "mine"} if folder.name in foreign else {}
        for config in folder.glob("*config.json"):
            config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": maps, **kind}))


@pytest.mark.parametrize("place", ["../../outside/x.safetensors", "/outside/x.safetensors", "../vae/" + WEIGHTS, 7])
@pytest.mark.parametrize(("part", "name"), [("unet", WEIGHTS), ("text_encoder", "model.safetensors")])
def test_an_index_of_weights_names_none_outside_its_folder(part, name, place, generator, outside):
    (generator / part / name).rename(generator / part / "other.safetensors")
    index = {"metadata": {"total_size": 1}, "weight_map": {"a": place}}
    (generator / part / f"{name}.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="names weights"):
        check_folder(generator)
