"""The evidence's arms: what differs between them, in the words of params.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from src.runtime.errors import InputError


@dataclass(frozen=True)
class Arm:
    """A synthetic arm: SYNAuG's text-only images, or FG's with a conditioning, image dropout and feedback.

    critic: the loss with which the classifier that gives the feedback was trained on the real images.
    changes: to the feedback preset of params.yaml. method: changes to `train`, for the classifier trained in the end;
    its second_stage is that of `retrain` where there are synthetic images. synthetic: whether there are any.
    """

    name: str
    conditioning: str = "text_image"
    dropout: bool = True
    feedback: str = "none"
    synaug: bool = False
    critic: str = "cross_entropy"
    changes: Mapping[str, Any] = field(default_factory=dict)
    method: Mapping[str, Any] = field(default_factory=dict)
    synthetic: bool = True


def without(name: str, **method: Any) -> Arm:
    """A baseline: real images alone, met by a method."""
    return Arm(name, synthetic=False, method=method)


ARMS = (
    Arm("synaug", "text", dropout=False, synaug=True),
    Arm("text", "text", dropout=False),
    Arm("text_image", dropout=False),
    Arm("dropout"),
    Arm("loss", feedback="loss"),
    Arm("entropy", feedback="entropy"),
    Arm("hardness", feedback="hardness"),
)
# Conditions under which feedback might help, and approximations of it; run only when `--arms` asks for them.
CRITERIA = ("loss", "entropy", "hardness")
SCORE_SCALES = {"loss": 0.2, "entropy": 0.3, "hardness": 0.001}  # median |g| here: 0.5, 0.3, 160
MORE_ARMS = (
    *(Arm(f"{name}_{scale}", feedback=name, changes={"scale": scale}) for name in CRITERIA for scale in (0.003, 0.01)),
    *(Arm(f"{name}_late", feedback=name, changes={"first": 6}) for name in CRITERIA),
    *(Arm(f"{name}_early", feedback=name, changes={"last": 0}) for name in CRITERIA),
    *(Arm(f"{name}_down", feedback=name, changes={"scale": -0.01}) for name in CRITERIA),
    *(Arm(f"{name}_score", feedback=name, changes={"rule": "score", "scale": w}) for name, w in SCORE_SCALES.items()),
    *(Arm(f"{name}_bs", feedback=name, changes={"scale": 0.01}, critic="balanced_softmax") for name in CRITERIA),
    Arm("entropy_released", feedback="entropy", changes={"mix": True, "rescale": True}),
    Arm("entropy_stop_gradient", feedback="entropy", changes={"stop_gradient": True}),
    Arm("entropy_half_decoder", feedback="entropy", changes={"decoder": "half"}),
    Arm("entropy_tiny_decoder", feedback="entropy", changes={"decoder": "tiny"}),
)

# Long-tail baselines under the protocol of the base classifier: `--arms baselines`.
BASELINES = (
    without("ce"),
    without("focal", loss="focal"),
    without("class_balanced", weighting="class_balanced"),
    without("resampled", sampler="class"),
    without("ldam_drw", loss="ldam", weighting="drw"),
    without("bs", loss="balanced_softmax"),
    without("la", loss="logit_adjustment", adjustment_tau=1.5),
    without("crt", second_stage="crt"),
    without("lws", second_stage="lws"),
    without("tau_norm", second_stage="tau_norm"),
    without("cmo", loss="balanced_softmax", mixing="cmo", mixing_alpha=1.0),
)
# Methods for groups, alone and with synthetic images: `--arms groups`.
DRO: dict[str, Any] = {"loss": "group_dro"}
GROUPS = (
    without("erm"),
    without("subg", sampler="subsample_group"),
    without("rwg", weighting="inverse_group"),
    without("group_dro", sampler="group", **DRO),
    without("dfr", second_stage="dfr"),
    Arm("g_synaug", "text", dropout=False, synaug=True),
    Arm("g_synaug_dro", "text", dropout=False, synaug=True, method=DRO),
    Arm("g_synaug_dfr", "text", dropout=False, synaug=True, method={"second_stage": "dfr"}),
    Arm("g_guided"),
    Arm("g_entropy", feedback="entropy"),
    Arm("g_entropy_dro", feedback="entropy", method=DRO),
    Arm("g_entropy_dfr", feedback="entropy", method={"second_stage": "dfr"}),
)
FAMILIES = {"default": ARMS, "baselines": BASELINES, "groups": GROUPS}
KNOWN = {arm.name: arm for arm in (*ARMS, *MORE_ARMS, *BASELINES, *GROUPS)}


def chosen_arms(names: str | None) -> list[Arm]:
    """Arms by name or family, comma-separated; all of the default ones for None. InputError for an unknown one."""
    wanted: list[Arm] = []
    for name in (names or "default").split(","):
        if name not in FAMILIES and name not in KNOWN:
            raise InputError(f"--arms names unknown {name}; known: {', '.join([*FAMILIES, *KNOWN])}")
        wanted += FAMILIES.get(name) or (KNOWN[name],)
    return wanted
