"""What went wrong in a run, told by its metrics alone: the failure signatures of guided synthesis, with advice."""

import math
from collections.abc import Iterator, Mapping

from src.evaluation.improvement import SHOTS
from src.reporting.findings import NO_EFFECT, NO_GAIN, TOO_FEW, WEAK_BASE, WEAK_JUDGE, Finding
from src.reporting.gains import improved
from src.reporting.guidance_signs import room
from src.reporting.image_signs import image_signs
from src.reporting.measures import ADJECTIVE, above_chance, accuracies, bound_of, main_measure, overall_metrics
from src.reporting.run_results import Rows, Run, Tree, dig
from src.reporting.wording import listed, number, percent, points
from src.settings.arms import BASE, BOUND, SYNTHETIC

JUDGED = SYNTHETIC[::-1]  # guided, which a run is about, before what it is compared with
UNTRAINED = 0.5  # of log(classes), the training loss of guessing
TEST_IMAGES = 50  # behind the accuracy in question: up to 7 points of standard error
FEATURE_IMAGES = 100  # behind FID, density and coverage; the default has 300 and 600
FEW = 20  # training images, below which a class is few-shot


def diagnose(
    accuracy: Tree,
    quality: Tree,
    curves: Mapping[str, Rows] | None = None,
    settings: Tree | None = None,
    validation: Mapping[str, Tree] | None = None,
    improved: Mapping[str, bool] | None = None,
    difficulty: Tree | None = None,
) -> list[Finding]:
    """Return the findings, warnings first and causes before effects. A metric that is missing leads to none.

    accuracy, quality: metrics/accuracy.json and metrics/fid_density_coverage.json. curves: {arm: rows with `loss`}.
    settings: params.yaml, for the size of the feedback's step and the wording of the advice. validation: {arm:
    metrics/validation/<arm>.json}. improved: whether an arm's main accuracy is beyond noise above the base's, where the
    answers to the same test images are known. difficulty: metrics/difficulty.json.
    """
    measured = [arm for arm in JUDGED if isinstance(quality.get(arm), Mapping)]
    findings = [finding for arm in measured for finding in image_signs(accuracy, quality, arm, settings or {})]
    findings += [*weak_base(accuracy, (curves or {}).get(BASE, [])), *weak_judge(accuracy, quality)]
    findings += [finding for arm in JUDGED for finding in no_gain(accuracy, arm, (improved or {}).get(arm))]
    findings += [*room(difficulty or {}), *idle_stages(validation or {}), *too_few(accuracy, quality)]
    return sorted(findings, key=lambda finding: finding.rank)


def diagnosed(run: Run) -> list[Finding]:
    """Return the findings about a run."""
    known = improved(run)
    return diagnose(run.accuracy, run.quality, run.curves, run.params, run.validation, known, run.difficulty)


def weak_base(accuracy: Tree, curve: Rows) -> Iterator[Finding]:
    """The base hardly knows its largest classes, or its training ended near the loss of guessing."""
    base = accuracies(accuracy.get(BASE))
    classes = len(dig(accuracy, BASE, "per_class") or {})
    shot = next((name for name in SHOTS if base[name] is not None), "overall")
    reached = base[shot]
    if reached is None or classes < 2:
        return
    bar, guess = above_chance(classes), math.log(classes)
    losses = [row["loss"] for row in curve if "loss" in row]
    if reached >= bar and not (losses and losses[-1] > UNTRAINED * guess):
        return
    numbers = f"{ADJECTIVE[shot]} accuracy {percent(reached)}, where less than {percent(bar)} is little more than "
    numbers += "chance"
    if losses:
        numbers += f"; last training loss {number(losses[-1])}, guessing costs {number(guess)}"
    advice = "Train the base classifier longer, or at another learning rate (`recipes`): feedback follows it, and the "
    advice += "arms are trained by the same recipe."
    yield Finding(WEAK_BASE, BASE, numbers, advice)


