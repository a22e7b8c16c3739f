"""The rendered corpus: repeatable, true to its captions, complete, and blind to the real digits."""

import numpy as np
import pytest
import sklearn.datasets
import torch

from src.generators.tiny import components
from src.generators.tiny.fonts import FONTS, glyph_mask
from src.generators.tiny.glyphs import CHARACTERS, CLASSES, INKS, SIZE, STYLES, WORDS, Corpus, render
from src.generators.tiny.strokes import GLYPHS, POINTS, draw_ink, fit_to_box, write_glyph
from src.settings.sections import PoseRange

POSE = PoseRange(rotation=22, scale_min=0.68, scale_max=1.08, shift=3.2, shear=6)


def rendered(count: int, seed: int) -> Corpus:
    return render(count, POSE, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return rendered(900, 0)


def test_the_corpus_is_reproducible_from_its_seed() -> None:
    first, same, other = (rendered(60, seed) for seed in (1, 1, 2))
    assert torch.equal(first.images, same.images) and first.captions == same.captions
    assert not torch.equal(first.images, other.images)


def test_images_are_colour_pixels_of_one_size(corpus: Corpus) -> None:
    assert corpus.images.shape == (900, 3, SIZE, SIZE) and corpus.images.dtype == torch.uint8
    assert len(corpus) == 900


def test_every_class_and_style_is_there(corpus: Corpus) -> None:
    assert set(corpus.classes) == set(range(len(CLASSES)))
    assert set(corpus.styles) == set(range(len(STYLES)))
    assert corpus.attributes.any(0).all() and corpus.mentioned.any(0).all()


def test_captions_always_name_the_class_and_only_true_attributes(corpus: Corpus) -> None:
    for i, caption in enumerate(corpus.captions):
        name = CLASSES[corpus.classes[i]]
        assert caption.startswith("a photo of a ") and caption.endswith(f" {name}")
        said = caption.removeprefix("a photo of a ").removesuffix(name).split()
        assert len(said) <= 2
        assert said == [WORDS[w] for w in np.flatnonzero(corpus.mentioned[i])]
        assert corpus.attributes[i][[WORDS.index(word) for word in said]].all()


def test_some_captions_name_the_class_alone(corpus: Corpus) -> None:
    assert 0.3 < np.mean([not mentioned.any() for mentioned in corpus.mentioned]) < 0.6


def true_of(corpus: Corpus, word: str) -> np.ndarray:
    return corpus.attributes[:, WORDS.index(word)]


def test_a_scan_is_white_ink_on_black_without_colour(corpus: Corpus) -> None:
    scans = corpus.images[torch.from_numpy(true_of(corpus, "scanned"))]
    assert torch.equal(scans[:, 0], scans[:, 1]) and torch.equal(scans[:, 0], scans[:, 2])
    assert (scans == 0).float().mean() > 0.4


@pytest.mark.parametrize("ink", INKS)
def test_an_ink_that_is_named_is_in_the_picture(corpus: Corpus, ink: str) -> None:
    pictures = corpus.images[torch.from_numpy(true_of(corpus, ink))].float() / 255
    distance = (pictures - torch.tensor(INKS[ink])[:, None, None]).norm(dim=1).flatten(1)
    assert distance.amin(1).median() < 0.2


def test_printed_and_handwritten_exclude_each_other(corpus: Corpus) -> None:
    assert not (true_of(corpus, "printed") & true_of(corpus, "handwritten")).any()
    assert not (true_of(corpus, "bold") & true_of(corpus, "thin")).any()
    assert not (true_of(corpus, "small") & true_of(corpus, "large")).any()


def test_bold_scans_hold_more_ink_than_thin_ones(corpus: Corpus) -> None:
    written = true_of(corpus, "scanned") & true_of(corpus, "handwritten")
    ink = corpus.images.float().mean((1, 2, 3)).numpy()
    assert ink[written & true_of(corpus, "bold")].mean() > 1.2 * ink[written & true_of(corpus, "thin")].mean()


def test_the_real_digits_are_never_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the corpus looked at the target data")

    monkeypatch.setattr(sklearn.datasets, "load_digits", forbidden)
    assert len(rendered(40, 0)) == 40


@pytest.mark.parametrize("name", GLYPHS)
def test_every_glyph_is_written_in_every_variant(name: str) -> None:
    generator = np.random.default_rng(0)
    written = [write_glyph(name, 0.03, generator) for _ in range(10)]
    assert all(xy.shape == (POINTS, 2) and np.isfinite(xy).all() for xy in written)
    assert all(np.abs(xy - 0.5).max() < 1.2 for xy in written)


def test_a_fitted_glyph_fills_its_box() -> None:
    xy = fit_to_box(write_glyph("three", 0.03, np.random.default_rng(0)), 0.6)
    assert np.allclose(xy.min(0), [0.2, 0.0]) and np.allclose(xy.max(0), [0.8, 1.0])


def test_ink_lies_within_the_pens_radius() -> None:
    mask = draw_ink(torch.full((1, 1, 2), 8.0), torch.tensor([3.0]), 16, softness=0.1)[0, 0]
    centre = torch.arange(16) + 0.5
    distance = ((centre[:, None] - 8) ** 2 + (centre[None] - 8) ** 2).sqrt()
    assert (mask[distance < 2.5] > 0.99).all() and (mask[distance > 3.5] < 0.01).all()


def test_every_font_prints_every_character_differently() -> None:
    for character in CHARACTERS.values():
        masks = [glyph_mask(character, font, SIZE) for font in range(len(FONTS))]
        assert all(mask.max() > 0.8 and mask.shape == (SIZE, SIZE) for mask in masks)
    sevens = {glyph_mask("7", font, SIZE).tobytes() for font in range(len(FONTS))}
    assert len(sevens) > len(FONTS) // 2


def test_the_tokenizer_knows_whole_words() -> None:
    words = components.tokenizer(["a", "photo", "of", *CLASSES, *WORDS])
    for word in {word for phrase in ("a photo of", *CLASSES, *WORDS) for word in phrase.split()}:
        pieces = words.convert_ids_to_tokens(words(word).input_ids)[1:-1]
        # The shipped generator was trained with this one spelt: "red" merges its "re" first.
        assert pieces == (["th", "re", "e</w>"] if word == "three" else [f"{word}</w>"])


def test_the_longest_caption_fits_the_context_with_its_class() -> None:
    words = components.tokenizer(["a", "photo", "of", *CLASSES, *WORDS])
    length = {phrase: len(words(phrase).input_ids) - 2 for phrase in (*CLASSES, *WORDS)}
    longest = [*sorted(WORDS, key=length.__getitem__)[-2:], max(CLASSES, key=length.__getitem__)]
    assert len(words(" ".join(["a photo of a", *longest])).input_ids) <= components.CONTEXT
    ids = words("a photo of a seven").input_ids
    assert words.decode(ids, skip_special_tokens=True).strip() == "a photo of a seven"


def test_the_tokenizer_spells_what_it_does_not_know_and_fits_its_context() -> None:
    words = components.tokenizer(["a", "photo", "of", *CLASSES])
    known, unknown = (words(text).input_ids for text in ("a seven", "a heptagon"))
    assert len(unknown) > len(known) and words.unk_token_id not in unknown[1:-1]
    padded = words("a photo of a seven", padding="max_length", truncation=True).input_ids
    assert len(padded) == components.CONTEXT
