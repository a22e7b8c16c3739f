"""Pages for users: their commands run as they stand, in a shell that has just been opened."""

import re
from pathlib import Path

import pytest

from src.versions.import_closure import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ACTIVATE = "source .venv/bin/activate"
OURS = re.compile(r"(^|`|\| )([A-Z_]+=\S+ )*(dvc|python) ", re.MULTILINE)  # commands that the environment has
INTERVAL = re.compile(r"\d+\.\d+ ± \d+\.\d+")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_how_to_enter_the_environment_before_its_first_command(page: Path) -> None:
    text = page.read_text()
    first = OURS.search(text)
    assert first is not None and ACTIVATE in text[: first.start()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_an_environment_that_a_listing_makes_is_entered_before_it_is_used(page: Path) -> None:
    for listing in re.findall(r"^```\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        _, made, after = listing.partition("make env")
        used = OURS.search(after) if made else None
        assert used is None or ACTIVATE in after[: used.start()], listing


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/studies.md"])
def test_every_interval_that_a_page_states_stands_in_a_table_that_a_command_made(page: str) -> None:
    known = {number for table in (ROOT / "metrics").rglob("*.md") for number in INTERVAL.findall(table.read_text())}
    stated = INTERVAL.findall((ROOT / page).read_text())
    assert len(stated) > 20 and not set(stated) - known
