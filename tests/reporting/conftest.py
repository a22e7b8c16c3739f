"""What the report's tests share: a repository with a healthy run, and its report."""

from pathlib import Path

import pytest

from src.reporting.blocks import Report
from tests.reporting import made


@pytest.fixture
def healthy(tmp_path) -> Path:
    return made.repository(tmp_path / "repository")


@pytest.fixture
def whole(healthy, tmp_path) -> Report:
    return made.report_of(healthy, tmp_path)
