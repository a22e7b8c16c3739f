"""A stage in a folder of its own, run by the warm process: how it is laid out, what it leaves, what it should have."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.micro import (
    RESULTS,
    arms,
    digests,
    environment,
    keep_data_sets,
    outputs,
    read_yaml,
    results,
    without_code,
    write_yaml,
)

OLD = "of an earlier run\n"
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml in one of its arms."""

    name: str
    arm: str
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}@{self.arm}".rstrip("@")


def stages(repository: Path) -> dict[str, Stage]:
    """All stages by their names, as DVC says them."""
    by_name = {}
    for name, entry in read_yaml(repository / "dvc.yaml")["stages"].items():
        for arm in arms(entry):
            paths = tuple(path for _, path, _ in outputs(entry, arm))
            by_name[f"{name}@{arm}".rstrip("@")] = Stage(name, arm, paths)
    return by_name


@dataclass(frozen=True)
class Ended:
    """status: the exit code, or minus the signal that ended the process. said: all that it wrote."""

    status: int
    output: str

    def sentence(self) -> str:
        """The one line that tells the user what is wrong; where there is a traceback, it is none."""
        (line,) = (
            line for line in self.output.replace("\r", "\n").splitlines() if line.startswith(("error", "Traceback"))
        )
        return line


class Warm:
    """The process that runs stages in children of its own; see tests.faults.warm."""

    def __init__(self, repository: Path) -> None:
        probe = subprocess.run([*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", str(repository)], capture_output=True)
        self.mounts = probe.returncode == 0
        command = [*(OWN_MOUNTS if self.mounts else ()), sys.executable, "-m", "tests.faults.warm"]
        self._process = subprocess.Popen(
            command, cwd=repository, env=environment(repository), text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(self, stage: Stage, folder: Path, fault: dict[str, Any] | None = None, **variables: str) -> Ended:
        """Run the stage to its end, good or bad."""
        return self._ask(
            stage=stage.name, arguments=[stage.arm] if stage.arm else [], folder=str(folder), fault=fault or {},
            environment=variables,
        )  # fmt: skip

    def mount(self, *arguments: str) -> None:
        """Mount something that no other process sees, where that is allowed: `mounts`."""
        done = self._ask(mount=["mount", *arguments])
        assert done.status == 0, done.output

    def seen(self, folder: Path) -> Path:
        """The folder as that process sees it, whose mounts may be its own."""
        return Path(f"/proc/{self._process.pid}/root{folder}")

    def stop(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, **request: Any) -> Ended:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


@dataclass(frozen=True)
class Uninterrupted:
    """What a stage leaves if nothing happens to it, and the points that it passes."""

    results: dict[str, str]
    working: list[str]
    points: list[str]

    def under(self, output: str) -> dict[str, str]:
        """The digests of an output's files."""
        return {name: digest for name, digest in self.results.items() if f"{name}/".startswith(f"{output}/")}

    def differences(self, folder: Path) -> list[str]:
        """What a folder has otherwise: results, temporary files, unfinished work."""
        here = results(folder)
        other = [name for name in sorted({*here, *self.results}) if here.get(name) != self.results.get(name)]
        return other + sorted({*working(folder)} ^ {*self.working})


def lay_out(repository: Path, folder: Path, stage: Stage) -> Path:
    """A new folder with all that stages read, and with the stage's outputs as if they were of other settings."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("prompts", *RESULTS):
        shutil.copytree(repository / name, folder / name)
    shutil.copy(repository / "params.yaml", folder)
    keep_data_sets(folder, ("digits",))
    write_yaml(folder / "dvc.yaml", without_code(repository))
    for name in stage.outputs:
        path = folder / name
        if path.is_dir():
            (path / "old.txt").write_text(OLD)
        else:
            path.unlink()
            path.write_text(OLD)
    return folder


def state(folder: Path, stage: Stage) -> dict[str, dict[str, str]]:
    """By each of the stage's outputs, the digests of its files; none of an output that is not there."""
    by_output = {}
    for name in stage.outputs:
        path = folder / name
        files = {name: hashlib.sha256(path.read_bytes()).hexdigest()} if path.is_file() else digests(path)
        by_output[name] = {
            os.path.relpath(file, folder) if path.is_dir() else file: digest for file, digest in files.items()
        }
    return by_output


def torn(left: dict[str, dict[str, str]], old: dict[str, dict[str, str]], whole: Uninterrupted) -> list[str]:
    """Outputs that are neither the new ones nor what is there yet of the old ones."""
    return [
        name for name, files in left.items() if files != whole.under(name) and not files.items() <= old[name].items()
    ]


def working(folder: Path) -> list[str]:
    """The files below .dvc: unfinished work, kept features; not the published work, which goes with the next stage."""
    files = (path.relative_to(folder) for path in (folder / ".dvc").rglob("*") if path.is_file())
    return sorted(str(path) for path in files if not any(part.endswith(".done") for part in path.parts))


def shards(folder: Path) -> dict[int, str]:
    """The finished shards below the folder by the time at which each was written, which linking and publishing keep."""
    paths = (path for path in folder.rglob("shard-*.tar") if path.parent.name != "claims")
    return {path.stat().st_mtime_ns: path.name for path in paths if ".tmp/" not in str(path)}
