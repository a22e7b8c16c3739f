"""Signs of failure in synthetic images: too alike, far from the real ones, of the wrong class.

Bars are relative where the same file holds something to compare with: the judge's own accuracy and chance, the other
arm. The others are named here with their reasons.
"""

from collections.abc import Iterator
from operator import itemgetter

from src.reporting.findings import FAR, LABELS, LOW, Finding
from src.reporting.guidance_signs import guidance
from src.reporting.measures import above_chance, image_metrics, overall_metrics
from src.reporting.run_results import Tree, dig
from src.reporting.wording import listed, number, percent, title
from src.settings.arms import BASE, BOUND, SYNTHETIC

# A perfect generator has density 1 and precision near 1. The shipped one, conditioned on real images, has .4 to .7 and
# .6 to .85; on text alone, whose style is visibly wrong, .2 and .25 (study dropout_form, protocol 2).
FAR_DENSITY, FAR_PRECISION = 0.3, 0.5
FID_TIMES = 3  # the other arm's: with real images to follow, the default has a seventh of text alone
# Half of the real images have no synthetic one near; healthy arms have .77 to .95 (the same, groups/).
LOW_VARIETY = 0.5
# Arms that help keep 80 to 95 % of the judge's own accuracy above chance; text alone, in the wrong style, 40 %.
KEPT_LABELS = 2 / 3
NEVER_SEEN = 0.25  # of the same, below which in both arms the generator is to blame, whatever guides it
KEPT_CLASS = 0.5  # of one class, which a few dozen images tell: half is beyond their noise
CLASS_IMAGES = 10  # synthetic images of a class, below which its agreement says little


def image_signs(accuracy: Tree, quality: Tree, arm: str, settings: Tree) -> list[Finding]:
    """Return the findings about one arm's images. Trees as `diagnosis.diagnose` describes them."""
    reports = (accuracy.get(BOUND), accuracy.get(BASE), dig(quality, arm, "class_agreement"))
    classes = next((len(names) for report in reports if (names := dig(report, "per_class"))), 0)
    damage = [*distance(quality, arm, settings), *labels(accuracy, quality, arm, classes)]
    astray = bool(damage) and not _in_neither(accuracy, quality, classes)  # else whatever guides is not to blame
    return [*variety(quality, arm), *damage, *guidance(quality, arm, settings, classes, damaged=astray)]


def variety(quality: Tree, arm: str) -> Iterator[Finding]:
    """Images close to real ones that are near few of them. Recall too: what covers by chance does not recall."""
    thin = []
    for subset, part in image_metrics(quality, arm).items():
        density, precision, coverage, recall = (part.get(k) for k in ("density", "precision", "coverage", "recall"))
        close = (density or 0) >= FAR_DENSITY or (precision or 0) >= FAR_PRECISION
        if close and any(value is not None and value < LOW_VARIETY for value in (coverage, recall)):
            thin.append(
                f"{subset}: coverage {number(coverage)}, recall {number(recall)} at density {number(density)}, "
                f"precision {number(precision)}"
            )
    if thin:
        advice = "The images lie among real ones but are alike: raise `synth.image_dropout`, lower the feedback scale "
        advice += "and the generator's guidance scale, and see how many real images each class is conditioned on."
        yield Finding(LOW, arm, "; ".join(thin), advice)


def distance(quality: Tree, arm: str, settings: Tree) -> Iterator[Finding]:
    """Few images lie among real ones, or the guided arm is much farther off than text alone."""
    density, precision, fid = (overall_metrics(quality, arm).get(name) for name in ("density", "precision", "fid"))
    other = next((name for name in SYNTHETIC if name != arm), "")
    rival = overall_metrics(quality, other).get("fid")
    far = density is not None and density < FAR_DENSITY and (precision is None or precision < FAR_PRECISION)
    worse = arm == "guided" and fid is not None and rival is not None and fid > FID_TIMES * rival
    if not far and not worse:
        return
    numbers = f"FID {number(fid, 1)}, density {number(density)}, precision {number(precision)}"
    numbers += "" if rival is None else f"; the FID of {title(other)} is {number(rival, 1)}"
    if arm != "guided":
        advice = "Text alone leaves the style open, and SYNAuG is told no more; the guided arm sees real images too."
    elif dig(settings, "synth", "conditioning") == "text":
        advice = "Text alone often has the wrong style: `synth.conditioning=text_image` shows the generator real "
        advice += "images."
    else:
        advice = "Look at the conditioning (`synth.conditioning`, the prompts), at the generator's guidance scale, and "
        advice += "at the feedback scale."
    yield Finding(FAR, arm, numbers, advice)


def labels(accuracy: Tree, quality: Tree, arm: str, classes: int) -> Iterator[Finding]:
    """Agreement with the class asked for, against what the judge reaches on real images, both above chance.

    A class that the judge itself does not know on real images cannot be judged, and nothing can if it knows none.
    """
    overall, judge = dig(quality, arm, "class_agreement", "overall"), dig(accuracy, BOUND, "overall")
    judge = 1.0 if judge is None else judge
    if overall is None or classes < 2 or judge < above_chance(classes):
        return
    chance, wrong = 1 / classes, {}
    images = overall_metrics(quality, arm).get("synthetic_images")
    if images is None or images >= CLASS_IMAGES * classes:
        for name, rate in (dig(quality, arm, "class_agreement", "per_class") or {}).items():
            real = dig(accuracy, BOUND, "per_class", name, "accuracy")
            reached = judge if real is None else real
            known = rate is not None and reached >= above_chance(classes)
            if known and rate - chance < KEPT_CLASS * (reached - chance):
                wrong[name] = rate
    if overall - chance >= KEPT_LABELS * (judge - chance) and not wrong:
        return
    numbers = f"{percent(overall)} of the images show their class to the judge, which is right on {percent(judge)} of "
    numbers += f"real images, chance is {percent(chance)}"
    if wrong:
        worst = [f"{name} ({percent(rate)})" for name, rate in sorted(wrong.items(), key=itemgetter(1))]
        numbers += f"; lowest of the classes that the judge knows: {listed(worst)}"
    advice = "Look at these classes' pictures and prompts (homonyms, mixed-up names); "
    if _in_neither(accuracy, quality, classes):
        advice += "text alone shows them no more, so names are mixed up, or the generator does not know these classes: "
        advice += "then choose one that does (`generator`), and do not train on these images."
    elif arm == "guided":
        advice += "then at the feedback scale, since feedback away from a class costs labels."
    else:
        advice += "a style that the judge has never seen costs labels too."
    yield Finding(LABELS, arm, numbers, advice)


def _in_neither(accuracy: Tree, quality: Tree, classes: int) -> bool:
    """Whether images of text alone and guided ones both hardly show their classes to a judge that knows them."""
    shares = [dig(quality, arm, "class_agreement", "overall") for arm in SYNTHETIC]
    judge = dig(accuracy, BOUND, "overall")
    if None in (judge, *shares) or classes < 2:
        return False
    return max(shares) - 1 / classes < NEVER_SEEN * (judge - 1 / classes)
