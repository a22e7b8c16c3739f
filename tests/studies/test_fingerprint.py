"""What decides an experiment's numbers, and what does not: inputs and code, each told apart from all else."""

import hashlib
from pathlib import Path

import pytest
import yaml

from src.settings.sections import TINY
from src.studies.experiments import Experiment
from src.studies.fingerprint import (
    MEASURES,
    code_digest,
    deciding_stages,
    inputs_digest,
    made_by,
    meaning,
    same_inputs,
    same_outputs,
)
from src.versions.import_closure import ROOT
from tests.reporting.made import commit, git

CODE = '''"""What it is."""

from src.a import x


def half(value):
    """Half of it."""
    return value * 0.5  # not an integer
'''
SAME = {
    "docstring": ("Half of it.", "A half."),
    "comment": ("not an integer", "a float"),
    "layout": ("value * 0.5", "(value   *  0.5)"),
    "import": ("from src.a import x", "from src.elsewhere.b import x"),
}
OTHER = {
    "constant": ("0.5", "0.25"),
    "name": ("def half", "def third"),
    "text": ("value * 0.5", "'value'"),
    "what is imported": ("import x", "import y as x"),
}


@pytest.mark.parametrize(("before", "after"), SAME.values(), ids=SAME)
def test_what_changes_no_byte_does_not_count(before, after):
    assert before in CODE and meaning(CODE.replace(before, after).encode()) == meaning(CODE.encode())


@pytest.mark.parametrize(("before", "after"), OTHER.values(), ids=OTHER)
def test_what_may_change_a_byte_counts(before, after):
    assert before in CODE and meaning(CODE.replace(before, after).encode()) != meaning(CODE.encode())


def test_a_file_that_does_nothing_has_no_meaning():
    assert meaning(b"") == meaning(b'"""A package."""\n\nfrom src.a import x\n') == ""


STAGES = {
    "split": {"cmd": "x", "deps": ["src/a.py"], "params": ["seed", "data"], "outs": ["data/split"]},
    "model": {"cmd": "x", "frozen": True, "deps": ["src/frozen.py"], "params": ["tiny"], "outs": ["models/tiny"]},
    "train": {
        "foreach": {"synaug": {"params": "synaug"}, "guided": {"params": "retrain"}},
        "do": {
            "cmd": "x ${key}",
            "deps": ["data/split", "models/tiny", "prompts/${dataset}.yaml", "src/b.py"],
            "params": ["${item.params}", "feedbacks.${feedback}"],
            "outs": ["data/trained/${key}"],
        },
    },
    "judge": {
        "cmd": "x", "deps": ["data/trained/guided", "data/trained/synaug", "src/c.py"],
        "metrics": [{name: {"cache": False}} for name in MEASURES],
    },
    "show": {"cmd": "x", "deps": ["metrics/accuracy.json", "src/d.py"], "params": ["shown"], "outs": ["sheets"]},
}  # fmt: skip
PARAMS = {
    "seed": 0, "dataset": "digits", "generator": "tiny_unclip", "feedback": "none",
    "data": {"size": 8}, "tiny": {"steps": 1}, "shown": 1,
    "retrain": {"loss": None, "share": 0.5}, "synaug": {"mixing": "mixup"},
    "feedbacks": {"none": {"scale": 0}, "loss": {"scale": 1}},
}  # fmt: skip
ONE = Experiment({"feedback": "loss"}, 3)


@pytest.fixture
def root(tmp_path) -> Path:
    """A repository with such a pipeline, in which every file says which it is."""
    write(tmp_path, PARAMS)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}, sort_keys=False))
    for name in ("src/a.py", "src/b.py", "src/c.py", "src/d.py", "src/frozen.py", "prompts/digits.yaml", "models/tiny"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"this = '{name}'")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "start")
    return tmp_path


