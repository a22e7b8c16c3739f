"""From a budget preset to the synthesis plan, the same for every arm but for what it is conditioned on."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from src.data.names import Names
from src.synthesis.plan import PlannedImage, synthesis_plan
from src.synthesis.prompts import Prompts


def plan_for(
    budget: Mapping[str, Any], labels: np.ndarray, contexts: np.ndarray | None, names: Names, seed: int,
    prompts: Prompts, *, conditioned: bool, modified: bool,
) -> list[PlannedImage]:  # fmt: skip
    """The plan that `budgets` of params.yaml asks for, from the real training images' labels and contexts (N,).

    conditioned: on real images, not on text alone. modified: prompts with a modifier. Errors as in `synthesis_plan`.
    """
    counts = np.bincount(labels, minlength=len(names.classes)).tolist()
    return synthesis_plan(
        counts, budget["per_class"], budget["fill"], seed, prompts, modified=modified, labels=labels, contexts=contexts,
        context_count=None if names.contexts is None else len(names.contexts), balance=budget["balance"],
        name_context=budget["name_context"], conditioned=conditioned, empty_group=budget["empty_group"],
    )  # fmt: skip
