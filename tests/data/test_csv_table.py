"""An own CSV: its columns are taken by name, and a row that cannot be used is refused with its line number."""

from pathlib import Path

import numpy as np
import pytest

from src.data.prepared_data import PreparedData
from src.runtime.errors import InputError
from tests.data import loading
from tests.data.pictures import noise, save, text

SETTINGS = {
    "name": "own",
    "kind": "csv",
    "table": "images.csv",
    "image_size": 16,
    "val_fraction": 0.2,
    "test_fraction": 0.2,
    "skip_unreadable": False,
    "long_tail": None,
}


@pytest.fixture
def root(tmp_path) -> Path:
    """Forty images, 0.png and on, in two folders."""
    for i in range(40):
        save(tmp_path / "own" / "ab"[i % 2] / f"{i}.png", noise(seed=i))
    return tmp_path / "own"


def name(i: int) -> str:
    return f"{'ab'[i % 2]}/{i}.png"


def load(root: Path, lines: list[str] | None = None, seed: int = 0, **change) -> PreparedData:
    if lines is not None:
        (root / "images.csv").write_text("\n".join(lines) + "\n")
    return loading.load({**SETTINGS, "path": str(root), **change}, seed)


def rows(root: Path) -> list[str]:
    """A full table: label by the number, group by its half, split in turn."""
    splits = ["train", "train", "train", "val", "test"]
    return ["path,label,group,split"] + [
        f"{name(i)},{'cat' if i % 4 else 'dog'},{'land' if i < 20 else 'sea'},{splits[i % 5]}" for i in range(40)
    ]


def test_labels_groups_and_splits_are_those_of_the_table(root):
    data = load(root, rows(root))
    assert data.class_names == ("cat", "dog") and data.context_names == ("land", "sea")
    assert [len(data.splits[split]) for split in ("train", "val", "test")] == [24, 8, 8]
    for split, part in data.splits.items():
        assert list(part.ids) == sorted(part.ids)
        for i, path in enumerate(part.ids):
            number = int(Path(path).stem)
            assert data.class_names[part.labels[i]] == ("cat" if number % 4 else "dog")
            assert data.context_names[part.contexts[i]] == ("land" if number < 20 else "sea")
            assert split in ("pool", ["train", "train", "train", "val", "test"][number % 5])
            assert np.array_equal(part.read(i), noise(seed=number))
    assert sum(data.counts) == 24


def test_columns_may_stand_in_any_order_among_others_with_quotes_spaces_and_a_byte_order_mark(root):
    lines = ["﻿weight, label ,path"] + [f'1," {i % 2}","{name(i)}"' for i in range(40)]
    data = load(root, lines)
    assert data.class_names == ("0", "1") and data.context_names is None
    assert len(data.splits["pool"]) + len(data.splits["val"]) + len(data.splits["test"]) == 40


def test_words_of_others_for_columns_and_splits_are_understood(root):
    words = {"train": "Train", "val": "valid", "test": "TESTING"}
    heading, *lines = rows(root)
    told = [",".join([*line.split(",")[:3], words[line.split(",")[3]]]) for line in lines]
    data = load(root, ["Path,Label,Group,Split", *told])
    assert {split: part.ids for split, part in data.splits.items()} == {
        split: part.ids for split, part in load(root, [heading, *lines]).splits.items()
    }


def test_rows_without_a_split_train_beside_those_that_have_one(root):
    lines = [line.removesuffix("train") for line in rows(root)]
    data = load(root, lines)
    assert [len(data.splits[split]) for split in ("train", "val", "test")] == [24, 8, 8]


def test_a_path_from_the_top_is_one_below_the_table_if_it_lies_there(root):
    heading, *lines = rows(root)
    data = load(root, [heading, *(f"{root}/{line}" for line in lines)])
    assert data.splits["train"].ids == load(root, [heading, *lines]).splits["train"].ids
    save(root.parent / "elsewhere.png", noise())
    with pytest.raises(InputError, match="leads out of"):
        load(root, [heading, *lines, f"{root.parent}/elsewhere.png,cat,land,train"])


def test_the_path_may_be_the_csv_itself(root):
    load(root, rows(root))
    (root / "images.csv").rename(root / "other.csv")
    assert len(load(root / "other.csv").splits["train"]) == 24


def test_absent_splits_are_stratified_by_label_and_group(root):
    lines = [line.rsplit(",", 1)[0] for line in rows(root)]
    data = load(root, lines)
    for part, share in (("val", [3, 3, 1, 1]), ("test", [3, 3, 1, 1]), ("train", [9, 9, 3, 3])):
        source = data.splits[part]
        assert np.bincount(2 * source.labels + source.contexts).tolist() == share
    assert load(root, lines).splits["test"].ids == data.splits["test"].ids != load(root, lines, 1).splits["test"].ids
    shuffled = [lines[0], *np.random.default_rng(0).permutation(lines[1:])]
    assert load(root, shuffled).splits["test"].ids == data.splits["test"].ids


