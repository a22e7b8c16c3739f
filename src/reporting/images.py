"""The report's pictures, and what feedback did to the images."""

from PIL import Image

from src.reporting.blocks import Block, Figure, Fold, Picture, Section, Side, Table, Text
from src.reporting.charts import Bar, bars
from src.reporting.guidance_signs import criterion
from src.reporting.number_format import MISSING, number, signed
from src.reporting.run_results import GENERATOR_SHEET, Run, dig, title

LOOKS = {"before": "first look", "after": "finished image"}


def pictures(run: Run) -> Section:
    """The contact sheets: real images first, then each arm's, then what else there is."""
    blocks: list[Block] = [_picture(run, name) for name in run.sheets if name != GENERATOR_SHEET]
    shown: list[Block] = [Side(blocks)] if blocks else [Text("Contact sheets: none in this revision.")]
    if GENERATOR_SHEET in run.sheets:
        shown.append(Fold("What the shipped generator makes of each condition", [_picture(run, GENERATOR_SHEET)]))
    return Section("pictures", "Pictures", shown)


def _picture(run: Run, name: str) -> Picture:
    told = dig(run.params, "synth", "conditioning")
    conditions = "" if told is None else f" from {str(told).replace('_', ' + ')}"
    dropout = dig(run.params, "synth", "image_dropout")
    conditions += f", image dropout {dropout}" if dropout and told != "text" else ""
    asked = dig(run.params, "feedback")
    conditions += "" if asked in (None, "none") else f", feedback {asked}"
    shows = {
        "real": "real training images",
        "synaug": "SYNAuG's synthetic images, from text alone",
        "guided": f"guided synthetic images{conditions}",
        GENERATOR_SHEET: "images of the shipped generator under its conditions, by style",
    }
    path = run.sheets[name]
    with Image.open(path, formats=["PNG"]) as image:
        size, kept = image.size, image.info.get("Title")
    named = f"{name.partition('/')[0]}: {kept}" if kept else name.replace("/", ", ")
    said = shows.get(name, f"images of {named.replace('_', ' ')}")
    rows = (
        "a row for each class shown" if name in ("real", "synaug", "guided") else "each row with its name at the left"
    )
    return Picture(name.replace("/", "-"), said[0].upper() + said[1:], f"Contact sheet of {said}, {rows}.", path, size)


def feedback(run: Run) -> Section:
    """The criterion before and after, and how many updates there were."""
    told, name = dig(run.quality, "guided", "feedback"), criterion(run.params)
    judged = _judged(run)
    if not told:
        none = name == "none" or "feedback" in (run.quality.get("guided") or {})
        said = "This run had no feedback." if none else f"Criterion before and after feedback: {MISSING}."
        return Section("feedback", "Feedback", [Text(said), *judged])
    before, after = (told.get(key) for key in LOOKS)
    said = ""
    if before is not None and after is not None:
        said = f"The base classifier's mean {name} over the guided images is {number(before, 3)} at the feedback's "
        said += f"first look and {number(after, 3)} on the finished images, a change of {signed(after - before, 3)}. "
    said += "The first look is at a blurred estimate, so that change is not the feedback's effect: this would need "
    said += "the same images without feedback, `-S feedback=none`."
    rows = [[LOOKS[key], number(told[key], 3)] for key in LOOKS if key in told]
    rows.append(["updates an image got", number(told.get("updates"), 1)])
    rows.append(["updates skipped for want of a gradient", number(told.get("skipped"), 1)])
    table = Table(f"Mean {name} of the base classifier over the guided images", ["", name], rows)
    values: list[Bar] = [(LOOKS[key], told[key], number(told[key], 3)) for key in LOOKS if told.get(key) is not None]
    if not values or min(value for _, value, _ in values if value is not None) < 0:  # no bar has a negative length
        return Section("feedback", "Feedback", [Text(said), table, *judged])
    heading = f"Mean {name}, before and after"
    alt = f"{heading}: " + ", ".join(f"{look} {words}" for look, _, words in values)
    drawn = bars([("", max(value for _, value, _ in values if value is not None), values)], alt, like="guided")
    return Section("feedback", "Feedback", [Text(said), Figure(heading, drawn, alt, table), *judged])


def _judged(run: Run) -> list[Block]:
    """What the base classifier makes of the finished images, of every arm alike."""
    arms = [arm for arm in run.quality if dig(run.quality, arm, "base_classifier")]
    names = list(dict.fromkeys(name for arm in arms for name in run.quality[arm]["base_classifier"]))
    rows = [[name, *(number(run.quality[arm]["base_classifier"].get(name), 3) for arm in arms)] for name in names]
    caption = "The base classifier's mean criterion on the finished images of each arm, in nats"
    return [Table(caption, ["", *map(title, arms)], rows)] if rows else []
