"""Stage train_fashion_generator (frozen): train a tiny Stable unCLIP on photographs, into models/tiny_fashion."""

from pathlib import Path

from src.data.published.fashion import for_generators
from src.generators.tiny.build import build
from src.generators.tiny.photographs import CARD, compose
from src.runtime.pipeline import inputs_of
from src.runtime.processes import device
from src.runtime.scratch import Scratch
from src.runtime.seeds import numpy_generator
from src.settings.params import load, work_key
from src.settings.provenance import run


def main() -> None:
    params = load("train_fashion_generator")
    settings = params.tiny_fashion
    photographs = for_generators(Path("data/raw/fashion_lt"))
    corpus = compose(photographs, settings.images, settings.pose, numpy_generator("fashion corpus", settings.seed))
    scratch = Scratch("train_fashion_generator", work_key(params, inputs_of("train_fashion_generator")))
    build(settings, corpus, CARD, scratch.path, scratch.path / "tiny_fashion", device())
    scratch.publish("tiny_fashion", Path("models/tiny_fashion"))


if __name__ == "__main__":
    run("train_fashion_generator", main, arguments=False)
