"""The report's pictures: contact sheets of the real images, of each arm's, and of what else a run keeps."""

from contextlib import suppress
from pathlib import Path

from PIL import Image

from src.reporting.blocks import Block, Fold, Picture, Side
from src.reporting.run_results import FIRST_SHEETS, GENERATOR_SHEET, Run, dig
from src.reporting.wording import capitalised, title


def contact_sheets(run: Run) -> list[Block]:
    """The contact sheets that can be read: real images first, then each arm's, then what else there is."""
    readable = {}
    for name in run.sheets:
        with suppress(OSError):
            readable[name] = _picture(run, name)
    generator = readable.pop(GENERATOR_SHEET, None)
    blocks: list[Block] = [Side([*readable.values()])] if readable else ["Contact sheets: none in this revision."]
    if generator:
        blocks.append(Fold("What the shipped generator makes of each condition", [generator]))
    return blocks


def _picture(run: Run, name: str) -> Picture:
    contents = {
        "real": "real training images",
        "synaug": f"{title('synaug')}'s synthetic images, from text alone",
        "guided": f"guided synthetic images{_conditions(run)}",
        GENERATOR_SHEET: "images of the shipped generator under its conditions, by style",
    }
    content = contents.get(name, f"images of {name.replace('_', ' ')}")
    rows = "a row for each class shown" if name in FIRST_SHEETS else "each row with its name at the left"
    return picture(run.sheets[name], name, content, f"Contact sheet of {content}, {rows}.")


def picture(path: Path, name: str, title: str, alt: str) -> Picture:
    """A PNG as it is. OSError for one that cannot be read."""
    with Image.open(path, formats=["PNG"]) as image:
        return Picture(name, capitalised(title), alt, path, image.size)


def _conditions(run: Run) -> str:
    """What the guided images were made from, as far as the parameters tell."""
    conditioning, dropout = (dig(run.params, "synth", name) for name in ("conditioning", "image_dropout"))
    feedback = dig(run.params, "feedback")
    text = "" if conditioning is None else f" from {str(conditioning).replace('_', ' + ')}"
    text += f", image dropout {dropout}" if dropout and conditioning != "text" else ""
    return text + ("" if feedback in (None, "none") else f", feedback {feedback}")
