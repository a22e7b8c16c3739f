"""What git keeps: answers of git itself, files of any commit, and the commits of DVC's experiments."""

import re
import subprocess
from pathlib import Path

from src.runtime.errors import InputError

# Where DVC keeps the commits of experiments: refs/exps/<two digits of the baseline>/<the rest>/<name>.
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")


def git(root: Path, *arguments: str) -> bytes | None:
    """Return what git says in the repository at `root`, None if it fails. InputError without git."""
    try:
        done = subprocess.run(["git", "-c", "core.quotepath=off", *arguments], cwd=root, capture_output=True)
    except FileNotFoundError:
        raise InputError("git is not installed; the history of results is read with it") from None
    return done.stdout if done.returncode == 0 else None


def git_text(root: Path, *arguments: str) -> str | None:
    """Return what git says as text, None if it fails."""
    said = git(root, *arguments)
    return None if said is None else said.decode("utf-8", "replace")


def commit_of(root: Path, name: str) -> str | None:
    """Return the full hash of the commit that a name means, None if it means none."""
    found = git_text(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return None if found is None else found.strip() or None


def file_at(root: Path, commit: str, path: str) -> bytes | None:
    """Return a tracked file as it is in a commit, None if the commit has none."""
    return git(root, "show", f"{commit}:{path}")


def experiments(root: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the experiments that DVC keeps, by name: (hash of the commit they start from, their ref), latest last."""
    found: dict[str, list[tuple[str, str]]] = {}
    listed = git_text(root, "for-each-ref", "--sort=committerdate", "--format=%(refname)", "refs/exps")
    for ref in (listed or "").split():
        if match := _EXPERIMENT.fullmatch(ref):
            found.setdefault(match[3], []).append((match[1] + match[2], ref))
    return found
