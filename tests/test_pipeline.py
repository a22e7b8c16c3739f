"""dvc.yaml says what is true: the stages, their code, their parameters, and a lock that fits all three."""

import ast
import math
import re
from collections.abc import Iterator
from typing import Any

import dvc.api
import pytest
import yaml
from dvc.utils.serialize import modify_yaml

from src.settings import params
from src.versions.import_closure import ROOT, import_closure
from tests.micro import arms, copy_repository, outputs
from tests.micro import dvc as run_dvc
from tests.recording import leaves

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES: dict[str, dict[str, Any]] = DVC["stages"]
NAMES = {
    "train_generator", "prepare_lt", "train_base", "synth_guided", "synth_synaug", "merge_balance", "retrain",
    "eval_fid_density_coverage", "eval_acc",
}  # fmt: skip
CHOSEN = {family: PARAMS[selector] for family, selector in {
    "datasets": "dataset", "recipes": "dataset", "budgets": "dataset", "generators": "generator",
    "feedbacks": "feedback",
}.items()}  # fmt: skip


@pytest.fixture(scope="module")
def tracked() -> dict[str, dict[str, Any]]:
    """The parameters that DVC tracks for each stage; arms of a stage have the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        shown = {name: [dvc.api.params_show(stages=i, deps=True) for i in instances(name)] for name in NAMES}
    assert all(one == values[0] for values in shown.values() for one in values)
    return {name: values[0] for name, values in shown.items()}


def instances(name: str) -> list[str]:
    """The stage's names as DVC sees them, one per arm."""
    return [f"{name}@{arm}" if arm else name for arm in arms(STAGES[name])]


def presets(name: str) -> dict[str, str]:
    """Families of presets that the stage declares, as its code calls them: {"recipe": "recipes"}."""
    found = (re.fullmatch(r"(\w+)s\.\$\{\w+\}", entry) for entry in STAGES[name].get("params", []))
    return {match[1]: f"{match[1]}s" for match in found if match}


def test_the_stages_are_the_nine_of_the_method_and_each_says_what_it_does():
    assert set(STAGES) == NAMES
    assert all(stage["desc"].strip() for stage in STAGES.values())


def test_a_stage_runs_its_own_script_under_any_launcher():
    for name, stage in STAGES.items():
        arm = " ${item.arm}" if "matrix" in stage else ""
        assert stage["cmd"] == rf"\${{LAUNCH:-python}} -m stages.{name}{arm}"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_stage_declares_exactly_the_code_that_it_imports(name):
    declared = [path for path in STAGES[name]["deps"] if path.endswith(".py")]
    assert sorted(declared) == sorted(import_closure(ROOT / "stages" / f"{name}.py"))
    assert {path.split("/")[0] for path in set(STAGES[name]["deps"]) - set(declared)} <= {"data", "models", "prompts"}


def test_every_module_belongs_to_a_stage_or_a_command_and_package_files_hold_no_code():
    """A command is a script beside the stages' that dvc.yaml does not run.

    Importing a module runs its packages' files too; empty ones need not be dependencies.
    """
    packages = set((ROOT / "src").rglob("__init__.py"))
    modules = {path.relative_to(ROOT).as_posix() for path in set((ROOT / "src").rglob("*.py")) - packages}
    commands = [path for path in (ROOT / "stages").glob("*.py") if path.stem not in {"__init__", *STAGES}]
    of_stages = {path for stage in STAGES.values() for path in stage["deps"]}
    of_commands = {path for script in commands for path in import_closure(script)}
    assert modules <= of_stages | of_commands
    for path in packages:
        assert all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body), path


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_stage_sees_the_parameters_that_dvc_tracks_for_it(name, tracked):
    seen = params.load(name, ROOT).as_dict()
    for one, family in presets(name).items():
        preset = seen.pop(one)
        assert preset.pop("name") == CHOSEN[family]
        seen[family] = {CHOSEN[family]: preset}
    assert seen == tracked[name]


@pytest.mark.parametrize(
    ("parameter", "stages"),
    [
        ("seed", {"prepare_lt", "train_base", "synth_guided", "synth_synaug", "retrain"}),
        (f"datasets.{PARAMS['dataset']}.imbalance_factor", {"prepare_lt"}),
        ("train.loss", {"train_base", "retrain"}),
        ("second_stages.crt.length", {"train_base", "retrain"}),
        (f"recipes.{PARAMS['dataset']}.lr", {"train_base", "retrain"}),
        (f"feedbacks.{PARAMS['feedback']}.scale", {"synth_guided"}),
        ("synth.conditioning", {"synth_guided"}),
        ("synth.image_dropout", {"synth_guided"}),
        (
            f"budgets.{PARAMS['dataset']}.per_class",
            {"synth_guided", "synth_synaug", "merge_balance", "retrain"},
        ),
        (f"generators.{PARAMS['generator']}.steps", {"synth_guided", "synth_synaug", "eval_fid_density_coverage"}),
        ("retrain.fraction_real", {"retrain"}),
        ("retrain.second_stage", {"retrain"}),
        ("synaug.last_layer.lr", {"retrain"}),
        ("evaluation.nearest_k", {"eval_fid_density_coverage"}),
        ("tiny.unet.steps", {"train_generator"}),
    ],
)
def test_an_ablation_touches_only_the_stages_that_it_concerns(parameter, stages, tracked):
    """What follows from these runs too."""
    assert parameter in leaves(PARAMS)
    assert {name for name, values in tracked.items() if parameter in leaves(values)} == stages


