"""Procedural handwriting: pen strokes of digits and letters as noisy splines, never copied from real data.

A glyph is a list of strokes; a stroke is a list of control points in the unit square (x right, y down). "~"
strokes are Catmull-Rom splines, "-" strokes are polylines.
"""

import numpy as np
import torch
from torch import Tensor

Stroke = tuple[str, list[tuple[float, float]]]

RING = [
    (0.5, 0.0),
    (0.2, 0.2),
    (0.12, 0.5),
    (0.22, 0.82),
    (0.5, 1.0),
    (0.78, 0.82),
    (0.88, 0.5),
    (0.8, 0.2),
    (0.5, 0.0),
]

GLYPHS: dict[str, list[list[Stroke]]] = {
    "zero": [
        [("~", RING)],
        [("~", [(0.6, 0.02), (0.25, 0.12), (0.12, 0.55), (0.35, 0.98), (0.75, 0.85), (0.88, 0.4),
            (0.65, 0.05), (0.5, 0.05)])],
    ],
    "one": [
        [("-", [(0.5, 0.0), (0.5, 1.0)])],
        [("-", [(0.28, 0.28), (0.55, 0.0), (0.55, 1.0)])],
        [("-", [(0.3, 0.25), (0.52, 0.0), (0.52, 1.0)]), ("-", [(0.25, 1.0), (0.8, 1.0)])],
        [("~", [(0.2, 0.4), (0.42, 0.22), (0.56, 0.0)]), ("-", [(0.56, 0.0), (0.5, 1.0)])],
        [("-", [(0.1, 0.5), (0.6, 0.0), (0.6, 1.0)])],
        [("~", [(0.3, 0.3), (0.5, 0.1), (0.6, 0.0)]), ("-", [(0.6, 0.0), (0.58, 1.0)]),
            ("-", [(0.35, 1.0), (0.75, 1.0)])],
    ],
    "two": [
        [("~", [(0.15, 0.25), (0.42, 0.0), (0.8, 0.2), (0.62, 0.58), (0.12, 1.0)]),
            ("-", [(0.12, 1.0), (0.88, 1.0)])],
        [
            (
                "~",
                [(0.15, 0.2), (0.5, 0.0), (0.8, 0.25), (0.6, 0.6), (0.25, 0.92), (0.1, 0.85), (0.3, 0.74),
                    (0.6, 0.92), (0.92, 0.95)],
            )
        ],
        [("~", [(0.2, 0.15), (0.55, 0.0), (0.78, 0.28), (0.45, 0.7), (0.18, 0.97)]),
            ("~", [(0.18, 0.97), (0.5, 0.9), (0.88, 0.98)])],
    ],
    "three": [
        [("~", [(0.15, 0.12), (0.5, 0.0), (0.8, 0.2), (0.42, 0.47)]),
            ("~", [(0.42, 0.47), (0.86, 0.7), (0.52, 1.0), (0.1, 0.9)])],
        [("-", [(0.15, 0.0), (0.82, 0.0), (0.42, 0.4)]),
            ("~", [(0.42, 0.4), (0.86, 0.66), (0.55, 1.0), (0.1, 0.9)])],
        [("~", [(0.2, 0.08), (0.6, 0.02), (0.78, 0.24), (0.5, 0.46), (0.8, 0.64), (0.76, 0.88), (0.4, 1.0),
            (0.12, 0.88)])],
    ],
    "four": [
        [("-", [(0.35, 0.0), (0.1, 0.62), (0.92, 0.62)]), ("-", [(0.68, 0.3), (0.62, 1.0)])],
        [("-", [(0.66, 1.0), (0.66, 0.0), (0.08, 0.66), (0.94, 0.66)])],
        [("~", [(0.15, 0.02), (0.12, 0.4), (0.4, 0.54), (0.8, 0.46)]), ("-", [(0.84, 0.0), (0.7, 1.0)])],
        [("-", [(0.2, 0.05), (0.14, 0.55), (0.9, 0.52)]), ("-", [(0.72, 0.1), (0.68, 1.0)])],
        [("~", [(0.6, 0.0), (0.3, 0.3), (0.12, 0.6), (0.5, 0.66), (0.92, 0.56)]),
            ("~", [(0.8, 0.3), (0.62, 0.7), (0.5, 1.0)])],
        [("-", [(0.1, 0.1), (0.2, 0.55), (0.8, 0.4)]), ("~", [(0.82, 0.0), (0.78, 0.5), (0.45, 1.0)])],
    ],
    "five": [
        [("-", [(0.82, 0.0), (0.25, 0.0), (0.2, 0.42)]),
            ("~", [(0.2, 0.42), (0.56, 0.36), (0.86, 0.66), (0.55, 1.0), (0.1, 0.92)])],
        [("~", [(0.85, 0.02), (0.3, 0.04), (0.22, 0.4), (0.7, 0.48), (0.8, 0.8), (0.4, 1.0), (0.1, 0.9)])],
        [("-", [(0.3, 0.02), (0.25, 0.45)]),
            ("~", [(0.25, 0.45), (0.7, 0.42), (0.8, 0.75), (0.45, 1.0), (0.12, 0.9)]),
            ("-", [(0.3, 0.02), (0.88, 0.0)])],
    ],
    "six": [
        [("~", [(0.68, 0.0), (0.3, 0.25), (0.14, 0.65), (0.35, 0.98), (0.72, 0.94), (0.82, 0.7),
            (0.55, 0.54), (0.2, 0.7)])],
        [("~", [(0.45, 0.0), (0.2, 0.4), (0.16, 0.8), (0.45, 1.0), (0.8, 0.84), (0.7, 0.58), (0.4, 0.56),
            (0.2, 0.74)])],
        [("~", [(0.8, 0.1), (0.5, 0.02), (0.2, 0.3), (0.14, 0.7), (0.42, 1.0), (0.8, 0.82), (0.62, 0.55),
            (0.18, 0.66)])],
    ],
    "seven": [
        [("-", [(0.1, 0.0), (0.86, 0.0), (0.4, 1.0)])],
        [("-", [(0.1, 0.02), (0.86, 0.0), (0.42, 1.0)]), ("-", [(0.28, 0.5), (0.84, 0.48)])],
        [("-", [(0.1, 0.16), (0.14, 0.0), (0.86, 0.02)]), ("~", [(0.86, 0.02), (0.55, 0.45), (0.45, 1.0)])],
        [("~", [(0.1, 0.1), (0.4, 0.02), (0.86, 0.06)]), ("-", [(0.86, 0.06), (0.4, 1.0)]),
            ("-", [(0.3, 0.52), (0.78, 0.46)])],
        [("~", [(0.05, 0.2), (0.3, 0.0), (0.7, 0.1), (0.7, 0.45), (0.4, 1.0)]),
            ("-", [(0.2, 0.58), (0.95, 0.42)])],
    ],
    "eight": [
        [("~", [(0.5, 0.47), (0.2, 0.25), (0.5, 0.0), (0.8, 0.25), (0.5, 0.47), (0.15, 0.75), (0.5, 1.0),
            (0.85, 0.75), (0.5, 0.47)])],
        [("~", [(0.78, 0.14), (0.45, 0.0), (0.2, 0.22), (0.5, 0.47), (0.82, 0.76), (0.5, 1.0), (0.18, 0.78),
            (0.5, 0.5), (0.8, 0.2)])],
        [("~", [(0.75, 0.1), (0.35, 0.05), (0.35, 0.3), (0.65, 0.6), (0.7, 0.9), (0.4, 1.0), (0.25, 0.8),
            (0.5, 0.5), (0.75, 0.2)])],
        [("~", [(0.5, 0.0), (0.22, 0.22), (0.5, 0.46), (0.78, 0.22), (0.5, 0.0)]),
            ("~", [(0.5, 0.46), (0.16, 0.74), (0.5, 1.0), (0.84, 0.74), (0.5, 0.46)])],
    ],
    "nine": [
        [("~", [(0.78, 0.28), (0.5, 0.0), (0.18, 0.26), (0.45, 0.52), (0.78, 0.28)]),
            ("-", [(0.78, 0.28), (0.66, 1.0)])],
        [("~", [(0.76, 0.3), (0.48, 0.0), (0.18, 0.26), (0.45, 0.52), (0.76, 0.3), (0.78, 0.7), (0.5, 1.0),
            (0.15, 0.92)])],
        [("~", [(0.8, 0.12), (0.4, 0.02), (0.18, 0.3), (0.5, 0.5), (0.8, 0.2)]),
            ("-", [(0.82, 0.05), (0.76, 1.0)])],
        [("~", [(0.8, 0.1), (0.4, 0.0), (0.2, 0.3), (0.5, 0.48), (0.8, 0.15), (0.74, 0.6), (0.45, 1.0)])],
        [("~", [(0.6, 0.05), (0.25, 0.15), (0.25, 0.42), (0.6, 0.42), (0.68, 0.15), (0.72, 0.55),
            (0.75, 0.88), (0.4, 1.0), (0.1, 0.95)])],
    ],
    "letter a": [[("-", [(0.08, 1.0), (0.5, 0.0), (0.92, 1.0)]), ("-", [(0.25, 0.62), (0.75, 0.62)])]],
    "letter c": [[("~", [(0.85, 0.15), (0.5, 0.0), (0.15, 0.5), (0.5, 1.0), (0.88, 0.85)])]],
    "letter e": [[("-", [(0.85, 0.0), (0.15, 0.0), (0.15, 1.0), (0.88, 1.0)]),
        ("-", [(0.15, 0.5), (0.7, 0.5)])]],
    "letter h": [[("-", [(0.12, 0.0), (0.12, 1.0)]), ("-", [(0.88, 0.0), (0.88, 1.0)]),
        ("-", [(0.12, 0.5), (0.88, 0.5)])]],
    "letter k": [[("-", [(0.15, 0.0), (0.15, 1.0)]), ("-", [(0.85, 0.0), (0.15, 0.55)]),
        ("-", [(0.4, 0.4), (0.9, 1.0)])]],
    "letter m": [[("-", [(0.05, 1.0), (0.15, 0.0), (0.5, 0.7), (0.85, 0.0), (0.95, 1.0)])]],
    "letter t": [[("-", [(0.05, 0.0), (0.95, 0.0)]), ("-", [(0.5, 0.0), (0.5, 1.0)])]],
    "letter u": [[("~", [(0.12, 0.0), (0.14, 0.6), (0.5, 1.0), (0.86, 0.6), (0.88, 0.0)])]],
    "letter w": [[("-", [(0.03, 0.0), (0.25, 1.0), (0.5, 0.3), (0.75, 1.0), (0.97, 0.0)])]],
    "letter x": [[("-", [(0.1, 0.0), (0.9, 1.0)]), ("-", [(0.9, 0.0), (0.1, 1.0)])]],
}  # fmt: skip

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
