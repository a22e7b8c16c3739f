"""From a plan to shards: bytes that only the plan decides, whoever makes them, whenever and in whatever order."""

import errno
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from src.errors import InputError
from src.generators import shard_plan
from src.generators.cost import spent
from src.generators.shard_plan import cut, write_plan
from src.generators.synthesis import Synthesiser
from src.shards import Shards, shard_name
from tests.generators.scene import GUIDED, Scene, images_of


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_an_image_is_the_same_for_every_shard_size_up_to_rounding(scene: Scene, tmp_path: Path) -> None:
    made = scene.synthesiser(schedule=GUIDED)
    for size in (9, 4, 1):
        assert write_plan(made, scene.plan, size, tmp_path / str(size), "test")
    whole, parts, single = (images_of(tmp_path / str(size)) for size in (9, 4, 1))
    assert np.abs(whole - parts).max() <= 1 and np.abs(whole - single).max() <= 1
    assert len(np.unique(whole.reshape(9, -1), axis=0)) == 9


def test_the_same_shards_in_any_order_and_by_any_process_are_the_same_bytes(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    write_plan(scene.synthesiser(schedule=GUIDED), scene.plan, 4, alone, "test")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    made = scene.synthesiser(schedule=GUIDED)
    assert not write_plan(made, scene.plan, 4, together, "test")
    assert list(bytes_of(together)) == [shard_name(1)]
    monkeypatch.setenv("RANK", "0")
    assert write_plan(made, scene.plan, 4, together, "test")
    assert bytes_of(together) == bytes_of(alone)


def test_an_interrupted_plan_continues_with_what_is_missing_to_the_same_bytes(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scene.synthesiser(schedule=GUIDED)
    write_plan(made, scene.plan, 2, tmp_path / "whole", "test")
    killed = tmp_path / "killed"
    killed.mkdir()
    for k in (0, 3):
        shutil.copy2(tmp_path / "whole" / shard_name(k), killed)
    asked = observe(monkeypatch)
    write_plan(made, scene.plan, 2, killed, "test")
    assert asked == [2, 2, 1]
    assert bytes_of(killed) == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize("failing", [1, 2, 5])
def test_a_disk_that_is_full_while_a_shard_is_written_stops_the_plan_and_leaves_only_whole_shards(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Shards are written by a thread of their own, whose failure must not be lost."""
    made = scene.synthesiser()
    write_plan(made, scene.plan, 2, tmp_path / "whole", "test")
    synced, sync = [], os.fsync

    def full(file: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            synced.append(file)
            if len(synced) == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr(shard_plan, "POLL_SECONDS", "no time, for the shard that failed never comes")
        with pytest.raises(OSError, match="No space left on device"):
            write_plan(made, scene.plan, 2, tmp_path / "full", "test")
    whole, left = bytes_of(tmp_path / "whole"), bytes_of(tmp_path / "full")
    assert list(left) == [shard_name(k) for k in range(failing - 1)]
    assert all(whole[name] == left[name] for name in left)
    write_plan(made, scene.plan, 2, tmp_path / "full", "test")
    assert bytes_of(tmp_path / "full") == whole


def test_ctrl_c_while_sampling_loses_no_shard_that_was_sampled(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scene.synthesiser()
    write_plan(made, scene.plan, 2, tmp_path / "a" / "shards", "test")
    with monkeypatch.context() as patch:
        asked = observe(patch, interrupt_at=3)
        with pytest.raises(KeyboardInterrupt):
            write_plan(made, scene.plan, 2, tmp_path / "b" / "shards", "test")
        assert asked == [2, 2, 2]
    assert list(bytes_of(tmp_path / "b" / "shards")) == [shard_name(0), shard_name(1)]
    write_plan(made, scene.plan, 2, tmp_path / "b" / "shards", "test")
    assert bytes_of(tmp_path / "b" / "shards") == bytes_of(tmp_path / "a" / "shards")
    # What the interrupted run spent on its two shards is not forgotten.
    assert spent(tmp_path / "a" / "cost")["images"] == spent(tmp_path / "b" / "cost")["images"] == len(scene.plan)


def observe(patch: pytest.MonkeyPatch, interrupt_at: int | None = None) -> list[int]:
    """The sizes of the batches that are asked for from now on; Ctrl-C during one of them."""
    asked: list[int] = []
    sampling = Synthesiser.__call__

    def observed(self: Synthesiser, part: list) -> list:
        asked.append(len(part))
        if len(asked) == interrupt_at:
            raise KeyboardInterrupt
        return sampling(self, part)

    patch.setattr(Synthesiser, "__call__", observed)
    return asked


def test_a_smaller_plan_is_the_beginning_of_a_larger_one(scene: Scene, tmp_path: Path) -> None:
    for count in (6, 9):
        plan = scene.plan[:count]
        write_plan(scene.synthesiser(plan=plan), plan, 3, tmp_path / str(count), "test")
    assert np.array_equal(images_of(tmp_path / "6"), images_of(tmp_path / "9")[:6])


def test_a_criterion_that_is_not_a_number_leaves_its_images_unguided_and_is_recorded_as_missing(
    scene: Scene, tmp_path: Path
) -> None:
    def broken(images: Tensor, labels: Tensor) -> Tensor:
        return scene.value(images, labels) * torch.where(labels == 1, torch.nan, 1.0)

    write_plan(scene.synthesiser(schedule=GUIDED, value=broken), scene.plan, 9, tmp_path / "guided", "test")
    write_plan(scene.synthesiser(), scene.plan, 9, tmp_path / "plain", "test")
    shards = Shards(tmp_path / "guided")
    hit = shards.labels == 1
    for i in range(len(shards)):
        meta = shards.meta(i)
        assert (meta["updates"], meta["skipped"]) == ((0, 4) if hit[i] else (4, 0))
        assert (meta["criterion_before"] is None) == (meta["criterion_after"] is None) == hit[i]
    difference = np.abs(shards.images().astype(int) - images_of(tmp_path / "plain")).reshape(9, -1).max(1)
    assert (difference[hit] <= 1).all() and (difference[~hit] > 1).all()


def test_the_plan_is_cut_without_loss(scene: Scene) -> None:
    assert [len(part) for part in cut(scene.plan, 4)] == [4, 4, 1]
    assert [p for part in cut(scene.plan, 4) for p in part] == scene.plan
    with pytest.raises(InputError, match="shard_size=0 must be at least 1"):
        cut(scene.plan, 0)
