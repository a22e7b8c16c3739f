"""Generator folders that are not whole, not what their index says, or that bring code: one sentence each."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.micro import set_parameters
from tests.wrong_input.running import cut_in_half, edit, stopped

pytestmark = pytest.mark.slow
ROOT = Path("models/tiny_unclip")
INDEX = ROOT / "model_index.json"
UNET, VAE = (ROOT / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae"))
TEXT, IMAGE = (ROOT / part / "model.safetensors" for part in ("text_encoder", "image_encoder"))
NORMALISER = ROOT / "image_normalizer/diffusion_pytorch_model.safetensors"


def indexed(**changes: Any) -> Callable[[], None]:
    return lambda: edit(str(INDEX), lambda data: json.dumps({**json.loads(data), **changes}).encode())


def configured(path: str, **changes: Any) -> Callable[[], None]:
    return lambda: edit(str(ROOT / path), lambda data: json.dumps({**json.loads(data), **changes}).encode())


def written(path: Path, content: str | bytes) -> Callable[[], None]:
    return lambda: edit(str(path), lambda data: content if isinstance(content, bytes) else content.encode())


def tensors(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[], None]:
    def spoil() -> None:
        held = {name: value.clone() for name, value in load_file(path).items()}
        change(held)
        path.unlink()
        save_file(held, path, metadata={"format": "pt"})

    return spoil


def without(path: Path, ending: str) -> Callable[[], None]:
    """The file without its tensor whose name ends so."""
    return tensors(path, lambda held: held.pop(next(name for name in sorted(held) if name.endswith(ending))))


def pickles() -> None:
    UNET.with_suffix(".bin").write_bytes(pickle.dumps({"conv_in.bias": [0.0]}))
    UNET.unlink()


DAMAGE: dict[str, tuple[Callable[[], object], str]] = {
    "no index": (INDEX.unlink, "models/tiny_unclip has no model_index.json"),
    "a broken index": (lambda: cut_in_half(INDEX), "models/tiny_unclip/model_index.json is not valid JSON"),
    "a list for an index": (written(INDEX, "[]"), "models/tiny_unclip has no model_index.json"),
    "another pipeline": (indexed(_class_name="FluxPipeline"), "holds a FluxPipeline, not one of StableUnCLIPImg2Img"),
    "a pipeline of its own": (indexed(_class_name=["pipeline", "Mine"]), "holds a ['pipeline', 'Mine'], not one of"),
    "code for a part": (indexed(unet=["os", "system"]), "asks for code of 'os' as its part 'unet', which is not run"),
    "a part to be found out": (
        indexed(text_encoder=["transformers", "AutoModel"]),
        "asks for ['AutoModel'] as its part 'text_encoder', not CLIPTextModel",
    ),
    "a part that climbs": (indexed(**{"../x": ["diffusers", "X"]}), "names the part '../x', which is no folder's name"),
    "no processor": (lambda: shutil.rmtree(ROOT / "feature_extractor"), "lacks its part 'feature_extractor'"),
    "pickles alone": (pickles, "lacks the weights of 'unet' (*.safetensors)"),
    "no weights": (written(VAE, b""), "vae/diffusion_pytorch_model.safetensors is truncated or no safetensors"),
    "a page for weights": (written(UNET, "version https://git-lfs.github.com/spec/v1\n"), "truncated or no"),
    "half a header": (lambda: edit(str(TEXT), lambda data: data[:64]), "text_encoder/model.safetensors is truncated"),
    "broken settings": (written(ROOT / "unet/config.json", "{"), "unet/config.json is no valid JSON with settings"),
    "broken noise": (written(ROOT / "scheduler/scheduler_config.json", "[]"), "scheduler_config.json is no valid JSON"),
    "another prediction": (configured("scheduler/scheduler_config.json", prediction_type="flow"), "flow"),
    "a tokenizer cut short": (lambda: cut_in_half(ROOT / "tokenizer/tokenizer.json"), "tokenizer.json is no valid"),
    "lost in the UNet": (without(UNET, "conv_in.bias"), "unet lacks 'conv_in.bias'"),
    "lost in the decoder": (without(VAE, "conv_in.bias"), "vae lacks 'decoder.conv_in.bias'"),
    "lost in the text tower": (without(TEXT, "final_layer_norm.bias"), "text_encoder lacks the weight '"),
    "lost in the image tower": (without(IMAGE, "visual_projection.weight"), "lacks the weight 'visual_projection."),
    "lost in the normaliser": (without(NORMALISER, "std"), "image_normalizer lacks 'std'"),
    "another size": (tensors(UNET, lambda held: held.update({"conv_in.bias": torch.zeros(3)})), "cannot be loaded ("),
    "a larger tower": (configured("text_encoder/config.json", hidden_size=32), "cannot be loaded ("),
    "no numbers": (tensors(VAE, lambda held: held["decoder.conv_in.bias"].fill_(torch.nan)), "vae holds NaN or inf"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_generator_that_cannot_be_used_is_one_sentence_and_touches_nothing(damage, workspace, capsys, monkeypatch):
    spoil, sentence = DAMAGE[damage]
    spoil()
    assert sentence in stopped("synth_synaug", capsys, monkeypatch)


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
