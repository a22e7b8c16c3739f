"""Painted digits: real handwriting in inks and papers that the shipped generator has seen."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from src.data.digit_contexts import CONTEXTS, FAINT, INKS, paint
from src.data.digits import CLASS_NAMES, posed_digits
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.dataset_settings import PoseRange
from src.synthesis.prompts import Prompts
from src.versions.import_closure import ROOT
from tests.generators.miniatures import load
from tests.micro import PARAMS

MASK = np.zeros((32, 32, 3), np.uint8)
MASK[8:24, 8:24] = 255
SHADE = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)


def parts(context: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean ink and mean paper (3,) in [0, 1] of a square."""
    image = paint(MASK, context, numpy_generator("paint", seed)) / 255
    return image[MASK > 0].reshape(-1, 3).mean(0), image[MASK == 0].reshape(-1, 3).mean(0)


def test_a_scanned_digit_is_the_digit_itself():
    assert np.array_equal(paint(SHADE, "scanned", numpy_generator(0)), SHADE)


def test_pencil_is_dark_on_light():
    for seed in range(20):
        ink, paper = parts("pencil", seed)
        assert ink.max() < 0.35 and paper.min() > 0.7
        assert np.ptp(ink) == np.ptp(paper) == 0


@pytest.mark.parametrize("name", INKS)
def test_coloured_ink_is_of_its_colour_and_can_be_read_on_papers_of_any(name):
    inks, papers = zip(*(parts(name, seed) for seed in range(60)), strict=True)
    assert np.abs(np.mean(inks, 0) - INKS[name]).max() < 0.06
    for ink in inks:
        assert min(INKS, key=lambda other: np.abs(ink - INKS[other]).sum()) == name
    assert np.std(papers, 0).min() > 0.1
    assert min(np.abs(i - p).mean() for i, p in zip(inks, papers, strict=True)) > FAINT - 0.1


@pytest.mark.parametrize("name", CONTEXTS)
def test_the_handwriting_stays_what_it_is(name):
    """Along the line from paper to ink, each pixel lies where the digit's grey level says, but for the grain."""
    for seed in range(5):
        painted = paint(SHADE, name, numpy_generator("paint", seed)) / 255
        paper, ink = painted[0, :8].mean(0), painted[-1, -8:].mean(0)
        place = ((painted - paper) @ (ink - paper)) / ((ink - paper) @ (ink - paper))
        assert np.corrcoef(place.ravel(), SHADE[..., 0].ravel())[0, 1] > 0.95


def test_paint_is_named_by_its_seed_and_differs_between_seeds():
    one, again, other = (paint(SHADE, "red", numpy_generator("paint", seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_an_unknown_context_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown context 'autumn'; choose one of: scanned, pencil, red"):
        paint(SHADE, "autumn", numpy_generator(0))


@torch.no_grad()
@pytest.mark.slow
def test_the_shipped_generator_reads_the_contexts_of_real_digits():
    """Zero-shot, its own CLIP, each digit's class given; guessing would read a sixth."""
    preset = PARAMS["generators"]["tiny_unclip"]
    folder = ROOT / preset["path"]
    generator = load({**preset, "path": str(folder)}, torch.device("cpu"))
    prompts = Prompts(ROOT / "prompts" / "digits_nico.yaml", CLASS_NAMES, list(CONTEXTS))
    tokenizer = generator.pipeline.tokenizer
    captions = [prompts.plain(k, a) for k in range(len(CLASS_NAMES)) for a in range(len(CONTEXTS))]
    tokens = tokenizer(captions, padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
    projection = load_file(folder / "zero_shot" / "text_projection.safetensors")["weight"].float()
    texts = F.normalize(generator.pipeline.text_encoder(tokens.input_ids).pooler_output.float() @ projection.T, dim=1)
    texts = texts.reshape(len(CLASS_NAMES), len(CONTEXTS), -1)
    pose = PoseRange(rotation=22, scale_min=0.68, scale_max=1.08, shift=3.2, shear=6)
    digits, labels = (part[:300] for part in posed_digits(32, pose, numpy_generator("pose", 0)))
    for a, context in enumerate(CONTEXTS):
        painted = np.stack([paint(image, context, numpy_generator("paint", 0, i)) for i, image in enumerate(digits)])
        images = F.normalize(generator.image_embeddings(painted), dim=1)
        read = torch.einsum("nd,nad->na", images, texts[torch.from_numpy(labels)]).argmax(1)
        assert (read == a).float().mean() > 0.7, context
