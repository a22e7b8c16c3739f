"""The tables of before there were studies say what the results say that are kept beside them."""

import json
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

import numpy as np
import pytest

from src.evaluation.intervals import mean_ci, plus_minus
from src.versions.import_closure import ROOT

ARMS = {
    "base, cross-entropy": "base_ce", "base, balanced softmax": "base_bs", "SYNAuG (text, Mixup, last layer)": "synaug",
    "text + image": "text_image", "text + image + dropout": "dropout", "+ loss feedback": "loss",
    "+ entropy feedback": "entropy", "+ hardness feedback": "hardness", "all real images (bound)": "all_real",
    "cross-entropy": "ce", "class-balanced weights": "class_balanced", "class-uniform batches": "resampled",
    "LDAM-DRW": "ldam_drw", "balanced softmax": "bs", "logit adjustment, tau 1.5": "la", "cRT": "crt", "LWS": "lws",
    "tau-normalisation": "tau_norm", "balanced softmax + CMO": "cmo", "ERM": "erm", "SUBG": "subg", "RWG": "rwg",
    "Group-DRO": "group_dro", "DFR (on validation)": "dfr", "SYNAuG": "g_synaug", "SYNAuG + Group-DRO": "g_synaug_dro",
    "SYNAuG + DFR": "g_synaug_dfr", "guided, no feedback": "g_guided", "guided, entropy": "g_entropy",
    "guided, entropy + Group-DRO": "g_entropy_dro", "guided, entropy + DFR": "g_entropy_dfr",
}  # fmt: skip
GROUPS = {"worst group": "worst", "mean of groups": "mean", "train-weighted mean": "weighted_mean"}
FAIRNESS = {"demographic parity diff.": "demographic_parity_difference", "equal opportunity diff.":
            "equal_opportunity_difference", "equalised odds diff.": "equalised_odds_difference"}  # fmt: skip
TABLES = {
    "evidence": ["evidence"] * 2,
    "approximations": ["approximations"] * 3,
    "baselines": ["baselines"],
    "groups": [f"groups/digits_{name}" for name in ("waterbirds", "fair", "nico")],
}


def column(name: str, base: bool) -> tuple[Callable[[Mapping[str, Any]], float], float, int]:
    """How a table's column is read from a seed's results, in which unit, with how many decimals."""
    shot, _, budget = name.removesuffix(", gain").partition(", ")
    if name in ("loss", "entropy", "hardness"):
        return lambda r: r["criteria"][name], 1, 3
    if name in ("fid", "density", "coverage"):
        return lambda r: r["quality"][name], 1, 1 if name == "fid" else 2
    if name == "class agreement":
        return lambda r: r["quality"]["class_agreement"]["overall"], 100, 1
    if shot in GROUPS:
        return lambda r: r["full"]["groups"][GROUPS[shot]], 100, 1
    if shot in FAIRNESS:
        return lambda r: r["full"]["fairness"][FAIRNESS[shot]]["max"], 100, 1
    return lambda r: r["full" if base or not budget else budget][shot], 100, 1


def cells(page: str) -> list[tuple[str, str, str, str]]:
    """Every number of a page: the file it is from, its row, its column and what is written."""
    lines = (ROOT / f"metrics/history/{page}.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") if line.startswith("|") else [] for line in lines]
    starts = [k for k, row in enumerate(rows) if row and set(row) == {"---"}]
    found = []
    for file, start in zip(TABLES[page], starts, strict=True):
        for name, *values in takewhile(bool, rows[start + 1 :]):
            columns = zip(rows[start - 1][1:], values, strict=True)
            found += [(file, name, title, value) for title, value in columns if value != "-"]
    return found


@pytest.mark.parametrize("page", TABLES)
def test_every_number_is_the_mean_and_interval_of_its_seeds(page):
    numbers = cells(page)
    assert len(numbers) > 40
    for file, row, name, value in numbers:
        report = json.loads((ROOT / f"metrics/history/{file}.json").read_text())
        first = ARMS["cross-entropy" if file == "baselines" else "ERM"]
        pair = [ARMS.get(arm, arm) for arm in row.split(" - ")]
        if name.endswith(", gain"):
            pair.append(first)
        elif name in ("loss", "entropy", "hardness"):
            pair.append("dropout")
        values = []
        for arm in pair:
            read, scale, decimals = column(name, arm.startswith("base"))
            values.append([read(report["arms"][arm][str(seed)]) for seed in report["seeds"]])
        mean, half = mean_ci(values[0]) if len(pair) == 1 else mean_ci(np.subtract(*values))
        text = plus_minus(scale * mean, scale * half, decimals, signed=len(pair) > 1)
        assert value == text, (file, row, name)
