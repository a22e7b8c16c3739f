"""What the arms hand on, seen instead of done."""

from collections.abc import Callable
from typing import Any

import pytest

from src.training import arms
from src.training.losses import make_objective


@pytest.fixture
def seen(monkeypatch) -> dict[str, dict[str, Any]]:
    """What reaches the functions that train, which then do nothing, and the one that makes the objective."""
    calls: dict[str, dict[str, Any]] = {}

    def note(name: str, words: tuple[str, ...], result: Callable[..., Any]) -> None:
        def noting(*values: Any, **named: Any) -> Any:
            calls[name] = {**dict(zip(words, values, strict=False)), **named}
            return result(*values)

        monkeypatch.setattr(arms, name, noting)

    words = ("model", "batches", "validation", "objective", "scratch", "describe")
    note("fit", words, lambda model, *_: (model, [{"step": 1}]))
    note("retrain_last_layer", ("model", "real", "balance", "recipe", "seed"), lambda model, *_: model)
    note("second_stage", ("name", "model", "task"), lambda name, model, *_: model)
    note("make_objective", ("method", "counts", "group_counts"), make_objective)
    return calls
