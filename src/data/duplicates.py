"""Copies among images, told by content: the same pixels, or nearly so after saving or resizing again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from src.data.grouping import whole_runs

EDGE = 16  # pixels of a thumbnail
# Root mean square difference of thumbnails, as a share of their contrast and in levels of 255. A photograph saved as a
# JPEG of quality 20 or shrunk to 100 pixels is at .02 to .08, cropped by ten pixels at .16, another one at .6 and more.
NEAR, LEAST, MOST = 0.1, 1.0, 6.0
RATIO = 0.03  # of the shapes
_COARSE = 4  # pixels of what candidates are found by
TOGETHER = 4096  # pairs


@dataclass(frozen=True)
class Sketch:
    """What is kept of an image to know its copies by. thumbnail: uint8 (EDGE, EDGE, 3). size: (width, height)."""

    thumbnail: np.ndarray
    size: tuple[int, int]


def sketch(image: np.ndarray) -> Sketch:
    """The sketch of an image, uint8 (H, W, 3)."""
    small = Image.fromarray(image).resize((EDGE, EDGE), Image.Resampling.BOX)
    return Sketch(np.asarray(small), (image.shape[1], image.shape[0]))


def originals(sketches: Sequence[Sketch]) -> np.ndarray:
    """For each of N images the first that it is a copy of, itself where there is none before it, integers (N,).

    A copy of a copy is one too.
    """
    if not sketches:
        return np.empty(0, np.int64)
    thumbnails = np.stack([s.thumbnail for s in sketches]).astype(np.float32)
    ratios = np.log([s.size[0] / s.size[1] for s in sketches])
    kinds, kind = np.unique(thumbnails.reshape(len(sketches), -1), axis=0, return_inverse=True)
    # Means over blocks cannot differ by more than what they are means of.
    block = EDGE // _COARSE
    coarse = kinds.reshape(-1, _COARSE, block, _COARSE, block, 3).mean((2, 4, 5)).reshape(len(kinds), -1)
    bars, near = np.clip(NEAR * kinds.std(1), LEAST, MOST), [np.empty((0, 2), np.int64)]
    for part in _pairs(coarse, MOST * _COARSE):
        near.append(part[_distance(kinds, part) < bars[part].min(1)])
    first, second = _members(kind.reshape(-1), np.concatenate(near))
    same = np.abs(ratios[first] - ratios[second]) < RATIO
    links = coo_array((np.ones(same.sum()), (first[same], second[same])), shape=(len(sketches),) * 2)
    _, component = connected_components(links, directed=False)
    _, earliest = np.unique(component, return_index=True)
    return earliest[component]


def _pairs(points: np.ndarray, radius: float) -> Iterator[np.ndarray]:
    """Every pair of points (N, D) within the radius once, in parts (P, 2) of at most TOGETHER: where all points are
    near each other there is no room for all pairs."""
    tree = cKDTree(points)
    for i, point in enumerate(points):
        others = np.array(tree.query_ball_point(point, radius), np.int64)
        others = others[others > i]
        for places in whole_runs(len(others), TOGETHER):
            yield np.stack([np.full(len(others[places]), i), others[places]], 1)


def _distance(kinds: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Root mean square difference of the thumbnails of each pair (P, 2), in levels."""
    return np.sqrt(np.square(kinds[pairs[:, 0]] - kinds[pairs[:, 1]]).mean(1))


def _members(kind: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of images of one kind or of two near ones (K, 2): each with the first of its own and of those kinds."""
    _, first = np.unique(kind, return_index=True)
    own = np.arange(len(kind)), first[kind]
    return np.concatenate([own[0], first[near[:, 0]]]), np.concatenate([own[1], first[near[:, 1]]])
