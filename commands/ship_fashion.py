"""Command ship_fashion: writes the sheets of data/raw/fashion_lt that git keeps, from Fashion-MNIST's IDX files.

python -m commands.ship_fashion               # the IDX files lie in data/raw/fashion_lt
python -m commands.ship_fashion /data/fashion
"""

import argparse
from pathlib import Path

from src.data.published.fashion_files import SHEETS, read_official, sheet_of
from src.runtime.entry import run_stage
from src.runtime.files import atomic_write

OUT = Path("data/raw/fashion_lt")
SHIPPED = {"train": 1200, "test": 1000}  # photographs of each class: all that the defaults read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=OUT, help="where the IDX files lie")
    folder = parser.parse_args().folder
    for split, each in SHIPPED.items():
        atomic_write(OUT / SHEETS[split], sheet_of(read_official(folder, split)[:, :each]))


if __name__ == "__main__":
    run_stage(main)
