"""params.yaml as editors, merges and typing errors leave it: one sentence.

That a stage says it and writes nothing is tests/wrong_input/test_settings.py's.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from src.runtime.errors import InputError
from src.settings.params import load
from tests.wrong_input.running import edit, replaced

SEED = "seed: 0\n"
HALVES = "<<<<<<< HEAD\nseed: 0\n=======\nseed: 1\n>>>>>>> other\n"
LAUGHS = "seed: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"more_{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in pairwise("abcdefgh")
)


def whole(text: bytes) -> Callable[[bytes], bytes]:
    return lambda data: text


def after(text: str) -> Callable[[bytes], bytes]:
    return lambda data: data + text.encode()


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (whole(b""), "params.yaml holds no `name: value` lines"),
    "comments alone": (whole(b"# seed: 0\n"), "params.yaml holds no `name: value` lines"),
    "a list": (whole(b"- seed: 0\n"), "params.yaml holds no `name: value` lines"),
    "one word": (whole(b"seed"), "params.yaml holds no `name: value` lines"),
    "a tab": (replaced("    kind: digits", "\tkind: digits"), "(a tab cannot indent; use spaces)"),
    "a bracket left open": (after("more: [1, 2\n"), "params.yaml is not valid YAML near line"),
    "one blank too many": (replaced("seed: 0", " seed: 0"), "params.yaml is not valid YAML near line"),
    "no blank after the colon": (replaced("seed: 0", "seed:0"), "params.yaml is not valid YAML near line 2"),
    "a merge conflict": (replaced(SEED, HALVES), "params.yaml is not valid YAML near line"),
    "two documents": (after("---\nseed: 1\n"), "params.yaml is not valid YAML near line"),
    "a name twice": (after("seed: 1\n"), "params.yaml gives 'seed' twice near line"),
    "a name twice in a preset": (replaced("    kind: digits", "    kind: a\n    kind: b"), "gives 'kind' twice near"),
    "an object": (replaced(SEED, "seed: !!python/object/apply:os.getpid []\n"), "not valid YAML near line 1"),
    "a date that is none": (replaced(SEED, "seed: 2024-13-45\n"), "params.yaml is not valid YAML; correct it"),
    "a date": (replaced(SEED, "seed: 2024-01-01\n"), "seed must be a whole number, not datetime.date(2024, 1, 1)"),
    "a set": (replaced(SEED, "seed: !!set {a, b}\n"), "seed must be a whole number, not {"),
    "bytes": (replaced(SEED, "seed: !!binary aGk=\n"), "seed must be a whole number, not b'hi'"),
    "a list that holds itself": (replaced(SEED, "seed: &a [*a]\n"), "params.yaml is not valid YAML; correct it"),
    "a billion laughs": (replaced(SEED, LAUGHS), "params.yaml is not valid YAML; correct it"),
    "brackets without end": (after(f"deep: {'[' * 900}\n"), "params.yaml is not valid YAML"),
    "a number of 5,000 digits": (replaced("seed: 0", f"seed: {'9' * 5000}"), "params.yaml is not valid YAML"),
    "half a character": (replaced("seed: 0", 'seed: "\\ud800"'), "params.yaml is not valid YAML"),
    "Windows-1252": (lambda data: "# Größe\n".encode("cp1252") + data, "not UTF-8 text; save it as UTF-8"),
    "a zero byte": (after("\0"), "not UTF-8 text; save it as UTF-8"),
    "no seed": (replaced(SEED, ""), "parameter 'seed' for stage 'prepare_lt', but params.yaml lacks it"),
    "no data set chosen": (replaced("dataset: digits\n", ""), "unknown dataset 'None'; params.yaml knows digits"),
    "data set chosen by nothing": (replaced("dataset: digits", "dataset:"), "unknown dataset 'None'; params.yaml"),
    "data set called no": (replaced("dataset: digits", "dataset: no"), "unknown dataset 'False'; params.yaml knows"),
    "two data sets": (replaced("dataset: digits", "dataset: [digits, csv]"), "unknown dataset '['digits', 'csv']'"),
    "presets in a list": (
        replaced("datasets:\n  digits:\n", "datasets:\n  - digits\nother:\n  digits:\n"),
        "datasets in params.yaml must hold presets by name, not ['digits']",
    ),
    "a preset of one word": (
        replaced("datasets:\n  digits:\n", "datasets:\n  digits: default\nother:\n  digits:\n"),
        "datasets.digits must hold `name: value` lines, not 'default'",
    ),
    "an empty preset": (
        replaced("datasets:\n  digits:\n", "datasets:\n  digits:\nother:\n  digits:\n"),
        "params.yaml lacks datasets.digits.kind; add it there",
    ),
    "a setting misspelt": (replaced("head_count:", "head_cont:"), "has datasets.digits.head_cont, which nothing"),
    "a part missing": (replaced("rotation:", "rotations:"), "params.yaml has datasets.digits.pose.rotations, which"),
    "a name read as false": (replaced("rotation:", "no: 1\n      rotation:"), "has the name False, which YAML does"),
    "a name read as a number": (replaced("rotation:", "1.0e+3: 1\n      rotation:"), "has the name 1000.0, which YAML"),
}  # fmt: skip


def refused(stage: str) -> str:
    with pytest.raises(InputError) as error:
        load(stage)
    return str(error.value)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_params_yaml_is_one_sentence(damage, chosen):
    change, sentence = DAMAGE[damage]
    edit("params.yaml", change)
    assert sentence in refused("prepare_lt")


def test_a_params_yaml_that_is_missing_or_a_folder_is_one_sentence(chosen):
    Path("params.yaml").unlink()
    assert "params.yaml is missing" in refused("train_base")
    Path("params.yaml").mkdir()
    assert "params.yaml is missing" in refused("synth_synaug")


def test_a_damaged_dvc_yaml_is_one_sentence(chosen):
    edit("dvc.yaml", replaced("stages:", "stages: ["))
    assert "dvc.yaml is not valid YAML near line" in refused("merge_balance")
    edit("dvc.yaml", lambda data: b"stages: [prepare_lt]\n")
    assert "dvc.yaml has no stage 'prepare_lt'; it has prepare_lt" in refused("prepare_lt")
