"""Batches: every process draws the same numbers and reads no more than it needs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.data.labelled_images import LabelledImages
from src.shards.pixels import centre_square, to_tensor
from src.training.augmentation import AUGMENTATIONS
from src.training.loader import Batches, Part, pixels
from src.training.mixing import MIXING
from src.training.samplers import class_uniform

from .fakes import RECIPE, corners

IMAGES, LABELS = corners(32, seed=0)
GROUPS = LABELS * 2 + np.arange(32) % 2
CPU = torch.device("cpu")


def batches(augment: str = "none", mixing: str = "none", rank: int = 0, processes: int = 1, images=IMAGES) -> Batches:
    recipe = replace(RECIPE, augment=augment, parts=4, label_smoothing=0.1)
    sampler, second = class_uniform(LABELS, 8, 0), class_uniform(LABELS, 8, 1)
    data = LabelledImages(images, LABELS, GROUPS)
    return Batches(data, 4, 16, sampler, recipe, 0, CPU, (mixing, 1.0), second, rank, processes)


def parts(of: Batches, step: int = 3) -> list[Part]:
    return of.parts(step, of.read(step))


@pytest.mark.parametrize("mixing", MIXING)
@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_a_part_is_the_same_whichever_process_makes_it(augment: str, mixing: str) -> None:
    whole = parts(batches(augment, mixing))
    shares = [parts(batches(augment, mixing, rank, 2)) for rank in (0, 1)]
    for part, same in zip(whole, [shares[0][0], shares[1][0], shares[0][1], shares[1][1]], strict=True):
        assert torch.allclose(part.x, same.x, atol=1e-6)
        assert torch.equal(part.targets, same.targets) and torch.equal(part.groups, same.groups)


class Oblong:
    """Images 16 high and 16 to 32 wide, black but for a white edge of 4 on either side of the wider ones."""

    shape = IMAGES.shape

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, key) -> np.ndarray:
        return np.stack([centre_square(image, 16) for image in self.whole(key)])

    def whole(self, chosen: np.ndarray) -> list[np.ndarray]:
        images = [np.zeros((16, 16 + 8 * (int(i) % 3), 3), np.uint8) for i in chosen]
        for image in images:
            if image.shape[1] > 16:
                image[:, :4] = image[:, -4:] = 255
        return images


def test_random_crops_see_the_long_side_of_a_stored_image_and_no_padding_and_the_others_its_middle() -> None:
    # ImageNet-LT's crops came from the stored middle square: a third of a photograph at 3:2 was never seen.
    for augment in AUGMENTATIONS:
        steps = [parts(batches(augment, images=Oblong()), step) for step in range(8)]
        seen = torch.cat([part.x for step in steps for part in step])
        assert seen.shape[1:] == (3, 16, 16)
        if augment in ("photo", "imagenet"):
            assert (seen > 0).any()
        elif "randaugment" not in augment:
            assert seen.max() == -1


@pytest.mark.parametrize("augment", ["photo", "imagenet"])
def test_images_of_several_sides_are_the_same_whichever_process_crops_them(augment: str) -> None:
    whole = parts(batches(augment, images=Oblong()))
    shares = [parts(batches(augment, rank=rank, processes=2, images=Oblong())) for rank in (0, 1)]
    for part, same in zip(whole, [shares[0][0], shares[1][0], shares[0][1], shares[1][1]], strict=True):
        assert torch.allclose(part.x, same.x, atol=1e-6)


def test_a_process_reads_its_own_rows_alone_unless_images_are_mixed() -> None:
    class Counting:
        shape = IMAGES.shape
        read = 0

        def __len__(self) -> int:
            return len(IMAGES)

        def __getitem__(self, key) -> np.ndarray:
            self.read += len(key)
            return IMAGES[key]

    for mixing, expected in [("none", 4), ("mixup", 8), ("cmo", 16)]:
        images = Counting()
        parts(batches("flip", mixing, rank=1, processes=2, images=images))
        assert images.read == expected


def test_steps_come_in_order_with_the_images_of_each() -> None:
    of = batches()
    seen = list(of.ahead(2, 6))
    assert [step for step, _ in seen] == [2, 3, 4, 5]
    for step, read in seen:
        assert np.array_equal(read.images, IMAGES[of.sampler(step)])


def test_pixels_are_those_of_to_tensor_bit_for_bit() -> None:
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert torch.equal(pixels(every, CPU), to_tensor(every))
