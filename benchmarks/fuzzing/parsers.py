"""The parsers that the fuzzer feeds: valid files, which of them are damaged, and the call that reads them."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.fuzzing import files
from src.classifiers.models import build
from src.classifiers.models import load as load_classifier
from src.classifiers.pretrained import load_pretrained
from src.data.csv_table import read_table
from src.data.image_files import read_image
from src.data.merge import read_merged
from src.data.names import Names, read_names, write_names
from src.data.published.cifar_files import CIFAR10, CIFAR100, read_cifar
from src.data.published.lists import load_imagenet100_lt, load_imagenet_lt, load_places_lt
from src.data.published.nico import load_nico
from src.data.published.utkface import attributes
from src.data.published.waterbirds import load_waterbirds
from src.generators.model_folder import check_adapter, check_folder
from src.runtime.checkpoint_file import load_checkpoint
from src.settings.params import load as load_params
from src.shards.pixels import centre_square
from src.shards.store import Shards, write_index
from src.synthesis.prompts import Prompts


class Parser(NamedTuple):
    """write: the valid files, into a folder; read: all that reads them from it.

    names: patterns of the files that are damaged. alone: whether the folder holds just the damaged one then.
    """

    write: Callable[[Path], None]
    read: Callable[[Path], object]
    names: tuple[str, ...] = ("**/*",)
    alone: bool = False


def _read_params(folder: Path) -> None:
    json.dumps(load_params("fuzzed", folder).as_dict(), sort_keys=True, allow_nan=False).encode()


def _read_prompts(folder: Path) -> None:
    for path in folder.iterdir():
        prompts = Prompts(path, ("cat", "dog"), ("land", "sea"))
        for label in range(len(prompts)):
            prompts.plain(label).encode()
            prompts.modified(label, np.random.default_rng(0)).encode()
            prompts.plain(label, 1).encode()


def _loaded(loader: Callable[[Mapping[str, Any], int], Any], **settings: Any) -> Callable[[Path], None]:
    """A loader of a data set, and the first image of each of its splits."""

    def read(folder: Path) -> None:
        data = loader({"name": "fuzzed", "path": str(folder), **settings}, 0)
        Names(data.class_names, data.context_names)
        for source in data.splits.values():
            source.read(0)

    return read


def _read_faces(folder: Path) -> None:
    for name in (folder / "names.txt").read_bytes().decode("latin-1").split("\n"):
        attributes(name)


def _read_images(folder: Path) -> None:
    for path in folder.iterdir():
        image = centre_square(read_image(path.name, folder), 8)
        assert image.shape == (8, 8, 3) and image.dtype == np.uint8


def _read_shards(folder: Path) -> None:
    shards = Shards(folder)
    for i in range(len(shards)):
        shards.meta(i), shards.image(i)
    shards.images()


def _scan_shards(folder: Path) -> None:
    (folder / "index.jsonl").unlink(missing_ok=True)
    write_index(folder)
    _read_shards(folder)


def _read_merged(folder: Path) -> None:
    for path in folder.iterdir():
        merged = read_merged(path)
        columns = [merged.synthetic, merged.position, merged.label]
        assert len({len(column) for column in columns}) == 1 and all(column.min() >= 0 for column in columns[1:])


def _read_generator(folder: Path) -> None:
    check_folder(folder)
    check_adapter(folder / "adapter.safetensors", "get it again")


def _read_weights(folder: Path) -> None:
    for path in folder.iterdir():
        load_pretrained(build("small_cnn", 3, 8, 0), str(path))


def _read_checkpoint(folder: Path) -> None:
    found = load_checkpoint(folder / "training.safetensors")
    assert found is None or (isinstance(found[0], dict) and isinstance(found[1], dict))


def _read_cifar(folder: Path) -> None:
    for layouts in (CIFAR10, CIFAR100):
        read_cifar(folder, layouts)


PARSERS: dict[str, Parser] = {
    "params": Parser(files.params, _read_params, ("params.yaml",)),
    "prompts": Parser(files.prompts, _read_prompts, alone=True),
    "names": Parser(lambda folder: write_names(folder, Names(("cat", "dog"), ("land", "sea"))), read_names),
    "own_csv": Parser(files.table, lambda folder: read_table(folder / "images.csv"), ("images.csv",)),
    "imagenet_lt": Parser(partial(files.lists, pattern="ImageNet_LT_{}.txt"), _loaded(load_imagenet_lt), ("*.txt",)),
    "imagenet100_lt": Parser(
        partial(files.lists, pattern="imageNet_100_LT_{}.txt"), _loaded(load_imagenet100_lt), ("*.txt",)
    ),
    "places_lt": Parser(partial(files.lists, pattern="Places_LT_{}.txt"), _loaded(load_places_lt), ("*.txt",)),
    "nico": Parser(files.nico, _loaded(load_nico, held_out=3, split_seed=0), ("*.json",)),
    "waterbirds": Parser(files.waterbirds, _loaded(load_waterbirds), ("*.csv",)),
    "utkface": Parser(files.faces, _read_faces),
    "images": Parser(files.images, _read_images, alone=True),
    "shards": Parser(files.shards, _read_shards),
    "shard_index": Parser(files.shards, _scan_shards, ("*.tar",)),
    "merged_csv": Parser(files.merged, _read_merged, alone=True),
    "generator": Parser(files.generator, _read_generator),
    "classifier": Parser(files.classifier, load_classifier),
    "weights": Parser(files.weights, _read_weights, alone=True),
    "checkpoint": Parser(files.checkpoint, _read_checkpoint),
    "cifar10_python": Parser(partial(files.cifar, fine=False, binary=False), _read_cifar),
    "cifar10_binary": Parser(partial(files.cifar, fine=False, binary=True), _read_cifar),
    "cifar100_python": Parser(partial(files.cifar, fine=True, binary=False), _read_cifar),
    "cifar100_binary": Parser(partial(files.cifar, fine=True, binary=True), _read_cifar),
}
