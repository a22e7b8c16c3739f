"""A data set to take away: folders `<class>/<source>-<position>.png` (or `.jpg`) and a table of every image's origin.

The table, images.csv, is what the loader of an own CSV reads, so that an export is a data set again; metadata.csv says
the same to `datasets.load_dataset("imagefolder", data_dir=...)`, and README.md, its card, to people. Contexts are the
tables' column `group` if all images have one, and else their column `context`, which that loader leaves alone.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from src.data.merged_index import SOURCES, Merged
from src.data.names import Names
from src.runtime.errors import InputError
from src.runtime.files import atomic_write, hash_file, read_json, write_csv, write_json
from src.runtime.markdown import markdown_table
from src.runtime.processes import is_main
from src.shards.index import INDEX
from src.shards.store import Shards

TABLE, MARKER = "images.csv", "export.json"
METADATA, CARD = "metadata.csv", "README.md"

# What no common file system forbids in a name; \w holds the letters of every script.
_UNSAFE = re.compile(r"[^\w .()+,&'-]")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # no folders on Windows
_LONGEST = 100  # bytes; file systems allow 255


@dataclass(frozen=True)
class Entry:
    """One image to export: `position` in `shards`, which are real or synthetic (`source`)."""

    shards: Shards
    position: int
    source: str


def folder_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return a folder name for each name: no separators, no hidden or parent folder, unique even where case is lost."""
    taken, folders = {name.casefold() for name in (TABLE, MARKER, METADATA, CARD)}, []
    for name in names:
        safe = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).lstrip(" .-")
        safe = safe.encode()[:_LONGEST].decode(errors="ignore").rstrip(" .") or "class"
        safe = f"_{safe}" if _DEVICES.fullmatch(safe) else safe
        folder, number = safe, 1
        while folder.casefold() in taken:
            number += 1
            folder = f"{safe}-{number}"
        taken.add(folder.casefold())
        folders.append(folder)
    return tuple(folders)


def merged_entries(merged: Merged, real: Shards, synthetic: Shards) -> list[Entry]:
    """Return the images of a balanced set. Raises InputError if its index and the shards disagree."""
    merged.check(real, synthetic)
    shards = (real, synthetic)
    pairs = zip(merged.synthetic.astype(int), merged.position, strict=True)
    return [Entry(shards[source], int(i), SOURCES[source]) for source, i in pairs]


def shard_entries(shards: Shards) -> list[Entry]:
    """Return all images of a folder of shards; those that were made for a prompt are synthetic."""
    return [Entry(shards, i, SOURCES["prompt" in shards.meta(i)]) for i in range(len(shards))]


def export(
    entries: Sequence[Entry], names: Names, real: Shards, folder: Path, made_by: Mapping[str, Any] | None = None
) -> int:
    """Write the images and the tables into `folder`; return how many images were not there before.

    real: the training images that synthetic ones were conditioned on. made_by: settings to tell in the card. An export
    that was interrupted is completed, and a complete one stays as it is. Raises InputError if the folder holds anything
    else.
    """
    for shards in {entry.shards.folder: entry.shards for entry in entries}.values():
        for kind, numbers, known in (
            ("class", shards.labels, names.classes),
            ("group", shards.contexts, names.contexts),
        ):
            if numbers is not None and known is not None and numbers.max() >= len(known):
                raise InputError(
                    f"{shards.folder} has a {kind} without a name; run `dvc repro` to prepare the data again"
                )
    _claim(folder, _digest(entries, names))
    folders, column = folder_names(names.classes), _column(entries, names)
    rows, written = [], 0
    for entry in tqdm(entries, "export", unit="image", mininterval=2, delay=2, leave=False, disable=not is_main()):
        row = _row(entry, names, folders, real, column)
        rows.append(row)
        path = folder / row["path"]
        if not path.exists():
            atomic_write(path, entry.shards.stored(entry.position))  # its hash checked, and not encoded again
            written += 1
    renamed = {"path": "file_name"}
    write_csv(folder / METADATA, [{renamed.get(name, name): cell for name, cell in row.items()} for row in rows])
    atomic_write(folder / CARD, _card(rows, made_by or {}).encode())
    write_csv(folder / TABLE, rows)
    return written