def test_one_absent_split_is_cut_from_train(root):
    data = load(root, [line.replace(",val", ",train") for line in rows(root)])
    assert len(data.splits["test"]) == 8 and len(data.splits["val"]) + len(data.splits["train"]) == 32
    assert 4 <= len(data.splits["val"]) <= 7


def test_numeric_labels_are_in_numeric_order(root):
    data = load(root, ["path,label"] + [f"{name(i)},{[10, 9, 2][i % 3]}" for i in range(40)])
    assert data.class_names == ("2", "9", "10")


def test_the_same_row_twice_is_one_image(root):
    lines = rows(root)
    again = load(root, [*lines, lines[3], "./" + lines[4]])
    assert all(again.splits[part].ids == load(root, lines).splits[part].ids for part in ("train", "val", "test"))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a/0.png,,land,train", "line 42 has no label"),
        ("a/0.png,cat,,train", "line 42 has no group"),
        ("a/0.png,cat,land,unseen", "line 42 has the split 'unseen', not one of train, val, test"),
        ("a/absent.png,cat,land,train", "line 42 names 'a/absent.png', which is not in"),
        (",cat,land,train", "line 42 names '.', which is not in"),
        ("../outside.png,cat,land,train", r"line 42 is refused: '../outside.png' leads out of"),
        ("/etc/hostname,cat,land,train", r"line 42 is refused: '/etc/hostname' leads out of"),
        ("a/link.png,cat,land,train", r"line 42 is refused: 'a/link.png' leads out of"),
        ("a/0.png,cat,land,train", "line 42 contradicts line 2 about 'a/0.png'"),
        ("a/../a/0.png,dog,land,val", "line 42 contradicts line 2 about"),
        ("a/0.png,dog,sea,train", "line 42 contradicts line 2"),
        ("a/0.png,dog", "line 42 does not have 4 fields"),
        ("a/0.png,dog,land,train,more", "line 42 does not have 4 fields"),
        ('"a/0.png,dog,land,train', "not a valid CSV around line 41"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_number(root, row, problem):
    save(root.parent / "outside.png", noise())
    (root / "a" / "link.png").symlink_to(root.parent / "outside.png")
    with pytest.raises(InputError, match=problem) as error:
        load(root, [*rows(root), row])
    assert "\n" not in str(error.value)


def test_a_line_number_counts_the_lines_of_the_file(root):
    with pytest.raises(InputError, match=r"line 5 has no label, line 6 names 'x.png'"):
        load(root, ["path,label,note", "", 'a/0.png,cat,"two', 'lines"', "a/2.png,,", "x.png,cat,"])


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["image,label", "a/0.png,cat"], "needs a first line that names the columns path and label"),
        (["path;label", "a/0.png;cat"], "separated by commas, not 'path;label'"),
        (["path,label,label", "a/0.png,cat,cat"], "once each"),
        ([""], "needs a first line"),
        (["path,label"], "has no rows"),
        (["path,label", "a/0.png,cat", "b/1.png,cat"], "holds one class, 'cat'"),
        (["path,label,split", "a/0.png,cat,val", "b/1.png,dog,test"], "no readable training image of cat, dog"),
        (["path,label,split", "a/0.png,cat,val", "b/1.png,dog,val"], "no image is left for the test split"),
        (
            ["path,label,split", "a/0.png,cat,train", "a/2.png,cat,train", "b/1.png,dog,train"],
            "no image is left for the val split",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(root, lines, problem):
    with pytest.raises(InputError, match=problem):
        load(root, lines)


def test_a_missing_or_undecodable_table_is_one_sentence(root):
    with pytest.raises(InputError, match=r"lacks images.csv, looked for in"):
        load(root)
    for encoding in ("latin-1", "utf-16"):  # the second is what Excel calls Unicode text
        (root / "images.csv").write_bytes("path,label\na/0.png,Bär\n".encode(encoding))
        with pytest.raises(InputError, match="not UTF-8 text"):
            load(root)


def test_an_unreadable_image_is_named_or_skipped_and_listed(root):
    text(root / "a" / "text.png")
    lines = [*rows(root), "a/text.png,cat,land,train"]
    with pytest.raises(InputError, match=r"1 of 41 images cannot be used .*a/text.png"):
        load(root, lines)
    assert load(root, lines, skip_unreadable=True).skipped == ("a/text.png",)
