"""Work in the scratch that is damaged, half-written or somebody else's: made again alone, left out, or left alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.runtime import claims
from src.runtime.errors import InputError
from src.shards.store import INDEX, shard_name
from src.synthesis import shelf
from src.synthesis.production import write_plan
from src.synthesis.shelf import Shelf, spent
from tests.workers.place import PLAN, SHARDS, SIZE, Fake, Place, contents, interrupted


def test_what_another_main_process_is_about_to_publish_is_left_alone(place: Place) -> None:
    """Tidying once removed the other's half-written index: one of two experiments then failed, or lacked it."""
    folder = place.root / "shards"
    shelf = Shelf(folder, SHARDS)
    theirs = {folder / INDEX, folder / f".{INDEX}.0123.tmp"}
    for path in theirs | {folder / "stray"}:
        path.write_text("theirs")
    shelf.tidy()
    assert set(folder.iterdir()) == theirs


def spoil(place: Place, kind: str) -> None:
    (scratch,) = place.scratches.glob("synth-*")
    shard, known = scratch / "shards" / shard_name(4), scratch / "sums" / f"{shard_name(4)}.sha256"
    data = bytearray(shard.read_bytes())
    data[700] ^= 1
    changes: dict[str, Callable[[], object]] = {
        "a flipped bit": lambda: shard.write_bytes(data),
        "a truncated shard": lambda: shard.write_bytes(data[:1000]),
        "an empty shard": lambda: shard.write_bytes(b""),
        "no shard": shard.unlink,
        "no sum": known.unlink,
        "an empty sum": lambda: known.write_bytes(b""),
        "another sum": lambda: known.write_text("0" * 64),
        "a sum that is no text": lambda: known.write_bytes(b"\xff\xfe"),
    }
    changes[kind]()


@pytest.mark.parametrize(
    "kind",
    ["a flipped bit", "a truncated shard", "an empty shard", "no shard", "no sum", "an empty sum", "another sum",
     "a sum that is no text"],
)  # fmt: skip
def test_a_damaged_shard_in_the_scratch_is_made_again_alone(
    whole: dict[str, str], place: Place, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(place, 6)
    spoil(place, kind)
    place.stage()
    assert contents(place.out) == whole
    assert place.made() == [*range(7), *([4, 6, 7] if kind.startswith("no ") else [6, 7, 4])]
    said = capsys.readouterr().err
    assert ("shard-00004.tar is damaged, so it alone is made again" in said) != kind.startswith("no ")


def test_a_disk_that_never_returns_what_was_written_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write = shelf.write_shard

    def changed(path: Path, first: int, *more: Any) -> str:
        digest = write(path, first, *more)
        if first == 4:
            path.write_bytes(b"")
        return digest

    monkeypatch.setattr(shelf, "write_shard", changed)
    with pytest.raises(InputError, match=r"shard-00002.tar is damaged each time it is written; check the disk"):
        place.stage()
    assert not place.out.exists()


def test_what_killed_processes_leave_stops_nothing_and_is_not_published(
    whole: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(place, 4)
    (scratch,) = place.scratches.glob("synth-*")
    for name in ("shards/.shard-00004.tar.77.tmp", "shards/.index.jsonl.77.tmp", "shards/index.jsonl", "key.json",
                 "sums/.shard-00004.tar.sha256.77.tmp", "sums/shard-00005.tar.sha256", "claims/shard-00006.tar",
                 "shards/shard-00099.tar", "cost/.00004.json.77.tmp", "cost/00002.json", "mains/x"):  # fmt: skip
        (scratch / name).write_bytes(b"")
    (scratch / "cost/00003.json").write_text('{"images": "two"}')
    (place.scratches / f".{scratch.name}.killed.tmp").mkdir()
    monkeypatch.setattr(claims, "PATIENCE", 0.1)
    place.stage()
    assert contents(place.out) == whole
    assert place.made() == [*range(5), 4, 5, 7, 6]
    assert place.left() == ["synth.published"]


def test_an_unreadable_note_of_the_cost_is_left_out_of_the_sum(place: Place) -> None:
    folder = place.root / "shards"
    assert write_plan(Fake(place.log), PLAN, SIZE, folder, "test")
    for name, text in (("00002", ""), ("00003", '{"images": "two"}'), ("00004", "[]"), ("00005", '{"images": 2}')):
        (place.root / "cost" / f"{name}.json").write_text(text)
    assert write_plan(Fake(place.log), PLAN, SIZE, folder, "test")
    assert spent(place.root / "cost")["images"] == len(PLAN) - 4 * SIZE
    assert place.made() == list(range(SHARDS))
