"""The machine that numbers were measured on."""

import platform
from pathlib import Path


def processor() -> str:
    """This machine's processor, as far as it can be read: model name, family and model, widest vector instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    if "model name" not in fields:  # such as ARM
        return platform.machine()
    family, model, flags = (fields.get(name, "") for name in ("cpu family", "model", "flags"))
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags.split()), "neither AVX2 nor AVX-512")
    return f"{fields['model name']} (family {family}, model {model}, {widest})"
