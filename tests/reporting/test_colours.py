"""Tests of the page's colours, light and dark: by the contrast ratio of WCAG 2, 4.5 for text and 3 for shapes."""

import re

import pytest

from src.reporting.report_writer import TEMPLATES


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def mixed(colour: str, paper: str, share: float) -> str:
    parts = [(int(colour[k : k + 2], 16), int(paper[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in parts)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out_from_their_ground(theme):
    css = (TEMPLATES / "style.css").read_text()
    block = re.findall(r":root \{(.+?)\}", css, re.DOTALL)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    paper = colours["paper"]
    for ground in (paper, colours["card"]):
        assert all(contrast(colours[name], ground) >= 4.5 for name in ("ink", "soft", "accent"))
    assert contrast(colours["warn"], colours["warn-paper"]) >= 4.5 <= contrast(colours["ink"], colours["warn-paper"])
    assert all(contrast(colours[arm], paper) >= 3 for arm in ("base", "synaug", "guided", "all-real", "other"))
    for step, share in re.findall(r"\.shade-(\d) \{ fill: var\(--guided\); fill-opacity: (\.\d+)", css):
        ink = colours["paper" if int(step) >= 4 else "ink"]
        assert contrast(ink, mixed(colours["guided"], paper, float(share))) >= 4.5
