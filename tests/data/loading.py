"""Data sets by the values of a preset, as params.yaml would hold them beside its name."""

from collections.abc import Mapping
from typing import Any

from src.data.datasets import prepare
from src.data.prepared_data import PreparedData
from src.settings.dataset_settings import DatasetSettings
from src.settings.schema import build
from src.settings.sections import section_kind


def settings_of(values: Mapping[str, Any]) -> DatasetSettings:
    path = f"datasets.{values['name']}"
    return build(section_kind("data", values, path), values, path)


def load(values: Mapping[str, Any], seed: int = 0) -> PreparedData:
    return prepare(settings_of(values), seed)
