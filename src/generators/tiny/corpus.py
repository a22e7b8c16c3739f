"""The tiny generator's corpus: rendered glyphs in four styles with captions, never the target data.

`printed` is ink on paper from fonts, `pencil` handwriting on paper, `coloured` either of them in two colours,
and `scanned` handwriting (seldom a font) normalised as UCI normalised its digits: fitted to its box, counted
in 4 x 4 blocks, 16 levels, upsampled. Every image has one random pose. "a photo of a seven" may be any of
them, so the class name alone does not say the style; an image embedding does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from src.data.digits import CLASS_NAMES, INK_LEVELS, upsample
from src.data.pose import apply_poses, draw_poses
from src.generators.tiny.fonts import BOLD, FONTS, glyph_mask
from src.generators.tiny.strokes import GLYPHS, POINTS, draw_ink, fit_to_box, write_glyph
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.sections import PoseRange, TinySettings

SIZE = 32
CLASSES = tuple(GLYPHS)
CHARACTERS = {name: str(CLASS_NAMES.index(name)) if name in CLASS_NAMES else name[-1].upper() for name in CLASSES}
STYLES = ("printed", "pencil", "coloured", "scanned")
STYLE_SHARES = (0.16, 0.12, 0.22, 0.5)
LETTER_SHARE = 0.2
INKS = {
    "red": (0.85, 0.1, 0.1),
    "green": (0.1, 0.65, 0.2),
    "blue": (0.12, 0.2, 0.85),
    "yellow": (0.95, 0.85, 0.1),
}
WORDS = ("printed", "handwritten", "scanned", "coloured", *INKS, "bold", "thin", "tilted", "small", "large")


def feature_classes(classes: np.ndarray, styles: np.ndarray) -> np.ndarray:
    """What the shipped feature space was trained to tell apart: glyph * styles + style, (N,) of (N,) and (N,)."""
    return classes * len(STYLES) + styles


@dataclass(frozen=True)
class Corpus:
    """Images uint8 (N, 3, SIZE, SIZE), classes (N,) into CLASSES, styles (N,) into STYLES, captions,
    attributes bool (N, len(WORDS)): true of the image, mentioned bool (N, len(WORDS)): caption says it."""

    images: Tensor
    classes: np.ndarray
    styles: np.ndarray
    captions: list[str]
    attributes: np.ndarray
    mentioned: np.ndarray

    def __len__(self) -> int:
        return len(self.captions)


def _masks(
    classes: np.ndarray, styles: np.ndarray, generator: np.random.Generator
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Unposed masks (N, 1, SIZE, SIZE) in [0, 1], which are handwritten (N,), pen weight (N,) in -1, 0, 1."""
    count = len(classes)
    handwritten = generator.random(count) < np.array([0.0, 1.0, 0.5, 0.88])[styles]
    scanned = styles == STYLES.index("scanned")
    ink = np.zeros((count, POINTS, 2), np.float32)
    radius = np.where(scanned, generator.uniform(1.3, 3.0, count), generator.uniform(0.9, 2.3, count))
    radius[classes == CLASSES.index("one")] *= 1.25  # one stroke alone in its box comes out heavy
    for i in np.flatnonzero(handwritten):
        xy = write_glyph(CLASSES[classes[i]], generator.uniform(0.02, 0.06), generator)
        narrow = CLASSES[classes[i]] == "one" and generator.random() < 0.7
        aspect = generator.uniform(0.1, 0.6) if narrow else generator.uniform(0.45, 0.9)
        ink[i] = fit_to_box(xy, aspect)
    reach = (SIZE - 2 * radius)[:, None, None]
    pixels = torch.from_numpy(((ink - 0.5) * reach + SIZE / 2).astype(np.float32))
    masks = torch.cat(
        [
            draw_ink(pixels[k : k + 512], torch.from_numpy(radius[k : k + 512]).float(), SIZE, softness=0.25)
            for k in range(0, count, 512)
        ]
    )
    weight = np.where(radius > 2.1, 1, np.where(radius < 1.4, -1, 0))
    fonts = generator.integers(len(FONTS), size=count)
    for i in np.flatnonzero(~handwritten):
        masks[i, 0] = torch.from_numpy(glyph_mask(CHARACTERS[CLASSES[classes[i]]], int(fonts[i]), SIZE))
        weight[i] = int(BOLD[fonts[i]])
    blocks = torch.nn.functional.avg_pool2d((masks[scanned] > 0.5).float(), 4)
    masks[scanned] = upsample((blocks * INK_LEVELS).round() / INK_LEVELS, SIZE)
    return masks, handwritten, weight


