"""Baselines and group methods as Markdown: means with 95 % intervals over seeds, paired differences to the first arm.

python -m benchmarks.method_table metrics/baselines.json metrics/groups/*.json --readme README.md
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.table import by_seed, interval
from src.evaluation.intervals import paired
from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.runtime.markdown import markdown_table, write_between

TITLES = {
    "ce": "cross-entropy",
    "focal": "focal",
    "class_balanced": "class-balanced weights",
    "resampled": "class-uniform batches",
    "ldam_drw": "LDAM-DRW",
    "bs": "balanced softmax",
    "la": "logit adjustment, tau 1.5",
    "crt": "cRT",
    "lws": "LWS",
    "tau_norm": "tau-normalisation",
    "cmo": "balanced softmax + CMO",
    "erm": "ERM",
    "subg": "SUBG",
    "rwg": "RWG",
    "group_dro": "Group-DRO",
    "dfr": "DFR (on validation)",
    "g_synaug": "SYNAuG",
    "g_synaug_dro": "SYNAuG + Group-DRO",
    "g_synaug_dfr": "SYNAuG + DFR",
    "g_guided": "guided, no feedback",
    "g_entropy": "guided, entropy",
    "g_entropy_dro": "guided, entropy + Group-DRO",
    "g_entropy_dfr": "guided, entropy + DFR",
}
Read = Callable[[Mapping[str, Any]], float]
SHOTS: dict[str, Read] = {
    "overall": lambda r: r["overall"],
    "medium": lambda r: r["medium"],
    "few": lambda r: r["few"],
}
BY_GROUP: dict[str, Read] = {
    "worst group": lambda r: r["groups"]["worst"],
    "mean of groups": lambda r: r["groups"]["mean"],
    "train-weighted mean": lambda r: r["groups"]["weighted_mean"],
}
FAIRNESS: dict[str, Read] = {
    "demographic parity diff.": lambda r: r["fairness"]["demographic_parity_difference"]["max"],
    "equal opportunity diff.": lambda r: r["fairness"]["equal_opportunity_difference"]["max"],
    "equalised odds diff.": lambda r: r["fairness"]["equalised_odds_difference"]["max"],
}


def table(report: Mapping[str, Any]) -> str:
    """One report of benchmarks.evidence: a row per arm; the last column is its difference to the first arm, paired.

    Raises InputError for a report of other arms.
    """
    known = [name for name in TITLES if name in report["arms"]]
    if not known:
        raise InputError("the report has none of the methods; run benchmarks.evidence with --arms baselines or groups")
    grouped = "groups" in next(iter(report["arms"][known[0]].values()))["full"]
    columns = {**BY_GROUP, **FAIRNESS} if grouped else SHOTS
    main = "worst group" if grouped else "few"
    first, rows = _full(report, known[0], columns[main]), []
    for name in [*known, "all_real"]:
        cells: dict[str, Any] = {"method": TITLES.get(name, "all real images (bound)")}
        for column, read in columns.items():
            cells[column] = interval(_full(report, name, read), 100, 1)
        own = _full(report, name, columns[main])
        if name != known[0] and own is not None and first is not None and len(first) > 1:
            mean, half = paired(own, first)
            cells[f"{main}, gain"] = f"{100 * mean:+.1f} ± {100 * half:.1f}"
        rows.append(cells)
    seeds = report["seeds"]
    caption = (
        f"`{report['settings']['dataset']}`: per cent on the {report['split']} split, mean ± 95 % interval over seeds "
        f"{seeds[0]} to {seeds[-1]}; the gain is over {TITLES[known[0]]}, paired by seed.\n\n"
    )
    return caption + markdown_table(rows, ["method", *columns, f"{main}, gain"])


def _full(report: Mapping[str, Any], arm: str, read: Read) -> list[float] | None:
    return by_seed(report, arm, lambda seed: read(seed["full"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+")
    parser.add_argument("--readme", type=Path, required=True)
    parser.add_argument("--name", required=True, help="of the marks in the README")
    options = parser.parse_args()
    write_between(options.readme, "\n".join(table(read_json(path)) for path in options.reports), options.name)


if __name__ == "__main__":
    run_stage(main)
