"""Studies' files, read and checked: each as it runs here and, where it says so, at the papers' scale."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.runtime.errors import InputError
from src.runtime.files import read_yaml
from src.studies.study import ACCURACY, ARMS, METRICS, Study, Variant

FOLDER = Path("studies")
_OPTIONAL = {"settings", "judged", "reported", "sheets", "unpredicted", "note", "paper"}
_FIELDS = {"title", "question", "variants", "against", "seeds", "metrics"} | _OPTIONAL
_PAPER = {"settings", "variants", "against", "seeds", "metrics", "judged", "reported", "images", "note"}
_ENTRY = {"variant", "metric", "value", "source"}


def known_studies(folder: Path = FOLDER) -> list[str]:
    """Names of all studies, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def every_study(folder: Path = FOLDER) -> list[Study]:
    """All studies, each followed by its version at the papers' scale where it has one."""
    read = [read_study(name, folder) for name in known_studies(folder)]
    return [one for study in read for one in (study, study.paper) if one is not None]


def read_study(name: str, folder: Path = FOLDER) -> Study:
    """Read and check studies/<name>.yaml. Raises InputError for an unknown study or one that cannot be used."""
    if name not in known_studies(folder):
        raise InputError(f"unknown study '{name}'; known: {', '.join(known_studies(folder))}")
    path = folder / f"{name}.yaml"
    content = read_yaml(path)
    study = _study(path, name, content)
    return replace(study, paper=_paper(path, study, content["paper"])) if content.get("paper") else study


def _study(path: Path, name: str, content: Any) -> Study:
    if not isinstance(content, dict) or not _FIELDS - _OPTIONAL <= set(content) <= _FIELDS:
        raise InputError(f"{path} needs exactly {', '.join(sorted(_FIELDS))}, of which {', '.join(sorted(_OPTIONAL))} "
                         "may be left out; correct it")  # fmt: skip
    if not isinstance(content["variants"], dict) or not content["variants"]:
        raise InputError(f"{path} needs variants by their names; correct it")
    variants = tuple(_variant(path, str(v), given, content) for v, given in content["variants"].items())
    names = [variant.name for variant in variants]
    for against in (content["against"], *(variant.against for variant in variants)):
        if against is not None and against not in names:
            raise InputError(f"{path} compares with '{against}', which is none of {', '.join(names)}; correct it")
    metrics, judged = (_metrics(path, content.get(field) or []) for field in ("metrics", "judged"))
    if not metrics or not set(judged) <= set(metrics) or metrics[0] not in ACCURACY:
        raise InputError(f"{path} needs an accuracy as its first metric, and judges by its metrics alone; correct it")
    reported = tuple(content.get("reported") or ())
    for entry in reported:
        known = isinstance(entry, dict) and set(entry) == _ENTRY and entry["source"]
        if not known or entry["variant"] not in (None, *names):
            raise InputError(f"{path} needs variant, metric, value and source for every reported number; correct it")
    return Study(
        name, content["title"], content["question"], variants, content["against"], parse_seeds(str(content["seeds"])),
        metrics, reported, bool(content.get("sheets")), content.get("unpredicted") or "", judged,
        note=content.get("note") or "",
    )  # fmt: skip


def _paper(path: Path, study: Study, given: Any) -> Study:
    """The study at the papers' scale. Without variants of its own it has the study's, with its settings over theirs."""
    if not isinstance(given, dict) or not {"images", "seeds"} <= set(given) <= _PAPER:
        raise InputError(f"{path} needs of paper images and seeds, and knows {', '.join(sorted(_PAPER))}; correct it")
    settings, own = given.get("settings") or {}, given.get("variants")
    variants = own or {
        v.name: {"set": {**v.settings, **settings}, "arm": v.arm, "against": v.against} for v in study.variants
    }
    told = [entry for entry in study.reported if entry["variant"] in (None, *variants)]
    content = {
        "title": f"{study.title}, at the papers' scale", "question": study.question, "variants": variants,
        "settings": settings if own else {}, "seeds": given["seeds"], "unpredicted": study.unpredicted,
        "note": given.get("note"),
        "against": given.get("against", next(iter(variants)) if own else study.against),
        "metrics": given.get("metrics", list(study.metrics)), "judged": given.get("judged", list(study.judged)),
        "reported": given.get("reported", told),
    }  # fmt: skip
    made = _study(path, f"{study.name}-paper", {**content, "variants": {k: _plain(v) for k, v in variants.items()}})
    counts = [_images(path, (variants[v.name] or {}).get("images", given["images"])) for v in made.variants]
    sized = tuple(replace(v, images=count) for v, count in zip(made.variants, counts, strict=True))
    return replace(made, variants=sized)


def _plain(given: Any) -> Any:
    return {key: value for key, value in given.items() if key != "images"} if isinstance(given, dict) else given


def _images(path: Path, count: Any) -> int:
    if type(count) is not int or count < 1:
        raise InputError(f"{path} gives '{count}' as the number of images of the papers' scale; correct it")
    return count


def _metrics(path: Path, given: Any) -> tuple[str, ...]:
    if unknown := [metric for metric in given if metric not in METRICS]:
        raise InputError(f"{path} asks for the metric '{unknown[0]}'; known: {', '.join(METRICS)}")
    return tuple(given)


def parse_seeds(text: str) -> tuple[int, ...]:
    """ "0-4", "3" or "1,5,7" as numbers. Raises InputError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
            raise InputError(f"seeds '{text}' are no list such as 0-4 or 1,5,7; correct it")
        seeds += range(int(first), int(last or first) + 1)
    return tuple(seeds)


def _variant(path: Path, name: str, given: Any, content: Mapping[str, Any]) -> Variant:
    given = given or {}
    if not isinstance(given, dict) or not set(given) <= {"set", "arm", "against"}:
        raise InputError(f"{path} gives variant '{name}' something other than `set`, `arm` and `against`; correct it")
    if (arm := given.get("arm", "guided")) not in ARMS:
        raise InputError(f"{path} reads variant '{name}' from the arm '{arm}'; known: {', '.join(ARMS)}")
    settings = {**(content.get("settings") or {}), **(given.get("set") or {})}
    if mappings := [key for key, value in settings.items() if isinstance(value, dict)]:
        raise InputError(f"{path} sets '{mappings[0]}' to a mapping; set its parts, such as {mappings[0]}.<name>")
    if "seed" in settings:
        raise InputError(f"{path} sets the seed of variant '{name}', which the study's seeds are; leave it out")
    against = None if name == content["against"] else content["against"]
    return Variant(name, settings, arm, given.get("against", against))
