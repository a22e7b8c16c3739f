"""The reads of a stage are what its code asks its sections for, and nothing that the schema does by itself."""

import subprocess
import sys

from src.versions.import_closure import ROOT

SCRIPT = """
from tests import recording
recording.record()
import dataclasses, yaml
from src.settings.params import resolve
from src.settings.schema import plain
from src.settings.work_key import work_key

values = {**yaml.safe_load(open("params.yaml")), "dataset": "digits", "feedback": "entropy"}
declared = ["seed", "merge", "train", "datasets.${dataset}", "recipes.${dataset}", "feedbacks.${feedback}"]
params = resolve("stage", {"stages": {"stage": {"params": declared}}}, values)
work_key(params, ())
assert recording.READS == {}, recording.READS

def reads(action):
    recording.READS.clear()
    action()
    return recording.READS["stage"]

assert reads(lambda: params.seed) == {"seed"}
assert reads(lambda: params.merge) == set()
assert reads(lambda: params.data.pose.rotation) == {"datasets.digits.pose.rotation"}
assert reads(lambda: params.data.preset) == set()
assert reads(lambda: plain(params.data.pose)) == recording.parameters(params.data.pose) > {"datasets.digits.pose.shear"}
method = dataclasses.replace(params.train, loss="focal")
assert reads(lambda: dataclasses.replace(params.train, loss="focal")) == set()
assert reads(lambda: method.sampler) == {"train.sampler"}
recipe = params.recipe.in_steps(100)
assert reads(lambda: recipe.lr) == {"recipes.digits.lr"}
schedule = {f"feedbacks.entropy.{name}" for name in ("scale", "first", "last", "every")}
assert reads(lambda: params.feedback.guides(0)) == schedule
assert recording.parameters(params) >= {"seed", "merge.replace_classes", "datasets.digits.pose.shear"}
assert {name for name in recording.parameters(params) if name.endswith(".name")} == set()
"""


def test_reads_are_values_asked_for_by_name_and_sections_taken_whole():
    """In a process of its own, since what records stays."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, text=True, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
