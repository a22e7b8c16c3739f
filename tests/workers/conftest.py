"""Places for workers to run in, and what one of them alone makes there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.runtime import claims, scratch
from src.synthesis import production
from tests.workers.place import SHARDS, Place, contents


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(production, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(scratch, "POLL", 0.02)
    monkeypatch.setattr(claims, "BEAT", 0.05)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    made = Place(tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.join()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of what one process makes in one go, by name."""
    alone = Place(tmp_path_factory.mktemp("alone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(alone.root))
        alone.stage()
    assert alone.left() == ["synth.published"] and alone.made() == list(range(SHARDS))
    return contents(alone.out)
