"""The corpus of fashion_lt's generator: photographs that no split of fashion_lt has, in six styles with captions.

The styles are those of `src.data.published.fashion_styles`. Captions call a thing by one of several names.
"""

from itertools import chain

import numpy as np
import torch

from src.data.digit_contexts import INKS
from src.data.pose import draw_poses
from src.data.published.fashion import CLASSES, framed
from src.data.published.fashion_styles import STYLES, styled
from src.generators.tiny.corpus import SIZE, Corpus, mention
from src.settings.sections import PoseRange

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
    for k, style in enumerate(STYLES):
        of = torch.from_numpy(np.flatnonzero(styles == k))
        part = styled(style, things[of], colour[of.numpy()], poses, generator)
        images[of] = (part * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
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
