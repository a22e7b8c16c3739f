"""What decides an experiment's numbers: its inputs (parameters, prompts, generator), and apart from them the code.

Only stages count that its row of results depends on, and of those only what can change a byte: no comment, docstring
or layout of the code, no module's name or place, and no parameter that another stage reads.
"""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path
from typing import Any

from src.runtime.files import hash_tree, parse_yaml, read_bytes
from src.runtime.pipeline import declared
from src.settings.arms import ARMS
from src.settings.sections import TINY, TINY_OF
from src.studies.experiments import ABSENT, Experiment, at, parameters_of, value_of, yaml_of
from src.versions.git import file_at, git

# What a row of results is read from.
MEASURES = ("metrics/accuracy.json", "metrics/fid_density_coverage.json")
VALIDATION = {arm: f"metrics/validation/{arm}.json" for arm in ARMS}
MADE = ("data/", "metrics/")  # dependencies that the pipeline makes or that git does not keep
_TEMPLATE = re.compile(r"\$\{([^}]+)\}")


def inputs_digest(experiment: Experiment, root: Path = Path(".")) -> str:
    """Names the experiment's parameters, prompts and generator by their contents; raw data are not among them.

    A parameter that is left empty counts as absent, so that a new optional one makes nothing older.
    """
    pipeline, params = yaml_of(root / "dvc.yaml"), parameters_of(experiment, root)
    names = {name for stage in deciding_stages(pipeline) for name in declared(stage, pipeline)}
    chosen = sorted({_chosen(name, params) for name in names})
    values = dict(leaf for name in chosen for leaf in _leaves(name, value_of(params, name)))
    paths = [root / path for path in _tracked(pipeline, params)]
    contents = sorted(_hash(path) for path in paths if path.exists())
    return _digest([values, contents])


def code_digest(root: Path = Path(".")) -> str:
    """Names what the code of the stages does, as the work tree has it."""
    return _code_digest(lambda path: read_bytes(root / path), yaml_of(root / "dvc.yaml"))


def same_outputs(commits: Mapping[str, Iterable[str]], root: Path = Path(".")) -> set[str]:
    """Those of the codes of which the default run's outputs are all here, and the same, as `dvc.lock` says.

    Or there where one of those, or this code, had other defaults and a row of its own: what gave the same under one
    default is taken to give the same under all. Outputs that are new do not count. commits: of each code, by its
    digest. None of them where `dvc.lock` is not of the code beside it.
    """
    if not commits:
        return set()
    pipeline = yaml_of(root / "dvc.yaml")
    here = _default_outputs(lambda path: read_bytes(root / path) if (root / path).exists() else None, pipeline)
    if here is None:
        return set()
    read = {
        code: [_default_outputs(partial(file_at, root, commit), pipeline) for commit in at]
        for code, at in commits.items()
    }
    found = {code: [outputs for outputs in every if outputs] for code, every in read.items()}
    same = {code_digest(root)} & found.keys()
    known = [here, *(outputs for code in same for outputs in found[code])]
    for outputs in known:  # grows meanwhile
        for code in found.keys() - same:
            if any(then.items() <= outputs.items() for then in found[code]):
                same.add(code)
                known += found[code]
    return same


def same_inputs(experiment: Experiment, commit: str, root: Path = Path(".")) -> bool:
    """Whether the experiment had its parameters, prompts and generator at that commit, but for parameters that are new.

    With `same_outputs` of the code, what a new parameter's default does is what was done before there was one.
    """
    pipeline, params = yaml_of(root / "dvc.yaml"), parameters_of(experiment, root)
    names = {name for stage in deciding_stages(pipeline) for name in declared(stage, pipeline)}
    then = {**_params_at(root, commit), "seed": experiment.seed}
    if git(root, "diff", "--quiet", commit, "--", *_tracked(pipeline, params)) is None:
        return False
    if any(at(then, name) is ABSENT for name in experiment.chosen):
        return False
    chosen = {_chosen(name, params) for name in names}
    return all(_as_before(at(then, name), at(params, name), name, experiment.chosen) for name in chosen)


def made_by(experiment: Experiment, commit: str, code: str, root: Path = Path(".")) -> bool:
    """Whether an experiment's commit has its parameters, the prompts and generator that are here, and this code."""
    pipeline, params = yaml_of(root / "dvc.yaml"), parameters_of(experiment, root)
    files, asked_for = _tracked(pipeline, params), _params_at(root, commit) == params
    unchanged = git(root, "diff", "--quiet", commit, "--", "dvc.yaml", *files) is not None
    return asked_for and unchanged and _code_digest(partial(file_at, root, commit), pipeline) == code


