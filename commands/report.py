"""Command report: one static page about a run, and the same in Markdown, from git-tracked files alone.

python -m commands.report                              # the work tree
python -m commands.report HEAD~3                       # a commit
python -m commands.report my-experiment --compare main # an experiment of DVC by its name, beside another revision
"""

import argparse
import tempfile
from pathlib import Path

from src.reporting.document import report
from src.reporting.report_writer import write
from src.reporting.revision import snapshot
from src.reporting.run_results import Run, read_run
from src.runtime.entry import run_stage
from src.versions.current_results import require_current


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", help="a commit or an experiment; the work tree if absent")
    parser.add_argument("--compare", metavar="REVISION", help="another commit or experiment to stand beside it")
    parser.add_argument("--out", type=Path, default=Path("report"), help="the folder to write into")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:

        def read(revision: str | None, name: str) -> Run:
            results = snapshot(Path("."), revision, Path(folder) / name)
            require_current(results.folder)
            return read_run(results)

        other = read(arguments.compare, "other") if arguments.compare else None
        for path in write(report(read(arguments.revision, "run"), other), arguments.out):
            print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_stage(main)
