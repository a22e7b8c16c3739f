"""Folders of images as people have them and as they cannot be used: one sentence that names what is wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import claims, noise, photographs, save, text, truncated
from tests.micro import set_parameters
from tests.wrong_input.running import stopped

pytestmark = pytest.mark.slow
ROOT = Path("data/raw/folder")
PRESET = "datasets.folder"


@pytest.fixture
def images(workspace) -> Path:
    """Two classes of five photographs, chosen as the data set."""
    for seed, name in enumerate(("cat", "dog")):
        photographs(ROOT / name, 5, seed)
    set_parameters(workspace, {"dataset": "folder", f"{PRESET}.image_size": 16})
    return workspace


def elsewhere(name: str) -> Path:
    """A photograph outside the data set."""
    return save(Path("../private") / name, noise()).resolve()


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def only_heic() -> None:
    for path in list(ROOT.glob("*/*.png")):
        path.rename(path.with_suffix(".heic")).write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))


def one_each() -> None:
    for k in range(1, 5):
        for name in ("cat", "dog"):
            (ROOT / name / f"{k}.png").unlink()


def deep_float() -> None:
    Image.fromarray(np.full((8, 8), 1e9, np.float32)).save(ROOT / "cat/deep.tif")


DAMAGE: dict[str, tuple[Callable[[], object], str]] = {
    "no folder": (lambda: ROOT.rename("data/raw/other"), "lacks <class>/<image>, looked for in data/raw/folder"),
    "a file for a folder": (
        lambda: (ROOT.rename("data/raw/other"), text(ROOT)),
        "lacks <class>/<image>, looked for in data/raw/folder",
    ),
    "nothing in it": (
        lambda: (ROOT.rename("data/raw/other"), ROOT.mkdir()),
        "put your images there, or set datasets.folder.path in params.yaml",
    ),
    "an empty class": (lambda: (ROOT / "emu").mkdir(), "data/raw/folder/emu holds no image; add one, or remove"),
    "a class of notes": (lambda: text(ROOT / "emu/notes.txt"), "data/raw/folder/emu holds no image; add one"),
    "images beside the classes": (lambda: save(ROOT / "loose.png", noise()), "beside its class folders (loose.png)"),
    "no classes at all": (
        lambda: ([empty(ROOT / name) or (ROOT / name).rmdir() for name in ("cat", "dog")], photographs(ROOT, 3)),
        "lacks <class>/<image>, looked for in data/raw/folder",
    ),
    "folders in a class": (
        lambda: photographs(ROOT / "cat/siamese", 2),
        "data/raw/folder/cat holds folders (siamese); images must lie in the class folder itself",
    ),
    "all in one class": (
        lambda: (empty(ROOT / "dog"), (ROOT / "dog").rmdir()),
        "holds one class, 'cat'; a classifier needs at least two",
    ),
    "one image a class": (one_each, "no image is left for the val split: add images, a val split of your own"),
    "from a phone": (only_heic, "10 of 10 images cannot be used (data/raw/folder/cat/0.heic cannot be read"),
    "no bytes": (lambda: text(ROOT / "cat/new.png", ""), "data/raw/folder/cat/new.png cannot be read as an image"),
    "cut short": (lambda: truncated(ROOT / "cat/new.jpg"), "data/raw/folder/cat/new.jpg cannot be read as an image"),
    "a web page": (lambda: text(ROOT / "cat/new.jpg", "<html>404"), "1 of 11 images cannot be used (data/raw/folder"),
    "a drawing": (lambda: text(ROOT / "cat/new.svg", "<svg/>"), "data/raw/folder/cat/new.svg cannot be read as an"),
    "a bomb": (lambda: claims(ROOT / "cat/new.png", 60_000, 60_000), "new.png claims more than"),
    "numbers of no range": (deep_float, "cat/deep.tif holds pixels beyond 16 bits, whose range is unknown"),
    "a link out": (
        lambda: (ROOT / "cat/new.png").symlink_to(elsewhere("mine.png")),
        "'cat/new.png' leads out of data/raw/folder",
    ),
    "a class elsewhere": (
        lambda: (ROOT / "emu").symlink_to(elsewhere("mine.png").parent),
        "'emu/mine.png' leads out of data/raw/folder",
    ),
    "a link to nothing": (lambda: (ROOT / "cat/new.png").symlink_to("gone.png"), "cat/new.png is missing"),
    "a class in val alone": (
        lambda: (
            ROOT.rename("data/raw/other"),
            [photographs(ROOT / place, 2) for place in ("train/cat", "train/dog", "val/cat", "val/dog", "val/yak")],
        ),
        "has no readable training image of yak; add one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_folder_that_cannot_be_used_is_one_sentence_and_touches_nothing(damage, images, capsys, monkeypatch):
    spoil, sentence = DAMAGE[damage]
    spoil()
    assert sentence in stopped("prepare_lt", capsys, monkeypatch)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"path": "/nowhere/at/all"}, "lacks <class>/<image>, looked for in /nowhere/at/all"),
        ({"path": "data/raw/folder/cat"}, "lacks <class>/<image>, looked for in data/raw/folder/cat"),
        ({"path": ["a", "b"]}, "datasets.folder.path must be text, not ['a', 'b']"),
        ({"val_fraction": 0.9, "test_fraction": 0.2}, "val_fraction=0.9 and test_fraction=0.2 leave nothing to train"),
        ({"val_fraction": -0.1}, "leave nothing to train on; give both at least 0"),
        ({"val_fraction": 0}, "no image is left for the val split"),
        ({"test_fraction": "15%"}, "datasets.folder.test_fraction must be a number, not '15%'"),
        ({"skip_unreadable": "maybe"}, "datasets.folder.skip_unreadable must be true or false, not 'maybe'"),
        ({"image_size": 4}, "datasets.folder.image_size must be at least 8, not 4"),
        ({"long_tail": 100}, "datasets.folder.long_tail must hold `name: value` lines, not 100"),
        ({"long_tail": {"head_count": 100}}, "params.yaml lacks datasets.folder.long_tail.imbalance_factor"),
        (
            {"long_tail": {"head_count": 100, "imbalance_factor": 2}},
            "long_tail asks for more training images than there are ('cat' has 3, not 100",
        ),
    ],
)  # fmt: skip
def test_settings_that_the_folder_cannot_meet_are_one_sentence(changes, sentence, images, capsys, monkeypatch):
    set_parameters(images, {f"{PRESET}.{name}": value for name, value in changes.items()})
    assert sentence in stopped("prepare_lt", capsys, monkeypatch)


def test_a_class_of_which_nothing_is_left_when_unreadable_files_are_skipped_is_named(images, capsys, monkeypatch):
    set_parameters(images, {f"{PRESET}.skip_unreadable": True})
    text(ROOT / "emu/only.jpg")
    assert "has no readable training image of emu" in stopped("prepare_lt", capsys, monkeypatch)
