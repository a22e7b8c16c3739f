"""Procedural handwriting: pen strokes of digits and letters as noisy splines, never copied from real data.

The strokes stand in strokes.yaml: a glyph has variants, a variant strokes, and a stroke control points in the unit
square, joined by a Catmull-Rom spline ("~") or a polyline ("-").
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.runtime.files import read_yaml

Stroke = tuple[str, list[tuple[float, float]]]


def _stroke(text: str) -> Stroke:
    kind, *points = text.split()
    return kind, [(float(x), float(y)) for x, y in (point.split(",") for point in points)]


GLYPHS: dict[str, list[list[Stroke]]] = {
    name: [[_stroke(text) for text in variant] for variant in variants]
    for name, variants in read_yaml(Path(__file__).with_suffix(".yaml")).items()
}

POINTS = 96  # ink samples along a glyph: closer together than the thinnest pen at 32 pixels


def _catmull_rom(points: np.ndarray, samples: int) -> np.ndarray:
    """(K, 2) control points to (samples, 2) points on the spline through them."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, len(points) - 1 - 1e-9, samples)
    i, u = t.astype(int), (t % 1)[:, None]
    p0, p1, p2, p3 = (padded[i + k] for k in range(4))
    return 0.5 * (2 * p1 + (p2 - p0) * u + (2 * p0 - 5 * p1 + 4 * p2 - p3) * u**2 + (3 * p1 - p0 - 3 * p2 + p3) * u**3)


def _polyline(points: np.ndarray, samples: int) -> np.ndarray:
    """(K, 2) corners to (samples, 2) points, evenly spaced along the line."""
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    t = np.linspace(0, lengths[-1], samples)
    return np.stack([np.interp(t, lengths, points[:, axis]) for axis in (0, 1)], -1)


def write_glyph(name: str, wobble: float, generator: np.random.Generator) -> np.ndarray:
    """One handwritten `name` as (POINTS, 2) ink points in about [0, 1]^2, of a random variant and slant."""
    variant = GLYPHS[name][generator.integers(len(GLYPHS[name]))]
    strokes = [(kind, np.array(points)) for kind, points in variant]
    lengths = np.array([np.linalg.norm(np.diff(points, axis=0), axis=1).sum() for _, points in strokes])
    samples = np.maximum(4, np.floor(POINTS * lengths / lengths.sum())).astype(int)
    samples[np.argmax(samples)] += POINTS - samples.sum()
    ink = []
    jitter: dict[tuple[float, ...], np.ndarray] = {}  # strokes that share an end keep sharing it
    for (kind, points), count in zip(strokes, samples, strict=True):
        moved = np.stack([p + jitter.setdefault(tuple(p), generator.normal(0, wobble, 2)) for p in points])
        ink.append((_catmull_rom if kind == "~" else _polyline)(moved, count))
    xy = np.concatenate(ink)
    # a smooth warp bends straight lines as hands do
    phase, strength = generator.uniform(0, 2 * np.pi, 2), generator.normal(0, wobble, 2)
    xy = xy + strength * np.sin(np.pi * xy[:, ::-1] * generator.uniform(0.7, 1.6) + phase)
    xy[:, 0] += generator.normal(0.08, 0.16) * (0.5 - xy[:, 1])  # writers lean to the right
    return xy


def fit_to_box(xy: np.ndarray, aspect: float) -> np.ndarray:
    """Ink points (P, 2) scaled to fill the unit square's height and, for an aspect of 1, its width."""
    low, high = xy.min(0), xy.max(0)
    extent = np.maximum(high - low, 1e-6)
    width = min(1.0, max(aspect, 0.0))
    return (xy - (low + high) / 2) / extent * np.array([width, 1.0]) + 0.5


def draw_ink(points: Tensor, radius: Tensor, size: int, softness: float) -> Tensor:
    """Ink points (N, P, 2) in pixels and pen radii (N,) in pixels to masks (N, 1, size, size) in [0, 1]."""
    axis = torch.arange(size) + 0.5
    dx = (points[:, None, :, 0] - axis[None, :, None]) ** 2  # (N, W, P)
    dy = (points[:, None, :, 1] - axis[None, :, None]) ** 2  # (N, H, P)
    squared = (dy[:, :, None, :] + dx[:, None, :, :]).amin(-1)  # (N, H, W)
    return torch.sigmoid((radius[:, None, None] - squared.sqrt()) / softness)[:, None]