def weak_judge(accuracy: Tree, quality: Tree) -> Iterator[Finding]:
    """The classifier of all real images, whose features and answers judge the synthetic ones, knows little itself."""
    reached, classes = dig(accuracy, BOUND, "overall"), len(dig(accuracy, BOUND, "per_class") or {})
    if reached is None or classes < 2 or reached >= above_chance(classes) or not quality:
        return
    numbers = f"it is right on {percent(reached)} of real images, where less than {percent(above_chance(classes))} is "
    numbers += "little more than chance"
    advice = "Class agreement and whatever is measured in its features say nothing: train it longer (`recipes`), or "
    advice += "look at other features (`evaluation.features`)."
    yield Finding(WEAK_JUDGE, BOUND, numbers, advice)


def no_gain(accuracy: Tree, arm: str, improved: bool | None) -> Iterator[Finding]:
    """The retrained classifier is not above the base beyond noise, though there is room to rise.

    Room is what all real images reach or, where the base has them all already, being always right. improved: by the
    paired interval that the headline goes by; where it is not known, two standard errors of independent shares decide.
    """
    measure = main_measure(accuracy.get(BASE))
    base, retrained = (accuracies(accuracy.get(name)).get(measure) for name in (BASE, arm))
    bound, images = bound_of(accuracy, measure), images_behind(accuracy.get(BASE) or {}, measure)
    if base is None or retrained is None or not images:
        return
    noise = math.sqrt((base * (1 - base) + retrained * (1 - retrained)) / images)
    above = retrained - base > 2 * noise if improved is None else improved
    if above or (1.0 if bound is None else bound) - base <= 2 * noise:
        return
    numbers = f"{ADJECTIVE[measure]} accuracy {percent(base)} in the base, {percent(retrained)} with synthetic images "
    numbers += f"({points(retrained - base)} points, standard error {100 * noise:.1f}, {number(images)} test images)"
    numbers += "" if bound is None else f"; all real images give {percent(bound)}"
    advice = "What the images teach does not show. See to the other findings first; then try another criterion, more "
    advice += "images, or a better base classifier to be guided by."
    yield Finding(NO_GAIN, arm, numbers, advice)


def images_behind(report: Tree, measure: str) -> int:
    """Return the test images that an accuracy counts: of all classes, of few-shot classes, or of the worst group."""
    rows = list((report.get("per_class") or {}).values())
    if measure == "worst group":
        worst, rows = dig(report, "groups", "worst_group") or {}, dig(report, "groups", "per_group") or []
        rows = [row for row in rows if all(row.get(name) == worst.get(name) for name in ("class", "context"))]
    elif measure == "few":
        rows = [row for row in rows if (row.get("train_images") or 0) < FEW]
    return sum(row.get("test_images") or 0 for row in rows)


def idle_stages(validation: Mapping[str, Tree]) -> Iterator[Finding]:
    """A stage after the training that put no validation image into another class."""
    for arm, report in validation.items():
        idle = [stage for stage, moved in (dig(report, "later_stages") or {}).items() if moved == 0]
        if idle:
            numbers = f"{listed(idle)} put none of the validation images into another class"
            advice = "What the tables say of it is said of the classifier without it: give it more steps or a higher "
            advice += "rate (`synaug.last_layer`, `second_stages`)."
            yield Finding(NO_EFFECT, arm, numbers, advice)


def too_few(accuracy: Tree, quality: Tree) -> Iterator[Finding]:
    """Numbers that move with the draw of the images more than what they should tell."""
    measure = main_measure(accuracy.get(BASE))
    images = images_behind(accuracy.get(BASE) or {}, measure)
    if 0 < images < TEST_IMAGES:
        numbers = f"{number(images)} test images behind the {ADJECTIVE[measure]} accuracy; {TEST_IMAGES} would do"
        advice = "Repeat over seeds, or collect more test images, before you believe a difference."
        yield Finding(TOO_FEW, BASE, numbers, advice)
    for arm in JUDGED:
        real, synthetic = (overall_metrics(quality, arm).get(f"{kind}_images") for kind in ("real", "synthetic"))
        if real is not None and synthetic is not None and min(real, synthetic) < FEATURE_IMAGES:
            numbers = f"{number(real)} real and {number(synthetic)} synthetic images; {FEATURE_IMAGES} of each would do"
            advice = "FID, density and coverage of so few images move with their draw: compare at equal counts alone."
            yield Finding(TOO_FEW, arm, numbers, advice)
