"""Density, coverage and FID against the packages that define them: seconds, values, growth, and memory when large.

    python -m benchmarks.metrics --out benchmarks/results/metrics.json
    python -m benchmarks.metrics --large --out benchmarks/results/metrics.json

Times are in seconds; every list holds all repetitions, ratios are of medians. Features are drawn: `normal` ones, and
`classes` of them with a tenth of the variance within, as a trained classifier's. With --large also 50,000 images a
side, each in a process of its own that reads features from files. Without --out the report goes to standard output.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import scipy.linalg
import torch
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from tqdm import tqdm

from benchmarks.measure import alternate, command_line, machine
from benchmarks.metrics_large import COUNT, RUNS, large
from src.evaluation.density_coverage import density_coverage
from src.runtime.entry import run_stage
from src.runtime.files import write_json

NEAREST_K = 5
CLASSES = 10

Run = Callable[[], Any]


def normal(count: int, dimensions: int, seed: int, dtype: type = np.float64) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(dtype)


def classes(count: int, dimensions: int, seed: int, dtype: type = np.float64) -> np.ndarray:
    """Features around ten centres; a tenth of their variance is within a class."""
    centres = normal(CLASSES, dimensions, seed=99)
    chosen = np.random.default_rng(seed + 50).integers(CLASSES, size=count)
    return (np.sqrt(0.9) * centres[chosen] + np.sqrt(0.1) * normal(count, dimensions, seed)).astype(dtype)


def prdc(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the counts
        return {name: float(value) for name, value in compute_prdc(real, fake, NEAREST_K).items()}


def ours(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    return density_coverage(real, fake, NEAREST_K)


def compared(contestants: Mapping[str, Run], repeats: int, baseline: str) -> dict[str, Any]:
    """Seconds of all, medians, and how many times faster than `baseline` each is."""
    result = timed(contestants, repeats)
    middle = result["median"]
    faster = {name: middle[baseline] / value for name, value in middle.items() if name != baseline}
    return {**result, f"times_faster_than_{baseline}": faster}


def timed(contestants: Mapping[str, Run], repeats: int) -> dict[str, Any]:
    seconds = alternate(contestants, repeats)
    return {"seconds": seconds, "median": {name: median(values) for name, values in seconds.items()}}


def neighbours(count: int, dimensions: int, repeats: int) -> list[dict[str, Any]]:
    """Against prdc, which computes all four too."""
    rows = []
    for make, dtype in ((normal, np.float32), (normal, np.float64), (classes, np.float32)):
        pair = tuple(make(count, dimensions, seed, dtype) for seed in (0, 1))
        contestants: dict[str, Run] = {"prdc": partial(prdc, *pair), "all_four": partial(ours, *pair)}
        theirs, values = prdc(*pair), ours(*pair)
        in_float64 = prdc(*(x.astype(np.float64) for x in pair))
        rows.append(
            {
                "features": make.__name__,
                "dtype": np.dtype(dtype).name,
                "count": count,
                "dimensions": dimensions,
                **compared(contestants, repeats, "prdc"),
                "values": values,
                "largest_difference_to_prdc": difference(values, theirs),
                "largest_difference_to_prdc_in_float64": difference(values, in_float64),
            }
        )
    return rows


def difference(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return max(abs(one[name] - other[name]) for name in one)


def torch_fidelity(real: np.ndarray, fake: np.ndarray) -> float:
    statistics = (fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake))
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def square_root(real: np.ndarray, fake: np.ndarray) -> float:
    """The formula of the paper with scipy's matrix square root, as pytorch-fid and clean-fid have it."""
    (m_1, s_1), (m_2, s_2) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (real, fake))
    return float((m_1 - m_2) @ (m_1 - m_2) + np.trace(s_1 + s_2 - 2 * scipy.linalg.sqrtm(s_1 @ s_2).real))


def frechet(count: int, dimensions: int, repeats: int) -> list[dict[str, Any]]:
    """FID where it is known: the same features, half as wide again and moved; also of few images."""
    rows = []
    for images in (count, dimensions // 2):
        real = normal(images, dimensions, 0) * np.geomspace(1, 1e-3, dimensions)
        fake = 1.5 * real + 0.01
        known = ((fake.mean(0) - real.mean(0)) ** 2).sum() + 0.25 * real.var(0, ddof=1).sum()
        methods = {"ours": RUNS["fid"], "torch_fidelity": torch_fidelity, "scipy_sqrtm": square_root}
        result = compared({name: partial(m, real, fake) for name, m in methods.items()}, repeats, "torch_fidelity")
        errors = {name: abs(method(real, fake) / known - 1) for name, method in methods.items()}
        rows.append({"count": images, "dimensions": dimensions, **result, "relative_error": errors})
    return rows


def growth(count: int, dimensions: int, repeats: int) -> list[dict[str, Any]]:
    """Seconds at a fifth, two fifths, once and twice the count; prdc, which holds all distances, only up to once."""
    rows = []
    for images in (count // 5, 2 * count // 5, count, 2 * count):
        pair = tuple(normal(images, dimensions, seed, np.float32) for seed in (0, 1))
        contestants: dict[str, Run] = {"all_four": partial(ours, *pair), "fid": partial(RUNS["fid"], *pair)}
        if images <= count:
            contestants["prdc"] = partial(prdc, *pair)
        rows.append({"count": images, "dimensions": dimensions, **timed(contestants, repeats)})
    return rows


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--large", action="store_true", help=f"also {COUNT} images a side: minutes, about 1 GB of disk")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--count", type=int, default=5000, help="images a side")
    parser.add_argument("--dimensions", type=int, default=2048)
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "nearest_k": NEAREST_K, "repeats": options.repeats}
    for part in tqdm((neighbours, frechet, growth), "parts"):
        report[part.__name__] = part(options.count, options.dimensions, options.repeats)
    report["large"] = large() if options.large else None
    if options.out:
        write_json(options.out, report)
    else:
        sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    run_stage(main)
