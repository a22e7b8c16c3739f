"""Marks tests that read Fashion-MNIST's official files, which do not ship."""

import pytest

from src.data.published.fashion_files import SUMS
from src.versions.import_closure import ROOT

FASHION = ROOT / "data/raw/fashion_lt"
official = pytest.mark.skipif(
    not all((FASHION / f"{name}.gz").exists() or (FASHION / name).exists() for name in SUMS),
    reason="Fashion-MNIST's IDX files are not in data/raw/fashion_lt",
)
