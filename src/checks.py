"""Values from params.yaml are checked where they enter: the wrong type is one sentence, not a traceback."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from src.errors import InputError

Kind = Callable[[str, Any], object] | Mapping[str, Any]


def whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """`value` if it is a whole number in least .. most; InputError naming the parameter otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} must be a whole number, not {value!r}; correct it in params.yaml")
    if least is not None and value < least:
        raise InputError(f"{name} must be at least {least}, not {value}; correct it in params.yaml")
    if most is not None and value > most:
        raise InputError(f"{name} must be at most {most}, not {value}; correct it in params.yaml")
    return value


def number(name: str, value: Any) -> float:
    """`value` as a float if it is a number; InputError naming the parameter otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name} must be a number, not {value!r}; correct it in params.yaml")
    try:
        found = float(value)
    except OverflowError:  # a whole number beyond 1e308
        found = math.inf
    if not math.isfinite(found):
        shown = value if isinstance(value, float) else "one of more than 300 digits"
        raise InputError(f"{name} must be finite, not {shown}; correct it in params.yaml")
    return found


def flag(name: str, value: Any) -> bool:
    """`value` if it is true or false; InputError naming the parameter otherwise."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, not {value!r}; correct it in params.yaml")
    return value


def text(name: str, value: Any) -> str:
    """`value` if it is text; InputError naming the parameter otherwise."""
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {value!r}; correct it in params.yaml, in quotes if need be")
    return value


