"""An own folder comes in whole: every image is in one split or refused by name, and nothing is lost in silence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.data.prepared_data import PreparedData
from src.runtime.errors import InputError
from tests.data import loading
from tests.data.pictures import claims, corners, noise, photographs, rotated, save, text, truncated

SETTINGS = {
    "name": "own",
    "kind": "folder",
    "image_size": 16,
    "val_fraction": 0.1,
    "test_fraction": 0.2,
    "skip_unreadable": False,
    "long_tail": None,
}
SIZES = {"cat": 20, "dog": 7, "emu": 3, "fox": 2, "gnu": 1}


@pytest.fixture
def root(tmp_path) -> Path:
    for seed, (name, count) in enumerate(SIZES.items()):
        photographs(tmp_path / "own" / name, count, seed)
    return tmp_path / "own"


def load(root: Path, seed: int = 0, **change) -> PreparedData:
    return loading.load({**SETTINGS, "path": str(root), **change}, seed)


def sizes(data: PreparedData) -> dict[str, list[int]]:
    return {
        name: np.bincount(part.labels, minlength=len(data.class_names)).tolist() for name, part in data.splits.items()
    }


def test_classes_are_the_folders_and_every_image_is_in_exactly_one_split(root):
    data = load(root)
    assert data.class_names == tuple(SIZES) and data.context_names is None and data.skipped == ()
    ids = [name for split in ("train", "val", "test") for name in data.splits[split].ids]
    assert sorted(ids) == sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    for part in data.splits.values():
        assert list(part.ids) == sorted(part.ids) and part.labels.dtype == np.int64 and part.contexts is None
        for i, name in enumerate(part.ids):
            assert data.class_names[part.labels[i]] == name.split("/")[0]
            assert np.array_equal(part.read(i), np.array(Image.open(root / name)))
    assert data.splits["pool"] is data.splits["train"]


def test_rare_classes_train_first_then_test_then_validate(root):
    assert sizes(load(root)) == {
        "train": [14, 5, 1, 1, 1], "val": [2, 1, 1, 0, 0], "test": [4, 1, 1, 1, 0], "pool": [14, 5, 1, 1, 1],
    }  # fmt: skip


def test_a_seed_names_the_split_and_a_new_class_moves_no_image_of_the_others(root):
    first, again, other = load(root), load(root), load(root, seed=1)
    assert all(first.splits[name].ids == again.splits[name].ids for name in first.splits)
    assert first.splits["test"].ids != other.splits["test"].ids
    photographs(root / "ant", 5, 9)
    grown = load(root)
    assert [name for name in grown.splits["test"].ids if not name.startswith("ant")] == list(first.splits["test"].ids)


def test_classes_that_are_numbers_are_in_numeric_order(tmp_path):
    for number in (2, 10, 9):
        photographs(tmp_path / str(number), 3, number)
    assert load(tmp_path).class_names == ("2", "9", "10")


def test_given_splits_are_kept_and_absent_ones_come_from_train(tmp_path):
    for seed, split in enumerate(("train", "test")):
        for name, count in (("cat", 10), ("dog", 5)):
            photographs(tmp_path / split / name, count, 10 * seed + count)
    data = load(tmp_path)
    assert sizes(data) == {"train": [9, 4], "val": [1, 1], "test": [10, 5], "pool": [9, 4]}
    assert all(name.startswith("test/") for name in data.splits["test"].ids)
    assert all(name.startswith("train/") for name in data.splits["val"].ids)
    for seed, (name, count) in enumerate((("cat", 2), ("dog", 1))):
        photographs(tmp_path / "val" / name, count, 50 + seed)
    assert sizes(load(tmp_path)) == {"train": [10, 5], "val": [2, 1], "test": [10, 5], "pool": [10, 5]}


def test_classes_may_be_called_like_splits(tmp_path):
    for seed, name in enumerate(("train", "test")):
        photographs(tmp_path / name, 4, seed)
    assert load(tmp_path).class_names == ("test", "train")


def test_a_long_tail_is_cut_from_train_alone_and_the_pool_keeps_the_rest(tmp_path):
    for seed, name in enumerate(("ant", "bee", "cow")):
        photographs(tmp_path / name, 20, seed)
    data = load(tmp_path, long_tail={"head_count": 14, "imbalance_factor": 14})
    assert sizes(data) == {"train": [14, 3, 1], "val": [2] * 3, "test": [4] * 3, "pool": [14] * 3}
    assert set(data.splits["train"].ids) < set(data.splits["pool"].ids)
    plain = load(tmp_path, long_tail={})
    assert plain.splits["test"].ids == data.splits["test"].ids and plain.counts == [14] * 3


def test_images_of_every_kind_are_handled(root):
    strange = root / "strange"
    save(strange / "grey.png", noise(seed=77)[..., 0])
    save(strange / "rgba.png", np.zeros((4, 4, 4), np.uint8))
    save(strange / "deep.png", np.full((4, 4), 65535, np.uint16))
    save(strange / "huge.png", Image.new("RGB", (2000, 1500)))
    save(strange / "UPPER.JPG", corners(), format="JPEG")
    save(strange / "moving.gif", corners(), save_all=True, append_images=[Image.new("RGB", (16, 8))])
    save(strange / "really_a_png.jpg", noise(seed=78), format="PNG")
    rotated(strange / "turned.jpg", 6)
    data = load(root)
    found = {
        name for split in ("train", "val", "test") for name in data.splits[split].ids if name.startswith("strange")
    }
    assert len(found) == 8
    turned = [
        (part, part.ids.index("strange/turned.jpg"))
        for part in data.splits.values()
        if "strange/turned.jpg" in part.ids
    ]
    assert turned[0][0].read(turned[0][1]).shape == (16, 8, 3)


def spoil(root: Path) -> list[str]:
    text(root / "cat" / "text.jpg")
    text(root / "cat" / "empty.png", "")
    text(root / "cat" / "drawing.svg", "<svg/>")
    truncated(root / "dog" / "half.jpg")
    claims(root / "dog" / "bomb.png", 60_000, 60_000)
    text(root / "dog" / "phone.heic")
    save(root.parent / "outside.png", noise())
    (root / "emu" / "link.png").symlink_to(root.parent / "outside.png")
    (root / "emu" / "dangling.png").symlink_to("nowhere.png")
    return [
        "cat/drawing.svg", "cat/empty.png", "cat/text.jpg", "dog/bomb.png", "dog/half.jpg", "dog/phone.heic",
        "emu/dangling.png", "emu/link.png",
    ]  # fmt: skip


def test_all_files_that_cannot_be_used_are_named_at_once(root):
    bad = spoil(root)
    with pytest.raises(InputError, match=r"8 of 41 images cannot be used .* datasets.own.skip_unreadable") as error:
        load(root)
    assert all(name in str(error.value) for name in bad)
    assert "\n" not in str(error.value)


def test_many_bad_files_are_counted(root):
    for i in range(13):
        text(root / "cat" / f"bad{i:02d}.jpg")
    with pytest.raises(InputError, match=r"bad09.jpg cannot be read as an image and 3 more"):
        load(root)


def test_bad_files_can_be_skipped_and_are_listed(root):
    without = load(root)
    bad = spoil(root)
    data = load(root, skip_unreadable=True)
    assert list(data.skipped) == bad
    assert all(data.splits[name].ids == without.splits[name].ids for name in data.splits)


def test_hidden_files_and_other_files_do_not_count(root):
    before = load(root)
    for name in (".hidden.jpg", "Thumbs.db", "notes.txt"):
        text(root / "cat" / name)
        text(root / name)
    text(root / ".cache" / "x.jpg")
    text(root / "cat" / ".cache" / "x.jpg")
    assert load(root).splits["train"].ids == before.splits["train"].ids


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda root: (root / "yak").mkdir(), r"own/yak holds no image; add one, or remove the folder"),
        (lambda root: text(root / "yak" / "notes.txt"), r"own/yak holds no image"),
        (lambda root: save(root / "loose.png", noise()), r"holds images beside its class folders \(loose.png\)"),
        (lambda root: photographs(root / "cat" / "more", 1), r"own/cat holds folders \(more\)"),
        (
            lambda root: photographs(root / "train" / "cat", 1),
            r"own holds cat, dog, emu, fox, gnu; split folders must be called train, val and test, with no other",
        ),
    ],
)
def test_what_does_not_fit_the_layout_is_refused_by_name(root, make, problem):
    make(root)
    with pytest.raises(InputError, match=problem):
        load(root)


@pytest.mark.parametrize(
    ("names", "strange"),
    [
        (("train", "valid", "test"), "valid"),
        (("train", "validation"), "validation"),
        (("Train", "Val", "Test"), "Test, Train, Val"),
        (("training", "testing", "val"), "testing, training"),
    ],
)
def test_splits_under_other_names_are_asked_for_under_ours_and_not_to_be_flattened(tmp_path, names, strange):
    for seed, name in enumerate(names):
        photographs(tmp_path / name / "cat", 3, seed)
        photographs(tmp_path / name / "dog", 3, 10 + seed)
    with pytest.raises(InputError, match="split folders must be called train, val and test") as error:
        load(tmp_path)
    assert f" holds {strange}" in str(error.value) and "class folder itself" not in str(error.value)


def test_a_class_that_has_no_readable_training_image_is_named(tmp_path, root):
    text(root / "yak" / "bad.jpg")
    with pytest.raises(InputError, match=r"no readable training image of yak; add one"):
        load(root, skip_unreadable=True)
    for split, name in (("train", "cat"), ("train", "dog"), ("test", "cat"), ("test", "yak")):
        photographs(tmp_path / "split" / split / name, 3)
    with pytest.raises(InputError, match="no readable training image of yak"):
        load(tmp_path / "split")


def test_a_folder_that_is_absent_empty_a_file_or_without_classes_says_what_belongs_there(tmp_path):
    (tmp_path / "empty").mkdir()
    text(tmp_path / "file")
    photographs(tmp_path / "flat", 3)
    for folder in ("absent", "empty", "file", "flat"):
        with pytest.raises(InputError, match=rf"lacks <class>/<image>, looked for in .*{folder}; .*datasets.own.path"):
            load(tmp_path / folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"val_fraction": 0}, "no image is left for the val split"),
        ({"test_fraction": 0}, "no image is left for the test split"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
        ({"test_fraction": -0.1}, "give both at least 0"),
        ({"val_fraction": "some"}, "datasets.own.val_fraction must be a number"),
        ({"skip_unreadable": "yes"}, "datasets.own.skip_unreadable must be true or false"),
        ({"long_tail": {"head_count": 14, "imbalance_factor": 2}}, "'dog' has 5, not 11, 'emu' has 1, not 9"),
        ({"long_tail": {"head_count": 1.5, "imbalance_factor": 2}}, "long_tail.head_count must be a whole number"),
    ],
)
def test_settings_that_the_folder_cannot_meet_are_refused(root, change, problem):
    with pytest.raises(InputError, match=problem):
        load(root, **change)


def test_one_class_is_not_enough(tmp_path):
    photographs(tmp_path / "cat", 5)
    with pytest.raises(InputError, match="holds one class, 'cat'"):
        load(tmp_path)


def test_what_is_left_out_as_no_image_is_told(root):
    assert load(root).notes == ()
    for name in ("cat/a.txt", "cat/b.txt", "dog/README", ".old/cat/lost.png", "dog/.DS_Store", "SOURCE.md"):
        text(root / name)
    save(root / "cat/photo", noise(seed=99), format="PNG")
    data = load(root)
    assert data.notes == (f"{root} holds what is left out as no image: 2 .txt, 1 hidden, 1 without extension",)
    assert any("cat/photo" in part.ids for part in data.splits.values())


@pytest.mark.parametrize(("size", "words"), [(8, "keeps 50% of that"), (32, "own.image_size=16 would do"), (16, None)])
def test_a_size_that_discards_or_invents_most_detail_is_told(tmp_path, size, words):
    for number, name in enumerate(("cat", "dog")):
        for i in range(6):
            save(tmp_path / "own" / name / f"{i}.png", noise(16, 20, seed=10 * number + i))
    notes = load(tmp_path / "own", image_size=size).notes
    assert words in notes[0] if words else notes == ()