@pytest.mark.parametrize("family", CHOSEN)
def test_a_preset_that_is_not_chosen_concerns_no_stage(family, tracked):
    assert CHOSEN[family] in PARAMS[family] and len(PARAMS[family]) > 1
    for name, values in tracked.items():
        assert set(values.get(family, {})) <= {CHOSEN[family]}, name
    assert any(CHOSEN[family] in values.get(family, {}) for values in tracked.values())


def test_every_data_set_has_a_recipe_a_budget_prompts_and_a_place_for_its_files():
    """They are chosen by its name."""
    assert set(PARAMS["datasets"]) == set(PARAMS["recipes"]) == set(PARAMS["budgets"])
    for name in PARAMS["datasets"]:
        assert (ROOT / f"prompts/{name}.yaml").is_file() and (ROOT / f"data/raw/{name}/SOURCE.md").is_file(), name


@pytest.mark.parametrize("family", CHOSEN)
def test_presets_of_a_family_that_code_reads_alike_have_the_same_settings(family):
    """A data set's own are its kind's."""
    sorts: dict[str, set[frozenset[str]]] = {}
    for preset in PARAMS[family].values():
        sorts.setdefault(preset["kind"] if family == "datasets" else family, set()).add(frozenset(preset))
    assert {sort: len(found) for sort, found in sorts.items() if len(found) > 1} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NAMES))
def test_declared_parameters_are_read_parameters(name, micro):
    """The reads are those of a run of the stage in all its arms (`tests.recording`).

    A preset is declared whole, because its name chooses it: there it is enough that some of it is read. Of all else,
    every declared value must be. That no undeclared one is read, src.settings sees to at every run. What becomes of the
    parts that a stage takes whole (`train`, `second_stages`), tests/training/test_arms.py says.
    """
    declared, read = leaves(params.load(name, micro.root).as_dict()), set(micro.reads[name])
    families = set(presets(name))
    assert read <= declared
    assert families <= {path.split(".")[0] for path in read}
    assert {path for path in declared - read if path.split(".")[0] not in families} == set()


def test_no_parameter_is_text_that_was_meant_as_a_number_and_all_numbers_are_finite():
    def walk(value: Any, name: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                yield from walk(item, f"{name}.{key}")
        else:
            yield name, value

    for name, value in walk(PARAMS, ""):
        if isinstance(value, str):
            with pytest.raises(ValueError, match="could not convert"):
                raise AssertionError(f"{name} is the text '{value}': {float(value)}")
        assert not isinstance(value, float) or math.isfinite(value), name


def test_an_experiment_that_rewrites_params_changes_its_value_and_nothing_else(tmp_path):
    """Comments and lists stay as they are written. With anchors another value would change too."""
    text, path = (ROOT / "params.yaml").read_text(), tmp_path / "params.yaml"
    path.write_text(text)
    with modify_yaml(path) as values:
        values["retrain"]["fraction_real"] = 0.25
    assert path.read_text() == text.replace("fraction_real: 0.5 ", "fraction_real: 0.25", 1) != text
    anchors = (yaml.AnchorToken, yaml.AliasToken)
    assert [token.start_mark.line + 1 for token in yaml.scan(text) if isinstance(token, anchors)] == []


def test_the_test_split_is_read_by_eval_acc_alone():
    def touches(path: str) -> bool:
        return path in ("data", "data/real", "data/real/test") or path.startswith("data/real/test/")

    assert [name for name, stage in STAGES.items() if any(map(touches, stage["deps"]))] == ["eval_acc"]
    for script in (ROOT / "stages").glob("*.py"):
        assert script.stem == "eval_acc" or "real/test" not in script.read_text()


def test_the_generator_is_frozen_and_lives_in_git():
    generator = STAGES["train_generator"]
    assert generator["frozen"] is True
    assert list(outputs(generator)) == [("outs", "models/tiny_unclip", False)]
    assert [name for name, stage in STAGES.items() if stage.get("frozen")] == ["train_generator"]


def test_small_results_live_in_git_and_all_else_in_the_cache():
    """`cache: false` under `outs`, or `persist`, would switch the run-cache off for the stage."""
    for name in NAMES - {"train_generator"}:
        for kind, path, cached in outputs(STAGES[name]):
            assert cached == (kind == "outs"), path
            assert path.startswith("data/" if cached else "metrics/"), path
    assert "persist" not in (ROOT / "dvc.yaml").read_text()


def test_the_cost_is_a_metric_beside_the_pipeline_because_times_differ_between_runs():
    made = {path for stage in STAGES.values() for _, path, _ in outputs(stage)}
    assert DVC["metrics"] == ["metrics/cost/guided.json", "metrics/cost/synaug.json"]
    for arm in ("guided", "synaug"):
        assert f"metrics/cost/{arm}.json" not in made
        assert f'"metrics/cost/{arm}.json"' in (ROOT / f"stages/synth_{arm}.py").read_text()


def test_every_drawn_plot_is_an_output_of_a_stage():
    made = {path for stage in STAGES.values() for _, path, _ in outputs(stage)}
    for plot in DVC["plots"]:
        ((name, settings),) = plot.items()
        assert set(settings["y"] if isinstance(settings["y"], dict) else [name]) <= made


def test_the_lock_is_there():
    assert (ROOT / "dvc.lock").is_file(), "run `dvc repro` and commit dvc.lock"


@pytest.mark.skipif(not (ROOT / "dvc.lock").is_file(), reason="dvc.lock does not exist; test_the_lock_is_there fails")
@pytest.mark.slow
def test_lock_code_parameters_and_committed_results_agree(tmp_path):
    """In a copy without data: `dvc repro` would run nothing."""
    said = run_dvc(copy_repository(tmp_path / "copy"), "repro", "--allow-missing", "--dry")
    assert "Running stage" not in said, said
    for name in NAMES:
        for instance in instances(name):
            assert f"Stage '{instance}' didn't change, skipping" in said, said
