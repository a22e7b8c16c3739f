"""What a tiny generator is trained on: captioned images of classes in styles, whatever they show.

A caption names the class and at times a true attribute or two. "a photo of a seven" may be any style, so the class
name alone does not say the style; an image embedding does.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

SIZE = 32


@dataclass(frozen=True)
class Corpus:
    """Images uint8 (N, 3, SIZE, SIZE), classes (N,) into class_names, styles (N,) into style_names, captions,
    attributes bool (N, W): true of the image, mentioned bool (N, W): caption says it. spoken: words of captions."""

    images: Tensor
    classes: np.ndarray
    styles: np.ndarray
    captions: list[str]
    attributes: np.ndarray
    mentioned: np.ndarray
    class_names: tuple[str, ...]
    style_names: tuple[str, ...]
    spoken: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.captions)


def mention(attributes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Which attributes bool (N, W) captions say: of those that are true of an image none, one or two."""
    mentioned = np.zeros_like(attributes)
    for i, row in enumerate(attributes):
        true = np.flatnonzero(row)
        count = min(int(generator.choice(3, p=[0.45, 0.35, 0.2])), len(true))
        if count:
            mentioned[i, generator.choice(true, count, replace=False)] = True
    return mentioned
