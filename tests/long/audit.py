"""Known vulnerabilities of the locked requirements, by pip-audit; what could not be looked up is no pass.

    python -m tests.long.audit .venv/audit/bin/pip-audit

pip-audit itself ends well when its service knows none of the packages, as behind a mirror of the package index.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

from src.runtime.entry import run_stage
from src.runtime.errors import InputError

OFFLINE = "run `make audit` where the vulnerability service can be reached"


def verdict(answer: str, reason: str) -> str:
    """One sentence for an answer of pip-audit in JSON. reason: what it said beside it.

    Raises InputError if there is no answer, if packages were not looked up, or if one has a known vulnerability.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (reason.strip().splitlines() or ["no answer"])[-1][-160:]
        raise InputError(f"nothing was audited ({last}); {OFFLINE}") from None
    flaws = [
        f"{package['name']} {package['version']} {flaw['id']} (mended in {', '.join(flaw['fix_versions']) or '-'})"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    if flaws:
        raise InputError(
            f"{len(flaws)} known vulnerabilities: {'; '.join(flaws)}; ask for a mended version in requirements.in and "
            "run `make lock`"
        )
    skipped = [package for package in packages if "vulns" not in package]
    if skipped or not packages:
        first = f", such as {skipped[0]['name']} ({skipped[0].get('skip_reason')})" if skipped else ""
        raise InputError(f"{len(skipped)} of {len(packages)} packages could not be audited{first}; {OFFLINE}")
    return f"{len(packages)} locked packages, none with a known vulnerability"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", type=Path, help="the pip-audit to run")
    parser.add_argument("--requirements", type=Path, default=Path("requirements.txt"))
    options = parser.parse_args()
    if not options.tool.is_file():
        raise InputError(f"{options.tool} is missing; run `make audit`, which installs it")
    how = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    command = [str(options.tool), "--requirement", str(options.requirements), *how]
    done = subprocess.run(command, capture_output=True, text=True)
    print(verdict(done.stdout, done.stderr))


if __name__ == "__main__":
    run_stage(main)
