"""The same bytes on any x86-64 processor with AVX2: instruction sets and threads fixed before torch and numpy load.

Libraries choose their kernels by processor, and how they divide a sum by the number of threads; both change the last
digits, and training multiplies those. docs/running.md says what was measured, and what is not covered: GPUs and ARM.
"""

import os
import platform
from pathlib import Path

THREADS = 2
"""Of every process: more would leave a laptop's stages no faster, and another number gives other digits."""

KERNELS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",  # the one mode in which AMD and Intel sum matrix products in the same order
    "OPENBLAS_CORETYPE": "Haswell",  # numpy's and SciPy's BLAS; otherwise by processor
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
DIVISION = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(THREADS)),
    "OPENBLAS_NUM_THREADS": "1",  # its threads start when it is loaded, before a fork
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
    # Two jobs on two cores otherwise wait in loops for each other, at twice the time of sharing. No bytes.
    "GOMP_SPINCOUNT": "2000",
}
PINNED = {**KERNELS, **DIVISION}
CHOICES = ("pinned", "native")


def arithmetic() -> str:
    """What ARITHMETIC in the environment asks for, one of CHOICES; SystemExit with a sentence for anything else."""
    wish = os.environ.get("ARITHMETIC") or "pinned"
    if wish not in CHOICES:  # no stage is there yet that could say it
        raise SystemExit(f"error: ARITHMETIC={wish} is unknown; set it to {' or '.join(CHOICES)}, or unset it")
    return wish


def pin() -> None:
    """Fix the arithmetic of this process and of those that it starts; ARITHMETIC=native in the environment lifts it.

    To be called before torch and numpy are imported, as the packages stages, commands and benchmarks do.
    """
    if arithmetic() == "pinned":
        os.environ.update(PINNED if has_avx2() else DIVISION)


def has_avx2() -> bool:
    """Whether this processor has the instructions that are pinned; without them a process would end at the first."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return True