def write(root: Path, params) -> None:
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def test_the_generator_of_another_data_set_is_no_input(tmp_path):
    stages = {"s": {"cmd": "x", "deps": [TINY, "models/tiny_fashion"], "params": ["dataset"], "outs": [MEASURES[0]]}}
    write(tmp_path, PARAMS)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    digits, photographs = Experiment({}, 3), Experiment({"dataset": "fashion_lt"}, 3)
    for changed in (TINY, "models/tiny_fashion"):
        for name in (TINY, "models/tiny_fashion"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "weights").write_text("as trained")
        before = [inputs_digest(experiment, tmp_path) for experiment in (digits, photographs)]
        (tmp_path / changed / "weights").write_text("trained anew")
        after = [inputs_digest(experiment, tmp_path) for experiment in (digits, photographs)]
        assert [a == b for a, b in zip(before, after, strict=True)] == [changed != TINY, changed == TINY]


def test_the_stages_that_decide_are_those_before_the_measures_and_no_frozen_one(root):
    assert list(deciding_stages({"stages": STAGES})) == ["judge", "split", "train"]
    everything = deciding_stages(yaml.safe_load((ROOT / "dvc.yaml").read_text()))
    assert {"prepare_lt", "train_base", "synth_guided", "synth_synaug", "retrain", "eval_acc"} <= set(everything)


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"seed": 4}, False),  # which the experiment sets itself
        ({"shown": 2}, False),
        ({"tiny": {"steps": 2}}, False),
        ({"feedbacks": {"none": {"scale": 7}, "loss": {"scale": 1}}}, False),  # of a preset that is not chosen
        ({"retrain": {"loss": None, "share": 0.5, "new": None}}, False),
        ({"feedbacks": {"none": {"scale": 0}, "loss": {"scale": 7}}}, True),
        ({"retrain": {"loss": "focal", "share": 0.5}}, True),
        ({"synaug": {"mixing": "none"}}, True),
        ({"data": {"size": 16}}, True),
    ],
)
def test_inputs_change_with_the_parameters_that_a_deciding_stage_reads_and_with_no_others(root, changes, counts):
    before = inputs_digest(ONE, root)
    assert before == inputs_digest(ONE, root) != inputs_digest(Experiment({"feedback": "loss"}, 4), root)
    write(root, {**PARAMS, **changes})
    assert (inputs_digest(ONE, root) != before) == counts


@pytest.mark.parametrize("name", ["prompts/digits.yaml", "models/tiny"])
def test_prompts_and_generator_are_inputs_and_no_code(root, name):
    before = inputs_digest(ONE, root), code_digest(root)
    (root / name).write_text("another")
    assert inputs_digest(ONE, root) != before[0] and code_digest(root) == before[1]


def test_code_changes_with_what_a_deciding_stage_does_wherever_that_stands(root):
    before = inputs_digest(ONE, root), code_digest(root)
    for name in ("src/d.py", "src/frozen.py"):
        (root / name).write_text("this = 'another'")
    (root / "src/a.py").write_text('"""Now documented."""\n\nthis = "src/a.py"  # as before\n')
    (root / "src/b.py").rename(root / "src/moved.py")
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text().replace("src/b.py", "src/moved.py"))
    assert code_digest(root) == before[1]
    (root / "src/moved.py").write_text("this = 'another'")
    assert code_digest(root) != before[1] and inputs_digest(ONE, root) == before[0]


def experimented(root: Path, **params) -> str:
    """The commit of an experiment with these parameters; the work tree is as before."""
    write(root, {**PARAMS, "seed": 3, "feedback": "loss", **params})
    made = commit(root, "an experiment")
    git(root, "reset", "--hard", "--quiet", "HEAD~1")
    return made


