"""The machine that numbers were measured on."""

import platform
from pathlib import Path


def processor() -> str:
    """The model name of this machine's processor, as far as it can be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
