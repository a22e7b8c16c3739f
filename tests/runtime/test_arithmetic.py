"""Pinned arithmetic: whatever the environment asks for, the same kernels, threads and bytes on any x86-64 with AVX2."""

import json
import os
import platform
import subprocess
import sys

import pytest

from src.runtime.arithmetic import PINNED, THREADS
from src.runtime.machine import processor

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or "avx" not in processor(), reason="pinned for x86-64 with AVX2"
)

LOADED = """
import json, numpy, torch
from threadpoolctl import threadpool_info
import {package}
kernels = {{pool["architecture"] for pool in threadpool_info() if pool["internal_api"] == "openblas"}}
print(json.dumps([torch.get_num_threads(), torch.backends.cpu.get_cpu_capability(), sorted(kernels)]))
"""
DIGESTS = """
import stages, hashlib, json
import numpy as np, torch
import torch.nn.functional as F
draw = torch.Generator().manual_seed(0)
r = lambda *shape: torch.randn(*shape, generator=draw)
found = {}
def keep(name, value):
    array = value.detach().contiguous().numpy() if isinstance(value, torch.Tensor) else value
    found[name] = hashlib.sha256(array.tobytes()).hexdigest()[:12]
keep("normal", r(4096))
x = r(65536)
keep("exp", x.exp()), keep("tanh", x.tanh()), keep("sum", x.sum()[None]), keep("log_softmax", r(64, 10).log_softmax(1))
keep("linear", F.linear(r(1024, 96), r(384, 96), r(384)))
keep("attention", F.scaled_dot_product_attention(r(8, 4, 64, 24), r(8, 4, 64, 24), r(8, 4, 64, 24)))
keep("group norm", F.group_norm(r(16, 64, 8, 8), 16))
image, weight = r(64, 3, 32, 32).requires_grad_(), r(16, 3, 5, 5).requires_grad_()
out = F.batch_norm(F.conv2d(image, weight, stride=2, padding=2), torch.zeros(16), torch.ones(16), training=True)
keep("convolution", out)
out.square().mul(r(*out.shape)).sum().backward()
keep("its input gradient", image.grad), keep("its weight gradient", weight.grad)
keep("bicubic", F.interpolate(r(8, 3, 48, 48), (32, 32), mode="bicubic", antialias=True))
a = np.random.default_rng(0).standard_normal((200, 64))
keep("numpy exp", np.exp(a)), keep("numpy float matmul", a.astype("f4").T @ a.astype("f4"))
keep("numpy qr", np.linalg.qr(a, mode="r")), keep("numpy svd", np.linalg.svd(a, compute_uv=False))
keep("numpy sort", np.argsort((a.ravel() * 9).astype(int)))
print(json.dumps(found))
"""
# Of an EPYC Zen 5 (AVX-512) here; operations of this kind agreed with a Zen 3 (AVX2), see LOG.md.
EXPECTED = {
    "normal": "a25207107225",
    "exp": "4b345440045d",
    "tanh": "edaf2a8017ce",
    "sum": "482e420c7095",
    "log_softmax": "ea86d4d51cd3",
    "linear": "3826287a4ab5",
    "attention": "9939fc72766b",
    "group norm": "738dfcdbaca5",
    "convolution": "1556f213ef09",
    "its input gradient": "2e7f7d4e214c",
    "its weight gradient": "850c92cc5d3d",
    "bicubic": "8b924278bac4",
    "numpy exp": "c005260d3ead",
    "numpy float matmul": "aeb9d4c5e2fc",
    "numpy qr": "40a96ee3150d",
    "numpy svd": "4b62c36b628b",
    "numpy sort": "46a448248077",
}


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


def test_native_arithmetic_is_left_as_it_is_and_anything_else_refused() -> None:
    code = "import stages, torch; print(torch.get_num_threads())"
    assert run(code, ARITHMETIC="native", OMP_NUM_THREADS="1").stdout == "1\n"
    wrong = run(code, ARITHMETIC="fast")
    assert wrong.returncode == 1
    assert wrong.stderr == "error: ARITHMETIC=fast is unknown; set it to pinned or native, or unset it\n"


def test_operations_of_the_pipeline_give_the_bytes_that_they_gave_on_other_processors() -> None:
    assert json.loads(run(DIGESTS).stdout) == EXPECTED
    assert json.loads(run(DIGESTS, OMP_NUM_THREADS="1", OPENBLAS_CORETYPE="Nehalem").stdout) == EXPECTED
