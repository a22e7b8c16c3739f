"""Command push: `dvc push` of all commits, and of every earlier result that the run-cache can restore.

python -m commands.push

DVC pushes the run-cache's entries, but not the small results they name that git keeps, such as curves and pictures, and
without one of them a stage runs again elsewhere. After this and `dvc pull --run-cache`, `dvc repro --pull` restores.
"""

import logging
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from src.runtime.entry import run_stage
from src.runtime.errors import InputError


def main() -> None:
    logging.getLogger("dvc").setLevel(logging.ERROR)  # it warns of each commit from before its output existed
    try:
        with Repo() as repo, repo.lock:
            failed = push(repo)
    except DvcException as error:
        raise InputError(f"cannot push: {' '.join(str(error).split())}") from error
    if failed:
        raise InputError(f"{failed} files did not reach the remote; run this again")
    print("the remote has what all commits and all entries of the run-cache name")


def push(repo: Repo) -> int:
    """Push what the cache has of all that is named anywhere; return how many files failed.

    Not with `dvc push --all-commits`, which takes a remote's relative path from the wrong folder (3.67).
    """
    cache = repo.stage_cache
    cache.push(None)
    entries = [(path.parent.name, path.name) for path in Path(cache.cache_dir).glob("*/*/*")]
    named = [*repo.used_objs(all_commits=True, force=True).values(), *cache.get_used_objs(entries, force=True).values()]
    stored = {result for result in set().union(*named) if repo.cache.local.exists(result.value)}
    return len(repo.cloud.push(stored).failed)


if __name__ == "__main__":
    run_stage(main, arguments=False)
