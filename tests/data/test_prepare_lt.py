"""The stage: raw files in, shards, names and a record of the splits out."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from src.data import split_writer
from src.data.names import Names, read_names
from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.shards.store import Shards
from stages.prepare_lt import main
from tests.data.pictures import noise, photographs, save, text
from tests.micro import digests

OWN = {
    "image_size": 8,
    "val_fraction": 0.2,
    "test_fraction": 0.2,
    "skip_unreadable": True,
    "long_tail": {"head_count": 10, "imbalance_factor": 5},
}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A working directory with the stage's parameters, a folder of two classes and a table of two groups."""
    for seed, name in enumerate(("cat", "dog")):
        photographs(tmp_path / "data/raw/folder" / name, 20, seed)
    text(tmp_path / "data/raw/folder/dog/bad.jpg")
    for i in range(20):
        save(tmp_path / "data/raw/csv" / f"{i}.png", noise(seed=i))
    rows = "".join(f"{i}.png,{i % 2},{'land' if i % 4 else 'sea'}\n" for i in range(20))
    text(tmp_path / "data/raw/csv/images.csv", "path,label,group\n" + rows)
    (tmp_path / "dvc.yaml").write_text("stages: {prepare_lt: {params: [seed, 'datasets.${dataset}']}}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def choose(name: str) -> None:
    presets = {
        "folder": {"kind": "folder", **OWN},
        "csv": {"kind": "csv", "table": "images.csv", **OWN, "long_tail": None},
    }
    Path("params.yaml").write_text(yaml.safe_dump({"seed": 0, "dataset": name, "datasets": presets}))


def test_a_folder_becomes_shards_with_ids_and_a_record_of_what_was_skipped(root):
    choose("folder")
    main()
    assert read_names("data/real") == Names(("cat", "dog"))
    record = read_json("data/results/splits.json")
    assert list(record) == ["images", "sha256", "train_counts", "shots", "skipped", "notes"]
    assert any("test split has 8 images" in note for note in record["notes"])
    assert record["images"] == {"train": 12, "val": 8, "test": 8, "pool": 24}
    assert record["train_counts"] == {"cat": 10, "dog": 2} and record["skipped"] == ["dog/bad.jpg"]
    train, pool = Shards("data/real/train"), Shards("data/real/pool")
    ids = [pool.meta(i)["id"] for i in range(24)]
    assert train.images().shape == (12, 8, 8, 3) and train.contexts is None
    assert {train.meta(i)["id"] for i in range(12)} < set(ids)
    assert sorted(path.suffix for path in Path(".dvc/tmp/scratch").iterdir()) == [".done", ".published"]


def test_a_table_with_groups_records_them(root):
    choose("csv")
    main()
    assert read_names("data/real") == Names(("0", "1"), ("land", "sea"))
    record = read_json("data/results/splits.json")
    assert list(record) == ["images", "sha256", "train_counts", "shots", "groups", "notes"]
    assert record["groups"] == {"0": {"land": 3, "sea": 3}, "1": {"land": 6, "sea": 0}}
    train = Shards("data/real/train")
    assert np.bincount(2 * train.labels + train.contexts).tolist() == [3, 3, 6]
    assert record["sha256"]["train"] == record["sha256"]["pool"]


def test_a_killed_run_continues_where_it_was_and_gives_the_same_bytes(root, monkeypatch):
    choose("folder")
    monkeypatch.setattr(split_writer, "SHARD_SIZE", 3)
    main()
    whole = digests(Path("data/real"), Path("data/results"))
    assert len(list(Path("data/real/pool").glob("*.tar"))) == 8
    kept, write = [], split_writer.write_encoded

    def dies(path: Path, first: int, samples: list) -> None:
        if len(kept) == 5:
            raise KeyboardInterrupt
        kept.append(path)
        write(path, first, samples)

    monkeypatch.setattr(split_writer, "write_encoded", dies)
    with pytest.raises(KeyboardInterrupt):
        main()
    written = []
    monkeypatch.setattr(split_writer, "write_encoded", lambda path, *rest: written.append(path) or write(path, *rest))
    main()
    assert digests(Path("data/real"), Path("data/results")) == whole
    assert len(kept) == 5 and written and not set(written) & set(kept)


def test_an_image_that_cannot_be_read_leaves_nothing_behind_in_the_outputs(root):
    choose("folder")
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["datasets"]["folder"]["skip_unreadable"] = False
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(InputError, match=r"1 of 41 images cannot be used \(data/raw/folder/dog/bad.jpg cannot be"):
        main()
    assert not Path("data/real").exists() and not Path("data/results").exists()
