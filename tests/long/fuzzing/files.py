"""Small valid files of every kind that the program reads, written into an empty folder: what the fuzzer damages."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save as serialise

from src.classifiers.models import build, save
from src.data.merged_index import Merged, write_merged
from src.data.published.cifar_files import CIFAR10, CIFAR100
from src.runtime.checkpoint_file import save_checkpoint
from src.shards.store import write_all
from tests.data.published import miniatures
from tests.data.published.cifar_writing import write_binary, write_pickled

PRESETS = {"dataset": "digits", "generator": "tiny_unclip", "feedback": "entropy"}
FAMILIES = {"datasets": "dataset", "budgets": "dataset", "recipes": "dataset", "generators": "generator",
            "feedbacks": "feedback"}  # fmt: skip
OTHERS = ("seed", "dataset", "evaluation", "train", "second_stages", "synth.shard_size")


def params(folder: Path) -> None:
    """params.yaml with one preset of each family, and dvc.yaml, which is the program's own."""
    everything = {**yaml.safe_load(Path("params.yaml").read_text()), **PRESETS}
    for family, selector in FAMILIES.items():
        everything[family] = {PRESETS[selector]: everything[family][PRESETS[selector]]}
    (folder / "params.yaml").write_text(yaml.safe_dump(everything, sort_keys=False))
    declared = [*OTHERS, *(f"{family}.${{{selector}}}" for family, selector in FAMILIES.items())]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"fuzzed": {"params": declared}}}))


def prompts(folder: Path) -> None:
    content = {
        "template": "a photo of a {class}",
        "modified": "a {modifier} photo of a {class}",
        "template_context": "a photo of a {class} on {context}",
        "classes": {"cat": ["small", "grey"], "dog": ["old"]},
        "words": {"cat": "kitten"},
        "contexts": {"sea": "the sea"},
    }
    (folder / "named.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    shared = {name: content[name] for name in ("template", "modified", "template_context")}
    shared["modifiers"] = ["small", "old"]
    (folder / "shared.yaml").write_text(yaml.safe_dump(shared, sort_keys=False))


def table(folder: Path) -> None:
    rows = ["path,label,group,split,note"]
    for k in range(6):
        _picture(folder / f"photos/{k}.png", k)
        rows.append(f"photos/{k}.png,{'cat' if k % 2 else 'dog'},sea,{('train', 'val', 'test')[k % 3]},any")
    (folder / "images.csv").write_text("\n".join(rows) + "\n")


def nico(folder: Path) -> dict[str, Any]:
    return miniatures.nico(folder, {"dog": [4] * 6, "bear": [4] * 6}, held_out=3)


def waterbirds(folder: Path) -> dict[str, Any]:
    return miniatures.waterbirds(folder, {split: [1] * 4 for split in range(3)})


def faces(folder: Path) -> None:
    (folder / "names.txt").write_text("26_0_1_20170116174525125.jpg.chip.jpg\n39_1_20170116174525125.jpg.chip.jpg\n")


def images(folder: Path) -> None:
    image = _noise(0)
    grey, alpha = Image.fromarray(image[..., 0]), Image.fromarray(np.dstack([image, image[..., 0]]))
    (folder / "plain.png").parent.mkdir(exist_ok=True)
    for name, picture in (("plain.png", Image.fromarray(image)), ("alpha.png", alpha), ("grey.pgm", grey)):
        picture.save(folder / name)
    Image.fromarray(image).quantize(8).save(folder / "palette.gif", save_all=True, append_images=[grey])
    Image.fromarray(image[..., 0].astype(np.uint16) * 257).save(folder / "deep.tif")
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("turned.jpg", "small.webp", "small.bmp", "small.jp2", "small.avif"):
        if Image.registered_extensions().get(Path(name).suffix) in Image.SAVE:
            Image.fromarray(image).save(folder / name, **({"exif": exif.tobytes()} if name == "turned.jpg" else {}))
    Image.fromarray(image).convert("CMYK").save(folder / "cmyk.jpg")


def shards(folder: Path) -> None:
    samples = [(_noise(k), {"label": k % 2, "context": 0, "id": f"{k}.png"}) for k in range(4)]
    write_all(folder, samples, shard_size=2)


def merged(folder: Path) -> None:
    place = np.array([0, 1, 0, 1])
    write_merged(folder / "plain.csv", Merged(place > 0, place, place))
    write_merged(folder / "grouped.csv", Merged(place > 0, place, place, place))


def generator(folder: Path) -> None:
    """The shipped generator's settings, with one small tensor in place of its weights; an IP-Adapter beside it."""
    shipped = Path("models/tiny_unclip")
    for path in shipped.rglob("*.json"):
        (folder / path.relative_to(shipped)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.relative_to(shipped))
    tensor = serialise({"weight": torch.zeros(2)})
    for path in shipped.rglob("*.safetensors"):
        (folder / path.relative_to(shipped)).parent.mkdir(parents=True, exist_ok=True)
        (folder / path.relative_to(shipped)).write_bytes(tensor)
    layers = [f"image_proj.{layer}.{kind}" for layer in ("proj", "norm") for kind in ("weight", "bias")]
    weights = {name: torch.zeros(2) for name in (*layers, "ip_adapter.1.to_k_ip.weight")}
    (folder / "adapter.safetensors").write_bytes(serialise(weights))


def classifier(folder: Path) -> None:
    save(build("small_cnn", 3, 8, 0), folder)


def weights(folder: Path) -> None:
    model = build("small_cnn", 3, 8, 0)
    (folder / "weights.safetensors").write_bytes(
        serialise({name: t.contiguous() for name, t in model.state_dict().items()})
    )
    torch.save({"state_dict": model.state_dict()}, folder / "weights.pth")


def checkpoint(folder: Path) -> None:
    save_checkpoint(folder / "training.safetensors", {"model/a": torch.ones(3)}, {"curve": [{"step": 1}]})


def cifar(folder: Path, fine: bool, binary: bool) -> None:
    """Four images in each file."""
    layout, names = (CIFAR100 if fine else CIFAR10)[int(binary)], ["apple", "baby"]
    pixels, labels = np.arange(4 * 3072).astype(np.uint8).reshape(4, 3072), np.array([0, 1, 0, 1])
    parts = [(name.removesuffix(".bin"), pixels, labels) for name in (*layout.train, *layout.test)]
    if binary:
        write_binary(folder / layout.folder, parts, coarse=fine)
        (folder / layout.folder / layout.names_file).write_text("\n".join(names))
    else:
        keys = ("fine_labels", "fine_label_names") if fine else ("labels", "label_names")
        write_pickled(folder / layout.folder, parts, keys[0], layout.names_file, {keys[1]: names})


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(9, 8, 3), dtype=np.uint8)


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_noise(seed)).save(path, "PNG")
