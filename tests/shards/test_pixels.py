"""Bytes and numbers: the two forms of an image are the same image."""

import numpy as np
import pytest
import torch

from src.shards.pixels import to_tensor, to_uint8


def test_every_byte_survives_the_round_trip():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    x = to_tensor(images)
    assert x.shape == (1, 3, 16, 16) and x.is_contiguous()
    assert (x.min(), x.max()) == (-1, 1)
    assert np.array_equal(to_uint8(x), images)


def test_channels_go_first_and_the_bytes_are_left_alone():
    images = np.zeros((2, 4, 5, 3), dtype=np.uint8)
    images[1, 2, 3, 0] = 255
    images.setflags(write=False)
    assert to_tensor(images)[1, 0, 2, 3] == 1
    assert images.sum() == 255


def test_values_out_of_range_are_clamped_and_non_finite_ones_refused():
    assert to_uint8(torch.tensor([-7.0, 0.0, 7.0]).reshape(1, 3, 1, 1)).ravel().tolist() == [0, 128, 255]
    with pytest.raises(ValueError, match="NaN"):
        to_uint8(torch.full((1, 3, 1, 1), torch.nan))


@pytest.mark.parametrize("images", [np.zeros((1, 3, 4, 4), np.uint8), np.zeros((1, 4, 4, 3))])
def test_another_layout_or_type_is_refused(images):
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\)"):
        to_tensor(images)
