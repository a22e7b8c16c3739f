"""What git keeps: its own answers, files of any commit, and the commits of DVC's experiments."""

import re
import subprocess
from pathlib import Path

from src.runtime.errors import InputError

# Where DVC keeps the commits of experiments: refs/exps/<two digits of the baseline>/<the rest>/<name>.
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")


def git(root: Path, *arguments: str) -> bytes | None:
    """Return git's output in the repository at `root`, None if it fails. InputError without git."""
    try:
        process = subprocess.run(["git", "-c", "core.quotepath=off", *arguments], cwd=root, capture_output=True)
    except FileNotFoundError:
        raise InputError("git is not installed; the history of results is read with it") from None
    if b"safe.directory" in process.stderr:  # in whatever language it is said
        raise InputError(
            f"git refuses {root.resolve()}, which belongs to another user; say "
            f"`git config --global --add safe.directory {root.resolve()}`"
        )
    return process.stdout if process.returncode == 0 else None


def git_text(root: Path, *arguments: str) -> str | None:
    """Return git's output as text, None if it fails."""
    output = git(root, *arguments)
    return None if output is None else output.decode("utf-8", "replace")


def commit_of(root: Path, name: str) -> str | None:
    """Return the full hash of the commit that a name means, None if it means none."""
    commit = git_text(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return None if commit is None else commit.strip() or None


def file_at(root: Path, commit: str, path: str) -> bytes | None:
    """Return a tracked file as it is in a commit, None if the commit has none."""
    return git(root, "show", f"{commit}:{path}")


def experiments(root: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the experiments that DVC keeps, by name: (hash of the commit they start from, their ref), latest last."""
    by_name: dict[str, list[tuple[str, str]]] = {}
    refs = git_text(root, "for-each-ref", "--sort=committerdate", "--format=%(refname)", "refs/exps")
    for ref in (refs or "").split():
        if match := _EXPERIMENT.fullmatch(ref):
            by_name.setdefault(match[3], []).append((match[1] + match[2], ref))
    return by_name
