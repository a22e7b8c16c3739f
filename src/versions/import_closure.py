"""What a stage's code consists of: the files of this repository that its script imports, directly or not."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("src", "stages")  # whose files are a stage's code


def import_closure(script: Path, root: Path = ROOT) -> set[str]:
    """Paths relative to `root` of the script and of all that it and its package's file import, but for package files.

    Imports are those of absolute names, wherever in a file they stand; `src` knows no others.
    """
    seen: set[Path] = set()
    package = script.resolve().with_name("__init__.py")  # which Python runs before the script
    todo = [script.resolve(), *([package] if package.exists() else [])]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            files = (_file_of(module, root) for module in _imports(path) if module.split(".")[0] in PACKAGES)
            todo += [file for file in files if file is not None]
    return {path.relative_to(root.resolve()).as_posix() for path in seen if path.name != "__init__.py"}


@cache
def _imports(path: Path) -> frozenset[str]:
    """Dotted names that may be modules."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(modules)


def _file_of(module: str, root: Path) -> Path | None:
    path = root.resolve().joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