def _paint(masks: Tensor, styles: np.ndarray, generator: np.random.Generator) -> tuple[Tensor, np.ndarray]:
    """Posed masks to images (N, 3, SIZE, SIZE) in [0, 1] and ink colour (N,): index into INKS or -1."""
    count = len(styles)
    paper = np.repeat(generator.uniform(0.75, 1.0, (count, 1)), 3, 1)
    ink = np.repeat(generator.uniform(0.0, 0.3, (count, 1)), 3, 1)
    colour = np.where(styles == STYLES.index("coloured"), generator.integers(-1, len(INKS), count), -1)
    coloured = styles == STYLES.index("coloured")
    paper[coloured] = generator.uniform(0.0, 1.0, (coloured.sum(), 3))
    named = np.array(list(INKS.values()))[colour.clip(0)] + generator.normal(0, 0.06, (count, 3))
    ink[coloured] = generator.uniform(0.0, 1.0, (coloured.sum(), 3))
    ink[colour >= 0] = named[colour >= 0]
    faint = np.abs(paper - ink).mean(1) < 0.35  # unreadable: put the paper on the other side of the ink
    paper[faint] = np.where(ink[faint].mean(1, keepdims=True) > 0.5, ink[faint] - 0.6, ink[faint] + 0.6)
    scanned = styles == STYLES.index("scanned")
    paper[scanned], ink[scanned] = 0.0, 1.0
    noise = np.where(scanned, 0.0, generator.uniform(0.0, 0.04, count))
    paper_t, ink_t = (torch.from_numpy(c.clip(0, 1)).float()[:, :, None, None] for c in (paper, ink))
    grain = torch.from_numpy(generator.standard_normal((count, 1, SIZE, SIZE)).astype(np.float32))
    images = paper_t + (ink_t - paper_t) * masks + torch.from_numpy(noise).float()[:, None, None, None] * grain
    return images.clamp(0, 1), colour


def _captions(
    classes: np.ndarray, attributes: np.ndarray, generator: np.random.Generator
) -> tuple[list[str], np.ndarray]:
    """Captions that always name the class and sometimes one or two true attributes; which were mentioned."""
    captions, mentioned = [], np.zeros_like(attributes)
    for i, k in enumerate(classes):
        true = np.flatnonzero(attributes[i])
        count = min(int(generator.choice(3, p=[0.45, 0.35, 0.2])), len(true))
        chosen: np.ndarray | list[int] = np.sort(generator.choice(true, count, replace=False)) if count else []
        mentioned[i, chosen] = True
        captions.append(" ".join(["a photo of a", *(WORDS[w] for w in chosen), CLASSES[k]]))
    return captions, mentioned


def labelled_as(names: Sequence[str], settings: TinySettings) -> tuple[np.ndarray, np.ndarray]:
    """The corpus of the shipped generator as images uint8 (N, SIZE, SIZE, 3) and labels (N,) of the classes so named.

    InputError for a name that it has no glyph for.
    """
    if strange := [name for name in names if name not in CLASSES]:
        raise InputError(f"the shipped generator's corpus has no class {strange[0]!r}; set fit.data to train")
    corpus = render(settings.images, settings.pose, numpy_generator("corpus", settings.seed))
    place = np.array([names.index(name) if name in names else -1 for name in CLASSES])[corpus.classes]
    return corpus.images[torch.from_numpy(place >= 0)].permute(0, 2, 3, 1).numpy(), place[place >= 0]


def render(count: int, pose_range: PoseRange, generator: np.random.Generator) -> Corpus:
    """`count` captioned images, reproducible from the generator."""
    digit = np.flatnonzero([name in CLASS_NAMES for name in CLASSES])
    letter = np.flatnonzero([name not in CLASS_NAMES for name in CLASSES])
    is_letter = generator.random(count) < LETTER_SHARE
    classes = np.where(is_letter, generator.choice(letter, count), generator.choice(digit, count))
    styles = generator.choice(len(STYLES), count, p=STYLE_SHARES)
    masks, handwritten, weight = _masks(classes, styles, generator)
    poses = draw_poses(count, pose_range, generator)
    images, colour = _paint(apply_poses(masks, poses), styles, generator)
    attributes = np.stack(
        [
            (styles == STYLES.index("printed")) | (~handwritten & (styles != STYLES.index("scanned"))),
            handwritten,
            styles == STYLES.index("scanned"),
            styles == STYLES.index("coloured"),
            *(colour == k for k in range(len(INKS))),
            weight > 0,
            weight < 0,
            np.abs(poses.rotation) > 10,
            poses.scale < 0.8,
            poses.scale > 0.97,
        ],
        1,
    )
    captions, mentioned = _captions(classes, attributes, generator)
    return Corpus((images * 255).round().to(torch.uint8), classes, styles, captions, attributes, mentioned)
