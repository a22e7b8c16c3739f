"""Pictures of a report for the README: python -m tests.reporting.screenshots report/index.html docs"""

import sys
import tempfile
from pathlib import Path

from tests.reporting.browser import Browser

SHOTS = {"report-desktop": (1200, 1500, False), "report-phone": (390, 1500, True)}


def main() -> None:
    page, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile))
        for name, (width, height, dark) in SHOTS.items():
            browser.open(page, width, height, dark)
            browser.picture(folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
