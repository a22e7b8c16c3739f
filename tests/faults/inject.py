"""`python -m` with a fault: LAUNCH="python tests/faults/inject.py" and the fault, as JSON, in FAULT."""

import json
import os
import runpy
import sys

if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    from tests.faults.points import install

    _, module, *sys.argv[1:] = sys.argv[1:]
    install(json.loads(os.environ["FAULT"]))
    runpy.run_module(module, run_name="__main__", alter_sys=True)
