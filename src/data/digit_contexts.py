"""Contexts for real digits: handwriting stays real, ink and paper change, in ways that the shipped generator has seen.

After Colored MNIST (Arjovsky et al., Invariant Risk Minimization, arXiv 1907.02893): the colour is the spurious
attribute. Ink, paper and grain follow the tiny generator's corpus (src/generators/tiny/glyphs.py), so that the
generator can be told a context by its name.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from src.runtime.choices import choose

INKS = {"red": (0.85, 0.1, 0.1), "green": (0.1, 0.65, 0.2), "blue": (0.12, 0.2, 0.85), "yellow": (0.95, 0.85, 0.1)}
"""RGB in [0, 1]; the shipped generators saw these."""
FAINT = 0.35  # mean distance of ink and paper below which a digit cannot be read
GRAIN = 0.04  # largest standard deviation of the paper's grain

Paint = tuple[np.ndarray, np.ndarray, float]


def _scanned(generator: np.random.Generator) -> Paint:
    """White on black without grain: the digits as they are."""
    return np.zeros(3), np.ones(3), 0.0


def _pencil(generator: np.random.Generator) -> Paint:
    """Dark grey on light grey."""
    paper, ink = generator.uniform(0.75, 1.0), generator.uniform(0.0, 0.3)
    return np.full(3, paper), np.full(3, ink), generator.uniform(0.0, GRAIN)


def _coloured(name: str, generator: np.random.Generator) -> Paint:
    """Ink of a colour, about, on paper of any colour that it can be read on."""
    paper = generator.uniform(0.0, 1.0, 3)
    ink = np.array(INKS[name]) + generator.normal(0.0, 0.06, 3)
    if np.abs(paper - ink).mean() < FAINT:
        paper = ink - 0.6 if ink.mean() > 0.5 else ink + 0.6
    return paper, ink, generator.uniform(0.0, GRAIN)


CONTEXTS: dict[str, Callable[[np.random.Generator], Paint]] = {
    "scanned": _scanned,
    "pencil": _pencil,
    **{name: partial(_coloured, name) for name in INKS},
}


def paint(image: np.ndarray, context: str, generator: np.random.Generator) -> np.ndarray:
    """A white-on-black image, uint8 (H, W, 3), in a context of `CONTEXTS`, same shape; "scanned" returns it unchanged.

    generator: draws the shades of ink and paper, and the grain. Raises InputError for an unknown context.
    """
    paper, ink, grain = choose("context", CONTEXTS, context)(generator)
    mask = image.astype(np.float64) / 255  # (H, W, 3)
    noise = grain * generator.standard_normal(image.shape[:2])[:, :, None]
    painted = paper.clip(0, 1) + (ink.clip(0, 1) - paper.clip(0, 1)) * mask + noise
    return (painted.clip(0, 1) * 255).round().astype(np.uint8)
