"""Studies' files, read and checked: each as it runs here and, where it says so, at the papers' scale."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.files import read_yaml
from src.settings.arms import ARMS
from src.studies.experiments import BENCHMARK
from src.studies.study import ACCURACY, METRICS, TEST, VALIDATION, Study, Variant

FOLDER = Path("studies")
_OPTIONAL = {"settings", "judged", "reported", "sheets", "unpredicted", "note", "paper", "split", "history", "map",
             "contrasts"}  # fmt: skip
_FIELDS = {"title", "question", "variants", "against", "seeds", "metrics"} | _OPTIONAL
_PAPER = {"settings", "variants", "against", "seeds", "metrics", "judged", "reported", "images", "note", "contrasts"}
_REPORTED = {"variant", "metric", "value", "source"}


def known_studies(folder: Path = FOLDER) -> list[str]:
    """Names of all studies, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def every_study(folder: Path = FOLDER) -> list[Study]:
    """All studies, each followed by its version at the papers' scale where it has one."""
    pairs = [(study, study.paper) for study in (read_study(name, folder) for name in known_studies(folder))]
    return [study for pair in pairs for study in pair if study is not None]


def read_study(name: str, folder: Path = FOLDER) -> Study:
    """Read and check studies/<name>.yaml. Raises InputError for an unknown study or one that cannot be used."""
    choose("study", dict.fromkeys(known_studies(folder)), name)
    path = folder / f"{name}.yaml"
    content = read_yaml(path)
    study = _study(path, name, content)
    return replace(study, paper=_paper(path, study, content["paper"])) if content.get("paper") else study


def _study(path: Path, name: str, content: Any, images: Any = None) -> Study:
    """images: how many each arm makes where a variant does not say it, at the papers' scale alone."""
    if not isinstance(content, dict) or not _FIELDS - _OPTIONAL <= set(content) <= _FIELDS:
        raise InputError(f"{path} needs exactly {', '.join(sorted(_FIELDS))}, of which {', '.join(sorted(_OPTIONAL))} "
                         "may be left out; correct it")  # fmt: skip
    if not isinstance(content["variants"], dict) or not content["variants"]:
        raise InputError(f"{path} needs variants by their names; correct it")
    variants = tuple(_variant(path, str(v), entry, content, images) for v, entry in content["variants"].items())
    names = [variant.name for variant in variants]
    for against in (content["against"], *(other for variant in variants for other in variant.against)):
        if against not in names:
            raise InputError(f"{path} compares with '{against}', which is none of {', '.join(names)}; correct it")
    metrics, judged = (_metrics(path, content.get(field) or []) for field in ("metrics", "judged"))
    if not metrics or not set(judged) <= set(metrics) or metrics[0] not in ACCURACY:
        raise InputError(f"{path} needs an accuracy as its first metric, and judges by its metrics alone; correct it")
    contrasts = content.get("contrasts") or {}
    for contrast, weights in contrasts.items():
        if not isinstance(weights, dict) or not set(weights) <= set(names) or abs(sum(weights.values())) > 1e-9:
            raise InputError(f"{path} needs of the contrast '{contrast}' weights of its variants, of sum 0; correct it")
    reported = tuple(content.get("reported") or ())
    for entry in reported:
        complete = isinstance(entry, dict) and set(entry) == _REPORTED and entry["source"]
        if not complete or entry["variant"] not in (None, *names):
            raise InputError(f"{path} needs variant, metric, value and source for every reported number; correct it")
    if (split := content.get("split", TEST)) not in (TEST, VALIDATION):
        raise InputError(f"{path} reads the split '{split}'; known: {TEST}, {VALIDATION}")
    pattern = content.get("map") or ""
    if pattern and (lost := [name for name in names if not _placed(pattern, name)]):
        raise InputError(f"{path} has a map, '{pattern}', on which '{lost[0]}' has no place; correct it")
    return Study(
        name=name,
        title=content["title"],
        question=content["question"],
        variants=variants,
        against=content["against"],
        seeds=parse_seeds(str(content["seeds"])),
        metrics=metrics,
        split=split,
        judged=judged or metrics[:1],
        reported=reported,
        sheets=_shown(path, content.get("sheets") or (), names),
        note=content.get("note") or "",
        history=content.get("history") or "",
        map=pattern,
        unpredicted=content.get("unpredicted") or "",
        contrasts=contrasts,
    )


