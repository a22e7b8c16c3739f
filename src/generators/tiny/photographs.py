"""The corpus of fashion_lt's generator: photographs that no split of fashion_lt has, in six styles with captions.

`plain` are as they were published, white things on black; `coloured` have one colour for white; `inverted` are dark on
light; `patterned` lie on stripes, checks or stains; `posed` are turned, scaled and moved; `drawn` are their edges
alone. Captions call a thing by one of several names.
"""

from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.data.pose import apply_poses, draw_poses
from src.data.published.fashion import CLASSES, framed
from src.generators.tiny.corpus import INKS, SIZE, Corpus, mention
from src.settings.sections import PoseRange

STYLES = ("plain", "coloured", "inverted", "patterned", "posed", "drawn")
STYLE_SHARES = (0.4, 0.12, 0.12, 0.12, 0.12, 0.12)
WORDS = ("plain", "coloured", *INKS, "inverted", "patterned", "turned", "small", "drawn", "bright", "dark")
OPENINGS = ("a photo of a", "a picture of a", "a product photo of a", "a")
OPENING_SHARES = (0.55, 0.15, 0.15, 0.15)
NAMES = {  # the first one half of the time
    "t-shirt": ("t-shirt", "tee", "top"),
    "trouser": ("trouser", "slacks"),
    "pullover": ("pullover", "sweater", "jumper"),
    "dress": ("dress", "gown", "frock"),
    "coat": ("coat", "jacket"),
    "sandal": ("sandal", "summer shoe"),
    "shirt": ("shirt", "blouse"),
    "sneaker": ("sneaker", "sports shoe"),
    "bag": ("bag", "purse"),
    "ankle boot": ("boot", "short boot"),
}
SPOKEN = tuple(" ".join([*OPENINGS, *WORDS, *chain(*NAMES.values())]).replace("-", " ").split())
CARD = """# Tiny Stable unCLIP of product photographs

A text- and image-conditioned latent diffusion model for 32 x 32 images with the component classes of
`stable-diffusion-2-1-unclip`, in the diffusers format, float16 safetensors. Written by the frozen DVC stage
`train_fashion_generator` (`make fashion-generator` writes it anew) from photographs of Fashion-MNIST in several styles,
none of which is in a split of the data set `fashion_lt` that it is used on. `zero_shot/` holds the CLIP text
projection, for zero-shot reading; `feature_space/` a classifier of classes and styles of the same photographs, in whose
features generated and real images are compared.
License: Apache-2.0, as the repository; Fashion-MNIST's is MIT.
"""


