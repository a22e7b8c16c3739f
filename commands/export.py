"""Command export: a balanced data set, or any folder of shards, as plain folders of images with a table.

python -m commands.export guided                          # real and synthetic images of the arm, into export/guided
python -m commands.export data/synth/guided export/made   # a folder of shards into a folder of your choice
"""

import argparse
from pathlib import Path
from typing import Any

from src.data.export import TABLE, Entry, export, merged_entries, shard_entries
from src.data.merged_index import read_merged
from src.data.names import read_names
from src.reporting.run_results import dig, preset
from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.runtime.pipeline import read_mapping
from src.settings.arms import ARMS
from src.settings.sections import shipped
from src.shards.store import Shards
from src.versions.current_results import require_current


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", help="an arm (synaug, guided), or a folder of shards")
    parser.add_argument("folder", nargs="?", type=Path, help="where to; export/<name> if absent")
    arguments = parser.parse_args()
    real = Shards("data/real/train")
    entries = _entries(arguments.what, real)
    folder = arguments.folder or Path("export") / Path(arguments.what).resolve().name
    written = export(entries, read_names("data/real"), real, folder, _settings(arguments.what))
    print(f"{len(entries)} images in {folder} ({written} new), listed in {folder / TABLE}")


def _settings(what: str) -> dict[str, Any]:
    """What the run that made an arm's images was told, for people to read; nothing for other folders."""
    params = read_mapping(Path("params.yaml")) if what in ARMS and Path("params.yaml").exists() else {}
    path = preset(params, "generators").get("path")
    path = shipped(path, params.get("dataset")).get("path", path)
    told = {**{name: params.get(name) for name in ("dataset", "generator", "feedback", "seed")}, "weights": path}
    if (share := _agreement(what)) is not None:
        told["shown classes"] = f"{share:.1%} of the images show their class to the classifier of all real images"
    return {name: value for name, value in told.items() if value is not None}


def _agreement(what: str) -> float | None:
    """The share of the arm's images that show the class asked for; None where that was not measured."""
    quality = Path("metrics/fid_density_coverage.json")
    return dig(read_json(quality), what, "class_agreement", "overall") if quality.exists() else None


def _entries(what: str, real: Shards) -> list[Entry]:
    index = Path("data/merged") / f"{what}.csv"
    if Path(what).name == what and index.is_file():
        require_current(Path("."), "data/merged/")
        return merged_entries(read_merged(index), real, Shards(f"data/synth/{what}"))
    if (Path(what) / "index.jsonl").is_file():
        return shard_entries(Shards(what))
    arms = ", ".join(sorted(path.stem for path in Path("data/merged").glob("*.csv"))) or "none: run `dvc repro` first"
    raise InputError(f"'{what}' is neither a balanced set (there are {arms}) nor a folder of shards; name one of these")


if __name__ == "__main__":
    run_stage(main)
