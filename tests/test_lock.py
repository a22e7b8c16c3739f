"""Every Python that is supported installs the same packages: other versions of numpy or scipy give other digits."""

import pytest
from packaging.requirements import Requirement

from src.versions.import_closure import ROOT

PYTHONS = ("3.11", "3.12", "3.13")


def installed(python: str) -> dict[str, str]:
    """What requirements.txt asks for on Linux under this Python, by name."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    needed = [Requirement(line) for line in lines if line[:1] not in ("", " ", "#")]
    here = {"python_full_version": f"{python}.0", "python_version": python, "sys_platform": "linux"}
    return {r.name: str(r.specifier) for r in needed if r.marker is None or r.marker.evaluate(here)}


@pytest.mark.parametrize("python", PYTHONS[1:])
def test_a_newer_python_changes_no_version(python: str) -> None:
    oldest = installed(PYTHONS[0])
    assert len(oldest) > 100 and all(version.startswith("==") for version in oldest.values())
    assert {name: version for name, version in installed(python).items() if version != oldest.get(name)} == {}