def compose(photographs: np.ndarray, count: int, pose_range: PoseRange, generator: np.random.Generator) -> Corpus:
    """`count` captioned images of photographs uint8 (10, n, 28, 28) by class, each used about equally often.

    Reproducible from the generator.
    """
    chosen = np.resize(generator.permutation(photographs.shape[0] * photographs.shape[1]), count)
    classes = chosen // photographs.shape[1]
    pixels = framed(photographs.reshape(-1, *photographs.shape[2:])[chosen])
    styles = generator.choice(len(STYLES), count, p=STYLE_SHARES)
    posed = styles == STYLES.index("posed")
    poses = draw_poses(posed.sum(), pose_range, generator)
    colour = np.where(styles == STYLES.index("coloured"), generator.integers(-1, len(INKS), count), -1)
    images = torch.empty(count, 3, SIZE, SIZE, dtype=torch.uint8)
    things = torch.from_numpy(pixels)[:, None].float() / 255  # (N, 1, SIZE, SIZE)
    of = {name: torch.from_numpy(np.flatnonzero(styles == k)) for k, name in enumerate(STYLES)}
    styled = {
        "plain": things[of["plain"]],
        "coloured": things[of["coloured"]] * _colours(colour[styles == STYLES.index("coloured")], generator),
        "inverted": 1 - things[of["inverted"]],
        "patterned": _laid_on(things[of["patterned"]], _patterns(len(of["patterned"]), generator)),
        "posed": apply_poses(things[of["posed"]], poses),
        "drawn": _edges(things[of["drawn"]]),
    }
    for name, part in styled.items():
        images[of[name]] = (part * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
    rotation, scale = np.zeros(count), np.ones(count)
    rotation[posed], scale[posed] = poses.rotation, poses.scale
    attributes = _attributes(pixels, styles, colour, rotation, scale)
    mentioned = mention(attributes, generator)
    captions = _captions(classes, mentioned, generator)
    return Corpus(images, classes, styles, captions, attributes, mentioned, CLASSES, STYLES, SPOKEN)


def _attributes(
    pixels: np.ndarray, styles: np.ndarray, colour: np.ndarray, rotation: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Bool (N, len(WORDS)): which words are true of an image."""
    thing = pixels > 0
    shade = (pixels.sum((1, 2)) / np.maximum(thing.sum((1, 2)), 1)) / 255  # of a thing's own pixels, mean
    is_style = {name: styles == k for k, name in enumerate(STYLES)}
    shown = ~is_style["inverted"] & ~is_style["drawn"]  # in their own light
    true = {
        **{name: is_style[name] for name in ("plain", "coloured", "inverted", "patterned", "drawn")},
        **{name: colour == k for k, name in enumerate(INKS)},
        "turned": np.abs(rotation) > 10,
        "small": scale < 0.8,
        "bright": shown & (shade > 0.7),
        "dark": shown & (shade < 0.35),
    }
    return np.stack([true[word] for word in WORDS], 1)


def _captions(classes: np.ndarray, mentioned: np.ndarray, generator: np.random.Generator) -> list[str]:
    captions = []
    for k, said in zip(classes, mentioned, strict=True):
        name, *others = NAMES[CLASSES[k]]
        if generator.random() < 0.5:
            name = others[generator.integers(len(others))]
        opening = OPENINGS[generator.choice(len(OPENINGS), p=OPENING_SHARES)]
        captions.append(" ".join([opening, *(WORDS[w] for w in np.flatnonzero(said)), name]))
    return captions


def _colours(colour: np.ndarray, generator: np.random.Generator) -> Tensor:
    """(N, 3, 1, 1) in [0, 1]: about an ink, or any light colour where the index into INKS is -1."""
    free = generator.uniform(0.1, 1.0, (len(colour), 3))
    free /= free.max(1, keepdims=True)
    named = np.array(list(INKS.values()))[colour.clip(0)] + generator.normal(0, 0.06, (len(colour), 3))
    return torch.from_numpy(np.where(colour[:, None] < 0, free, named).clip(0, 1)).float()[:, :, None, None]


def _patterns(count: int, generator: np.random.Generator) -> Tensor:
    """(N, 3, SIZE, SIZE) in [0, 1]: stripes, checks or stains of two colours, at any angle."""
    angle = generator.uniform(0, np.pi, (count, 1, 1))
    period = generator.uniform(4, 12, (count, 1, 1))  # pixels
    y, x = np.mgrid[:SIZE, :SIZE][:, None] + generator.uniform(0, 12, (2, count, 1, 1))  # each (N, SIZE, SIZE)
    along = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period)
    across = np.sin(2 * np.pi * (np.cos(angle) * y - np.sin(angle) * x) / period)
    coarse = torch.from_numpy(generator.standard_normal((count, 1, 7, 7)))
    stains = F.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic", align_corners=False)[:, 0].numpy()
    kind = generator.integers(3, size=(count, 1, 1))
    wave = np.select([kind == 0, kind == 1], [along, along * across], stains)
    share = torch.from_numpy(1 / (1 + np.exp(-6 * wave))).float()[:, None]
    one, other = (torch.from_numpy(generator.uniform(0.0, 0.8, (count, 3, 1, 1))).float() for _ in range(2))
    return share * one + (1 - share) * other


def _laid_on(things: Tensor, patterns: Tensor) -> Tensor:
    """Things (N, 1, H, W) before patterns (N, 3, H, W); holes of a pixel or two are closed."""
    solid = F.max_pool2d((things > 0.04).float(), 3, 1, 1)
    solid = 1 - F.max_pool2d(1 - solid, 3, 1, 1)
    return solid * things + (1 - solid) * patterns


def _edges(things: Tensor) -> Tensor:
    """White lines on black where things (N, 1, H, W) change, by Sobel's operator."""
    kernel = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])
    slopes = F.conv2d(things, torch.stack([kernel, kernel.T])[:, None], padding=1)  # (N, 2, H, W)
    return (slopes.norm(dim=1, keepdim=True) / 3).clamp(0, 1)
