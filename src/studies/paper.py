"""A study at the papers' scale: the commands to queue, and what they would cost on a GPU, from counted operations."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.studies.experiments import Experiment, experiment_of, override, overrides, parameters_of, value_of
from src.studies.study import Study, Variant

COUNTED = Path("benchmarks/results/counted.json")
PEAK, SHARE = 790.0, 0.4  # TFLOP/s of an H200 in bfloat16, and the share of it that this engine is to reach
# Settings that come after the images: experiments that differ in these alone share them through the run-cache. Those of
# guidance and of the base classifier mean nothing to SYNAuG's images, which are made from text alone.
AFTER = ("retrain", "synaug", "merge", "evaluation")
NOT_SYNAUG = (*AFTER, "feedback", "feedbacks", "synth", "train", "recipes")


def commands(studies: Sequence[Study]) -> list[str]:
    """Lines to read and run: one queued experiment per distinct setting and seed, and the GPU-hours they should take.

    What studies share is queued, and its images are counted, once. Raises InputError for a study without a version at
    the papers' scale.
    """
    counted, queued = set[str](), set[str]()
    lines, total = list[str](), 0.0
    for study in studies:
        if study.paper is None:
            raise InputError(f"study '{study.name}' has no version at the papers' scale; see studies/{study.name}.yaml")
        lines += ["", f"# {study.paper.title}", *([f"# {study.paper.note}"] if study.paper.note else [])]
        for variants in _distinct(study.paper.variants):
            first = variants[0]
            hours = _hours_of(first, counted)
            total += sum(hours.values()) * len(study.paper.seeds)
            price = " and ".join(f"{hour:.0f} for the {arm} images" for arm, hour in hours.items() if hour)
            price = f"for each seed about {price} in GPU-hours" if price else "those of a run above"
            names = " and ".join(variant.name for variant in variants)
            lines.append(f"# {names}: {first.images:,} images in each arm, {price}")
            for experiment in (experiment_of(first.settings, seed) for seed in study.paper.seeds):
                if experiment.name not in queued:
                    changes = " ".join(f"-S '{override(name, value)}'" for name, value in overrides(experiment).items())
                    lines.append(f"dvc exp run --queue --name {experiment.name} {changes}")
                    queued.add(experiment.name)
    names = " ".join(study.name for study in studies)
    return [
        *lines[1:],
        f"# in all about {total:,.0f} H200-hours of sampling at {SHARE:.0%} of {PEAK:.0f} TFLOP/s, "
        "training not counted",
        "# then, a worker for each GPU: CUDA_VISIBLE_DEVICES=0 dvc queue start -j 1",
        f"# and when they have ended: python -m commands.study {names} --collect",
    ]


def cost(study: Study) -> tuple[int, float]:
    """How many experiments a study at the papers' scale is, and their GPU-hours of sampling, if it runs alone."""
    if study.paper is None:
        return 0, 0.0
    counted = set[str]()
    runs = list(_distinct(study.paper.variants))
    hours = sum(sum(_hours_of(variants[0], counted).values()) for variants in runs)
    return len(runs) * len(study.paper.seeds), hours * len(study.paper.seeds)


def _hours_of(variant: Variant, counted: set[str]) -> dict[str, float]:
    """GPU-hours of each arm's images, none of those that are in `counted`, to which these are added."""
    hours = {}
    for arm, later, price in (("guided", AFTER, guided_hours), ("text alone", NOT_SYNAUG, text_hours)):
        made_by = {name: value for name, value in variant.settings.items() if name.partition(".")[0] not in later}
        images = f"{arm} {experiment_of(made_by, 0).name}"
        hours[arm] = 0.0 if images in counted else price(variant.settings, variant.images)
        counted.add(images)
    return hours


def guided_hours(settings: Mapping[str, Any], images: int) -> float:
    """Hours of one GPU at SHARE of its PEAK for the guided arm, from the operations that an image takes."""
    read, counted = _reader(settings), read_json(COUNTED)["sd21_unclip"]
    unet, decoder = counted["unet"], counted["decoder"]
    steps, feedback = read(f"generators.{read('generator')}.steps"), f"feedbacks.{read('feedback')}"
    every, first, last = (read(f"{feedback}.{name}") for name in ("every", "first", "last"))
    guided = range(first, steps if last is None else last + 1, every) if read(f"{feedback}.scale") else ()
    listening = len(guided) * (unet["backward"] + decoder["forward"] + decoder["backward"])
    return _hours(read(f"{feedback}.candidates") * (_plain(read, counted) + listening) * images)


def text_hours(settings: Mapping[str, Any], images: int) -> float:
    """The same for SYNAuG's arm, which is made in every run, unguided and from text alone."""
    read = _reader(settings)
    return _hours(_plain(read, read_json(COUNTED)["sd21_unclip"]) * images)


def _plain(read: Callable[[str], Any], counted: Mapping[str, Mapping[str, float]]) -> float:
    """TFLOP of an unguided image: with classifier-free guidance, which 1 is none of, the UNet runs twice in a step."""
    generator = f"generators.{read('generator')}"
    passes = 1 if read(f"{generator}.guidance_scale") == 1 else 2
    return read(f"{generator}.steps") * passes * counted["unet"]["forward"] + counted["decoder"]["forward"]


def _hours(tflop: float) -> float:
    return tflop / (PEAK * SHARE) / 3600


def _reader(settings: Mapping[str, Any]) -> Callable[[str], Any]:
    return partial(value_of, parameters_of(Experiment(settings, 0)))


def _distinct(variants: Iterable[Variant]) -> Iterable[list[Variant]]:
    """Variants that are read from other arms of the same experiment, together."""
    by_experiment: dict[str, list[Variant]] = {}
    for variant in variants:
        by_experiment.setdefault(experiment_of(variant.settings, 0).name, []).append(variant)
    return by_experiment.values()
