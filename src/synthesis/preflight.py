"""What can be refused is refused before anything trains: every stage's parameters and the generator's files."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, try_to_load_from_cache

from src.data.filtering import FILTERS
from src.generators.model_folder import FETCH, ZERO_SHOT, check_conditioning, check_folder, is_local, kind_of
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.runtime.pipeline import arms_of, read_mapping
from src.runtime.processes import is_main
from src.settings.params import resolve
from src.settings.sections import GeneratorSettings, Params
from src.settings.together import check_committee, check_feedback, check_one_step

GENERATES, INDEX = "synth_guided", "model_index.json"
PATIENCE = 10  # seconds, with a hub


def checked(main: Callable[[], None]) -> Callable[[], None]:
    """`main` of a stage at the beginning of the pipeline, after a look at what the later ones will need."""

    def after_check() -> None:
        if is_main() and Path("dvc.yaml").exists():
            check_all(read_mapping(Path("dvc.yaml")), read_mapping(Path("params.yaml")))
        main()

    return after_check


def check_all(pipeline: Mapping[str, Any], everything: Mapping[str, Any], root: Path = Path(".")) -> None:
    """InputError for the first stage of dvc.yaml whose values of params.yaml cannot be used, and for a generator that
    is not there. No network is loaded; of a hub's generator only the index is asked for."""
    for stage, entry in pipeline["stages"].items():
        if not entry.get("frozen"):
            for arm in arms_of(entry) or (None,):
                resolve(stage, pipeline, everything, arm)
    if GENERATES in pipeline["stages"]:
        guided = resolve(GENERATES, pipeline, everything)
        merge = resolve("merge_balance", pipeline, everything).merge
        choose("merge.filter", FILTERS, merge.filter)
        for params in (guided, resolve("synth_synaug", pipeline, everything)):
            check_one_step(params)
        check_feedback(guided)
        check_committee(guided, resolve("train_committee", pipeline, everything).committee)
        check_conditioning(guided.generator, check_generator(guided.generator, root), guided.synth.conditioning)
        check_clip(guided, merge.filter, root)


def check_clip(params: Params, kept_by: str, root: Path) -> None:
    """InputError where a local generator lacks the CLIP tower, or text projection, that feedback or a filter asks."""
    folder, feedback = root / os.path.expanduser(params.generator.path), params.feedback
    if not is_local(params.generator.path):
        return
    if (feedback.criterion == "chamfer" or kept_by != "none") and not (folder / "image_encoder").is_dir():
        raise InputError(
            f"feedback by chamfer, and merge.filter, look with the generator's CLIP, and {folder} has none; choose "
            "another generator, or another feedback and merge.filter=none"
        )
    zero_shot = (feedback.reference_weight and not feedback.reference) or kept_by == "clip"
    if zero_shot and not (folder / ZERO_SHOT).is_file():
        raise InputError(
            f"{folder} comes without CLIP's text projection, by which learnability and merge.filter=clip read; name a "
            f"CLIP model in feedbacks.{feedback.name}.reference, or take merge.filter=clean"
        )


def check_generator(settings: GeneratorSettings, root: Path) -> str:
    """Which of diffusers' pipelines it is. InputError unless its files are here, whole, or were fetched, or a hub's."""
    if is_local(settings.path):
        return check_folder(root / os.path.expanduser(settings.path)).kind
    if isinstance(index := try_to_load_from_cache(settings.path, INDEX, revision=settings.revision), str):
        return kind_of(read_json(Path(index)))
    try:
        config = HfApi().model_info(settings.path, revision=settings.revision, timeout=PATIENCE).config or {}
        return kind_of(config.get("diffusers") or {})
    except Exception as error:  # of the network, of the hub, of the cache: whatever it is, the cure is one
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(
            f"the generator '{settings.path}' cannot be fetched ({reason}); {FETCH.format('path')}, or use "
            "generator=tiny_unclip"
        ) from error
