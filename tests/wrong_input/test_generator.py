"""Generators that are not whole or that no hub gives: one sentence each, and nothing is touched."""

import shutil
from pathlib import Path

import huggingface_hub
import pytest

from tests.micro import set_parameters
from tests.wrong_input.running import cut_in_half, stopped

pytestmark = pytest.mark.slow
UNET = Path("models/tiny_unclip/unet/diffusion_pytorch_model.safetensors")


@pytest.mark.parametrize("stage", ["synth_guided", "synth_synaug", "eval_fid_density_coverage"])
def test_a_missing_or_truncated_generator_file_is_one_sentence(stage, workspace, capsys, monkeypatch):
    cut_in_half(UNET)
    assert f"{UNET} is truncated" in stopped(stage, capsys, monkeypatch)
    UNET.unlink()
    assert "lacks the weights of 'unet'" in stopped(stage, capsys, monkeypatch)
    shutil.rmtree(UNET.parent)
    assert "lacks its part 'unet'" in stopped(stage, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("generator", "changes", "sentence"),
    [
        ("sd15", {}, "the generator 'stable-diffusion-v1-5/stable-diffusion-v1-5'"),
        ("sd21_unclip", {"path": "nobody/nothing"}, "the generator 'nobody/nothing' (mirror: copy of"),
        ("tiny_unclip", {"path": "timm/vit_base_patch16_224.augreg_in21k"}, "cannot be loaded ("),
        ("tiny_unclip", {"path": "stable-diffusion"}, "stable-diffusion has no model_index.json"),
        ("tiny_unclip", {"path": "a b/c:d"}, "the generator 'a b/c:d'"),
    ],
)
def test_a_model_that_no_hub_gives_is_one_sentence(generator, changes, sentence, workspace, capsys, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(workspace / "hub"))
    settings = {f"generators.{generator}.{name}": value for name, value in changes.items()}
    set_parameters(workspace, {"generator": generator, **settings})
    line = stopped("synth_synaug", capsys, monkeypatch)
    assert sentence in line and "generators.<name>.path" in line
