"""An own folder of images: `<class>/<image>`, or `train/`, `val/`, `test/` with the class folders in them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from src.data.image_files import looks_like_image
from src.data.labelled_files import SPLITS, LabelledFile, prepare_files
from src.data.locations import missing_images, raw_folder
from src.data.prepared_data import PreparedData
from src.runtime.errors import InputError, listed
from src.settings.dataset_settings import FolderSettings

# What people call images. Formats that cannot be read (.heic, .svg) stand here too: they are refused by name, not lost.
EXTENSIONS = {
    ".apng", ".avif", ".bmp", ".cr2", ".dng", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg",
    ".jpg", ".jxl", ".nef", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".svg", ".tga", ".tif", ".tiff", ".webp",
}  # fmt: skip


SYSTEM = ("SOURCE.md", ".DS_Store", "Thumbs.db", "desktop.ini")


def load_folder(settings: FolderSettings, seed: int) -> PreparedData:
    """The folder's images, classes named by their folders; what is hidden or no image by its name or, without an
    extension, by its first bytes, does not count and is told.

    Raises InputError naming what does not fit the layout: a class folder without images, images outside a class folder,
    folders within a class folder, unreadable images, splits under other names.
    """
    root = raw_folder(settings)
    if not root.is_dir() or not _folders(root):
        raise missing_images(root, "<class>/<image>", settings)
    splits = _folders(root) if _has_splits(root) else [None]
    images = [image for split in splits for image in _images(root, root / (split or ""), split)]
    return prepare_files(root, images, settings, seed, list(_on_others(root, {image.path for image in images})))


def _on_others(root: Path, images: set[str]) -> Iterator[str]:
    """What else lies in the folder, but for what systems leave there."""
    others: Counter[str] = Counter()
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if relative.as_posix() in images or path.name in SYSTEM or any(p.startswith(".") for p in relative.parts[:-1]):
            continue
        if path.name.startswith("."):
            others["hidden"] += 1
        elif not path.is_dir():
            others[path.suffix or "without extension"] += 1
    if others:
        yield f"{root} holds what is left out as no image: {listed(f'{n} {kind}' for kind, n in others.most_common())}"


def _has_splits(root: Path) -> bool:
    """Whether the folders at the top are splits; classes may bear such names, but hold images and no folders.

    Raises InputError for splits under other names: a sound layout, which is not to be flattened.
    """
    names = _folders(root)
    if not any(name.casefold() in ("train", "training") and _folders(root / name) for name in names):
        return False
    if strange := [name for name in names if name not in SPLITS]:
        raise InputError(
            f"{root} holds {listed(strange)}; split folders must be called train, val and test, with no other folder "
            "beside them"
        )
    return True


def _images(root: Path, base: Path, split: str | None) -> list[LabelledFile]:
    if loose := _files(base):
        raise InputError(f"{base} holds images beside its class folders ({listed(loose)}); sort them into classes")
    images = []
    for name in _folders(base):
        folder = base / name
        if deeper := _folders(folder):
            raise InputError(f"{folder} holds folders ({listed(deeper)}); images must lie in the class folder itself")
        files = _files(folder)
        if not files and split in (None, "train"):
            raise InputError(f"{folder} holds no image; add one, or remove the folder of this class")
        images += [LabelledFile((folder / file).relative_to(root).as_posix(), name, split=split) for file in files]
    return images


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _files(folder: Path) -> list[str]:
    """Names of images; a link that leads nowhere counts, so that it is refused by name."""
    entries = (entry for entry in folder.iterdir() if not entry.is_dir() and not entry.name.startswith("."))
    return sorted(e.name for e in entries if e.suffix.lower() in EXTENSIONS or (not e.suffix and looks_like_image(e)))