def test_an_experiment_is_of_this_code_if_its_stages_do_the_same_and_its_parameters_are_those_asked_for(root):
    made = experimented(root)
    assert made_by(ONE, made, code_digest(root), root)
    assert not made_by(Experiment({"feedback": "loss"}, 4), made, code_digest(root), root)
    assert not made_by(ONE, experimented(root, feedback="none"), code_digest(root), root)
    (root / "src/a.py").write_text('"""Documented meanwhile."""\n\nthis = "src/a.py"')
    (root / "src/d.py").write_text("this = 'another, which decides nothing'")
    commit(root, "elsewhere")
    assert made_by(ONE, made, code_digest(root), root)
    (root / "src/a.py").write_text("this = 'another'")
    commit(root, "the stage's code")
    assert not made_by(ONE, made, code_digest(root), root)


def test_an_experiment_on_other_prompts_is_another(root):
    made = experimented(root)
    (root / "prompts/digits.yaml").write_text("another")
    assert not made_by(ONE, made, code_digest(root), root)


def locked(root: Path, output: str, *others: dict[str, str]) -> None:
    """Write dvc.lock as DVC would after a run of the code that is there, with the contents of one output, others."""
    deps = [{"path": name, "md5": hashlib.md5((root / name).read_bytes()).hexdigest()} for name in ("src/b.py",)]
    entry = {"deps": deps, "outs": [{"path": "data/trained/guided", "md5": output}, *others]}
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"train@guided": entry}}))


def test_code_of_which_the_default_run_has_the_same_outputs_stands_for_todays(root):
    locked(root, "a" * 32)
    before = commit(root, "a run")
    (root / "src/b.py").write_text("this = 'the same, written otherwise'")
    assert same_outputs({"old": [before]}, root) == set()  # dvc.lock is not of this code
    locked(root, "a" * 32)
    assert same_outputs({"old": [before], "gone": ["0" * 40]}, root) == {"old"}
    locked(root, "a" * 32, {"path": "data/new", "md5": "c" * 32})
    assert same_outputs({"old": [before]}, root) == {"old"}  # what is new with today's code was not asked then
    now = commit(root, "a run with another output")
    locked(root, "a" * 32)
    assert same_outputs({"new": [now]}, root) == set()  # what is gone was
    locked(root, "b" * 32)
    assert same_outputs({"old": [before]}, root) == set()
    # This code once had other defaults, under which its outputs were those.
    assert same_outputs({"old": [before], code_digest(root): [now]}, root) == {"old", code_digest(root)}
    # A code between had the old outputs under the old default, and today's under today's.
    changed = commit(root, "a run under another default")
    chain = {"old": [before], "between": [now, changed]}
    assert same_outputs(chain, root) == {"old", "between"}
    assert same_outputs({**chain, "between": [changed]}, root) == {"between"}
    (root / "dvc.lock").unlink()
    assert same_outputs({"old": [before]}, root) == set()


def test_inputs_to_which_a_parameter_was_added_are_the_same_and_any_other_change_makes_others(root):
    before = git(root, "rev-parse", "HEAD")
    assert same_inputs(ONE, before, root)
    write(root, {**PARAMS, "retrain": {**PARAMS["retrain"], "new": 1}, "seed": 9})
    assert same_inputs(ONE, before, root)
    for changes in (
        {"retrain": {"loss": None, "share": 0.75}}, {"retrain": {"loss": "focal", "share": 0.5}},
        {"retrain": {"share": 0.5}}, {"synaug": {"mixing": "none"}},
    ):  # fmt: skip
        write(root, {**PARAMS, **changes})
        assert not same_inputs(ONE, before, root)
    for changes in ({"feedback": "loss"}, {"dataset": "folder"}, {"generator": "sd21_unclip"}):
        write(root, {**PARAMS, **changes})  # other defaults, which every experiment overrides
        assert same_inputs(ONE, before, root)
    write(root, PARAMS)
    assert same_inputs(Experiment({"retrain.share": 0.25}, 3), before, root)
    (root / "prompts/digits.yaml").write_text("another")
    assert not same_inputs(ONE, before, root)
    git(root, "checkout", "--quiet", ".")
    write(root, {**PARAMS, "retrain": {**PARAMS["retrain"], "new": 1}})
    assert not same_inputs(Experiment({"retrain.new": 2}, 3), before, root)  # what it asks for was not there
