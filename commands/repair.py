"""Command repair: names damaged or lost shards of the pipeline and puts sound ones in their place, at the least cost.

python -m commands.repair

From DVC's cache or remote if either has them; else the stage makes them again, a synthesis stage those alone.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from src.runtime.entry import run_stage
from src.runtime.errors import InputError, listed
from src.runtime.files import atomic_write
from src.runtime.scratch import Scratch
from src.settings.params import load
from src.shards.index import INDEX
from src.versions.recorded_shards import SHARDS, Record, defects, read_record, recorded, seed

SYNTH = "synth_"


def main() -> None:
    there = {path for part in SHARDS for path in part.glob("[!.]*") if path.is_dir()}
    if not there:
        raise InputError("there are no shards under data; run `dvc repro`, or `dvc checkout`")
    hopeless = []
    for folder in sorted(there | set(recorded())):  # real ones first: synthesis reads them
        if not (wrong := defects(folder)):
            print(f"{folder} is sound")
            continue
        for name, what in wrong.items() if folder.is_dir() else [("", "is missing")]:
            print(f"{folder / name} {what}", flush=True)
        try:
            print(f"{folder} is sound again: {cure(folder, list(wrong))}", flush=True)
        except InputError as error:
            hopeless.append(str(error))
    if hopeless:
        raise InputError("; ".join(hopeless))


def cure(folder: Path, wrong: list[str]) -> str:
    """Replace the damaged files, of which the folder's index tells those that are `wrong`; return how."""
    cache = Path(dvc("cache", "dir").strip())
    record = read_record(folder, cache)
    altered = record.altered()
    if altered and _fetched(record, altered):
        return f"{_files(altered)} came from DVC's cache or remote"
    lost, stage = altered or wrong, record.stage
    if changed := _changed(stage):
        raise InputError(
            f"{folder} was made before {listed(changed, 3)} changed, so its damaged shards cannot be made "
            f"again alone; go back to what it was made with, or run `dvc repro {stage}` to make it anew"
        )
    if stage.startswith(SYNTH) and (record.files or INDEX not in wrong):
        from src.synthesis.production import scratch_key  # which takes seconds to import

        names = record.files or [path.name for path in folder.glob("*.tar")]
        sound = [name for name in names if name.endswith(".tar") and name not in lost]
        seed(Scratch(stage, scratch_key(stage, load(stage))).path, folder, sound)
    _forget(record, lost)
    _make(stage)
    if left := defects(folder):
        raise InputError(f"{folder / min(left)} is still damaged; check the disk, then run `dvc repro -f {stage}`")
    if record.files and read_record(folder, cache).files != record.files:
        return f"{stage} made {_files(lost)} again, but they differ from before; run `dvc repro` for what follows"
    return f"{stage} made {_files(lost)} again"


def _files(names: list[str]) -> str:
    return f"{len(names)} file{'s' * (len(names) > 1)}"


def _fetched(record: Record, lost: list[str]) -> bool:
    """Get the lost files from a sound cache, or, if it has the others, from the remote."""
    aside = {path: path.with_name(f"{path.name}.damaged") for path in record.stray(lost)}
    for path, kept in aside.items():
        os.replace(path, kept)
    if not record.is_stored() and dvc("remote", "list").strip():
        dvc("fetch", str(record.folder), may_fail=True)
    if record.is_stored() and not record.stray(lost):
        _forget(record, lost)
        dvc("checkout", "--force", str(record.folder))
        for kept in aside.values():
            kept.unlink()
        return not record.altered()
    # Nowhere to be had. As it was, until the stage can make it again.
    for path, kept in aside.items():
        os.replace(kept, path)
    return False


def _forget(record: Record, lost: list[str]) -> None:
    for path in record.stray(lost):
        path.unlink()
    for name in lost:
        (record.folder / name).unlink(missing_ok=True)


def _make(stage: str) -> None:
    sampling = Path(f"metrics/sampling/{stage.removeprefix(SYNTH)}.json")
    kept = sampling.read_bytes() if sampling.exists() else None
    dvc("repro", "--single-item", "--force", stage, shown=True)
    if kept is not None:  # what all images took, not the few that were made again
        atomic_write(sampling, kept)


def _changed(stage: str) -> list[str]:
    """Inputs and parameters that are no longer those of dvc.lock."""
    changed = []
    for entry in json.loads(dvc("status", "--json", stage)).get(stage, []):
        if "changed deps" in entry:
            for path, state in entry["changed deps"].items():
                changed += [path] if isinstance(state, str) else list(state)
        elif entry == "changed command":
            changed.append("its command")
    return changed


def dvc(*arguments: str, shown: bool = False, may_fail: bool = False) -> str:
    """Run DVC; return what it says on stdout, or let the user see it (`shown`). InputError if it fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    command, environment = [sys.executable, "-m", "dvc", *arguments], {**os.environ, "PATH": path}
    done = subprocess.run(command, env=environment, text=True, capture_output=not shown)
    if done.returncode and not may_fail:
        reason = "" if shown else f": {done.stderr.strip()[-500:]}"
        raise InputError(f"`dvc {' '.join(arguments)}` failed{reason}")
    return done.stdout or ""


if __name__ == "__main__":
    run_stage(main, arguments=False)