def _card(rows: Sequence[Mapping[str, Any]], made_by: Mapping[str, Any]) -> str:
    """What is real, what synthetic, how it was made and whose terms hold, as a data set's card."""
    counts = {kind: sum(row["source"] == kind for row in rows) for kind in SOURCES}
    labels = Counter((row["label"], row["source"]) for row in rows)
    table = [
        {"class": label, **{kind: labels[label, kind] for kind in SOURCES}}
        for label in dict.fromkeys(row["label"] for row in rows)
    ]
    settings = "".join(f"- {name}: {value}\n" for name, value in made_by.items())
    return "\n".join(
        [
            "---\ntask_categories: [image-classification]\ntags: [synthetic]\n---\n",
            "# A balanced set of images\n",
            f"{counts[SOURCES[0]]} real and {counts[SOURCES[1]]} synthetic images; the column `source` of {TABLE} and "
            f"{METADATA} says of each which it is, and for a synthetic one its prompt, seed and the real image that it "
            "was conditioned on.\n",
            *([f"How the synthetic images were made:\n\n{settings}"] if settings else []),
            "Real images remain under the terms of their source. Synthetic images are under those of the generator's "
            "publisher, and where they were conditioned on real images may resemble these.\n",
            markdown_table(table, ["class", *SOURCES]),
        ]
    )


def _column(entries: Sequence[Entry], names: Names) -> str | None:
    """What the table calls the context; None if no image has one, or contexts have no names."""
    known = {entry.shards.contexts is not None for entry in entries}  # of a folder, all images have one or none
    if names.contexts is None or True not in known:
        return None
    return "context" if False in known else "group"


def _row(entry: Entry, names: Names, folders: Sequence[str], real: Shards, column: str | None) -> dict[str, Any]:
    meta = entry.shards.meta(entry.position)
    label, context, origin = int(meta["label"]), meta.get("context"), meta.get("source")
    group = "" if context is None or names.contexts is None else names.contexts[context]
    return {
        "path": f"{folders[label]}/{entry.source}-{entry.position:08d}.{entry.shards.suffix(entry.position)}",
        "label": names.classes[label],
        **({} if column is None else {column: group}),
        "source": entry.source,
        "prompt": meta.get("prompt"),
        "seed": meta.get("seed"),
        "source_image": _name(entry.shards, entry.position) if entry.source == SOURCES[0] else _name(real, origin),
        "criterion_before": meta.get("criterion_before"),
        "criterion_after": meta.get("criterion_after"),
    }


def _name(shards: Shards, position: int | None) -> str | None:
    """What the user calls a real image, or its number among the training images where it has no name."""
    if position is None:
        return None
    if type(position) is not int or not 0 <= position < len(shards):
        raise InputError(f"an image was made from image {position!r}, which {shards.folder} lacks; run `dvc repro`")
    return shards.meta(position).get("id", f"{position:08d}")


def _digest(entries: Sequence[Entry], names: Names) -> str:
    """Names what is exported by its contents: the indexes hold the hash of every image."""
    folders = list(dict.fromkeys(entry.shards.folder for entry in entries))
    hashes = [hash_file(folder / INDEX) for folder in folders]
    number = {folder: k for k, folder in enumerate(folders)}
    rows = [[number[entry.shards.folder], entry.position, entry.source] for entry in entries]
    return hashlib.sha256(json.dumps([names.classes, names.contexts, hashes, rows]).encode()).hexdigest()


def _claim(folder: Path, digest: str) -> None:
    """Make the folder this export's, which is only possible where nothing or the same export lies."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give the export a folder of its own")
    present = next((path.name for path in folder.glob("[!.]*")), None)
    if present is None:
        write_json(folder / MARKER, {"sha256": digest})
    elif not (folder / MARKER).is_file():
        raise InputError(f"{folder} holds files of yours, such as {present}; give the export a new or empty folder")
    elif read_json(folder / MARKER) != {"sha256": digest}:
        raise InputError(f"{folder} holds the export of other images; delete it, or give this one another folder")
