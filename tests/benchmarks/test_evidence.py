"""The evidence over seeds: what is asked for, where results are kept, and that none is computed twice."""

import sys
from types import SimpleNamespace

import pytest
import yaml

from benchmarks import arms, evidence
from src.runtime.errors import InputError
from src.runtime.files import read_json, write_json
from src.versions.import_closure import ROOT, import_closure


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The real params.yaml beside a little code and a generator of one file, as the working directory."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    for name in ("src/module.py", "benchmarks/arms.py", "benchmarks/seeds.py", "models/tiny_unclip/weights"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", [3]), ("0-4", [0, 1, 2, 3, 4]), ("1,5,7", [1, 5, 7]), ("100-101,7", [100, 101, 7])]
)
def test_seeds_are_a_list_of_numbers_and_ranges(text, seeds):
    assert list(evidence.parse_seeds(text)) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-b", "-3", "1;2", "1,,2", "4-1"])
def test_anything_else_is_refused_as_seeds(text):
    with pytest.raises(InputError, match="are no list such as 0-4 or 1,5,7"):
        evidence.parse_seeds(text)


def test_settings_are_those_of_params_and_a_change_is_for_this_run_alone(repository):
    written = yaml.safe_load((repository / "params.yaml").read_text())
    assert evidence.settings([]) == {name: written[name] for name in evidence.SETTINGS}
    changed = evidence.settings(["feedbacks.entropy.scale=0.1", "train.loss=balanced_softmax"])
    assert (changed["feedbacks"]["entropy"]["scale"], changed["train"]["loss"]) == (0.1, "balanced_softmax")
    assert yaml.safe_load((repository / "params.yaml").read_text()) == written


def test_what_only_the_generators_training_or_a_single_run_reads_is_no_setting():
    everything = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(everything) - set(evidence.SETTINGS) == {"seed", "feedback", "tiny"}


@pytest.mark.parametrize(
    "change", ["train.rate=1", "nothing=1", "recipes.digits.lr.x=1", "dataset.digits=1", "a.b.c=1", "seed=1"]
)
def test_setting_an_unknown_parameter_is_refused(repository, change):
    with pytest.raises(InputError, match=f"--set {change} names no parameter"):
        evidence.settings([change])


def test_setting_no_value_is_refused(repository):
    with pytest.raises(InputError, match=r"write recipes\.digits\.lr=<value>"):
        evidence.settings(["recipes.digits.lr"])


def test_results_are_kept_apart_by_settings_weights_code_and_split(repository):
    def folder(change: str = "", split: str = "val") -> str:
        return str(evidence.results_folder(evidence.settings([change] if change else []), split))

    seen = [folder(), folder("recipes.digits.steps=7"), folder(split="test")]
    assert folder() == seen[0]
    for name in ("src/module.py", "benchmarks/arms.py", "benchmarks/seeds.py", "models/tiny_unclip/weights"):
        (repository / name).write_text("changed")
        seen.append(folder())
    assert len(set(seen)) == len(seen)


def test_a_finished_pair_is_never_computed_again(repository, monkeypatch):
    made: list[str] = []

    def compute(name):
        made.append(name)
        return {"overall": 0.5}

    monkeypatch.setattr(
        evidence, "Seed", lambda *_: SimpleNamespace(baselines=lambda: [("base_ce", lambda: compute("base"))])
    )
    monkeypatch.setattr(evidence, "generator_of", lambda params: None)
    monkeypatch.setattr(evidence, "run_arm", lambda seed, arm, generator: compute(arm.name))
    evidence.run_seed({}, 7, "val", arms.chosen_arms("text,entropy"), repository)
    evidence.run_seed({}, 7, "val", arms.chosen_arms("text,entropy,loss"), repository)
    evidence.run_seed({}, 7, "val", arms.chosen_arms(None), repository)
    assert made == ["base", "text", "entropy", "loss", "synaug", "text_image", "dropout", "hardness"]
    assert read_json(repository / "7-base_ce.json") == {"full": {"overall": 0.5}}


def test_results_are_collected_by_arm_and_seed_of_the_asked_seeds_alone(tmp_path):
    for name in ("3-text_image", "4-text_image", "4-base_ce", "5-base_ce"):
        write_json(tmp_path / f"{name}.json", {"from": name})
    assert evidence.collect(tmp_path, [3, 4]) == {
        "base_ce": {"4": {"from": "4-base_ce"}},
        "text_image": {"3": {"from": "3-text_image"}, "4": {"from": "4-text_image"}},
    }


def test_a_seed_that_fails_names_its_log_and_each_runs_on_one_thread(repository, monkeypatch):
    commands = []

    def run(command, env, stdout, stderr):
        commands.append((command, env))
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(evidence.subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["evidence", "--seeds", "8", "--split", "val", "--jobs", "1"])
    with pytest.raises(InputError, match=r"seed 8 failed; its output is in \S+/8.log; the same command continues"):
        evidence.main()
    ((command, env),) = commands
    assert command[:3] == [sys.executable, "-m", "benchmarks.evidence"] and command[-4:-2] == ["--one", "8"]
    assert env["OMP_NUM_THREADS"] == env["MKL_NUM_THREADS"] == "1"


def test_the_arms_are_those_of_the_papers_and_differ_in_one_thing_each():
    named = {arm.name: arm for arm in arms.ARMS}
    assert list(named) == ["synaug", "text", "text_image", "dropout", "loss", "entropy", "hardness"]
    assert named["text"].conditioning == named["synaug"].conditioning == "text"
    assert not named["text_image"].dropout and named["dropout"].dropout
    assert {arm.feedback for arm in arms.ARMS} == {"none", "loss", "entropy", "hardness"}
    assert [arm.name for arm in arms.ARMS if arm.synaug] == ["synaug"]


def test_arms_are_asked_for_by_name_or_family_and_an_unknown_one_is_refused():
    assert [arm.name for arm in arms.chosen_arms("text,loss")] == ["text", "loss"]
    assert arms.chosen_arms("groups") == list(arms.GROUPS) and arms.chosen_arms(None) == list(arms.ARMS)
    assert len({arm.name for family in arms.FAMILIES.values() for arm in family}) == sum(
        map(len, arms.FAMILIES.values())
    )
    with pytest.raises(InputError, match="--arms names unknown magic; known: default, baselines, groups, synaug"):
        arms.chosen_arms("text,magic")


def test_all_that_a_seed_runs_is_part_of_the_results_name_and_the_report_is_not():
    named = {path.relative_to(ROOT).as_posix() for path in evidence.code(ROOT)}
    assert import_closure(ROOT / "benchmarks/seeds.py") <= named
    assert not any(path.startswith("src/reporting") for path in named)
