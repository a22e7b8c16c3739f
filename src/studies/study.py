"""A study: one question as a short YAML file, what varies, over which seeds, and what was reported elsewhere.

title, question     what the table is called and what it answers
settings            for every variant, as for `dvc exp run -S`
variants            name: {set: settings of its own, arm: which arm of the pipeline it is read from (guided),
                    against: the variant it is compared with in place of the study's, null for none}
against             the variant from which the others' paired differences are taken
seeds               such as 400-402
metrics             columns, of METRICS
reported            [{variant, metric, value, source}] from the literature
sheets              whether pictures of each variant are kept, of the first seed (false)
usefulness          whether it says what image metrics tell of the gain (true); not where their feature space varies
paper               {settings, variants, images, seeds, note}: the same question at the papers' scale; a variant there
                    is {set, images}, images being those to make in each run
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.errors import InputError
from src.files import read_yaml

FOLDER = Path("studies")
ARMS = ("base", "synaug", "guided", "all_real")
SYNTHETIC = ("guided", "synaug")
ACCURACY = ("overall", "many", "medium", "few", "macro", "ece", "worst_group", "group_mean", "weighted_mean")
QUALITY = ("fid", "density", "coverage", "precision", "recall", "agreement", "loss", "entropy")
METRICS = (*ACCURACY, *QUALITY)
_FIELDS = {"title", "question", "settings", "variants", "against", "seeds", "metrics", "reported", "sheets", "paper",
           "usefulness"}  # fmt: skip
_OPTIONAL = {"settings", "reported", "sheets", "usefulness", "paper"}


@dataclass(frozen=True)
class Variant:
    """One row of a study's table: settings as for `-S`, the arm it is read from, and the row it is compared with."""

    name: str
    settings: Mapping[str, Any]
    arm: str = "guided"
    against: str | None = None


@dataclass(frozen=True)
class Study:
    """A study's file, checked. `reported`: [{variant, metric, value, source}]; `paper`: empty where there is none."""

    name: str
    title: str
    question: str
    variants: tuple[Variant, ...]
    against: str
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    reported: tuple[Mapping[str, Any], ...]
    sheets: bool
    paper: Mapping[str, Any]
    usefulness: bool = True


def known_studies(folder: Path = FOLDER) -> list[str]:
    """Names of all studies, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_study(name: str, folder: Path = FOLDER) -> Study:
    """Read and check studies/<name>.yaml. Raises InputError for an unknown study or one that cannot be used."""
    if name not in known_studies(folder):
        raise InputError(f"unknown study '{name}'; known: {', '.join(known_studies(folder))}")
    path = folder / f"{name}.yaml"
    content = read_yaml(path)
    if not isinstance(content, dict) or not _FIELDS - _OPTIONAL <= set(content) <= _FIELDS:
        raise InputError(f"{path} needs exactly {', '.join(sorted(_FIELDS))}, of which {', '.join(sorted(_OPTIONAL))} "
                         "may be left out; correct it")  # fmt: skip
    common = content.get("settings") or {}
    variants = tuple(
        _variant(path, str(name), given, common, content["against"]) for name, given in content["variants"].items()
    )
    names = [variant.name for variant in variants]
    for against in (content["against"], *(variant.against for variant in variants)):
        if against is not None and against not in names:
            raise InputError(f"{path} compares with '{against}', which is none of {', '.join(names)}; correct it")
    if unknown := [metric for metric in content["metrics"] if metric not in METRICS]:
        raise InputError(f"{path} asks for the metric '{unknown[0]}'; known: {', '.join(METRICS)}")
    reported = tuple(content.get("reported") or ())
    for entry in reported:
        if set(entry) != {"variant", "metric", "value", "source"} or entry["variant"] not in names:
            raise InputError(f"{path} needs variant, metric, value and source for every reported number; correct it")
    return Study(
        name, content["title"], content["question"], variants, content["against"], parse_seeds(str(content["seeds"])),
        tuple(content["metrics"]), reported, bool(content.get("sheets")), content.get("paper") or {},
        bool(content.get("usefulness", True)),
    )  # fmt: skip


def parse_seeds(text: str) -> tuple[int, ...]:
    """ "0-4", "3" or "1,5,7" as numbers. Raises InputError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
            raise InputError(f"seeds '{text}' are no list such as 0-4 or 1,5,7; correct it")
        seeds += range(int(first), int(last or first) + 1)
    return tuple(seeds)


def _variant(path: Path, name: str, given: Any, common: Mapping[str, Any], against: str) -> Variant:
    given = given or {}
    if not isinstance(given, dict) or not set(given) <= {"set", "arm", "against"}:
        raise InputError(f"{path} gives variant '{name}' something other than `set`, `arm` and `against`; correct it")
    if (arm := given.get("arm", "guided")) not in ARMS:
        raise InputError(f"{path} reads variant '{name}' from the arm '{arm}'; known: {', '.join(ARMS)}")
    settings = {**common, **(given.get("set") or {})}
    if mappings := [key for key, value in settings.items() if isinstance(value, dict)]:
        raise InputError(f"{path} sets '{mappings[0]}' to a mapping; set its parts, such as {mappings[0]}.<name>")
    return Variant(name, settings, arm, given.get("against", None if name == against else against))
