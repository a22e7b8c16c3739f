"""A generator's folder is checked before it is loaded: every part is there, whole, and safetensors."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.settings.sections import GeneratorSettings

# The parts that hold weights, by pipeline class of diffusers.
PIPELINES = {
    "StableUnCLIPImg2ImgPipeline": ("image_encoder", "image_normalizer", "text_encoder", "unet", "vae"),
    "StableDiffusionPipeline": ("text_encoder", "unet", "vae"),
    "StableDiffusionXLPipeline": ("text_encoder", "text_encoder_2", "unet", "vae"),
}
# The text-to-image pipeline of the same checkpoint lacks the image encoder's preprocessing.
ALIASES = {"StableUnCLIPPipeline": "StableUnCLIPImg2ImgPipeline"}
# What an index may name and sampling from text has no use for; it may be absent.
UNUSED = {
    "StableUnCLIPImg2ImgPipeline": (),
    "StableDiffusionPipeline": ("safety_checker", "feature_extractor", "image_encoder"),
    "StableDiffusionXLPipeline": ("feature_extractor", "image_encoder"),
}
# The networks that sampling runs, by part. Another class may run code of its folder, or ask whether it may.
CLASSES = {
    "text_encoder": "CLIPTextModel",
    "text_encoder_2": "CLIPTextModelWithProjection",
    "image_encoder": "CLIPVisionModelWithProjection",
    "image_normalizer": "StableUnCLIPImageNormalizer",
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
}
LIBRARIES = ("diffusers", "transformers", "stable_diffusion")  # the last is diffusers' own, of the image normaliser
FETCH = "download its files on a machine with a network and set generators.<name>.{} to their folder"
TEXT_ALONE = "this generator takes text alone, not synth.conditioning={}; set it to text, or choose another generator"
ZERO_SHOT = "zero_shot/text_projection.safetensors"  # the pipeline has no use for it; zero-shot reading has
LOCAL = "restore it with `git checkout -- models`, or set generators.<name>.path to a diffusers folder"
# Of the plain IP-Adapter; others ("plus", "FaceID") project more than one CLIP embedding.
PROJECTION = tuple(f"image_proj.{layer}.{kind}" for layer in ("proj", "norm") for kind in ("weight", "bias"))


@dataclass(frozen=True)
class Folder:
    """A checked folder, its model_index.json, and which of diffusers' pipelines it holds."""

    path: Path
    index: Mapping[str, Any]
    kind: str


def is_local(path: str) -> bool:
    """Whether a preset's path is a folder here, rather than a hub's model id (owner/name)."""
    return Path(path).exists() or path.startswith((".", "/", "~", "models/")) or path.count("/") != 1


def folders_of(settings: GeneratorSettings) -> list[str]:
    """The preset's folders that are here. What comes from a hub is named by path and revision, which are parameters."""
    tiny_decoder = settings.tiny_decoder if settings.declares("tiny_decoder") else None
    named = (settings.path, tiny_decoder, settings.adapter.path if settings.adapter else None)
    return [path for path in (os.path.expanduser(path) for path in named if path) if Path(path).exists()]


def check_folder(folder: Path) -> Folder:
    """InputError unless the folder has every part its index names, each of a known library and network, with settings
    that are JSON, and weights as safetensors that are whole."""
    index = read_json(folder / "model_index.json") if (folder / "model_index.json").is_file() else None
    if not isinstance(index, dict) or not index:
        raise InputError(f"the generator folder {folder} has no model_index.json; {LOCAL}")
    kind = kind_of(index)
    if kind not in PIPELINES:
        raise InputError(f"{folder} holds a {kind}, not one of {', '.join(PIPELINES)}; {LOCAL}")
    named = [name for name, value in index.items() if isinstance(value, list) and value and value[0]]
    if strange := [name for name in named if not name.isidentifier()]:
        raise InputError(f"{folder} names the part {strange[0]!r}, which is no folder's name; {LOCAL}")
    for part in [*PIPELINES[kind], *(name for name in named if name not in UNUSED[kind])]:
        if part not in named or not (folder / part).is_dir():
            raise InputError(f"the generator folder {folder} lacks its part '{part}'; {LOCAL}")
    for part in named:
        if part not in UNUSED[kind]:
            _check_part(folder, part, index[part])
    for part in PIPELINES[kind]:
        check_weights(folder / part, f"the generator folder {folder} lacks the weights of '{part}'", LOCAL)
    return Folder(folder, index, kind)