def deciding_stages(pipeline: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What dvc.yaml says of each stage that writes these files or what they are made from; frozen ones are inputs."""
    bodies = {name: entry.get("do", entry) for name, entry in pipeline["stages"].items()}
    outs = {name: [_TEMPLATE.sub("*", path) for path in _outputs(body)] for name, body in bodies.items()}
    wanted, chosen = [*MEASURES, *VALIDATION.values()], dict[str, Mapping[str, Any]]()
    while wanted:
        path = wanted.pop()
        for name, body in bodies.items():
            known = name in chosen or body.get("frozen")
            if not known and any(fnmatch(path, out) or fnmatch(path, f"{out}/*") for out in outs[name]):
                chosen[name] = body
                wanted += [_TEMPLATE.sub("*", path) for path in body["deps"] if not path.endswith(".py")]
    return dict(sorted(chosen.items()))


def meaning(source: bytes) -> str:
    """What a Python file does: its syntax tree without docstrings, and what it imports, but not from where.

    Nothing for a file that does nothing.
    """
    tree = ast.parse(source)
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = sorted({(n.name.rpartition(".")[2], n.asname) for node in statements for n in node.names}, key=str)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [statement for statement in body if not _silent(statement)]  # type: ignore[attr-defined]
    return f"{imported} {ast.dump(tree)}" if tree.body else ""


def _silent(statement: ast.stmt) -> bool:
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or isinstance(statement, ast.Import | ast.ImportFrom)


def _code_digest(read: Callable[[str], bytes | None], pipeline: Mapping[str, Any]) -> str:
    """read: a file's contents by its path. The order of the files and their names do not count."""
    stages = deciding_stages(pipeline).values()
    files = {path for stage in stages for path in stage["deps"] if path.endswith(".py")}
    meanings = {_meaning(content) for path in files if (content := read(path)) is not None}
    return _digest(sorted(meanings))


def _default_outputs(read: Callable[[str], bytes | None], pipeline: Mapping[str, Any]) -> dict[str, str] | None:
    """The hash of each output in dvc.lock; None if the code that it names is not the code that is read."""
    stages, outputs = deciding_stages(pipeline), dict[str, str]()
    lock = parse_yaml(read("dvc.lock") or b"{}", "dvc.lock")
    for name, entry in lock.get("stages", {}).items():
        if name.partition("@")[0] in stages:
            code = {dep["path"]: dep.get("md5") for dep in entry["deps"] if dep["path"].endswith(".py")}
            if any(hashlib.md5(read(path) or b"").hexdigest() != md5 for path, md5 in code.items()):
                return None
            outputs |= {out["path"]: out.get("md5", "") for out in entry["outs"]}
    return outputs


@cache
def _meaning(source: bytes) -> str:
    return hashlib.sha256(meaning(source).encode()).hexdigest()


def _outputs(body: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("outs", "metrics", "plots"):
        for out in body.get(kind) or ():
            yield from out if isinstance(out, Mapping) else [out]


def _tracked(pipeline: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """The dependencies of all these stages that git keeps, but for the code: prompts, the data set's generator."""
    own = {name: preset["path"] for name, preset in TINY_OF.items()}
    others = {TINY, *own.values()} - {own.get(params["dataset"], TINY)}  # those of other data sets, shipped beside it
    paths = {path for stage in deciding_stages(pipeline).values() for path in stage["deps"]} - others
    return sorted(_chosen(path, params) for path in paths if not path.startswith(MADE) and not path.endswith(".py"))


def _chosen(text: str, params: Mapping[str, Any]) -> str:
    """A name or path of dvc.yaml with the values of the parameters that it asks for."""
    return _TEMPLATE.sub(lambda match: str(params.get(match[1])), text)


def _leaves(name: str, node: Any) -> Iterator[tuple[str, Any]]:
    """The values at and below a dotted name that are not empty, each with its full name."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(f"{name}.{key}", value)
    elif node is not None:
        yield name, node


def _as_before(before: Any, now: Any, name: str, settings: Mapping[str, Any]) -> bool:
    """Whether all that was there is there still, with its value, but for what the settings give another."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return all(_as_before(before[key], now.get(key, ABSENT), f"{name}.{key}", settings) for key in before)
    return before is ABSENT or before == now or name in settings


@cache
def _params_at(root: Path, commit: str) -> Mapping[str, Any]:
    return parse_yaml(file_at(root, commit, "params.yaml") or b"{}", "params.yaml")


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _hash(path: Path) -> str:
    files = path.rglob("*") if path.is_dir() else [path]
    return _hash_at(path, max(file.stat().st_mtime_ns for file in files))


@cache
def _hash_at(path: Path, newest: int) -> str:
    return hash_tree(path)
