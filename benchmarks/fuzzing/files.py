"""Small valid files of every kind that the program reads, written into an empty folder: what the fuzzer damages."""

import csv
import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save as serialise

from src.classifiers.models import build, save
from src.data.merge import Merged, write_merged
from src.data.published.cifar_files import CIFAR10, CIFAR100
from src.data.published.nico import CONTEXTS
from src.runtime.checkpoint_file import save_checkpoint
from src.shards.store import write_all

PRESETS = {"dataset": "digits", "generator": "tiny_unclip", "feedback": "entropy"}
FAMILIES = {"datasets": "digits", "budgets": "digits", "recipes": "digits", "generators": "tiny_unclip"}
WNIDS = ("n01440764", "n01443537")


def params(folder: Path) -> None:
    """params.yaml with one preset of each family, and dvc.yaml, which is the program's own."""
    everything = yaml.safe_load(Path("params.yaml").read_text())
    for family, name in {**FAMILIES, "feedbacks": "entropy"}.items():
        everything[family] = {name: everything[family][name]}
    (folder / "params.yaml").write_text(yaml.safe_dump({**everything, **PRESETS}, sort_keys=False))
    declared = ["seed", *(f"{family}.${{dataset}}" for family in ("datasets", "budgets", "recipes")), "evaluation"]
    declared += [
        "dataset",
        "generators.${generator}",
        "feedbacks.${feedback}",
        "train",
        "second_stages",
        "synth.shard_size",
    ]
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
    shared = {
        **{name: content[name] for name in ("template", "modified", "template_context")},
        "modifiers": ["small", "old"],
    }
    (folder / "shared.yaml").write_text(yaml.safe_dump(shared, sort_keys=False))


def table(folder: Path) -> None:
    rows = ["path,label,group,split,note"]
    for k in range(6):
        _picture(folder / f"photos/{k}.png", k)
        rows.append(f"photos/{k}.png,{'cat' if k % 2 else 'dog'},sea,{('train', 'val', 'test')[k % 3]},any")
    (folder / "images.csv").write_text("\n".join(rows) + "\n")


def lists(folder: Path, pattern: str) -> None:
    """Published lists, such as ImageNet_LT_{}.txt, of two classes, and their images."""
    for split in ("train", "val", "test"):
        name = pattern.format(split)
        place = "val" if split == "test" else "train"
        paths = [(f"{place}/{wnid}/{split}_{k}.JPEG", label) for label, wnid in enumerate(WNIDS) for k in range(2)]
        for path, label in paths:
            _picture(folder / path, label)
        (folder / name).write_text("".join(f"{path} {label}\n" for path, label in paths))
    (folder / "classes.txt").write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish\n")


def nico(folder: Path) -> None:
    (folder / "dg_label_id_mapping.json").write_text(json.dumps({"dog": 1, "bear": 0}))
    for context in CONTEXTS:
        for k in range(8):
            _picture(folder / f"public_dg_0416/train/{context}/{('dog', 'bear')[k % 2]}/{k}.jpg", k)


def waterbirds(folder: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("img_id", "img_filename", "y", "split", "place", "place_filename"))
    for k in range(6):
        _picture(folder / f"birds/{k}.jpg", k)
        writer.writerow((k, f"birds/{k}.jpg", k % 2, k // 2, k % 2, "/o/ocean/1.jpg"))
    (folder / "metadata.csv").write_text(text.getvalue())


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
    one = serialise({"weight": torch.zeros(2)})
    for path in shipped.rglob("*.safetensors"):
        (folder / path.relative_to(shipped)).parent.mkdir(parents=True, exist_ok=True)
        (folder / path.relative_to(shipped)).write_bytes(one)
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
    layout = (CIFAR100 if fine else CIFAR10)[int(binary)]
    names, key = ["apple", "baby"], "fine_labels" if fine else "labels"
    (folder / layout.folder).mkdir()
    pixels, labels = np.arange(4 * 3072).astype(np.uint8).reshape(4, 3072), [0, 1, 0, 1]
    for name in (*layout.train, *layout.test):
        records = np.column_stack([*[np.array(labels, np.uint8)] * (1 + fine), pixels])
        pickled = pickle.dumps({"data": pixels, key: labels}, protocol=2)
        (folder / layout.folder / name).write_bytes(records.tobytes() if binary else pickled)
    listed = pickle.dumps({"fine_label_names" if fine else "label_names": names}, protocol=2)
    (folder / layout.folder / layout.names_file).write_bytes("\n".join(names).encode() if binary else listed)


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(9, 8, 3), dtype=np.uint8)


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_noise(seed)).save(path, "PNG")
