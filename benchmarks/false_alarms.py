"""How often equally good classifiers are called different, by the interval in use and by a bootstrap within classes.

    python -m benchmarks.false_alarms --out benchmarks/results/false_alarms.json

Test sets are drawn of classifiers that are right equally often (.3, .5 and .8 in turn) and agree more or less. Of 2,000
draws a rate of 5 % is measured as 4 to 6 %. A minute or two on one core.
"""

from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from benchmarks.measure import command_line, machine
from src.evaluation import paired_tests
from src.evaluation.paired_tests import LEVEL, posterior_interval
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.seeds import numpy_generator

Measure = Callable[[np.ndarray], np.ndarray]
Interval = Callable[[np.ndarray, Measure, str], tuple[float, float]]

TESTS = 2000
DRAWS = 400  # of each interval; its ends are a little noisier than in use
DESIGNS = {
    "12, 4, 2, 16 x 1": [12, 4, 2, *[1] * 16],
    "20 x 2": [2] * 20,
    "10 x 60": [60] * 10,
    "60, 40, 20, 10, 5, 3": [60, 40, 20, 10, 5, 3],
    "3 x 1": [1] * 3,
}
"""Test images of each class."""
MEASURES: dict[str, Measure] = {"mean of classes": lambda a: a.mean(1), "worst class": lambda a: a.min(1)}


def bootstrap(table: np.ndarray, measure: Measure, purpose: str) -> tuple[float, float]:
    """The interval that was in use under protocol 1: images resampled within each class."""
    draw = numpy_generator("bootstrap", purpose)
    shares = np.stack([draw.multinomial(row.sum(), row / row.sum(), DRAWS) / row.sum() for row in table], 1)
    gains = measure(shares[..., 0] + shares[..., 2]) - measure(shares[..., 0] + shares[..., 1])
    low, high = np.quantile(gains, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


INTERVALS: dict[str, Interval] = {"in use": posterior_interval, "bootstrap within classes": bootstrap}


def alarms(images: Sequence[int], measure: Measure, interval: Interval, tests: int = TESTS) -> float:
    """The share of the test sets for which the interval excludes zero. images: of each class."""
    draw, found = np.random.default_rng(0), 0
    for number in range(tests):
        right, agree = (0.5, 0.8, 0.3)[number % 3], (0.0, 0.3, 0.6)[number % 3]
        changed = right * (1 - right) * (1 - agree)  # lost as often as gained
        table = draw.multinomial(images, [right - changed, changed, changed, 1 - right - changed])
        low, high = interval(table, measure, str(number))
        found += low > 0 or high < 0
    return found / tests


def main() -> None:
    options = command_line(__doc__).parse_args()
    paired_tests.DRAWS = DRAWS
    cases = [(design, measure, how) for design in DESIGNS for measure in MEASURES for how in INTERVALS]
    rows = []
    for design, measure, how in tqdm(cases, desc="designs"):
        share = alarms(DESIGNS[design], MEASURES[measure], INTERVALS[how])
        rows.append({"test images": design, "measure": measure, "interval": how, "false alarms": share})
        tqdm.write(f"{design}, {measure}, {how}: {share:.1%}")
    if options.out:
        write_json(options.out, {"machine": machine(), "tests": TESTS, "rows": rows})


if __name__ == "__main__":
    run_stage(main)
