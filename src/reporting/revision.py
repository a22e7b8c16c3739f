"""The git-tracked results of a revision as a folder: of the work tree, a commit, or an experiment by its DVC name."""

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from src.errors import InputError

TRACKED = ("metrics", "prompts", "studies", "params.yaml", "dvc.lock")
WORK_TREE = "work tree"
# Where DVC keeps the commits of experiments: refs/exps/<two digits of the baseline>/<the rest>/<name>.
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")


@dataclass(frozen=True)
class Revision:
    """Which results a report is about, and where they come from.

    folder: holds a copy of what git tracks under `TRACKED`. commit: its full hash, None before the first. date: of the
    commit, in the committer's time zone. changed: files of the work tree that differ from the commit, empty for a
    commit. defaults: params.yaml of HEAD.
    """

    name: str
    folder: Path
    commit: str | None
    date: str
    subject: str
    changed: tuple[str, ...]
    defaults: Mapping[str, Any]


def snapshot(root: Path, name: str | None, folder: Path) -> Revision:
    """Copy the tracked results of the revision into `folder`, which is made; None is the work tree of `root`.

    Raises InputError outside a git repository, and for a name that is neither a commit nor one experiment.
    """
    if _git(root, "rev-parse", "--git-dir") is None:
        raise InputError("a report is made from what git tracks, and this is no git repository; run it in a clone")
    folder.mkdir(parents=True)
    commit = _resolve(root, "HEAD") if name is None else _commit(root, name)
    date, subject = ("", "") if commit is None else _described(root, commit)
    if name is None:
        _copy(root, folder)
        changed = _changed(root)
    else:
        _extract(root, str(commit), folder)
        changed = ()
    return Revision(WORK_TREE if name is None else name, folder, commit, date, subject, changed, _defaults(root))


def experiments(root: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the experiments by name: (hash of the commit they start from, their ref)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for ref in (_git(root, "for-each-ref", "--format=%(refname)", "refs/exps") or "").split():
        if match := _EXPERIMENT.fullmatch(ref):
            found.setdefault(match[3], []).append((match[1] + match[2], ref))
    return found


def _commit(root: Path, name: str) -> str:
    if commit := _resolve(root, name):
        return commit
    known = experiments(root)
    refs = known.get(name, [])
    if len(refs) > 1:  # one name under several baselines: that of HEAD is meant
        refs = [pair for pair in refs if pair[0] == _resolve(root, "HEAD")]
    if len(refs) == 1 and (commit := _resolve(root, refs[0][1])):
        return commit
    if name in known:
        raise InputError(
            f"several commits have an experiment '{name}'; give the hash of one, from `dvc exp list --all-commits`"
        )
    names = ", ".join(sorted(known)) or "none"
    raise InputError(f"'{name}' is neither a commit nor an experiment here (experiments: {names}); name one of these")


def _resolve(root: Path, name: str) -> str | None:
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return None if found is None else found.strip() or None


def _described(root: Path, commit: str) -> tuple[str, str]:
    date, _, subject = (_git(root, "show", "--no-patch", "--format=%ci%x09%s", commit) or "").strip().partition("\t")
    return date, subject


def _changed(root: Path) -> tuple[str, ...]:
    """Tracked files that differ from the commit, and results that git does not know yet."""
    lines = _git(root, "status", "--porcelain", "--untracked-files=no") or ""
    new = _git(root, "ls-files", "--others", "--exclude-standard", "--", *TRACKED) or ""
    return tuple(sorted({line[3:] for line in lines.splitlines()} | set(new.splitlines())))


def _copy(root: Path, folder: Path) -> None:
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *TRACKED) or ""
    for name in filter(None, listed.split("\0")):
        source = root / name
        if source.is_file() and not source.is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)


def _extract(root: Path, commit: str, folder: Path) -> None:
    there = (_git(root, "ls-tree", "--name-only", commit, "--", *TRACKED) or "").split()
    if not there:
        return
    packed = subprocess.run(["git", "archive", "--format=tar", commit, "--", *there], cwd=root, capture_output=True)
    if packed.returncode:
        raise InputError(f"git cannot read commit {commit[:12]}; fetch it in full, then run again")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _defaults(root: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(_git(root, "show", "HEAD:params.yaml") or "")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says, None if it fails."""
    try:
        done = subprocess.run(["git", "-c", "core.quotepath=off", *arguments], cwd=root, capture_output=True)
    except FileNotFoundError:
        raise InputError("git is not installed; a report reads its history") from None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
