"""The merged CSV: the bytes of a dictionary per line, and nothing read that was not written so."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.merge import SOURCES, Merged, read_merged, write_merged
from src.runtime.errors import InputError

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
