"""What one run left in git, read from a folder: whatever an older commit or an unfinished run lacks is empty."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from src.evaluation.improvement import Predictions, read_predictions
from src.reporting.revision import Revision
from src.runtime.errors import InputError
from src.runtime.files import csv_rows, read_bytes, read_json, read_yaml
from src.settings.arms import ARMS, BASE, BOUND, SYNTHETIC
from src.versions.current_results import COST, DIFFICULTY, SELECTORS, SHEETS, is_current

# A training curve has the name of its classifier's folder, everything else that of the arm.
CURVES = {Path(arm.classifier).name: name for name, arm in ARMS.items()}
FIRST_SHEETS = ("real", *SYNTHETIC)
GENERATOR_SHEET = "generator"

Tree = Mapping[str, Any]
Rows = list[dict[str, float]]


@dataclass(frozen=True, eq=False)
class Run:
    """A run's results, the same as themselves alone.

    accuracy, quality, splits, difficulty: the JSON files. costs, validation: {arm: JSON}. curves, calibration: {arm:
    rows of numbers}. sheets: contact sheets, {name: path}, in the order to show them. difficulty, costs and sheets are
    empty where another run left them.
    predictions: every arm's answers on the same test images, None if they are missing or of another run.
    """

    revision: Revision
    accuracy: Tree
    quality: Tree
    splits: Tree
    difficulty: Tree
    costs: Mapping[str, Tree]
    validation: Mapping[str, Tree]
    curves: Mapping[str, Rows]
    calibration: Mapping[str, Rows]
    sheets: Mapping[str, Path]
    params: Tree
    lock: Tree
    predictions: Predictions | None

    @property
    def train_counts(self) -> dict[str, int]:
        """Training images of every class, in the order of the data set."""
        rows = dig(self.accuracy, BASE, "per_class")
        if rows:
            return {name: int(row["train_images"]) for name, row in rows.items()}
        return dict(dig(self.splits, "train_counts") or {})

    @property
    def rarest_first(self) -> list[tuple[str, int]]:
        """Every class with its training images, those with the fewest first."""
        return sorted(self.train_counts.items(), key=itemgetter(1))

    @property
    def arms(self) -> list[str]:
        """The arms whose accuracy was measured, the base first, the bound last, if it bounds anything."""
        measured = [arm for arm, report in self.accuracy.items() if isinstance(report, Mapping)]
        return in_order([arm for arm in measured if arm != BOUND or dig(self.accuracy, BOUND, "bound") is not False])


def read_run(revision: Revision) -> Run:
    """Read a snapshot. InputError for a file that is there and cannot be read."""
    metrics = revision.folder / "metrics"
    accuracy, params = _mapping(metrics / "accuracy.json"), _mapping(revision.folder / "params.yaml")
    predictions = None
    if dig(accuracy, BASE, "per_class"):
        with suppress(InputError):
            predictions = read_predictions(metrics / "confusion", accuracy)
    own = {stage: not params or is_current(revision.folder, stage) for stage in (COST, DIFFICULTY, SHEETS)}
    return Run(
        revision,
        accuracy,
        _mapping(metrics / "fid_density_coverage.json"),
        _mapping(metrics / "splits.json"),
        _mapping(metrics / "difficulty.json") if own[DIFFICULTY] else {},
        _by_stem(metrics / "cost") if own[COST] else {},
        _by_stem(metrics / "validation"),
        {CURVES.get(path.stem, path.stem): _numbers(path) for path in sorted((metrics / "curves").glob("*.csv"))},
        {path.stem: _numbers(path) for path in sorted((metrics / "calibration").glob("*.csv"))},
        _sheets(metrics, params, own[SHEETS]),
        params,
        _mapping(revision.folder / "dvc.lock"),
        predictions,
    )


def dig(tree: Any, *names: str) -> Any:
    """Return what stands under the names, one inside the other; None where one is missing."""
    for name in names:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(name)
    return tree


def preset(params: Tree, family: str) -> Any:
    """Return the preset of the family that a run with these parameters chose; empty if there is none."""
    return dig(params, family, str(dig(params, SELECTORS[family]))) or {}


def in_order(arms: Iterable[str]) -> list[str]:
    """Return the arms with the base first, the synthetic ones as they come, the bound last."""
    return sorted(arms, key=lambda arm: (arm == BOUND) - (arm == BASE))


def _by_stem(folder: Path) -> dict[str, Tree]:
    return {path.stem: _mapping(path) for path in sorted(folder.glob("*.json"))}


def _mapping(path: Path) -> Tree:
    """The mapping in a file of JSON or else YAML; empty where there is none."""
    if not path.is_file():
        return {}
    kind, read = ("JSON", read_json) if path.suffix == ".json" else ("YAML", read_yaml)
    try:
        content = read(path)
    except InputError:
        raise InputError(f"{path.name} of this revision is not valid {kind}; report another, or restore it") from None
    return content if isinstance(content, dict) else {}


def _numbers(path: Path) -> Rows:
    """The rows of a CSV as numbers; a cell that holds none is left out."""
    rows = []
    for cells in csv_rows(read_bytes(path)):
        row = {}
        for name, cell in cells.items():
            with suppress(TypeError, ValueError):
                row[str(name)] = float(cell)
        rows.append(row)
    return rows


def _sheets(metrics: Path, params: Tree, current: bool) -> dict[str, Path]:
    """The arms' first, then what else is kept, if they are `current`; the generator's last, and only where it is the
    one in use."""
    own = {path.stem: path for path in sorted((metrics / "sheets").glob("*.png"))}
    generator = own.pop(GENERATOR_SHEET, None)
    own = own if current else {}
    first = {name: own.pop(name) for name in FIRST_SHEETS if name in own}
    own_classes = str(params.get("dataset", "digits")).startswith("digits")  # which the generator's sheet shows
    shipped = own_classes and params.get("generator", "tiny_unclip") == "tiny_unclip"
    last = {GENERATOR_SHEET: generator} if generator and shipped else {}
    return {**first, **own, **last}
