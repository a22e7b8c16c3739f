"""A study at the papers' scale: the commands to queue, and what they would cost on a GPU, from counted operations."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.errors import InputError
from src.files import read_json, read_yaml
from src.studies.experiments import experiment, override
from src.studies.study import Study, parse_seeds

COUNTED = Path("benchmarks/results/counted.json")
PEAK, SHARE = 790.0, 0.4  # TFLOP/s of an H200 in bfloat16, and the share of it that this engine is to reach
# Settings that come after the images: experiments that differ in these alone share them through the run-cache. Those of
# guidance and of the base classifier mean nothing to SYNAuG's images, which are made from text alone.
AFTER = ("retrain", "synaug", "merge", "evaluation")
NOT_SYNAUG = (*AFTER, "feedback", "feedbacks", "synth", "train", "recipes")


@dataclass(frozen=True)
class _Run:
    """A variant at the papers' scale: settings as for `-S`, and the images to make in each of both arms."""

    name: str
    settings: Mapping[str, Any]
    images: int


def commands(study: Study) -> list[str]:
    """Lines to read and run: one queued experiment per distinct setting and seed, and the GPU-hours they should take.

    Raises InputError where the study has no version at the papers' scale.
    """
    if not study.paper:
        raise InputError(f"study '{study.name}' has no version at the papers' scale; see studies/{study.name}.yaml")
    seeds, runs = parse_seeds(str(study.paper.get("seeds", "0-2"))), list(_distinct(_runs(study)))
    lines, total = [f"# {study.title}, at the papers' scale"], 0.0
    if note := study.paper.get("note"):
        lines.append(f"# {note}")
    params, made = read_yaml("params.yaml"), set[str]()
    for run in runs:
        hours = {"guided": 0.0, "text alone": 0.0}
        for arm, later, price in (("guided", AFTER, guided_hours), ("text alone", NOT_SYNAUG, text_hours)):
            images = f"{arm} {experiment(_without(run.settings, later), 0).name}"
            hours[arm] = 0.0 if images in made else price(params, run.settings, run.images)
            made.add(images)
        total += sum(hours.values()) * len(seeds)
        told = " and ".join(f"{hour:.0f} for the {arm} images" for arm, hour in hours.items() if hour)
        told = f"for each seed about {told} in GPU-hours" if told else "those of a run above"
        lines.append(f"# {run.name}: {run.images:,} images in each arm, {told}")
        for seed in seeds:
            one = experiment(run.settings, seed)
            changes = " ".join(
                f"-S '{override(name, value)}'" for name, value in {**one.settings, "seed": seed}.items()
            )
            lines.append(f"dvc exp run --queue --name {one.name} {changes}")
    lines.append(
        f"# in all about {total:,.0f} H200-hours of sampling at {SHARE:.0%} of {PEAK:.0f} TFLOP/s, training not counted"
    )
    return [*lines, "# then: CUDA_VISIBLE_DEVICES=0 dvc queue start -j 1"]


def guided_hours(params: Mapping[str, Any], settings: Mapping[str, Any], images: int) -> float:
    """Hours of one GPU at SHARE of its PEAK for the guided arm, from the operations that an image takes."""
    read, counted = _reader(params, settings), read_json(COUNTED)["sd21_unclip"]
    unet, decoder = counted["unet"], counted["decoder"]
    steps, feedback = read(f"generators.{read('generator')}.steps"), f"feedbacks.{read('feedback')}"
    every, first, last = (read(f"{feedback}.{name}") for name in ("every", "first", "last"))
    guided = range(first, steps if last is None else last + 1, every) if read(f"{feedback}.scale") else ()
    listening = len(guided) * (unet["backward"] + decoder["forward"] + decoder["backward"])
    return _hours(read(f"{feedback}.candidates") * (_plain(counted, steps) + listening) * images)


def text_hours(params: Mapping[str, Any], settings: Mapping[str, Any], images: int) -> float:
    """The same for SYNAuG's arm, which is made in every run, unguided and from text alone."""
    read = _reader(params, settings)
    return _hours(_plain(read_json(COUNTED)["sd21_unclip"], read(f"generators.{read('generator')}.steps")) * images)


def _plain(counted: Mapping[str, Mapping[str, float]], steps: int) -> float:
    """TFLOP of an unguided image: with classifier-free guidance the UNet runs twice in each step."""
    return steps * 2 * counted["unet"]["forward"] + counted["decoder"]["forward"]


def _hours(tflop: float) -> float:
    return tflop / (PEAK * SHARE) / 3600


def _reader(params: Mapping[str, Any], settings: Mapping[str, Any]) -> Callable[[str], Any]:
    def read(name: str) -> Any:
        if name in settings:
            return settings[name]
        node: Any = params
        for part in name.split("."):
            node = node[part]
        return node

    return read


def _runs(study: Study) -> Iterable[_Run]:
    """The paper's own variants, over its common settings; else the study's, whose settings those override."""
    common, images = study.paper.get("settings", {}), int(study.paper["images"])
    if "variants" not in study.paper:
        for variant in study.variants:
            yield _Run(variant.name, {**variant.settings, **common}, images)
        return
    for name, given in study.paper["variants"].items():
        given = given or {}
        yield _Run(str(name), {**common, **given.get("set", {})}, int(given.get("images", images)))


def _distinct(runs: Iterable[_Run]) -> Iterable[_Run]:
    """Rows that are read from other arms of the same experiment, as one."""
    found: dict[str, list[_Run]] = {}
    for run in runs:
        found.setdefault(experiment(run.settings, 0).name, []).append(run)
    for same in found.values():
        yield _Run(" and ".join(run.name for run in same), same[0].settings, same[0].images)


def _without(settings: Mapping[str, Any], families: tuple[str, ...]) -> Mapping[str, Any]:
    return {name: value for name, value in settings.items() if name.partition(".")[0] not in families}
