"""From a plan to shards: bytes that only the plan decides, whoever makes them, whenever and in whatever order."""

import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from src.shards.store import Shards, shard_name
from src.synthesis import production
from src.synthesis.memory import Fit
from src.synthesis.plan import PlannedImage
from src.synthesis.production import write_plan
from src.synthesis.shelf import spent
from src.synthesis.synthesiser import Synthesiser, cut
from tests.generators.scene import GUIDED, Scene, change, images_of, smooth_value

pytestmark = pytest.mark.slow


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_an_image_is_the_same_for_every_shard_size_up_to_rounding(scene: Scene, tmp_path: Path) -> None:
    made = scene.synthesiser(feedback=GUIDED)
    for size in (9, 4, 1):
        assert write_plan(made, scene.plan, size, tmp_path / str(size) / "shards", "test")
    whole, parts, single = (images_of(tmp_path / str(size) / "shards") for size in (9, 4, 1))
    assert np.abs(whole - parts).max() <= 1 and np.abs(whole - single).max() <= 1
    assert len(np.unique(whole.reshape(9, -1), axis=0)) == 9


def sampled(made: Synthesiser, plan: list[PlannedImage], batch: int) -> np.ndarray:
    made.fit = Fit(batch, batch)
    return np.stack([image for image, _ in made(plan)]).astype(int)


def test_batches_of_1_16_and_64_within_a_shard_make_the_same_images_up_to_one_grey_level(scene: Scene) -> None:
    """Measured over two guided steps: no difference between 16 and 64, and for 1 one grey level in 16,000 values.

    More guided steps amplify the rounding: after four, three grey levels.
    """
    plan = [replace(p, index=8 * k + i, seed=64 * k + i) for k in range(8) for i, p in enumerate(scene.plan[:8])]
    made = scene.synthesiser(change(steps=2), feedback=GUIDED, value=smooth_value(scene), plan=plan)
    whole = sampled(made, plan, 64)
    for batch, count in ((16, 64), (1, 12)):
        difference = np.abs(sampled(made, plan[:count], batch) - whole[:count])
        assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


def test_at_a_fixed_batch_the_images_are_the_same_bits_in_shards_of_any_size(scene: Scene, tmp_path: Path) -> None:
    made, plan = scene.synthesiser(change(steps=2), feedback=GUIDED), scene.plan[:6]
    for batch, sizes in ((1, (1, 4, 6)), (3, (3, 6))):
        made.fit = Fit(batch, batch)
        folders = [tmp_path / f"{batch}-{size}" / "shards" for size in sizes]
        for size, folder in zip(sizes, folders, strict=True):
            write_plan(made, plan, size, folder, "test")
        first, *others = map(images_of, folders)
        assert all(np.array_equal(first, other) for other in others)


def test_whoever_makes_the_shards_their_bytes_are_the_same(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process than the main one may make them all; it leaves the index to the main one."""
    alone, together = tmp_path / "a" / "shards", tmp_path / "b" / "shards"
    write_plan(scene.synthesiser(feedback=GUIDED), scene.plan, 4, alone, "test")
    together.parent.mkdir()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    made = scene.synthesiser(feedback=GUIDED)
    assert not write_plan(made, scene.plan, 4, together, "test")
    assert list(bytes_of(together)) == [shard_name(k) for k in range(3)]
    monkeypatch.setenv("RANK", "0")
    asked = observe(monkeypatch)
    assert write_plan(made, scene.plan, 4, together, "test")
    assert asked == [] and bytes_of(together) == bytes_of(alone)


def test_what_is_missing_is_made_and_nothing_else(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = scene.synthesiser(feedback=GUIDED), tmp_path / "shards"
    write_plan(made, scene.plan, 2, folder, "test")
    whole = bytes_of(folder)
    for k in (1, 2, 4):
        (folder / shard_name(k)).unlink()
    asked = observe(monkeypatch)
    write_plan(made, scene.plan, 2, folder, "test")
    assert asked == [2, 2, 1]
    assert bytes_of(folder) == whole


@pytest.mark.parametrize("failing", [1, 3, 5, 14])
def test_a_disk_that_is_full_while_a_shard_is_written_stops_the_plan_and_leaves_only_whole_shards(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Shards are written by a thread of their own, whose failure must not be lost; with sum and cost, three files."""
    made, whole, full = scene.synthesiser(), tmp_path / "whole" / "shards", tmp_path / "full" / "shards"
    write_plan(made, scene.plan, 2, whole, "test")
    synced, sync = [], os.fsync

    def fails(file: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            synced.append(file)
            if len(synced) == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        patch.setattr(production, "POLL_SECONDS", "no time, for the shard that failed never comes")
        with pytest.raises(OSError, match="No space left on device"):
            write_plan(made, scene.plan, 2, full, "test")
    left = bytes_of(full)
    lost = (failing - 1) // 3
    assert shard_name(lost) not in left  # the one that waited behind it may have found room
    assert set(left) >= {shard_name(k) for k in range(lost)} and left.items() <= bytes_of(whole).items()
    assert sorted(path.name for path in full.parent.iterdir()) == ["claims", "cost", "shards", "sums"]
    write_plan(made, scene.plan, 2, full, "test")
    assert bytes_of(full) == bytes_of(whole)


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
        write_plan(scene.synthesiser(plan=plan), plan, 3, tmp_path / str(count) / "shards", "test")
    assert np.array_equal(images_of(tmp_path / "6" / "shards"), images_of(tmp_path / "9" / "shards")[:6])


def test_a_criterion_that_is_not_a_number_leaves_its_images_unguided_and_is_recorded_as_missing(
    scene: Scene, tmp_path: Path
) -> None:
    def broken(images: Tensor, labels: Tensor) -> Tensor:
        return scene.value(images, labels) * torch.where(labels == 1, torch.nan, 1.0)

    guided, plain = tmp_path / "guided" / "shards", tmp_path / "plain" / "shards"
    write_plan(scene.synthesiser(feedback=GUIDED, value=broken), scene.plan, 9, guided, "test")
    write_plan(scene.synthesiser(), scene.plan, 9, plain, "test")
    shards = Shards(guided)
    hit = shards.labels == 1
    for i in range(len(shards)):
        meta = shards.meta(i)
        assert (meta["updates"], meta["skipped"]) == ((0, 4) if hit[i] else (4, 0))
        assert (meta["criterion_before"] is None) == (meta["criterion_after"] is None) == hit[i]
    difference = np.abs(shards.images().astype(int) - images_of(plain)).reshape(9, -1).max(1)
    assert (difference[hit] <= 1).all() and (difference[~hit] > 1).all()


def test_the_plan_is_cut_without_loss(scene: Scene) -> None:
    assert [len(part) for part in cut(scene.plan, 4)] == [4, 4, 1]
    assert [p for part in cut(scene.plan, 4) for p in part] == scene.plan
