"""What git refuses is told, not taken for a history without results."""

import subprocess
from pathlib import Path

import pytest

from src.runtime.errors import InputError
from src.versions.git import experiments


def test_a_repository_of_another_user_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that the folder is mounted into."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(InputError, match=f"git config --global --add safe.directory {tmp_path}"):
        experiments(tmp_path)
