"""Tables of images as spreadsheets save them: one sentence, with the line's number where there is one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.pictures import photographs
from tests.micro import set_parameters
from tests.wrong_input.running import edit, replaced, stopped

pytestmark = pytest.mark.slow
ROOT = Path("data/raw/csv")
TABLE = "data/raw/csv/images.csv"


@pytest.fixture
def table(workspace) -> str:
    """Six photographs of two classes in two groups, chosen as the data set."""
    photographs(ROOT / "photos", 6)
    rows = [f"photos/{k}.png,{'cat' if k % 2 else 'dog'},{'sea' if k < 3 else 'land'}" for k in range(6)]
    (ROOT / "images.csv").write_text("\n".join(["path,label,group", *rows]) + "\n")
    set_parameters(workspace, {"dataset": "csv", "datasets.csv.image_size": 16})
    return TABLE


def column(name: str, *values: str) -> Callable[[bytes], bytes]:
    """A further column, its last value for all rows that follow."""

    def change(data: bytes) -> bytes:
        head, *rows = data.decode().splitlines()
        given = [values[min(k, len(values) - 1)] for k in range(len(rows))]
        return "\n".join(
            [f"{head},{name}", *(f"{row},{value}" for row, value in zip(rows, given, strict=True))]
        ).encode()

    return change


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "needs a first line that names the columns path and label"),
    "a header alone": (lambda data: data.splitlines()[0], f"{TABLE} has no rows; add a line for each image"),
    "no header": (lambda data: b"\n".join(data.splitlines()[1:]), "needs a first line that names the columns path and"),
    "semicolons": (lambda data: data.replace(b",", b";"), "separated by commas, not 'path;label;group'"),
    "tabs": (lambda data: data.replace(b",", b"\t"), "separated by commas"),
    "Windows-1252": (lambda data: data.replace(b"cat", b"k\xe4tzchen"), "is not UTF-8 text; save it as CSV in UTF-8"),
    "Unicode text of Excel": (lambda data: data.decode().encode("utf-16"), "is not UTF-8 text; save it as CSV"),
    "no labels": (replaced("label", "class"), "needs a first line that names the columns path and label"),
    "a column twice": (replaced("group", "label"), "once each and separated by commas, not 'path,label,label'"),
    "a short row": (replaced("dog,sea", "dog"), f"{TABLE} line 2 does not have 3 fields; correct it"),
    "a comma too many": (replaced("dog,sea", "dog,big,sea"), f"{TABLE} line 2 does not have 3 fields; correct it"),
    "a quote left open": (replaced("dog", '"dog'), "is not a valid CSV around line"),
    "an empty label": (replaced("dog,sea", ",sea"), "(line 2 has no label); correct these lines"),
    "an empty group": (replaced("dog,sea", "dog,"), "(line 2 has no group); correct these lines"),
    "an unknown split": (column("split", "train", "unseen"), "line 3 has the split 'unseen', not one of train, val"),
    "no path": (replaced("photos/0.png", ""), "line 2 names '.', which is not in data/raw/csv"),
    "an image that is not there": (replaced("photos/0", "photos/9"), "line 2 names 'photos/9.png', which is not in"),
    "a folder for an image": (replaced("photos/0.png", "photos"), "line 2 names 'photos', which is not in"),
    "backslashes": (replaced("photos/0", "photos\\0"), r"line 2 names 'photos\0.png', which is not in data/raw/csv"),
    "an absolute path": (replaced("photos/0.png", "/etc/hostname"), "'/etc/hostname' leads out of data/raw/csv"),
    "a path that climbs": (replaced("photos/0.png", "../../../params.yaml"), "leads out of data/raw/csv"),
    "a zero byte": (replaced("photos/0.png", "photos/0\0.png"), "is no path that can be followed"),
    "an endless name": (replaced("photos/0.png", "x" * 300), "line 2 names 'xxx"),
    "an image with two labels": (
        lambda data: data + b"photos/0.png,cat,sea\n",
        "line 8 contradicts line 2 about 'photos/0.png'",
    ),
    "one class": (lambda data: data.replace(b"dog", b"cat"), "holds one class, 'cat'; a classifier needs at least two"),
    "all in train": (column("split", "train"), "no image is left for the val split"),
    "all in val": (column("split", "val"), "no image is left for the test split"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_table_that_cannot_be_used_is_one_sentence_and_touches_nothing(damage, table, capsys, monkeypatch):
    change, sentence = DAMAGE[damage]
    edit(table, change)
    assert sentence in stopped("prepare_lt", capsys, monkeypatch)


def test_a_table_that_is_not_there_is_one_sentence(table, capsys, monkeypatch):
    Path(table).unlink()
    assert "dataset 'csv' lacks images.csv, looked for in data/raw/csv" in stopped("prepare_lt", capsys, monkeypatch)
