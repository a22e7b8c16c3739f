"""A plan from numbers instead of a budget, data and names: what the tests of plans vary."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.data.names import Names
from src.settings.sections import Budget
from src.synthesis import plan
from src.synthesis.plan import PlannedImage
from src.synthesis.prompts import Prompts

BUDGET: dict[str, Any] = {"balance": "class", "name_context": False, "empty_group": "class"}


def synthesis_plan(
    counts: Sequence[int], per_class: int, fill: str, seed: int, prompts: Prompts, *, labels: np.ndarray | None = None,
    contexts: np.ndarray | None = None, context_count: int | None = None, conditioned: bool = True,
    modified: bool = False, mixed: bool = False, cohort: int = 1, translation: str = "none", ranked: bool = False,
    **budget: Any,
) -> list[PlannedImage]:  # fmt: skip
    """counts: real images of each class. labels: of them, where images are to be conditioned on them; else text."""
    if labels is None:
        labels, contexts, conditioned = np.repeat(np.arange(len(counts)), counts), None, False
    contexts_named = None if context_count is None else tuple(f"context {a}" for a in range(context_count))
    names = Names(tuple(str(k) for k in range(len(counts))), contexts_named)
    asked = Budget(per_class=per_class, fill=fill, **{**BUDGET, **budget})
    return plan.synthesis_plan(
        asked, labels, contexts, names, seed, prompts, conditioned=conditioned, modified=modified, mixed=mixed,
        cohort=cohort, translation=translation, ranked=ranked,
    )  # fmt: skip
