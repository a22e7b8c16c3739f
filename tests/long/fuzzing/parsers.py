"""The parsers that the fuzzer feeds: valid files, which of them are damaged, and the call that reads them."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.classifiers.models import build
from src.classifiers.models import load as load_classifier
from src.classifiers.pretrained import load_pretrained
from src.data.csv_table import read_table
from src.data.image_files import read_image
from src.data.merged_index import read_merged
from src.data.names import Names, read_names, write_names
from src.data.published.cifar_files import CIFAR10, CIFAR100, read_cifar
from src.data.published.utkface import attributes
from src.generators.model_folder import check_adapter, check_folder
from src.runtime.checkpoint_file import load_checkpoint
from src.settings.params import load as load_params
from src.settings.schema import plain
from src.shards.pixels import centre_square
from src.shards.store import Shards, write_index
from src.synthesis.prompts import Prompts
from tests.data.loading import load as load_data
from tests.data.presets import named_imagenet
from tests.data.published import miniatures
from tests.long.fuzzing import files


class Parser(NamedTuple):
    """write: the valid files, into a folder; read: all that reads them from it.

    names: patterns of the files that are damaged. alone: whether the folder holds just the damaged one then.
    """

    write: Callable[[Path], None]
    read: Callable[[Path], object]
    names: tuple[str, ...] = ("**/*",)
    alone: bool = False


def _read_params(folder: Path) -> None:
    json.dumps(plain(load_params("fuzzed", root=folder)), sort_keys=True, allow_nan=False).encode()


def _read_prompts(folder: Path) -> None:
    for path in folder.iterdir():
        prompts = Prompts(path, ("cat", "dog"), ("land", "sea"))
        for label in range(len(prompts)):
            prompts.plain(label).encode()
            prompts.modified(label, np.random.default_rng(0)).encode()
            prompts.plain(label, 1).encode()


def _data_set(write: Callable[[Path], Mapping[str, Any]], *names: str) -> Parser:
    """A data set in miniature: the loader of its kind, and the first image of each of its splits."""
    settings: dict[str, Any] = {}

    def read(folder: Path) -> None:
        data = load_data({**settings, "path": str(folder)})
        for source in data.splits.values():
            source.read(0)

    return Parser(lambda folder: settings.update(write(folder)), read, names)


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
    checkpoint = load_checkpoint(folder / "training.safetensors")
    assert checkpoint is None or (isinstance(checkpoint[0], dict) and isinstance(checkpoint[1], dict))


def _read_cifar(folder: Path) -> None:
    for layouts in (CIFAR10, CIFAR100):
        read_cifar(folder, layouts)


PARSERS: dict[str, Parser] = {
    "params": Parser(files.params, _read_params, ("params.yaml",)),
    "prompts": Parser(files.prompts, _read_prompts, alone=True),
    "names": Parser(lambda folder: write_names(folder, Names(("cat", "dog"), ("land", "sea"))), read_names),
    "own_csv": Parser(files.table, lambda folder: read_table(folder / "images.csv"), ("images.csv",)),
    "imagenet_lt": _data_set(named_imagenet, "*.txt"),
    "imagenet100_lt": _data_set(miniatures.imagenet100_lt, "*.txt"),
    "places_lt": _data_set(miniatures.places_lt, "*.txt"),
    "nico": _data_set(files.nico, "*.json"),
    "waterbirds": _data_set(files.waterbirds, "**/*.csv"),
    "utkface": Parser(files.faces, _read_faces),
    "images": Parser(files.images, _read_images, alone=True),
    "shards": Parser(files.shards, _read_shards),
    "shard_index": Parser(files.shards, _scan_shards, ("*.tar",)),
    "merged_csv": Parser(files.merged, _read_merged, alone=True),
    "generator": Parser(files.generator, _read_generator),
    "classifier": Parser(files.classifier, load_classifier),
    "weights": Parser(files.weights, _read_weights, alone=True),
    "checkpoint": Parser(files.checkpoint, _read_checkpoint),
    **{
        f"cifar{100 if fine else 10}_{'binary' if binary else 'python'}": Parser(
            partial(files.cifar, fine=fine, binary=binary), _read_cifar
        )
        for fine in (False, True)
        for binary in (False, True)
    },
}