def each(kind: Kind) -> Kind:
    """A list of values of this kind."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, list):
            raise InputError(f"{name} must be a list, not {value!r}; correct it in params.yaml")
        for k, item in enumerate(value):
            check_kind(f"{name}.{k}", item, kind)

    return check


def maybe(kind: Kind) -> Kind:
    """A value of this kind, or nothing."""
    return lambda name, value: None if value is None else check_kind(name, value, kind)


def check_kind(name: str, value: Any, kind: Kind) -> None:
    """InputError, naming the parameter, if it is not of this kind, or lacks a part that does not end in `?` there."""
    if callable(kind):
        kind(name, value)
        return
    if not isinstance(value, dict):
        raise InputError(f"{name} must hold `name: value` lines, not {value!r}; correct it in params.yaml")
    for part, inner in kind.items():
        key = part.removesuffix("?")
        if key in value:
            check_kind(f"{name}.{key}", value[key], inner)
        elif key == part:
            raise InputError(f"params.yaml lacks {name}.{key}; add it there")


_POSE = dict.fromkeys(("rotation", "scale_min", "scale_max", "shift", "shear"), number)
_HEAD = {"length": number, "lr": maybe(number)}
_MODEL = {"path": text, "revision?": maybe(text)}

# What params.yaml may hold, by the names below a stage's declared ones; presets of one family share theirs. Limits that
# need more than the value itself stand where the value is used.
KINDS: dict[str, Any] = {
    "seed": whole,
    "dataset": text,
    "generator": text,
    "feedback": text,
    "datasets": {  # each kind of data set reads some
        "kind": text,
        **dict.fromkeys(("image_size?", "head_count?", "test_per_class?", "val_per_class?", "split_seed?"), whole),
        **dict.fromkeys(("test_per_group?", "val_per_group?", "held_out?"), whole),
        **dict.fromkeys(("imbalance_factor?", "val_fraction?", "test_fraction?"), number),
        **dict.fromkeys(("path?", "images?"), maybe(text)),
        **dict.fromkeys(("table?", "target?", "sensitive?"), text),
        "contexts?": each(text),
        "pose?": _POSE,
        "skip_unreadable?": flag,
        "long_tail?": maybe({"head_count": whole, "imbalance_factor": number}),
        "drop_races?": maybe(each(whole)),
    },
    "generators": {
        "path": text,
        **dict.fromkeys(("revision?", "mirror?", "tiny_decoder?", "tiny_decoder_revision?", "precision?"), maybe(text)),
        "adapter?": maybe({**_MODEL, "file": text, "encoder": text, "scale": number}),
        "compile?": flag,
        "image_size?": maybe(whole),
        "scheduler": text,
        **dict.fromkeys(("steps", "noise_level"), whole),
        "guidance_scale": number,
    },
    "feedbacks": {
        **dict.fromkeys(("criterion", "rule", "decoder", "shrinkage"), text),
        "scale": number,
        **dict.fromkeys(("every", "first"), whole),
        "last": maybe(whole),
        **dict.fromkeys(("mix", "stop_gradient", "rescale"), flag),
        "candidates": whole,
    },
    "budgets": {
        "per_class": whole,
        **dict.fromkeys(("fill", "balance", "empty_group"), text),
        "name_context": flag,
    },
    "synth": {"conditioning": text, "image_dropout": number, "shard_size": whole, "image_format": text},
    "merge": {"replace_fraction": number, "replace_classes": whole},
    "recipes": {
        **dict.fromkeys(("model", "optimizer", "schedule", "augment", "precision", "selection"), text),
        "weights": maybe(text),
        **dict.fromkeys(("image_size", "steps"), maybe(whole)),
        "epochs": maybe(number),
        **dict.fromkeys(("batch", "parts"), whole),
        **dict.fromkeys(("lr", "momentum", "weight_decay", "decay", "warmup", "label_smoothing", "ema"), number),
        "nesterov": flag,
        **dict.fromkeys(("milestones", "factors"), each(number)),
    },
    "train": {
        **dict.fromkeys(("loss", "weighting", "sampler", "mixing", "second_stage"), text),
        **dict.fromkeys(("mixing_alpha", "focal_gamma", "adjustment_tau", "ldam_margin", "balance_beta"), number),
        **dict.fromkeys(("drw_from", "group_dro_step", "group_dro_adjustment"), number),
    },
    "second_stages": {
        "crt": _HEAD,
        "lws": _HEAD,
        "dfr": {"strengths": each(number), "fits": whole},
    },
    "retrain": {"fraction_real": number, "second_stage": text, **dict.fromkeys(("loss", "mixing"), maybe(text))},
    "synaug": {
        "mixing": text,
        "mixing_alpha": number,
        "last_layer": {"steps": whole, "batch": whole, "lr": number},
    },
    "evaluation": {
        "nearest_k": whole,
        "features": each(text),
        **dict.fromkeys(("openai_clip?", "inception?", "dinov2?"), maybe(_MODEL)),
    },
    "tiny": {
        **dict.fromkeys(("seed", "images"), whole),
        "pose": _POSE,
        "sizes": {
            **dict.fromkeys(("text_width", "text_layers", "vision_width", "vision_layers", "patch"), whole),
            **dict.fromkeys(("embedding", "unet_layers"), whole),
            **dict.fromkeys(("vae_widths", "unet_widths"), each(whole)),
        },
        "autoencoder": {"steps": whole, "batch": whole, "lr": number, "autocast": flag, "kl": number},
        "clip": {"steps": whole, "batch": whole, "lr": number},
        "unet": {
            **dict.fromkeys(("steps", "batch", "noise_level_max"), whole),
            **dict.fromkeys(("lr", "ema", "text_absent", "image_absent", "noise_level_share"), number),
            **dict.fromkeys(("dimension_dropout_share", "dimension_dropout_max"), number),
        },
    },
}


def check_declared(entry: str, value: Any, name: str | None = None) -> None:
    """`check_kind` for a parameter, or a family of presets, that a stage declares; nothing for one not in KINDS.

    entry: its dotted name in KINDS; name: what the sentence calls it, if otherwise.
    """
    kind: Any = KINDS
    for part in entry.split("."):
        known = {} if callable(kind) else {key.removesuffix("?"): inner for key, inner in kind.items()}
        if part not in known:
            return
        kind = known[part]
    check_kind(name or entry, value, kind)
