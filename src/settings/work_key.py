"""What a stage's unfinished work is known by: the parameters that it reads and the contents of what it reads."""

from collections.abc import Iterable
from typing import Any

from src.runtime.files import hash_tree
from src.settings.schema import plain
from src.settings.sections import Params


def work_key(params: Params, inputs: Iterable[str], **more: Any) -> dict[str, Any]:
    """The key of a `Scratch`: parameters, hashes of the input files and folders, and what else decides the result."""
    return {**plain(params), "inputs": [hash_tree(path) for path in inputs], **more}
