"""Hand-made results of a run, in the shape of the tracked files: healthy unless a test breaks them."""

import copy
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from src.reporting.blocks import Report
from src.reporting.document import report
from src.reporting.revision import snapshot
from src.reporting.run_results import read_run
from src.runtime.files import write_csv, write_json
from src.versions.import_closure import ROOT

CLASSES = ("zero", "one", "two", "three")
COUNTS = (120, 40, 10, 2)
TESTS = 100  # images of each class
ACCURACY = {
    "base": (0.98, 0.9, 0.5, 0.2),
    "synaug": (0.97, 0.92, 0.7, 0.6),
    "guided": (0.98, 0.94, 0.8, 0.7),
    "all_real": (0.99, 0.98, 0.97, 0.96),
}
SETTINGS: dict[str, Any] = {
    "seed": 0,
    "dataset": "digits",
    "generator": "tiny_unclip",
    "feedback": "entropy",
    "datasets": {"digits": {"kind": "digits"}, "unused": {"kind": "folder"}},
    "generators": {"tiny_unclip": {"path": "models/tiny_unclip", "revision": None, "mirror": None}},
    "feedbacks": {"entropy": {"criterion": "entropy", "scale": 0.03, "every": 3}},
    "synth": {"conditioning": "text_image", "image_dropout": 0.3},
}


def accuracy(classes: Sequence[str] = CLASSES) -> dict[str, Any]:
    """metrics/accuracy.json."""
    return {arm: _arm(shares, classes) for arm, shares in ACCURACY.items()}


def _arm(shares: Sequence[float], classes: Sequence[str]) -> dict[str, Any]:
    right = [round(TESTS * share) for share in spread(shares, classes)]
    matrix = [[0] * len(classes) for _ in classes]
    for k, count in enumerate(right):
        matrix[k][k] = count
        matrix[k][(k + 1) % len(classes)] = TESTS - count
    rows = {
        name: {"accuracy": n / TESTS, "f1": 0.5, "train_images": count, "test_images": TESTS}
        for name, n, count in zip(classes, right, spread(COUNTS, classes), strict=True)
    }
    quarter = len(classes) // 4
    parts = {"many": right[:quarter], "medium": right[quarter : 2 * quarter], "few": right[2 * quarter :]}
    shots = {name: sum(part) / (TESTS * len(part)) for name, part in parts.items()}
    overall = {"overall": sum(right) / (TESTS * len(classes)), **shots, "macro": 0.5, "macro_f1": 0.5, "ece": 0.05}
    return {**overall, "per_class": rows, "confusion": matrix}


