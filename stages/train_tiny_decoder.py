"""Stage train_tiny_decoder (frozen): distil the shipped generator's decoder, for feedback decoder=tiny alone."""

from pathlib import Path

from src.generators.tiny.decoder import train_decoder
from src.runtime.pipeline import inputs_of
from src.runtime.scratch import Scratch
from src.settings.params import load, work_key
from src.settings.provenance import run


def main() -> None:
    params = load("train_tiny_decoder")
    scratch = Scratch("train_tiny_decoder", work_key(params, inputs_of("train_tiny_decoder")))
    train_decoder(params.tiny_decoder, params.tiny.pose, Path("models/tiny_unclip/vae"), scratch.path)
    scratch.publish("decoder", Path("models/tiny_decoder"))


if __name__ == "__main__":
    run("train_tiny_decoder", main, arguments=False)
