"""A hook of git that runs tests hands them its own repository, which they must leave alone."""

import os
import subprocess
import sys
from pathlib import Path

TEST = "tests/studies/test_results.py::test_of_experiments_of_one_name_the_latest_is_read"


def test_tests_that_a_hook_runs_write_nothing_into_its_repository(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-p", "no:xdist", TEST]
    environment = {**os.environ, "GIT_DIR": str(tmp_path / ".git")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert not subprocess.run(["git", "for-each-ref"], cwd=tmp_path, check=True, capture_output=True).stdout
