"""The report's part on where the numbers come from: commit, parameters, data, versions, and what synthesis cost."""

from collections.abc import Mapping
from typing import Any

from src.reporting.blocks import Block, Fold, Table, columns_of
from src.reporting.run_results import Run, Tree, dig, preset
from src.reporting.wording import MISSING, listed, number, setting
from src.runtime.files import hash_file
from src.settings.sections import shipped
from src.versions.current_results import SELECTORS

COST = {
    "images": ("images", 0),
    "seconds": ("seconds", 0),
    "seconds_per_image": ("seconds an image", 3),
    "seconds_per_unguided_image": ("seconds an unguided image", 3),
    "guided_over_unguided": ("guided over unguided", 2),
    "gflop_per_image": ("GFLOP an image", 2),
    "peak_memory_gb": ("peak memory, GB", 2),
    "share_of_matrix_rate": ("share of the machine's matrix rate", 2),
}
CHOICES = ("seed", "dataset", "generator", "feedback")
SHOWN = 12  # differing parameters, beyond which they are folded
VERSIONS = {"torch": "torch", "precision": "in", "device": "on"}


def cost(run: Run) -> list[Block]:
    """What synthesis took."""
    if not run.costs:
        return [f"Cost: {MISSING}."]
    rows = [
        [words, *(number(measured.get(name), digits) for measured in run.costs.values())]
        for name, (words, digits) in COST.items()
        if any(name in measured for measured in run.costs.values())
    ]
    note = "Timings are of the machine that made the images, one worker."
    return [Table("Cost of synthesis", columns_of(run.costs), rows), note]


def origin(run: Run) -> list[Block]:
    """What was run, on which data, by which code and generator."""
    revision, lock = run.revision, run.revision.folder / "dvc.lock"
    changed, images = list(revision.changed), dig(run.splits, "images") or {}
    measured = next(iter(run.costs.values()), {})
    differs = f"differs from the commit in {number(len(changed))} files: {listed(changed)}"
    facts = {
        "commit": f"{revision.commit} ({revision.date}, {revision.subject})" if revision.commit else "none yet",
        "revision asked for": revision.name,
        "state": differs if changed else "as committed",
        "data set": setting(dig(run.params, "dataset")),
        "images": ", ".join(f"{number(count)} {name}" for name, count in images.items()) or MISSING,
        "seed": setting(dig(run.params, "seed")),
        "generator": _generator(run),
        "feedback": _feedback(run),
        "versions": ", ".join(f"{words} {measured[key]}" for key, words in VERSIONS.items() if key in measured)
        or MISSING,
        "dvc.lock": f"sha256 {hash_file(lock)}" if lock.is_file() else "none",
    }
    blocks: list[Block] = [Table("What was run", ["", "value"], list(facts.items()), words=True)]
    if run.params:
        caption = "Parameters in use that differ from those of HEAD"
        blocks.append(different_parameters(caption, ("parameter", "here", "HEAD"), run.params, revision.defaults))
    parameters = list(_leaves(_in_use(run.params)).items())
    tables = [
        Table("Parameters in use", ["parameter", "value"], parameters, words=True),
        Table("Hashes of splits and outputs", ["", "hash"], _hashes(run), words=True),
    ]
    return [*blocks, *(table.folded for table in tables if table.rows)]


def different_parameters(caption: str, columns: tuple[str, str, str], ours: Tree, theirs: Tree) -> str | Table | Fold:
    """Return the parameters in use on either side that differ: a table, folded if they are many, or that none does."""
    here, there = _leaves(ours), _leaves(theirs)
    used = {**_leaves(_in_use(ours)), **_leaves(_in_use(theirs))}
    differing = [name for name in used if here.get(name) != there.get(name)]
    rows = [(name, here.get(name, "absent"), there.get(name, "absent")) for name in differing]
    if not rows:
        return f"{caption}: none."
    table = Table(f"{caption} ({len(rows)})", columns, rows, words=True)
    return table if len(rows) <= SHOWN else table.folded


def _generator(run: Run) -> str:
    path, revision, mirror = (preset(run.params, "generators").get(key) for key in ("path", "revision", "mirror"))
    path = shipped(path, dig(run.params, "dataset")).get("path", path)
    source = f"{setting(dig(run.params, 'generator'))}: {setting(path)}"
    if revision:
        moving = " (a branch, not a commit: it can move)" if len(str(revision)) != 40 else ""
        return f"{source} at {revision}{moving}" + (f", {mirror}" if mirror else "")
    deps = dig(run.lock, "stages", "synth_guided", "deps") or []
    md5 = next((dep.get("md5") for dep in deps if isinstance(dep, Mapping) and dep.get("path") == path), None)
    return source + (f", md5 {md5}" if md5 else "")


def _feedback(run: Run) -> str:
    name, chosen = setting(dig(run.params, "feedback")), preset(run.params, "feedbacks")
    scale, every = (setting(chosen.get(key)) for key in ("scale", "every"))
    return f"{name} (scale {scale}, every {every} steps)" if chosen else name


def _hashes(run: Run) -> list[list[str]]:
    rows = [[f"split {name}", f"sha256 {value}"] for name, value in (dig(run.splits, "sha256") or {}).items()]
    for stage in (dig(run.lock, "stages") or {}).values():
        outs = [out for out in (dig(stage, "outs") or []) if isinstance(out, Mapping)]
        rows += [[out["path"], f"md5 {out['md5']}"] for out in outs if "path" in out and "md5" in out]
    return rows


def _leaves(tree: Tree, path: str = "") -> dict[str, str]:
    """Return every value of nested parameters as text under its dotted name."""
    values: dict[str, str] = {}
    for name, value in tree.items():
        dotted = f"{path}.{name}" if path else str(name)
        values |= _leaves(value, dotted) if isinstance(value, Mapping) and value else {dotted: setting(value)}
    return values


def _in_use(params: Tree) -> dict[str, Any]:
    """Return the parameters that a run with these reads: what it chooses, and of the presets the chosen ones."""
    chosen = {key: params[key] for key in CHOICES if key in params}
    others = {key: value for key, value in params.items() if key not in (*SELECTORS, *CHOICES, "tiny")}
    presets = {family: {params[by]: tree} for family, by in SELECTORS.items() if (tree := preset(params, family))}
    return {**chosen, **others, **presets}
