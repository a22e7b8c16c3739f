"""The corpus of the digits' generator: rendered glyphs in four styles with captions, never the target data.

`printed` is ink on paper from fonts, `pencil` handwriting on paper, `coloured` either of them in two colours,
and `scanned` handwriting (seldom a font) normalised as UCI normalised its digits: fitted to its box, counted
in 4 x 4 blocks, 16 levels, upsampled. Every image has one random pose.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from src.data.digit_contexts import INKS
from src.data.digits import CLASS_NAMES, INK_LEVELS, upsample
from src.data.pose import apply_poses, draw_poses
from src.generators.tiny.corpus import SIZE, Corpus, mention
from src.generators.tiny.fonts import BOLD, FONTS, glyph_mask
from src.generators.tiny.strokes import GLYPHS, POINTS, draw_ink, fit_to_box, write_glyph
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.sections import PoseRange, TinySettings

CLASSES = tuple(GLYPHS)
CHARACTERS = {name: str(CLASS_NAMES.index(name)) if name in CLASS_NAMES else name[-1].upper() for name in CLASSES}
STYLES = ("printed", "pencil", "coloured", "scanned")
STYLE_SHARES = (0.16, 0.12, 0.22, 0.5)
LETTER_SHARE = 0.2
WORDS = ("printed", "handwritten", "scanned", "coloured", *INKS, "bold", "thin", "tilted", "small", "large")
SPOKEN = ("a", "photo", "of", *CLASSES, *WORDS)
CARD = """# Tiny Stable unCLIP

A text- and image-conditioned latent diffusion model for 32 x 32 glyphs with the component classes of
`stable-diffusion-2-1-unclip`, in the diffusers format, float16 safetensors. Written by the frozen DVC stage
`train_generator` (`make generator` writes it anew) from rendered glyphs alone: fonts and procedural pen strokes, never
the handwritten digits it is used on. `zero_shot/` holds the CLIP text projection, for zero-shot reading;
`feature_space/` a classifier of the same glyphs, in whose features generated and real images are compared.
License: Apache-2.0, as the repository.
"""


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
    mentioned = mention(attributes, generator)
    captions = [
        " ".join(["a photo of a", *(WORDS[w] for w in np.flatnonzero(said)), CLASSES[k]])
        for k, said in zip(classes, mentioned, strict=True)
    ]
    pixels = (images * 255).round().to(torch.uint8)
    return Corpus(pixels, classes, styles, captions, attributes, mentioned, CLASSES, STYLES, SPOKEN)
