"""Damaged shards: each is named, and the cheapest sound source takes its place: the cache, a remote, or its stage."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from src.runtime.errors import InputError
from src.runtime.files import hash_file
from src.shards.store import write_all
from src.versions.recorded_shards import defects, read_record, recorded, seed
from tests.micro import RESULTS, commit, digests, dvc, run, set_parameters

SHARD = "data/synth/guided/shard-00002.tar"


def repair(repository: Path, fails: bool = False) -> str:
    return run(repository, sys.executable, "-m", "commands.repair", fails=fails)


def results_in(repository: Path) -> dict[str, str]:
    return digests(*(repository / folder for folder in RESULTS))


def wrong_objects(repository: Path) -> list[Path]:
    """Objects of the cache whose names are not their contents' md5."""
    objects = repository / ".dvc/cache/files/md5"
    return [
        path
        for path in objects.glob("??/*")
        if hashlib.md5(path.read_bytes()).hexdigest() != f"{path.parent.name}{path.name}".removesuffix(".dir")
    ]


def damage(path: Path, at: int = 3000, silently: bool = False) -> None:
    """Change one byte in place, as a disk does, so that the cache's file, which is the same one, changes too."""
    before = path.stat()
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    path.chmod(0o444)
    if silently:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def repository(micro, tmp_path) -> Path:
    """A copy of the micro run with its cache and its links into it."""
    root = tmp_path / "repository"
    subprocess.run(["cp", "--archive", micro.root, root], check=True)
    commit(root)
    return root


@pytest.mark.slow
def test_damaged_shards_are_named_and_made_again_and_of_the_synthetic_ones_no_other(repository):
    before = results_in(repository)
    damage(repository / SHARD)
    real = repository / "data/real/val/shard-00000.tar"
    real.chmod(0o644)
    os.truncate(real, 5000)
    said = repair(repository)
    assert f"{SHARD} is damaged at sample 00000008\n" in said
    assert "data/real/val/shard-00000.tar has 5000 bytes instead of" in said
    assert "data/real/val is sound again: prepare_lt made 1 file again" in said
    assert "data/synth/guided is sound again: synth_guided made 1 file again" in said
    assert " 16/20 " in said and " 0/20 " not in said  # of the images of the guided arm
    assert "data/synth/synaug is sound\n" in said
    assert results_in(repository) == before
    assert wrong_objects(repository) == []
    assert "up to date" in dvc(repository, "status")
    assert run(repository, "git", "status", "--short") == ""


@pytest.mark.slow
def test_a_remote_that_has_the_shard_spares_the_sampling(repository):
    before = results_in(repository)
    dvc(repository, "remote", "add", "--default", "store", str(repository.parent / "store"))
    dvc(repository, "push")
    dvc(repository, "status")
    damage(repository / SHARD, silently=True)
    assert "up to date" in dvc(repository, "status")  # DVC trusts the file's time
    said = repair(repository)
    assert "data/synth/guided is sound again: 1 file came from DVC's cache or remote" in said
    assert "Running stage" not in said
    assert (results_in(repository), wrong_objects(repository)) == (before, [])


@pytest.mark.slow
def test_a_sound_cache_is_enough_also_for_a_lost_index(repository):
    before = results_in(repository)
    for name in (SHARD, "data/synth/guided/index.jsonl"):
        (repository / name).unlink()
        (repository / name).write_text("no longer a link into the cache")
    said = repair(repository)
    assert "data/synth/guided/index.jsonl is missing or damaged" in said
    assert "2 files came from DVC's cache or remote" in said and "Running stage" not in said
    assert results_in(repository) == before
    assert "sound again" not in repair(repository)


@pytest.mark.slow
def test_a_lost_folder_is_named_and_comes_back_whole(repository):
    before = results_in(repository)
    shutil.rmtree(repository / "data/synth/guided")
    shutil.rmtree(repository / "data/real/val")
    said = repair(repository)
    for folder in ("data/real/val", "data/synth/guided"):
        assert f"{folder} is missing\n" in said and f"{folder} is sound again: " in said
    assert "came from DVC's cache or remote" in said and "Running stage" not in said
    assert (results_in(repository), wrong_objects(repository)) == (before, [])