def _shown(path: Path, sheets: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The variants of which pictures are kept: those named, all for true."""
    shown = tuple(names) if sheets is True else tuple(sheets)
    if lost := [name for name in shown if name not in names]:
        raise InputError(f"{path} asks for sheets of '{lost[0]}', which is none of {', '.join(names)}; correct it")
    return shown


def _placed(pattern: str, name: str) -> bool:
    """Whether the pattern is one, and the name has its column in it."""
    try:
        place = re.fullmatch(pattern, name)
        return place is not None and {"panel", "row"} <= set(place.groupdict()) and place["column"] is not None
    except (re.error, IndexError):  # no pattern, or none with a column
        return False


def _paper(path: Path, study: Study, entry: Any) -> Study:
    """The study at the papers' scale. Without variants of its own it has the study's, with its settings over theirs."""
    if not isinstance(entry, dict) or not {"images", "seeds"} <= set(entry) <= _PAPER:
        raise InputError(f"{path} needs of paper images and seeds, and knows {', '.join(sorted(_PAPER))}; correct it")
    settings, own = entry.get("settings") or {}, entry.get("variants")
    variants = own or {
        v.name: {"set": {**v.settings, **settings}, "arm": v.arm, "against": list(v.against)} for v in study.variants
    }
    reported = [number for number in study.reported if number["variant"] in (None, *variants)]
    content = {
        "title": f"{study.title}, at the papers' scale", "question": study.question, "variants": variants,
        "settings": settings if own else {}, "seeds": entry["seeds"], "unpredicted": study.unpredicted,
        "note": entry.get("note"), "split": study.split, "contrasts": entry.get("contrasts"),
        "against": entry.get("against", next(iter(variants)) if own else study.against),
        "metrics": entry.get("metrics", list(study.metrics)), "judged": entry.get("judged", list(study.judged)),
        "reported": entry.get("reported", reported),
    }  # fmt: skip
    return _study(path, f"{study.name}-paper", content, entry["images"])


def _metrics(path: Path, names: Any) -> tuple[str, ...]:
    if unknown := [metric for metric in names if metric not in METRICS]:
        raise InputError(f"{path} asks for the metric '{unknown[0]}'; known: {', '.join(METRICS)}")
    return tuple(names)


def parse_seeds(text: str) -> tuple[int, ...]:
    """ "0-4", "3" or "1,5,7" as numbers. Raises InputError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
            raise InputError(f"seeds '{text}' are no list such as 0-4 or 1,5,7; correct it")
        seeds += range(int(first), int(last or first) + 1)
    if len(set(seeds)) < len(seeds):
        raise InputError(f"seeds '{text}' name one twice, which would count it twice; name it once")
    return tuple(seeds)


def _variant(path: Path, name: str, entry: Any, content: Mapping[str, Any], images: Any) -> Variant:
    entry, known = entry or {}, ["set", "arm", "against", *(["images"] if images is not None else [])]
    if not isinstance(entry, dict) or not set(entry) <= set(known):
        raise InputError(f"{path} gives variant '{name}' something other than {', '.join(known)}; correct it")
    if (arm := entry.get("arm", "guided")) not in ARMS:
        raise InputError(f"{path} reads variant '{name}' from the arm '{arm}'; known: {', '.join(ARMS)}")
    settings = {**BENCHMARK, **(content.get("settings") or {}), **(entry.get("set") or {})}
    if mappings := [key for key, value in settings.items() if isinstance(value, dict)]:
        raise InputError(f"{path} sets '{mappings[0]}' to a mapping; set its parts, such as {mappings[0]}.<name>")
    if "seed" in settings:
        raise InputError(f"{path} sets the seed of variant '{name}', which the study's seeds are; leave it out")
    against = entry.get("against", None if name == content["against"] else content["against"])
    others = against if isinstance(against, list) else [] if against is None else [against]
    count = entry.get("images", 0 if images is None else images)
    if type(count) is not int or count < (images is not None):
        raise InputError(f"{path} gives '{count}' as the number of images of the papers' scale; correct it")
    return Variant(name, settings, arm, tuple(str(other) for other in others), count)
