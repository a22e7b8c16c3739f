"""Fashion-MNIST in styles: each photograph once, in one style, and in no split that the others have."""

import numpy as np
import pytest
import yaml

from src.data.prepared_data import PreparedData
from src.data.published.fashion import framed
from src.data.published.fashion_files import CLASSES, read_sheet
from src.data.published.fashion_styles import STYLES
from src.generators.tiny import corpus, photographs
from src.runtime.errors import InputError
from src.versions.import_closure import ROOT
from tests.data.loading import load
from tests.data.published.official import FASHION
from tests.micro import PARAMS

SETTINGS = {"name": "fashion_nico", **PARAMS["datasets"]["fashion_nico"], "path": str(FASHION)}
CONTEXTS = tuple(SETTINGS["contexts"])


@pytest.fixture(scope="module")
def data() -> PreparedData:
    return load(SETTINGS)


def numbers(data: PreparedData, split: str) -> list[str]:
    return [name.split("-")[0] for name in data.splits[split].ids]


def test_splits_share_no_photograph_and_have_the_groups_that_are_asked_for(data):
    shown = {split: numbers(data, split) for split in ("pool", "val", "test")}
    assert len({n for split in shown.values() for n in split}) == sum(map(len, shown.values()))
    assert set(numbers(data, "train")) <= set(shown["pool"])
    shape = len(CLASSES), len(CONTEXTS)
    for split, source in data.splits.items():
        counts = np.bincount(source.labels * shape[1] + source.contexts, minlength=np.prod(shape)).reshape(shape)
        if split == "train":
            assert counts.tolist() == list(SETTINGS["train"].values()) and (counts == 0).sum() >= 10
        elif split == "pool":
            assert np.unique(counts.sum(1)).tolist() == [SETTINGS["pool_per_class"]] and np.ptp(counts) <= 1
        else:
            assert np.unique(counts).tolist() == [SETTINGS[f"{split}_per_group"]]


def test_seeds_measure_on_the_same_photographs_and_train_on_others(data):
    other = load(SETTINGS, 1)
    for split in ("val", "test", "pool"):
        assert set(numbers(data, split)) == set(numbers(other, split))
    assert set(numbers(data, "train")) != set(numbers(other, "train"))


def test_an_image_is_its_photograph_in_its_style(data):
    """By what a style keeps: the photograph, its hue, its negative, its pixels before a pattern, its edges."""
    training, test = (read_sheet(FASHION, split) for split in ("train", "test"))
    every = np.concatenate([training[:, : 6 * 33 + 1000], test[:, :600]], 1).reshape(-1, 28, 28)
    source = data.splits["train"]
    seen, hues = set(), []
    for i in range(0, len(source), 3):
        number, style = source.ids[i].split("-")
        thing, image = framed(every[int(number)]).astype(int), source.read(i).astype(int)
        assert image.shape == (32, 32, 3) and style == CONTEXTS[source.contexts[i]]
        assert int(number) // (len(every) // 10) == source.labels[i]
        seen.add(style)
        if style in ("plain", "inverted"):
            assert (image == (thing if style == "plain" else 255 - thing)[..., None]).all()
        elif style == "coloured":
            assert np.abs(image.max(2) - thing * image.max() / thing.max()).max() <= 2
            hues.append(image.reshape(-1, 3)[thing.argmax()])
        elif style == "patterned":
            bright = thing > 0.5 * 255
            assert (image[bright] == thing[bright][:, None]).all() and image[:2].std((0, 1)).max() > 5
        elif style == "drawn":
            assert (image[..., 0] == image[..., 1]).all() and image[thing == 0].mean() < image[thing > 0].mean()
    assert seen == set(STYLES) == set(CONTEXTS)
    assert np.ptp(hues, axis=1).mean() > 60, "hardly a colour"


def test_its_generator_was_taught_its_styles_and_prompts_say_them_in_its_words():
    prompts = yaml.safe_load((ROOT / "prompts/fashion_nico.yaml").read_text())
    words = {prompts["contexts"].get(context, context) for context in CONTEXTS}
    assert words | set(prompts["modifiers"]) <= set(photographs.WORDS)
    assert SETTINGS["pose"] == PARAMS["tiny_fashion"]["pose"]
    assert SETTINGS["image_size"] == corpus.SIZE


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"contexts": [*CONTEXTS[1:], "autumn"]}, "unknown context 'autumn'; choose one of: plain, coloured"),
        ({"train": {"coat": [1] * 6, "hat": [1] * 6}}, "unknown class of datasets.fashion_nico.train 'hat'"),
        ({"train": {"coat": [500] * 6, "bag": [1] * 6}}, "class 'coat' has 1198 real images .* asks for 3198"),
        ({"pool_per_class": 1803}, "asks for 2001 training images a class, and only 2000 are for splits"),
    ],
)
def test_settings_that_the_data_cannot_meet_are_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        load({**SETTINGS, **change})