@pytest.mark.slow
def test_a_lost_folder_that_the_cache_lacks_is_made_again(repository):
    before = results_in(repository)
    lost = [hashlib.md5(path.read_bytes()).hexdigest() for path in (repository / "data/synth/guided").iterdir()]
    for md5 in lost:
        (repository / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink(missing_ok=True)
    shutil.rmtree(repository / "data/synth/guided")
    said = repair(repository)
    assert "data/synth/guided is missing\n" in said and f"synth_guided made {len(lost)} files again" in said
    assert (results_in(repository), wrong_objects(repository)) == (before, [])


@pytest.mark.slow
def test_shards_made_with_other_settings_stay_as_they_are(repository):
    set_parameters(repository, {"feedback": "loss"})
    damage(repository / SHARD)
    before = results_in(repository)
    said = repair(repository, fails=True)
    assert "error: data/synth/guided was made before" in said and "feedback" in said and "Traceback" not in said
    assert results_in(repository) == before
    (object_of_it,) = wrong_objects(repository)  # kept: at its own settings it is made again alone
    assert object_of_it.samefile(repository / SHARD)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Three shards of two images as the output of a stage, with the cache's objects and dvc.lock."""
    monkeypatch.chdir(tmp_path)
    folder = Path("data/synth/guided")
    write_all(folder, [(np.full((4, 4, 3), k, np.uint8), {"label": k}) for k in range(6)], shard_size=2)
    files = [{"md5": store(path.read_bytes()), "relpath": path.name} for path in sorted(folder.iterdir())]
    record(files)
    return folder


def store(data: bytes, suffix: str = "") -> str:
    md5 = hashlib.md5(data).hexdigest() + suffix
    path = Path("cache/files/md5", md5[:2], md5[2:])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return md5


def record(files: list[dict[str, str]]) -> Path:
    """Write dvc.lock for an output of these files; return the object that lists them."""
    md5 = store(json.dumps(files).encode(), ".dir")
    out = {"path": "data/synth/guided", "md5": md5}
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"synth_guided": {"cmd": "", "outs": [out]}}}))
    return Path("cache/files/md5", md5[:2], md5[2:])


def test_the_record_tells_which_files_and_objects_are_wrong(folder):
    sound = read_record(folder, Path("cache"))
    assert (sound.stage, sound.altered(), sound.is_stored()) == ("synth_guided", [], True)
    assert defects(folder) == {}
    (folder / "shard-00001.tar").unlink()
    sound.stored("shard-00000.tar").write_bytes(b"x")
    assert sound.altered() == ["shard-00001.tar"] == list(defects(folder))
    assert sound.stray(list(sound.files)) == [sound.stored("shard-00000.tar")]
    sound.stored("shard-00002.tar").unlink()
    assert not sound.is_stored()


def test_the_lock_tells_folders_of_shards_real_ones_first_whether_they_are_there_or_not(folder):
    assert recorded() == [folder]
    shutil.rmtree(folder)
    assert recorded() == [folder]
    outs = {
        "synth": ["data/synth/b", "data/synth/a", "metrics/sheets/a.png"],
        "train": ["data/base"],
        "lt": ["data/real/val", "data/real/names.json"],
    }
    stages = {
        name: {"outs": [{"path": path, "md5": "0" * 32 + ".dir" * ("." not in path)} for path in paths]}
        for name, paths in outs.items()
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"none": {"cmd": ""}, **stages}}))
    assert [str(path) for path in recorded()] == ["data/real/val", "data/synth/a", "data/synth/b"]
    Path("dvc.lock").unlink()
    assert recorded() == []


def test_a_damaged_list_of_files_is_removed_and_nothing_known(folder):
    path = record([])
    path.write_bytes(b"[1]")
    assert read_record(folder, Path("cache")).files == {}
    assert not path.exists()


@pytest.mark.parametrize(
    "entry", [{"relpath": "../../../params.yaml", "md5": "0" * 32}, {"relpath": "shard-00000.tar", "md5": "../../../x"}]
)
def test_no_list_names_a_file_outside_its_folder(folder, entry):
    record([entry])
    assert read_record(folder, Path("cache")).files == {}


def test_a_folder_that_no_stage_wrote_is_told(folder):
    with pytest.raises(InputError, match=r"data/other is in no stage of dvc\.lock; run `dvc repro`"):
        read_record(Path("data/other"), Path("cache"))


def test_seeded_shards_are_files_of_their_own_with_their_sums(folder):
    shard = folder / "shard-00001.tar"
    elsewhere = Path("elsewhere.tar")
    os.rename(shard, elsewhere)
    shard.symlink_to(elsewhere.resolve())  # as DVC links into a cache on another file system
    scratch = Path("scratch")
    (scratch / "shards").mkdir(parents=True)
    (scratch / "shards" / shard.name).write_bytes(b"half a shard")
    seed(scratch, folder, [shard.name])
    seeded = scratch / "shards" / shard.name
    assert not seeded.is_symlink() and seeded.read_bytes() == elsewhere.read_bytes()
    assert (scratch / "sums" / f"{shard.name}.sha256").read_text() == hash_file(elsewhere)
