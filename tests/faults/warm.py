"""A warm process that runs stages in children of its own, so that none of them has to import anything.

python -m tests.faults.warm        # in a repository; one JSON request a line on stdin, one answer a line on stdout

A request names a stage, its arguments, the folder to run in, and a fault; the answer is how the child ended (as
`subprocess` has it: negative for a signal) and what it said. Forking is sound because this process has a single thread
and never computes: neither torch's nor BLAS's threads exist before the fork. That is checked before every one.
"""

import contextlib
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.faults.points import install


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        output = _mount(request["mount"]) if "mount" in request else _run(request)
        sys.stdout.write(json.dumps(output) + "\n")
        sys.stdout.flush()


def _mount(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(arguments, text=True, capture_output=True)
    return {"status": done.returncode, "output": done.stderr}


def _run(request: dict[str, Any]) -> dict[str, Any]:
    assert len(os.listdir("/proc/self/task")) == 1, "this process has threads, which no fork survives"
    with tempfile.TemporaryFile("w+b") as output, tempfile.NamedTemporaryFile("r") as imported:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            _stage(request, imported.name)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for name in imported.read().split():  # for the children to come
            _import(name)
        output.seek(0)
        return {"status": status, "output": output.read().decode()}


def _stage(request: dict[str, Any], imported: str) -> None:
    """Run the stage as `python -m` would, and leave without returning."""
    before, code = set(sys.modules), 1
    try:
        sys.path.insert(0, os.getcwd())
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        sys.argv = [request["stage"], *request["arguments"]]
        install(request["fault"])
        runpy.run_module(f"stages.{request['stage']}", run_name="__main__")
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        if not request["fault"]:
            Path(imported).write_text("\n".join(name for name in sys.modules if name not in before))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _import(name: str) -> None:
    with contextlib.suppress(Exception):  # there are modules that cannot be had by their names
        importlib.import_module(name)


if __name__ == "__main__":
    main()
