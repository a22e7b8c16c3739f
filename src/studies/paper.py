"""A study at the papers' scale: the commands to queue, and what they would cost on a GPU, from counted operations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.errors import InputError
from src.files import read_json, read_yaml
from src.studies.experiments import experiment, override
from src.studies.study import Study, Variant, parse_seeds

COUNTED = Path("benchmarks/results/counted.json")
PEAK, SHARE = 790.0, 0.4  # TFLOP/s of an H200 in bfloat16, and the share of it that this engine is to reach


def commands(study: Study) -> list[str]:
    """Lines to read and run: one queued experiment per variant and seed, and the expected GPU-hours of each variant.

    Raises InputError where the study has no version at the papers' scale.
    """
    if not study.paper:
        raise InputError(f"study '{study.name}' has no version at the papers' scale; see studies/{study.name}.yaml")
    params, common = read_yaml("params.yaml"), study.paper.get("settings", {})
    variants = study.variants
    if "variants" in study.paper:
        variants = tuple(Variant(n, (v or {}).get("set", {}), "guided") for n, v in study.paper["variants"].items())
    seeds = parse_seeds(str(study.paper.get("seeds", "0-2")))
    images, lines, total = int(study.paper["images"]), [f"# {study.title}, at the papers' scale"], 0.0
    if note := study.paper.get("note"):
        lines.append(f"# {note}")
    for variant in variants:
        settings = {**variant.settings, **common}
        hours = gpu_hours(params, settings, images)
        total += hours * len(seeds)
        lines.append(f"# {variant.name}: about {hours:.0f} GPU-hours of sampling for each seed ({images:,} images)")
        for seed in seeds:
            one = experiment(settings, seed)
            changes = " ".join(
                f"-S '{override(name, value)}'" for name, value in {**one.settings, "seed": seed}.items()
            )
            lines.append(f"dvc exp run --queue --name {one.name} {changes}")
    lines.append(
        f"# in all about {total:,.0f} H200-hours of sampling at {SHARE:.0%} of {PEAK:.0f} TFLOP/s, training not counted"
    )
    return [*lines, "# then: CUDA_VISIBLE_DEVICES=0 dvc queue start -j 1"]


def gpu_hours(params: Mapping[str, Any], settings: Mapping[str, Any], images: int) -> float:
    """Sampling time in hours of one GPU at SHARE of its PEAK, from the operations that an image takes."""

    def read(name: str) -> Any:
        if name in settings:
            return settings[name]
        node: Any = params
        for part in name.split("."):
            node = node[part]
        return node

    counted = read_json(COUNTED)["sd21_unclip"]
    unet, decoder = counted["unet"], counted["decoder"]
    generator, feedback = f"generators.{read('generator')}", f"feedbacks.{read('feedback')}"
    steps, every, first, last = (
        read(f"{generator}.steps"),
        *(read(f"{feedback}.{n}") for n in ("every", "first", "last")),
    )
    guided = range(first, steps if last is None else last + 1, every) if read(f"{feedback}.scale") else ()
    plain = steps * 2 * unet["forward"] + decoder["forward"]
    listening = len(guided) * (unet["backward"] + decoder["forward"] + decoder["backward"])
    each = read(f"{feedback}.candidates") * (plain + listening)  # TFLOP per image kept
    return images * each / (PEAK * SHARE) / 3600
