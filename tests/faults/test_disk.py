"""A full disk, a read-only one, and a clock that jumps: a sentence, nothing lost, and the same bytes in the end.

Each of disk's two is met twice: as errors that the calls return, which is possible everywhere, and as a real file
system, mounted where this process may have mounts of its own.
"""

import errno

import pytest

from tests.faults.trial import Warm, lay_out, shards, state, torn
from tests.micro import results

pytestmark = pytest.mark.slow

FULL = "the disk is full; free some space and run again"
BARRED = {
    errno.EROFS: "the file system is read-only; work in a writable folder and run again",
    errno.EACCES: "permission is denied; make the path accessible and run again",
}


@pytest.mark.parametrize("stage", ["synth_synaug", "retrain@guided", "eval_acc"])
def test_a_disk_that_fills_up_costs_a_sentence_and_nothing_else(stage, warm, known, uninterrupted, trial):
    whole, folder = uninterrupted(stage), trial(stage)
    old, finished, failures = state(folder, known[stage]), {}, 0
    # Bytes that each attempt has, the last for what is left; evaluation writes little, in small files.
    for room in (0, 3_000 if stage == "eval_acc" else 30_000, 60_000):
        ended = warm.run(known[stage], folder, {"kind": "full", "room": room})
        if ended.status == 0:
            break
        failures += 1
        assert (ended.status, FULL in ended.sentence()) == (2, True), ended.output
        assert torn(state(folder, known[stage]), old, whole) == []
        assert finished.items() <= shards(folder / ".dvc").items(), "what was finished is kept"
        finished = shards(folder / ".dvc")
    assert failures >= 2
    ended = warm.run(known[stage], folder)
    assert (ended.status, whole.differences(folder)) == (0, []), ended.output


@pytest.mark.parametrize("code", BARRED)
@pytest.mark.parametrize("where", [".dvc", "data", "data/results"])
def test_a_folder_that_cannot_be_written_costs_a_sentence_and_nothing_else(
    where, code, warm, known, uninterrupted, trial
):
    stage = "retrain@guided"
    whole, folder = uninterrupted(stage), trial(stage)
    old = state(folder, known[stage])
    ended = warm.run(known[stage], folder, {"kind": "refuse", "folder": where, "code": code})
    assert ended.status == 2 and BARRED[code] in ended.sentence(), ended.output
    assert torn(state(folder, known[stage]), old, whole) == []
    ended = warm.run(known[stage], folder)
    assert (ended.status, whole.differences(folder)) == (0, []), ended.output


@pytest.mark.parametrize("stage", ["synth_synaug", "retrain@guided"])
def test_a_clock_that_jumps_by_hours_changes_no_byte(stage, warm, known, uninterrupted, trial):
    whole, folder = uninterrupted(stage), trial(stage)
    ended = warm.run(known[stage], folder, {"kind": "clock", "seed": 0})
    assert (ended.status, whole.differences(folder)) == (0, []), ended.output


@pytest.fixture
def mounting(warm) -> Warm:
    if not warm.mounts:
        pytest.skip("mounts of one's own are not allowed here (unshare --user --map-root-user --mount)")
    return warm


@pytest.mark.parametrize(
    ("stage", "rooms"),
    [("synth_synaug", (4, 70)), ("train_generator", (4, 2_700))],  # KiB; at last it is safetensors that writes
)
def test_a_small_file_system_that_fills_up_and_is_then_enlarged(
    stage, rooms, mounting, micro, known, uninterrupted, tmp_path
):
    whole = uninterrupted(stage)
    mounting.mount("-t", "tmpfs", "-o", "size=64m", "none", str(tmp_path))
    folder = mounting.seen(tmp_path) / "trial"  # on the small file system, which only that process has
    lay_out(micro.root, folder, known[stage])
    old, finished = state(folder, known[stage]), {}
    used = sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))
    for room in rooms:
        mounting.mount("-o", f"remount,size={used // 1024 + room}k", str(tmp_path))
        ended = mounting.run(known[stage], tmp_path / "trial")
        assert ended.status == 2 and FULL in ended.sentence(), ended.output
        assert torn(state(folder, known[stage]), old, whole) == []
        assert finished.items() <= shards(folder / ".dvc").items(), "what was finished is kept"
        finished = shards(folder / ".dvc")
    mounting.mount("-o", "remount,size=64m", str(tmp_path))
    ended = mounting.run(known[stage], tmp_path / "trial")
    assert (ended.status, whole.differences(folder)) == (0, []), ended.output


def test_a_file_system_that_is_read_only_and_is_then_writable(mounting, micro, known, uninterrupted, tmp_path):
    stage = "retrain@guided"
    whole = uninterrupted(stage)
    mounting.mount("-t", "tmpfs", "-o", "size=64m", "none", str(tmp_path))
    folder = lay_out(micro.root, mounting.seen(tmp_path) / "trial", known[stage])
    before = results(folder)
    mounting.mount("-o", "remount,ro", str(tmp_path))
    ended = mounting.run(known[stage], tmp_path / "trial")
    assert ended.status == 2 and BARRED[errno.EROFS] in ended.sentence(), ended.output
    assert results(folder) == before
    mounting.mount("-o", "remount,rw", str(tmp_path))
    ended = mounting.run(known[stage], tmp_path / "trial")
    assert (ended.status, whole.differences(folder)) == (0, []), ended.output
