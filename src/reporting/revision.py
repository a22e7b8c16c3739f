"""The git-tracked results of a revision as a folder: of the work tree, a commit, or an experiment by its DVC name."""

import io
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.runtime.errors import InputError
from src.runtime.files import parse_yaml
from src.versions.git import commit_of, experiments, file_at, git, git_text

TRACKED = ("metrics", "prompts", "studies", "params.yaml", "dvc.lock")
WORK_TREE = "work tree"


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
    if git_text(root, "rev-parse", "--git-dir") is None:
        raise InputError("a report is made from what git tracks, and this is no git repository; run it in a clone")
    folder.mkdir(parents=True)
    commit = commit_of(root, "HEAD") if name is None else _commit(root, name)
    line = git_text(root, "show", "--no-patch", "--format=%ci%x09%s", commit) if commit else None
    date, _, subject = (line or "").strip().partition("\t")
    if name is None:
        _copy(root, folder)
        return Revision(WORK_TREE, folder, commit, date, subject, _changed(root), _defaults(root))
    _extract(root, str(commit), folder)
    return Revision(name, folder, commit, date, subject, (), _defaults(root))


def _commit(root: Path, name: str) -> str:
    if commit := commit_of(root, name):
        return commit
    known = experiments(root)
    refs = known.get(name, [])
    if len(refs) > 1:  # one name under several baselines: that of HEAD is meant
        refs = [pair for pair in refs if pair[0] == commit_of(root, "HEAD")]
    if len(refs) == 1 and (commit := commit_of(root, refs[0][1])):
        return commit
    if name in known:
        raise InputError(
            f"several commits have an experiment '{name}'; give the hash of one, from `dvc exp list --all-commits`"
        )
    names = ", ".join(sorted(known)) or "none"
    raise InputError(f"'{name}' is neither a commit nor an experiment here (experiments: {names}); name one of these")


def _changed(root: Path) -> tuple[str, ...]:
    """Tracked files that differ from the commit, and results that git does not know yet."""
    lines = git_text(root, "status", "--porcelain", "--untracked-files=no") or ""
    new = git_text(root, "ls-files", "--others", "--exclude-standard", "--", *TRACKED) or ""
    return tuple(sorted({line[3:] for line in lines.splitlines()} | set(new.splitlines())))


def _copy(root: Path, folder: Path) -> None:
    listed = git_text(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *TRACKED) or ""
    for name in filter(None, listed.split("\0")):
        source = root / name
        if source.is_file() and not source.is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)


def _extract(root: Path, commit: str, folder: Path) -> None:
    present = (git_text(root, "ls-tree", "--name-only", commit, "--", *TRACKED) or "").split()
    if not present:
        return
    packed = git(root, "archive", "--format=tar", commit, "--", *present)
    if packed is None:
        raise InputError(f"git cannot read commit {commit[:12]}; fetch it in full, then run again")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def _defaults(root: Path) -> Mapping[str, Any]:
    try:
        params = parse_yaml(file_at(root, "HEAD", "params.yaml") or b"", "params.yaml")
    except InputError:
        return {}
    return params if isinstance(params, dict) else {}
