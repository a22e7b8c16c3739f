"""What tests of the shards' formats share: a folder of three shards."""

import pytest

from src.shards.store import write_all
from tests.shards.samples import samples


@pytest.fixture
def folder(tmp_path):
    write_all(tmp_path / "set", samples(7), shard_size=3)
    return tmp_path / "set"
