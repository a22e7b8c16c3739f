"""Stage train_generator (frozen): train the tiny Stable unCLIP on rendered glyphs, into models/tiny_unclip."""

from pathlib import Path

from src.generators.tiny.build import build
from src.generators.tiny.glyphs import CARD, render
from src.runtime.pipeline import inputs_of
from src.runtime.processes import device
from src.runtime.scratch import Scratch
from src.runtime.seeds import numpy_generator
from src.settings.params import load, work_key
from src.settings.provenance import run


def main() -> None:
    params = load("train_generator")
    scratch = Scratch("train_generator", work_key(params, inputs_of("train_generator")))
    corpus = render(params.tiny.images, params.tiny.pose, numpy_generator("corpus", params.tiny.seed))
    build(params.tiny, corpus, CARD, scratch.path, scratch.path / "tiny_unclip", device())
    scratch.publish("tiny_unclip", Path("models/tiny_unclip"))


if __name__ == "__main__":
    run("train_generator", main, arguments=False)
