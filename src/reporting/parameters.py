"""The parameters of a run by their dotted names: those that it reads, and in which of them two runs differ."""

from collections.abc import Mapping
from typing import Any

from src.reporting.blocks import Fold, Table
from src.reporting.run_results import Tree, dig
from src.reporting.wording import setting

CHOICES = ("seed", "dataset", "generator", "feedback")
# Which choice picks the preset of each family.
SELECTORS = {
    "datasets": "dataset",
    "generators": "generator",
    "feedbacks": "feedback",
    "budgets": "dataset",
    "recipes": "dataset",
}
SHOWN = 12  # differing parameters, beyond which they are folded


def leaves(tree: Tree, path: str = "") -> dict[str, str]:
    """Return every value of nested parameters as text under its dotted name."""
    values: dict[str, str] = {}
    for name, value in tree.items():
        dotted = f"{path}.{name}" if path else str(name)
        values |= leaves(value, dotted) if isinstance(value, Mapping) and value else {dotted: setting(value)}
    return values


def preset(params: Tree, family: str) -> Any:
    """Return the preset of the family that a run with these parameters chose; empty if there is none."""
    return dig(params, family, str(dig(params, SELECTORS[family]))) or {}


def in_use(params: Tree) -> dict[str, Any]:
    """Return the parameters that a run with these reads: what it chooses, and of the presets the chosen ones."""
    chosen = {key: params[key] for key in CHOICES if key in params}
    others = {key: value for key, value in params.items() if key not in (*SELECTORS, *CHOICES, "tiny")}
    presets = {family: {params[by]: tree} for family, by in SELECTORS.items() if (tree := preset(params, family))}
    return {**chosen, **others, **presets}


def different_parameters(caption: str, columns: tuple[str, str, str], ours: Tree, theirs: Tree) -> str | Table | Fold:
    """Return the parameters in use on either side that differ: a table, folded if they are many, or that none does."""
    here, there = leaves(ours), leaves(theirs)
    used = {**leaves(in_use(ours)), **leaves(in_use(theirs))}
    rows = [
        (name, here.get(name, "absent"), there.get(name, "absent"))
        for name in used
        if here.get(name) != there.get(name)
    ]
    if not rows:
        return f"{caption}: none."
    table = Table(f"{caption} ({len(rows)})", columns, rows, words=True)
    return table if len(rows) <= SHOWN else table.folded
