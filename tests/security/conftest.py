"""What the escape attempts share: a folder that must not change, beside the folder that data may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.pictures import noise, save
from tests.micro import digests
from tests.security.burglar import Burglar


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder with an image that no data set may reach. Nothing may be written there, nor a canary anywhere near."""
    folder = tmp_path / "outside"
    save(folder / "secret.png", noise())
    before = digests(folder)
    yield folder
    assert digests(folder) == before and not list(tmp_path.rglob("canary*"))


@pytest.fixture
def payload(outside: Path) -> Burglar:
    return Burglar(outside.with_name("canary"))
