"""Stage draw_sheets: contact sheets of the real training images and of each arm's, the rarest class first."""

from src.data.names import read_names
from src.settings.arms import SYNTHETIC
from src.settings.provenance import run
from src.shards.contact_sheet import sheet_by_class
from src.shards.store import Shards


def main() -> None:
    classes, real = read_names("data/real").classes, Shards("data/real/train")
    for name, shards in {"real": real, **{arm: Shards(f"data/synth/{arm}") for arm in SYNTHETIC}}.items():
        sheet_by_class(f"metrics/sheets/{name}.png", shards, classes, real.labels)


if __name__ == "__main__":
    run("draw_sheets", main, arguments=False)
