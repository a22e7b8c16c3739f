"""Stage train_generator (frozen): train the tiny Stable unCLIP on rendered glyphs, into models/tiny_unclip."""

from pathlib import Path

from src.runtime.entry import run_stage

from src.generators.tiny.build import build
from src.runtime.processes import device
from src.runtime.scratch import Scratch
from src.settings.params import load


def main() -> None:
    settings = load("train_generator").tiny.as_dict()
    scratch = Scratch("train_generator", {"tiny": settings})
    build(settings, scratch.path, scratch.path / "tiny_unclip", device())
    scratch.publish("tiny_unclip", Path("models/tiny_unclip"))


if __name__ == "__main__":
    run_stage(main, arguments=False)
