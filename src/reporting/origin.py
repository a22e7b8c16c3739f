"""The report's part on where the numbers come from: commit, parameters, data, versions, cost, and other seeds."""

import hashlib
from collections.abc import Mapping
from typing import Any

from src.reporting.blocks import Block, Fold, Section, Table, Text
from src.reporting.number_format import MISSING, listed, number, setting
from src.reporting.run_results import Run, dig, title

CHOICES = ("seed", "dataset", "generator", "feedback")
# Which choice picks the preset of each family.
SELECTORS = {
    "datasets": "dataset",
    "generators": "generator",
    "feedbacks": "feedback",
    "budgets": "dataset",
    "recipes": "dataset",
}
SHOWN = 12  # differing parameters, beyond which they are folded
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


def leaves(tree: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Return every value of nested parameters as text under its dotted name."""
    found: dict[str, str] = {}
    for name, value in tree.items():
        where = f"{path}.{name}" if path else str(name)
        found |= leaves(value, where) if isinstance(value, Mapping) and value else {where: setting(value)}
    return found


def in_use(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a run with these reads: what it chooses, and of the presets the chosen ones."""
    known = {key: value for key, value in params.items() if key not in (*SELECTORS, "tiny") and key not in CHOICES}
    chosen = {key: params[key] for key in CHOICES if key in params}
    presets = {family: {params[by]: tree} for family, by in SELECTORS.items() if (tree := _preset(params, family, by))}
    return {**chosen, **known, **presets}


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the parameters in use on either side that differ, as (name, ours, theirs)."""
    a, b = leaves(ours), leaves(theirs)
    used = {**leaves(in_use(ours)), **leaves(in_use(theirs))}
    return [(name, a.get(name, "absent"), b.get(name, "absent")) for name in used if a.get(name) != b.get(name)]


def different(said: str, columns: tuple[str, str, str], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Block:
    """Return the differing parameters as a table, folded if there are many; a sentence if there are none."""
    rows = differences(ours, theirs)
    if not rows:
        return Text(f"{said}: none.")
    table = Table(f"{said} ({len(rows)})", columns, rows, words=True)
    return table if len(rows) <= SHOWN else Fold(table.caption, [table])


def _preset(params: Mapping[str, Any], family: str, by: str) -> Any:
    return dig(params, family, str(params[by])) if by in params else None


def provenance(run: Run) -> Section:
    """What was run, on which data, by which code and generator."""
    revision, dataset = run.revision, dig(run.params, "dataset")
    rows = [["commit", f"{revision.commit} ({revision.date}, {revision.subject})" if revision.commit else "none yet"]]
    rows += [["revision asked for", revision.name], ["state", _state(run)], ["data set", setting(dataset)]]
    rows.append(["images", _images(run)])
    rows += [["seed", setting(dig(run.params, "seed"))], ["generator", _generator(run)], ["feedback", _feedback(run)]]
    rows.append(["versions", _versions(run)])
    lock = revision.folder / "dvc.lock"
    rows.append(["dvc.lock", f"sha256 {hashlib.sha256(lock.read_bytes()).hexdigest()}" if lock.is_file() else "none"])
    blocks: list[Block] = [Table("What was run", ["", "value"], rows, words=True)]
    if run.params:
        said = "Parameters in use that differ from those of HEAD"
        blocks.append(different(said, ("parameter", "here", "HEAD"), run.params, revision.defaults))
    blocks += [fold for fold in (_presets(run), _hashes(run)) if fold]
    return Section("provenance", "Provenance", blocks)


def _state(run: Run) -> str:
    changed = list(run.revision.changed)
    if not changed:
        return "as committed"
    return f"differs from the commit in {number(len(changed))} files: {listed(changed)}"


def _images(run: Run) -> str:
    counts = dig(run.splits, "images") or {}
    return ", ".join(f"{number(count)} {name}" for name, count in counts.items()) or MISSING


def _generator(run: Run) -> str:
    name = dig(run.params, "generator")
    preset = dig(run.params, "generators", str(name)) or {}
    path, revision, mirror = (preset.get(key) for key in ("path", "revision", "mirror"))
    said = f"{setting(name)}: {setting(path)}"
    if revision:
        moving = " (a branch, not a commit: it can move)" if len(str(revision)) != 40 else ""
        return f"{said} at {revision}{moving}" + (f", {mirror}" if mirror else "")
    stages = dig(run.lock, "stages", "synth_guided", "deps") or []
    md5 = next((dep.get("md5") for dep in stages if isinstance(dep, Mapping) and dep.get("path") == path), None)
    return said + (f", md5 {md5}" if md5 else "")


def _feedback(run: Run) -> str:
    name = dig(run.params, "feedback")
    preset = dig(run.params, "feedbacks", str(name)) or {}
    return (
        f"{setting(name)} (scale {setting(preset.get('scale'))}, every {setting(preset.get('every'))} steps)"
        if preset
        else setting(name)
    )


def _versions(run: Run) -> str:
    told = next(iter(run.costs.values()), {})
    said = [
        f"{words} {told[key]}"
        for key, words in (("torch", "torch"), ("precision", "in"), ("device", "on"))
        if key in told
    ]
    return ", ".join(said) or MISSING


def _presets(run: Run) -> Fold | None:
    rows = list(leaves(in_use(run.params)).items())
    return (
        Fold("Parameters in use", [Table("Parameters in use", ["parameter", "value"], rows, words=True)])
        if rows
        else None
    )


def _hashes(run: Run) -> Fold | None:
    rows = [[f"split {name}", f"sha256 {value}"] for name, value in (dig(run.splits, "sha256") or {}).items()]
    for stage in (dig(run.lock, "stages") or {}).values():
        outs = [out for out in (dig(stage, "outs") or []) if isinstance(out, Mapping)]
        rows += [[out["path"], f"md5 {out['md5']}"] for out in outs if "path" in out and "md5" in out]
    if not rows:
        return None
    return Fold("Hashes of splits and outputs", [Table("Hashes of splits and outputs", ["", "hash"], rows, words=True)])


def cost(run: Run) -> Section:
    """What synthesis took."""
    if not run.costs:
        return Section("cost", "Cost", [Text(f"Cost: {MISSING}.")])
    rows = [
        [words, *(number(told.get(name), digits) for told in run.costs.values())]
        for name, (words, digits) in COST.items()
        if any(name in told for told in run.costs.values())
    ]
    table = Table("Cost of synthesis", ["", *map(title, run.costs)], rows)
    return Section("cost", "Cost", [table, Text("Timings are of the machine that made the images, one worker.")])
