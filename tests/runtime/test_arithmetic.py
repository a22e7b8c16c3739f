"""Pinned arithmetic: whatever the environment asks for, the same kernels, threads and bytes on any x86-64 with AVX2."""

import json
import os
import subprocess
import sys

import pytest

from src.runtime import arithmetic
from src.runtime.arithmetic import PINNED, THREADS, has_avx2
from src.versions.import_closure import ROOT

pytestmark = pytest.mark.skipif(not has_avx2(), reason="pinned for x86-64 with AVX2")

LOADED = """
import json, numpy, torch
from threadpoolctl import threadpool_info
import {package}
kernels = {{pool["architecture"] for pool in threadpool_info() if pool["internal_api"] == "openblas"}}
print(json.dumps([torch.get_num_threads(), torch.backends.cpu.get_cpu_capability(), sorted(kernels)]))
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in PINNED and name != "ARITHMETIC"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env={**clean, **environment}, capture_output=True, text=True
    )


@pytest.mark.parametrize("package", ["stages", "commands", "benchmarks"])
def test_a_stage_or_command_has_two_threads_and_avx2_whatever_the_environment_says(package: str) -> None:
    code = f"import {package}\n" + LOADED.format(package=package)
    for environment in ({}, {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "5", "ATEN_CPU_CAPABILITY": "default"}):
        assert json.loads(run(code, **environment).stdout) == [THREADS, "AVX2", ["Haswell"]]


def test_a_processor_without_avx2_is_not_told_to_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PINNED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(arithmetic, "has_avx2", lambda: False)
    arithmetic.pin()
    assert {name for name in PINNED if name in os.environ} == set(arithmetic.DIVISION)


def test_native_arithmetic_is_left_as_it_is_and_anything_else_refused() -> None:
    code = "import stages, torch; print(torch.get_num_threads())"
    assert run(code, ARITHMETIC="native", OMP_NUM_THREADS="1").stdout == "1\n"
    wrong = run(code, ARITHMETIC="fast")
    assert wrong.returncode == 1
    assert wrong.stderr == "error: ARITHMETIC=fast is unknown; set it to pinned or native, or unset it\n"


def test_operations_of_the_pipeline_give_the_bytes_that_they_gave_on_other_processors() -> None:
    known = json.loads((ROOT / "benchmarks/results/digests.json").read_text())
    code = "import json\nfrom benchmarks.digests import digests\nprint(json.dumps(digests()))"
    assert len(known) > 1
    for environment in ({}, {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Nehalem"}):
        found = json.loads(run(code, **environment).stdout)
        for digests in known.values():
            assert {name: found[name] for name in digests} == digests


COMPUTING = [
    "train_base", "synth_guided", "synth_synaug", "retrain", "eval_fid_density_coverage", "eval_acc", "train_generator"
]  # fmt: skip


@pytest.mark.parametrize("stage", COMPUTING)
def test_whoever_imports_a_stage_has_its_kernels(stage: str) -> None:
    code = f"import stages.{stage}\nfrom src.runtime.portable_kernels import _replaced\nprint(len(_replaced))"
    assert int(run(code).stdout) == 8
    assert int(run(code, ARITHMETIC="native").stdout) == 0