def kind_of(index: Mapping[str, Any]) -> str:
    """Which of diffusers' pipelines a model_index.json is of."""
    kind = str(index.get("_class_name"))
    return ALIASES.get(kind, kind)


def check_conditioning(settings: GeneratorSettings, kind: str, conditioning: str) -> None:
    """InputError where the guided arm has an image to show to a pipeline of this kind that takes text alone."""
    takes_image = "image_encoder" in PIPELINES.get(kind, ("image_encoder",)) or settings.adapter is not None
    if conditioning != "text" and not takes_image:
        raise InputError(TEXT_ALONE.format(conditioning))


def _check_part(folder: Path, part: str, entry: list[Any]) -> None:
    """InputError unless the index asks for a class of a known library, and every JSON file of the part holds names."""
    if entry[0] not in LIBRARIES:
        raise InputError(f"{folder} asks for code of {entry[0]!r} as its part '{part}', which is not run; {LOCAL}")
    if len(entry) != 2 or entry[1] != CLASSES.get(part, entry[1]) or not isinstance(entry[1], str):
        expected = CLASSES.get(part, "the name of a class")
        raise InputError(f"{folder} asks for {entry[1:]} as its part '{part}', not {expected}; {LOCAL}")
    for file in sorted((folder / part).glob("*.json")):
        try:
            sound = isinstance(read_json(file), dict)
        except InputError:
            sound = False
        if not sound:
            raise InputError(f"{file} is no valid JSON with settings by name; {LOCAL}")


def check_weights(folder: Path, lacking: str, cure: str) -> None:
    """InputError unless the folder holds safetensors, all of them whole, and no index that names files elsewhere."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise InputError(f"{lacking} (*.safetensors); {cure}")
    for file in weights:
        names_in(file, cure)
    for file in sorted(folder.glob("*.safetensors.index.json")):
        index = read_json(file)
        places = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(places, dict) or {str(place) for place in places.values()} - {path.name for path in weights}:
            raise InputError(f"{file} names weights that do not lie beside it; {cure}")


def check_adapter(file: Path, cure: str) -> None:
    """InputError unless the file is an IP-Adapter: whole, with an image projection and the attention's layers."""
    if not file.is_file():
        raise InputError(f"the IP-Adapter {file} is missing; {cure}")
    names = names_in(file, cure)
    lost = [name for name in PROJECTION if name not in names]
    if not any(name.startswith("ip_adapter.") for name in names):
        lost.append("ip_adapter.*")
    if lost:
        raise InputError(f"{file} is no plain IP-Adapter: it lacks the weight '{lost[0]}'; {cure}")


def check_width(file: Path, encoder: Path, width: int) -> None:
    """InputError unless the IP-Adapter takes embeddings as wide as those of the image encoder."""
    with safe_open(file, framework="pt") as tensors:
        taken = tensors.get_slice(PROJECTION[0]).get_shape()[-1]
    if taken != width:
        raise InputError(
            f"the IP-Adapter {file} takes image embeddings of {taken} numbers, but {encoder} makes {width}; "
            "set the preset's adapter.encoder to the image encoder that the adapter was trained with"
        )


def names_in(path: Path, cure: str) -> list[str]:
    """Names of the tensors in a safetensors file. InputError unless it is as long as its header says."""
    with open(path, "rb") as file:
        head = file.read(8)
    length = int.from_bytes(head, "little")
    try:
        if len(head) == 8 and os.path.getsize(path) >= 8 + length:
            with safe_open(path, framework="pt") as tensors:
                return list(tensors.keys())
    except SafetensorError:
        pass
    raise InputError(f"{path} is truncated or no safetensors file; {cure}")