def spread(values: Sequence[Any], classes: Sequence[str]) -> list[Any]:
    """The four values for as many classes as there are, each for a quarter of them."""
    return [values[4 * k // len(classes)] for k in range(len(classes))]


def quality(classes: Sequence[str] = CLASSES) -> dict[str, Any]:
    """metrics/fid_density_coverage.json, with the fields of later commits."""
    part = {"fid": 3.4, "density": 0.58, "coverage": 0.93, "precision": 0.76, "recall": 0.9}
    part |= {"real_images": 300, "synthetic_images": 600}
    space = {shot: dict(part) for shot in ("overall", "many", "medium", "few")}
    agreement = {"overall": 0.9, "many": 0.9, "medium": 0.9, "few": 0.9, "per_class": dict.fromkeys(classes, 0.9)}
    arm = {"shipped": space, "clip": copy.deepcopy(space), "class_agreement": agreement}
    judged = {"base_classifier": {"loss": 1.3, "entropy": 0.9}}
    feedback = {"before": 0.8, "after": 0.9, "updates": 4.0, "skipped": 0.0}
    synaug = {**copy.deepcopy(arm), **judged, "feedback": None}
    return {"synaug": synaug, "guided": {**copy.deepcopy(arm), **judged, "feedback": feedback}}


def difficulty(unguided: float = 0.7, guided: float | None = 1.2, error: float = 0.05) -> dict[str, Any]:
    """metrics/difficulty.json: mean loss of images without and with feedback, 0.9 of real ones."""

    def part(mean: float) -> dict[str, Any]:
        quantiles = {q: mean * k for q, k in (("0.1", 0.1), ("0.25", 0.5), ("0.5", 1.0), ("0.75", 1.5), ("0.9", 2.0))}
        return {"images": 120, "mean": mean, "standard_error": error, "quantiles": quantiles}

    means = {"real": 0.9, "unguided": unguided, **({} if guided is None else {"guided": guided})}
    parts = {kind: part(mean) for kind, mean in means.items()}
    return {"loss": {"overall": parts, "many": dict.fromkeys(means), "few": parts}}


def curves(last: float = 0.01) -> dict[str, list[dict[str, float]]]:
    """{arm: rows} of metrics/curves, with the last training loss."""
    rows = [
        {"step": step, "loss": 1.4 * (last / 1.4) ** (step / 400), "accuracy": 0.5} for step in (100, 200, 300, 400)
    ]
    return {"base": rows, "guided": rows}


def groups() -> dict[str, Any]:
    """What accuracy.json holds of an arm besides, where there are contexts."""
    rows = [
        {"class": name, "context": context, "accuracy": 0.5, "train_images": count, "test_images": 50}
        for name, count in zip(CLASSES, COUNTS, strict=True)
        for context in ("ink", "pencil")
    ]
    rows[-1] |= {"accuracy": 0.1}
    summary = {"worst": 0.1, "worst_group": {"class": "three", "context": "pencil"}, "mean": 0.45, "weighted_mean": 0.5}
    fairness = {"demographic_parity_difference": {"max": 0.2, "mean": 0.1}}
    return {"groups": {**summary, "per_group": rows}, "fairness": fairness}


def write_results(root: Path, classes: Sequence[str] = CLASSES) -> None:
    """Write every tracked result of a healthy run below `root`."""
    metrics, report = root / "metrics", accuracy(classes)
    write_json(metrics / "accuracy.json", report)
    write_json(metrics / "fid_density_coverage.json", quality(classes))
    write_json(metrics / "difficulty.json", difficulty())
    counts = dict(zip(classes, spread(COUNTS, classes), strict=True))
    images = {"train": sum(counts.values()), "val": 300, "test": TESTS * len(classes)}
    write_json(metrics / "splits.json", {"images": images, "sha256": {"test": "ab" * 32}, "train_counts": counts})
    write_json(
        metrics / "cost/guided.json", {"images": 600, "seconds": 341.1, "torch": "2.14.1", "precision": "float32"}
    )
    for name, rows in {**curves(), "reference": curves()["base"]}.items():
        write_csv(metrics / f"curves/{name}.csv", rows)
    for arm in report:
        write_csv(metrics / f"confusion/{arm}.csv", _predictions(report[arm]["confusion"], classes))
        bins = [{"confidence": c, "accuracy": c - 0.05, "share": s} for c, s in ((0.5, 0.2), (0.95, 0.8))]
        write_csv(metrics / f"calibration/{arm}.csv", bins)
    for number, name in enumerate(("generator", "guided", "real", "synaug")):
        (metrics / "sheets").mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 40, 3), 40 * number, np.uint8)).save(metrics / f"sheets/{name}.png")
    (root / "params.yaml").write_text(yaml.safe_dump(SETTINGS, sort_keys=False))
    outs = [{"path": "data/base", "md5": "cd" * 16}, {"path": "metrics/accuracy.json"}]
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"train_base": {"outs": outs}}}))


def _predictions(matrix: list[list[int]], classes: Sequence[str]) -> list[dict[str, str]]:
    cells = ((i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) for _ in range(count))
    return [{"actual": classes[i], "predicted": classes[j]} for i, j in cells]


def write_evidence(root: Path) -> None:
    """Write results of the study that README.md rests on, of which every seed gains alike."""
    few = {"base, cross-entropy": 0.5, "text + image + dropout": 0.75, "+ entropy feedback": 0.7}
    few["base, balanced softmax"] = 0.59
    rows = [
        {"variant": name, "seed": seed, "few": value + seed % (3 + number) / 1e3, "overall": 0.8 + seed / 1e4}
        for number, (name, value) in enumerate(few.items())
        for seed in range(100, 110)
    ]
    write_csv(root / "metrics/studies/evidence.csv", rows)
    (root / "studies").mkdir()
    shutil.copyfile(ROOT / "studies/evidence.yaml", root / "studies/evidence.yaml")


def repository(root: Path, classes: Sequence[str] = CLASSES) -> Path:
    """A git repository with one commit that holds a healthy run's results."""
    write_results(root, classes)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "A healthy run")
    return root


def commit(root: Path, subject: str) -> str:
    """Commit everything; returns the hash."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", subject, "--date", "2026-01-02T03:04:05+00:00")
    return git(root, "rev-parse", "HEAD")


def git(root: Path, *arguments: str) -> str:
    """What git says."""
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def report_of(root: Path, tmp_path: Path, revision: str | None = None, compare: str | None = None) -> Report:
    """The report of a revision of the repository; tmp_path: where its files are copied to."""
    other = read_run(snapshot(root, compare, tmp_path / "other")) if compare else None
    return report(read_run(snapshot(root, revision, tmp_path / "run")), other)


def change(path: Path, *names: str, value: Any) -> None:
    """Set one value inside a JSON file; `...` as the value removes it."""
    tree = json.loads(path.read_text())
    node = tree
    for name in names[:-1]:
        node = node[name]
    if value is ...:
        del node[names[-1]]
    else:
        node[names[-1]] = value
    path.write_text(json.dumps(tree))


def without(root: Path, *names: str) -> None:
    """Remove files or folders."""
    for name in names:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
