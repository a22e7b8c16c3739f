"""The corpus of photographs: repeatable, true to its captions, in styles that differ, and of none that a split has."""

import numpy as np
import pytest
import torch

from src.data.published.fashion import FOR_SPLITS, for_generators, framed
from src.data.published.fashion_files import CLASSES, read_official, read_sheet
from src.generators.tiny import components
from src.generators.tiny.corpus import SIZE, Corpus
from src.generators.tiny.photographs import NAMES, OPENINGS, SPOKEN, STYLE_SHARES, STYLES, WORDS, compose
from src.settings.sections import PoseRange
from src.synthesis.prompts import Prompts
from src.versions.import_closure import ROOT
from tests.data.published.official import FASHION, official

POSE = PoseRange(rotation=22, scale_min=0.6, scale_max=1.0, shift=3.2, shear=6)


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    """Those that ship, in place of those that the generator sees, which do not."""
    found = read_sheet(FASHION, "train")
    assert found is not None
    return found[:, :60]


@pytest.fixture(scope="module")
def corpus(photographs: np.ndarray) -> Corpus:
    return compose(photographs, 1200, POSE, np.random.default_rng(0))


def of_style(corpus: Corpus, name: str) -> torch.Tensor:
    return corpus.images[torch.from_numpy(corpus.styles == STYLES.index(name))]


def true_of(corpus: Corpus, word: str) -> np.ndarray:
    return corpus.attributes[:, WORDS.index(word)]


def test_the_corpus_is_reproducible_from_its_seed(photographs: np.ndarray) -> None:
    first, same, other = (compose(photographs, 100, POSE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.images, same.images) and first.captions == same.captions
    assert np.array_equal(first.attributes, same.attributes) and np.array_equal(first.mentioned, same.mentioned)
    assert not torch.equal(first.images, other.images)


@official
def test_no_plain_image_of_the_generator_s_corpus_is_in_any_split() -> None:
    def hashes(images: np.ndarray) -> set[bytes]:
        return {image.tobytes() for image in images.reshape(-1, SIZE, SIZE)}

    seen = compose(for_generators(FASHION), 4000, POSE, np.random.default_rng(0))
    train, test = read_official(FASHION, "train")[:, :FOR_SPLITS], read_official(FASHION, "test")
    splits = hashes(framed(train)) | hashes(framed(test))
    plain = hashes(of_style(seen, "plain")[:, 0].numpy())
    assert len(plain) > 1500 and not plain & splits


def test_every_photograph_is_used_as_often_as_any_other_and_keeps_its_class(corpus: Corpus) -> None:
    assert corpus.images.shape == (1200, 3, SIZE, SIZE) and corpus.images.dtype == torch.uint8
    assert np.bincount(corpus.classes).tolist() == [120] * len(CLASSES)
    assert corpus.class_names == CLASSES and corpus.style_names == STYLES


def test_every_class_is_in_every_style_as_often_as_styles_are(corpus: Corpus) -> None:
    assert len(set(zip(corpus.classes, corpus.styles, strict=True))) == len(CLASSES) * len(STYLES)
    assert np.allclose(np.bincount(corpus.styles) / len(corpus), STYLE_SHARES, atol=0.05)
    assert corpus.attributes.any(0).all() and corpus.mentioned.any(0).all()


def test_a_plain_image_is_a_photograph_pixel_by_pixel(corpus: Corpus, photographs: np.ndarray) -> None:
    known = {image.tobytes() for image in framed(photographs).reshape(-1, SIZE, SIZE)}
    plain = of_style(corpus, "plain").numpy()
    assert all(image[0].tobytes() in known and (image == image[0]).all() for image in plain)


def test_styles_look_as_they_are_described(corpus: Corpus) -> None:
    """By what is seen at the border, by colour, and by how much light there is."""
    images = {name: of_style(corpus, name).float() for name in STYLES}
    edge = {name: part[:, :, 0].mean() for name, part in images.items()}
    spread = {name: part.amax(1) - part.amin(1) for name, part in images.items()}  # between the channels
    light = {name: part.mean() for name, part in images.items()}
    assert edge["inverted"] == 255 and edge["plain"] == edge["coloured"] == edge["drawn"] == 0
    assert 40 < edge["patterned"] < 180 and edge["posed"] < 10
    assert all(spread[name].max() == 0 for name in ("plain", "inverted", "posed", "drawn"))
    assert spread["coloured"].amax((1, 2)).median() > 100 and spread["patterned"].amax((1, 2)).median() > 60
    assert light["drawn"] < light["inverted"] and light["posed"] < light["plain"] < light["inverted"]


def test_captions_name_the_class_in_one_of_its_ways_and_only_true_attributes(corpus: Corpus) -> None:
    for i, caption in enumerate(corpus.captions):
        opening = max((text for text in OPENINGS if caption.startswith(f"{text} ")), key=len)
        said = [WORDS[w] for w in np.flatnonzero(corpus.mentioned[i])]
        assert len(said) <= 2 and corpus.attributes[i][corpus.mentioned[i]].all()
        name = caption.removeprefix(" ".join([opening, *said]) + " ")
        assert name in NAMES[CLASSES[corpus.classes[i]]]


def test_the_class_alone_leaves_the_style_open(corpus: Corpus) -> None:
    bare = {f"a photo of a {NAMES[name][0]}" for name in CLASSES}
    styles = corpus.styles[[caption in bare for caption in corpus.captions]]
    assert len(styles) > 60 and set(styles) == set(range(len(STYLES)))


def test_a_word_says_one_thing(corpus: Corpus) -> None:
    names = [name for names in NAMES.values() for name in names]
    assert len(set(names)) == len(names) and set(NAMES) == set(CLASSES)
    assert not (true_of(corpus, "bright") & true_of(corpus, "dark")).any()
    looks = np.stack([true_of(corpus, word) for word in ("plain", "coloured", "inverted", "patterned", "drawn")])
    assert looks.sum(0).max() == 1
    light = corpus.images.float().mean((1, 2, 3)).numpy()
    plain = true_of(corpus, "plain")
    assert light[plain & true_of(corpus, "bright")].mean() > 1.5 * light[plain & true_of(corpus, "dark")].mean()


def test_the_longest_caption_fits_the_context_and_few_words_are_spelt() -> None:
    words = components.tokenizer(SPOKEN)

    def length(text: str) -> int:
        return len(words(text).input_ids) - 2

    names = [name for names in NAMES.values() for name in names]
    longest = [max(OPENINGS, key=length), *sorted(WORDS, key=length)[-2:], max(names, key=length)]
    assert len(words(" ".join(longest)).input_ids) <= components.CONTEXT
    assert [word for word in sorted(set(SPOKEN)) if length(word) > 1] == ["sandal"]


def test_prompts_of_the_data_set_say_what_captions_say() -> None:
    prompts = Prompts(ROOT / "prompts/fashion_lt.yaml", CLASSES)
    assert prompts.words == tuple(NAMES[name][0] for name in CLASSES)
    said = {prompts.modified(0, np.random.default_rng(seed)).split()[4] for seed in range(100)}
    assert said <= set(WORDS) and len(said) == 8
