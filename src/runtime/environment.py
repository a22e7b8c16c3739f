"""Whether the program runs where its packages are, said before one of them is missed."""

import importlib.util
import sys

NEEDED = ("numpy", "torch", "yaml", "diffusers")
LEAST = (3, 11)


def require_environment() -> None:
    """SystemExit with a sentence under another Python or without the packages; loads none of them."""
    cure = "run `make env` once and then `source .venv/bin/activate` in this shell"
    if sys.version_info < LEAST:
        found, least = (".".join(map(str, version[:2])) for version in (sys.version_info, LEAST))
        raise SystemExit(f"error: this is Python {found}, and {least} or later is needed; {cure}")
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise SystemExit(f"error: the package {missing[0]} is not installed for {sys.executable}; {cure}")
