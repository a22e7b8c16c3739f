"""The merged index: no copies, the bytes of a dictionary per line, and nothing read that was not written so."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.merged_index import SOURCES, Merged, read_merged, write_merged
from src.runtime.errors import InputError
from src.runtime.files import write_csv
from src.shards.store import Shards, write_all

entries = st.lists(
    st.tuples(st.booleans(), *[st.integers(0, 10**18 - 1) | st.integers(0, 99)] * 3), min_size=1, max_size=20
)


def merged_of(rows, with_context: bool) -> Merged:
    synthetic, *numbers = (np.array(column) for column in zip(*rows, strict=True))
    return Merged(synthetic, *numbers[: 3 if with_context else 2])


def row_by_row(merged: Merged) -> bytes:
    """The file as a dictionary per line writes it."""
    names = ["source", "position", "label", *([] if merged.context is None else ["context"])]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for i, synthetic in enumerate(merged.synthetic):
        numbers = [int(getattr(merged, name)[i]) for name in names[1:]]
        writer.writerow(dict(zip(names, [SOURCES[int(synthetic)], *numbers], strict=True)))
    return text.getvalue().encode()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("merged") / "arm.csv"


@given(entries, st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_file_is_that_of_a_dictionary_per_line_and_comes_back_whole(path, rows, with_context):
    merged = merged_of(rows, with_context)
    write_merged(path, merged)
    assert path.read_bytes() == row_by_row(merged)
    back = read_merged(path)
    for name in ("synthetic", "position", "label", *(["context"] if with_context else [])):
        assert np.array_equal(getattr(back, name), getattr(merged, name))
        assert getattr(back, name).dtype == (bool if name == "synthetic" else np.int64)
    assert with_context == (back.context is not None)


@given(entries, st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_with_a_changed_or_missing_byte_is_refused_or_reads_as_what_it_says(path, rows, with_context, data):
    whole = row_by_row(merged_of(rows, with_context))
    at = data.draw(st.integers(0, len(whole) - 1))
    put = data.draw(
        st.sampled_from([b"", b"\0", b"\n", b"\r", b",", b'"', b" ", b"-", b".", b"_", b"\xff"]) | st.binary(max_size=3)
    )
    path.write_bytes(whole[:at] + put + whole[at + data.draw(st.integers(0, 2)) :])
    try:
        merged = read_merged(path)
    except InputError as error:
        assert "run `dvc repro` to merge again" in str(error)
        return
    assert row_by_row(merged) == path.read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "source,position,label\nreal,1,1.0\n",
        "source,position,label\nreal,1,1e3\n",
        "source,position,label\nreal,\uff11,1\n",
        "source,position,label\nreal, 1,1\n",
        "source,position,label\nreal,1_0,1\n",
        "source,position,label\nreal,01,1\n",
        f"source,position,label\nreal,{10**30},1\n",
        f"source,position,label\nreal,{2**63},1\n",
        "source,position,label\nreal,1,nan\n",
        "source,position,label\nreal,1\n",
        "source,position,label\nreal,1,1,1\n",
        "source,position,label\nreal,1,1\n\nreal,2,1\n",
        "source,position,label\nreal,1,1\nsynthet",
        "source,position,label\nreal,1,1\nsynthetic,2,1",
        "source,position,label\nreal,1,\0\n",
        'source,position,label\n"real\nreal,1,1\n',
        "source,label\nreal,1\n",
        "position,source,label\n1,real,1\n",
        "source,position,label,colour\nreal,1,1,1\n",
        "source,position,label,context,more\nreal,1,1,1,1\n",
        "real,1,1\nreal,2,1\n",
        "\n\n",
        "\ufeffsource,position,label\nreal,1,1\n",
        "source,position,label\r\r\nreal,1,1\r\r\n",  # as Windows ends lines
    ],
)
def test_a_file_that_is_not_to_the_letter_what_was_written_is_damaged(text, tmp_path):
    (tmp_path / "arm.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"arm.csv is damaged; run `dvc repro` to merge again"):
        read_merged(tmp_path / "arm.csv")


def test_a_long_damaged_file_is_refused_as_fast_as_a_sound_one_is_read(tmp_path):
    """The check must not come back to any of the lines before the damage: it would run out of memory, or for hours."""
    (tmp_path / "arm.csv").write_text("source,position,label\n" + 100_000 * "synthetic,123456,789\n" + "synth")
    with pytest.raises(InputError, match="damaged"):
        read_merged(tmp_path / "arm.csv")


def shards(folder: Path, labels: list[int], shade: int) -> Shards:
    """Image i is uniformly `shade + i`, so that an image says where it comes from."""
    write_all(folder, [(np.full((2, 2, 3), shade + i, np.uint8), {"label": y}) for i, y in enumerate(labels)])
    return Shards(folder)


@pytest.fixture
def both(tmp_path) -> tuple[Shards, Shards]:
    return shards(tmp_path / "real", [0, 0, 0, 1], 0), shards(tmp_path / "synthetic", [0, 1, 1, 0, 1], 100)


def everything() -> Merged:
    return Merged(
        np.repeat([False, True], [4, 5]), np.array([*range(4), *range(5)]), np.array([0, 0, 0, 1, 0, 1, 1, 0, 1])
    )


def test_the_images_are_those_of_the_shards_in_the_order_of_the_index(both):
    assert everything().images(*both)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 100, 101, 102, 103, 104]


def test_too_many_images_for_memory_are_read_when_they_are_asked_for(both, monkeypatch):
    whole = everything().images(*both)
    monkeypatch.setattr("src.data.merged_index.in_memory", lambda images: images)
    view = everything().images(*both)
    assert isinstance(whole, np.ndarray) and not isinstance(view, np.ndarray)
    assert view.shape == whole.shape and np.array_equal(view[np.array([8, 0, 5])], whole[[8, 0, 5]])


def test_an_index_that_does_not_fit_its_shards_is_refused(both):
    for position, label, problem in [([4], [1], "points beyond the 4 images"), ([3], [0], "disagree on labels")]:
        with pytest.raises(InputError, match=problem):
            Merged(np.array([False]), np.array(position), np.array(label)).images(*both)


def test_the_file_has_a_context_only_if_the_images_have(tmp_path):
    synthetic, position, label = np.array([False, False, True]), np.array([0, 1, 0]), np.array([0, 1, 1])
    write_merged(tmp_path / "plain.csv", Merged(synthetic, position, label))
    write_merged(tmp_path / "grouped.csv", Merged(synthetic, position, label, np.array([1, 0, 1])))
    plain, grouped = ((tmp_path / f"{name}.csv").read_text().splitlines() for name in ("plain", "grouped"))
    assert plain == ["source,position,label", "real,0,0", "real,1,1", "synthetic,0,1"]
    assert grouped == ["source,position,label,context", "real,0,0,1", "real,1,1,0", "synthetic,0,1,1"]
    assert read_merged(tmp_path / "plain.csv").context is None
    assert read_merged(tmp_path / "grouped.csv").context.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"source": "dreamt", "position": 0, "label": 0}, "damaged"),
        ({"source": "real", "position": "first", "label": 0}, "damaged"),
        ({"source": "real", "position": 0}, "damaged"),
        ({"source": "real", "position": -1, "label": 0}, "negative"),
        ({"source": "real", "position": 0, "label": 0, "context": ""}, "damaged"),
        ({"source": "real", "position": 0, "label": 0, "context": -1}, "negative"),
    ],
)
def test_a_damaged_file_is_one_sentence(row, problem, tmp_path):
    write_csv(tmp_path / "arm.csv", [row])
    with pytest.raises(InputError, match=problem):
        read_merged(tmp_path / "arm.csv")


def test_an_empty_or_missing_file_is_one_sentence(tmp_path):
    for text in ("", "source,position,label\n"):
        (tmp_path / "arm.csv").write_text(text)
        with pytest.raises(InputError, match="is empty"):
            read_merged(tmp_path / "arm.csv")
    with pytest.raises(InputError, match="is missing"):
        read_merged(tmp_path / "other.csv")
