"""Pinned arithmetic: whatever the environment asks for, the same kernels, threads and bytes on any x86-64 with AVX2."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

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
    code = (
        "import json\nfrom benchmarks.digests import digests\n"
        "from src.runtime.square_roots import use_exact_square_roots\n"
        "use_exact_square_roots()\nprint(json.dumps(digests()))"
    )
    assert len(known) > 1
    for environment in ({}, {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Nehalem"}):
        found = json.loads(run(code, **environment).stdout)
        for digests in known.values():
            assert {name: found[name] for name in digests} == digests


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_square_roots_are_correctly_rounded_in_every_form(dtype: torch.dtype) -> None:
    x = torch.rand(100, 33, dtype=dtype, generator=torch.Generator().manual_seed(0))[:, ::2]
    expected = np.sqrt(x.numpy())
    for root in (
        x.sqrt(), x**0.5, x.clone().sqrt_(), x.clone().pow_(0.5), torch.sqrt(x, out=torch.empty(0, dtype=dtype)),
        torch.pow(x, 0.5, out=torch.empty(0, dtype=dtype)), torch._foreach_sqrt([x])[0],
    ):  # fmt: skip
        np.testing.assert_array_equal(root.numpy(), expected)
    np.testing.assert_array_equal(x**3, x * x * x)
    single, negative = torch.tensor(4.0, dtype=dtype, requires_grad=True), torch.tensor(-1.0, dtype=dtype)
    single.sqrt().backward()
    assert single.grad == 0.25
    assert negative.sqrt().isnan()


def test_square_roots_of_other_numbers_are_torchs() -> None:
    assert torch.tensor([4], dtype=torch.int64).sqrt().dtype == torch.float32
    assert torch.tensor([4.0], dtype=torch.bfloat16).sqrt() == 2
    assert torch.tensor([-4 + 0j]).sqrt().imag == 2
    assert torch.empty(3, device="meta").sqrt().shape == (3,)
