"""dvc.yaml says what is true: the stages, their code, their parameters, and a lock that fits all three."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import dvc.api
import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from src.runtime.pipeline import declared
from src.settings import params
from src.settings.schema import plain
from src.settings.sections import PRESETS
from src.versions.import_closure import ROOT, import_closure
from tests.micro import FROZEN, PARAMS, arms, copy_repository, outputs
from tests.micro import dvc as run_dvc
from tests.recording import leaves

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, dict[str, Any]] = DVC["stages"]
NAMES = {
    "prepare_lt", "train_base", "train_committee", "fit_generator", "synth_guided", "synth_synaug", "merge_balance",
    "retrain", "eval_fid_density_coverage", "eval_acc",
}  # fmt: skip
OBSERVERS = {"summarise", "draw_sheets", "measure_cost", "measure_difficulty"}  # nothing depends on them
CHOSEN = {family: PARAMS[selector] for family, selector in {
    "datasets": "dataset", "recipes": "dataset", "budgets": "dataset", "generators": "generator",
    "feedbacks": "feedback",
}.items()}  # fmt: skip
ARMS = [(name, arm) for name, stage in STAGES.items() for arm in arms(stage)]
each_arm = pytest.mark.parametrize(("name", "arm"), ARMS, ids=[f"{name}@{arm}".rstrip("@") for name, arm in ARMS])
each_stage = pytest.mark.parametrize("name", STAGES)

ITEMS = {"${item.classifier}", "${item.committee}"}
GLYPHS = "src/generators/tiny/strokes.yaml"  # data beside the code that reads them


@pytest.fixture(scope="module")
def tracked() -> dict[str, dict[str, Any]]:
    """The parameters that DVC tracks for each stage, by the names that DVC has for stages, arms apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return {name: dvc.api.params_show(stages=name, deps=True) for name in map("@".join, instances())}


def instances() -> Iterator[tuple[str, ...]]:
    return (tuple(filter(None, stage)) for stage in ARMS)


def entry(name: str, key: str) -> Any:
    """What dvc.yaml says under the key for the stage, in any of its arms."""
    return STAGES[name].get("do", STAGES[name]).get(key, [])


def code(name: str) -> list[str]:
    return [path for path in entry(name, "deps") if path.endswith(".py")]


def flat(values: Any, path: str = "") -> dict[str, Any]:
    """Values by dotted names."""
    if not isinstance(values, dict):
        return {path: values}
    return {
        name: value for key, part in values.items() for name, value in flat(part, f"{path}.{key}".lstrip(".")).items()
    }


def families(name: str, arm: str) -> set[str]:
    """Families of presets of which the stage declares the chosen one, or several parts of it."""
    found = (
        re.fullmatch(r"(\w+)\.\$\{\w+\}(?:\.(?!balance)\w+)?", parameter)
        for parameter in declared(name, DVC, arm or None)
    )
    return {match[1] for match in found if match}


def test_the_stages_are_those_of_the_method_and_their_observers_and_each_says_what_it_does():
    assert set(STAGES) == NAMES | set(FROZEN) | OBSERVERS
    assert all(entry(name, "desc").strip() for name in STAGES)
    read = {path for name in STAGES for path in entry(name, "deps")}
    assert [path for name in OBSERVERS for _, path, _ in outputs(STAGES[name]) if path in read] == []


@each_stage
def test_a_stage_runs_its_own_script_under_any_launcher(name):
    arm = {"matrix": " ${item.arm}", "foreach": " ${key}"}.get(next(iter(STAGES[name])), "")
    assert entry(name, "cmd") == rf"\${{LAUNCH:-python}} -m stages.{name}{arm}"
    assert all(re.fullmatch(r"\w*", arm) for arm in arms(STAGES[name]))  # DVC hands it to a shell


@each_stage
def test_a_stage_declares_exactly_the_code_that_it_imports(name):
    assert code(name) == sorted(import_closure(ROOT / "stages" / f"{name}.py")), "run `make deps`"
    words = (word for stage in STAGES.values() for item in stage.get("foreach", {}).values() for word in item.values())
    others = {*entry(name, "deps"), *(word for word in words if "/" in word)} - {*code(name), GLYPHS}
    assert {path.split("/")[0] for path in others} <= {"data", "models", "prompts", *ITEMS}


def test_every_module_belongs_to_a_stage_a_command_or_a_benchmark_and_package_files_hold_no_code():
    """Importing a module runs its packages' files too; empty ones need not be dependencies."""
    packages = set((ROOT / "src").rglob("__init__.py"))
    modules = {path.relative_to(ROOT).as_posix() for path in set((ROOT / "src").rglob("*.py")) - packages}
    scripts = [path for folder in ("commands", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert modules <= {path for name in STAGES for path in code(name)}.union(*map(import_closure, scripts))
    for path in packages:
        assert all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body), path


@each_arm
def test_a_stage_sees_the_parameters_that_dvc_tracks_for_it(name, arm, tracked):
    """Beyond that it has defaults of what params.yaml leaves out."""
    seen = plain(params.load(name, arm or None, ROOT))
    for family, field in PRESETS.items():
        if field in seen:
            preset = seen.pop(field)
            assert preset.pop("name") == CHOSEN[family]
            seen[family] = {CHOSEN[family]: preset}
    given = {path: value for path, value in flat(seen).items() if path in leaves(PARAMS)}
    assert given == flat(tracked[f"{name}@{arm}".rstrip("@")])


RETRAIN = ["retrain@synaug", "retrain@guided"]
SYNTH = ["synth_guided", "synth_synaug"]
BASES = ["train_base", "train_committee"]
MERGE = ["merge_balance@synaug", "merge_balance@guided"]


@pytest.mark.parametrize(
    ("parameter", "stages"),
    [
        ("seed", ["prepare_lt", *BASES, "fit_generator", *SYNTH, *RETRAIN]),
        (f"datasets.{PARAMS['dataset']}.imbalance_factor", ["prepare_lt"]),
        ("committee", ["train_committee"]),
        ("train.loss", [*BASES, *RETRAIN]),
        ("second_stages.crt.length", [*BASES, *RETRAIN]),
        (f"recipes.{PARAMS['dataset']}.lr", [*BASES, "synth_guided", *RETRAIN]),  # of online rounds
        (f"feedbacks.{PARAMS['feedback']}.scale", ["synth_guided"]),
        ("synth.conditioning", ["synth_guided"]),
        ("synth.image_dropout", ["synth_guided"]),
        (f"budgets.{PARAMS['dataset']}.per_class", SYNTH),
        (
            f"budgets.{PARAMS['dataset']}.balance",
            [*SYNTH, *MERGE, *RETRAIN],
        ),
        (f"generators.{PARAMS['generator']}.steps", [*SYNTH, "eval_fid_density_coverage"]),
        (f"generators.{PARAMS['generator']}.fit", ["fit_generator", *SYNTH, "eval_fid_density_coverage"]),
        ("online.rounds", ["synth_guided"]),
        ("synaug.translation", ["synth_synaug"]),
        ("merge.replace_fraction", MERGE),
        ("merge.filter", MERGE),
        ("retrain.fraction_real", ["retrain@guided"]),
        ("retrain.mixing", ["retrain@guided"]),
        ("retrain.loss", RETRAIN),
        ("retrain.second_stage", RETRAIN),
        ("synaug.mixing", ["retrain@synaug"]),
        ("synaug.last_layer.lr", ["retrain@synaug"]),
        ("evaluation.nearest_k", ["eval_fid_density_coverage"]),
        ("tiny.unet.steps", ["train_generator", "fit_generator"]),  # of a fit to its corpus
        ("tiny.pose.scale_min", ["train_generator", "train_tiny_decoder", "fit_generator"]),
        ("tiny_fashion.unet.steps", ["train_fashion_generator"]),
        ("tiny_decoder.width", ["train_tiny_decoder"]),
    ],
)
def test_an_ablation_touches_only_the_stages_that_it_concerns(parameter, stages, tracked):
    """What follows from these runs too."""
    assert parameter in leaves(PARAMS)
    assert sorted(name for name, values in tracked.items() if parameter in leaves(values)) == sorted(stages)


@pytest.mark.parametrize("family", CHOSEN)
def test_a_preset_that_is_not_chosen_concerns_no_stage(family, tracked):
    assert CHOSEN[family] in PARAMS[family] and len(PARAMS[family]) > 1
    for name, values in tracked.items():
        assert set(values.get(family, {})) <= {CHOSEN[family]}, name
    assert any(CHOSEN[family] in values.get(family, {}) for values in tracked.values())


def test_every_data_set_has_prompts_and_a_place_for_its_files():
    """They are chosen by its name."""
    for name in PARAMS["datasets"]:
        assert (ROOT / f"prompts/{name}.yaml").is_file() and (ROOT / f"data/raw/{name}/SOURCE.md").is_file(), name


@pytest.mark.parametrize("family", CHOSEN)
def test_presets_of_a_family_that_code_reads_alike_have_the_same_settings(family):
    """A data set's own are its kind's."""
    sorts: dict[str, set[frozenset[str]]] = {}
    for preset in PARAMS[family].values():
        sorts.setdefault(preset["kind"] if family == "datasets" else family, set()).add(frozenset(preset))
    assert {sort: len(found) for sort, found in sorts.items() if len(found) > 1} == {}


# Whose values belong to a choice, such as a loss or a second stage, and are read where it is taken.
CHOICES = ("train", "second_stages", "evaluation", "online", "merge")
# The same, stage by stage: a fit of the generator, a filter of images and online rounds are made where they are chosen.
NOT_BY_DEFAULT = {
    "fit_generator": {"generator", "tiny", "seed", "dataset"},
    "merge_balance": {"generator", "dataset"},
    "eval_fid_density_coverage": {"dataset"},  # by which `resolve` knows the tiny generator
    "synth_guided": {"recipe"},
    "synth_synaug": {"synaug"},
    "train_committee": {"seed", "recipe"},
}


@pytest.mark.slow
@each_arm
def test_declared_parameters_are_read_parameters(name, arm, micro):
    """The reads are those of a run of the stage in this arm (`tests.recording`).

    A preset is declared whole, because its name chooses it: there it is enough that some of it is read. The same holds
    of the parts in CHOICES. Of all else, every declared value must be. That no undeclared one is read, src.settings
    sees to at every run. What becomes of the parts that a stage copies (`train`), tests/training/test_arms.py says.
    """
    # Two stages measure another's images, and read what it reads.
    declares = {"measure_cost": f"synth_{arm}", "measure_difficulty": "synth_guided"}.get(name, name)
    offered = leaves(plain(params.load(declares, arm if declares == name and arm else None, micro.root)))
    read, chosen = (
        set(micro.reads[f"{name}@{arm}".rstrip("@")]),
        {PRESETS[family] for family in families(declares, arm)},
    )
    assert read <= offered
    unread = NOT_BY_DEFAULT.get(declares, set())
    assert chosen - unread <= {path.split(".")[0] for path in read}
    if declares != name:
        return
    given = offered - {f"{field}.name" for field in PRESETS.values()}  # a preset's name stands in no stage's list
    assert {path for path in given - read if path.split(".")[0] not in {*chosen, *CHOICES, *unread}} == set()


def test_an_experiment_that_rewrites_params_changes_its_value_and_nothing_else(tmp_path):
    """As `-S` does it: lists are in blocks, without comments at their items. Anchors would change another value too."""
    text, path = (ROOT / "params.yaml").read_text(), tmp_path / "params.yaml"
    path.write_text(text)
    apply_overrides(path, ["retrain.fraction_real=.25"])
    assert path.read_text() == text.replace("fraction_real: 0.5 ", "fraction_real: 0.25", 1) != text
    anchors = (yaml.AnchorToken, yaml.AliasToken)
    assert [token.start_mark.line + 1 for token in yaml.scan(text) if isinstance(token, anchors)] == []


def test_the_test_split_is_read_by_eval_acc_alone():
    def touches(path: str) -> bool:
        return path in ("data", "data/real", "data/real/test") or path.startswith("data/real/test/")

    assert [name for name in STAGES if any(map(touches, entry(name, "deps")))] == ["eval_acc"]
    for script in (ROOT / "stages").glob("*.py"):
        assert script.stem == "eval_acc" or "real/test" not in script.read_text()


def test_the_shipped_models_are_frozen_and_live_in_git():
    assert {name for name, stage in STAGES.items() if stage.get("frozen")} == set(FROZEN)
    for name, folder in FROZEN.items():
        assert list(outputs(STAGES[name])) == [("outs", folder, False)]


def test_what_the_method_makes_is_cached_and_what_git_keeps_comes_from_observers_that_may_run_again():
    """`cache: false` under `outs`, or `persist`, would switch the run-cache off for the stage."""
    for name in NAMES:
        assert all(path.startswith("data/") and cached for _, path, cached in outputs(STAGES[name])), name
    for name in OBSERVERS:
        assert all(path.startswith("metrics/") and not cached for _, path, cached in outputs(STAGES[name])), name
    assert "persist" not in (ROOT / "dvc.yaml").read_text()


def test_every_small_result_is_copied_into_git():
    results = {path for name in NAMES for _, path, _ in outputs(STAGES[name]) if path.startswith("data/results/")}
    assert results == set(entry("summarise", "deps")) - set(code("summarise"))
    assert {path.replace("data/results", "metrics") for path in results} == {
        path for kind, path, _ in outputs(STAGES["summarise"]) if kind == "outs"
    }


def test_one_file_is_the_metric():
    every = [path for stage in STAGES.values() for kind, path, _ in outputs(stage) if kind == "metrics"]
    assert every == ["metrics/summary.json"] and "metrics" not in DVC


def test_the_cost_is_no_output_because_times_differ_between_runs():
    assert list(outputs(STAGES["measure_cost"])) == []


def test_plots_are_drawn_once_each_of_outputs_that_stages_have(tmp_path):
    """At top level alone: a plot of a stage would be drawn beside it."""
    written = {path for stage in STAGES.values() for _, path, _ in outputs(stage)}
    assert not any(entry(name, "plots") for name in STAGES)
    for plot in DVC["plots"]:
        ((name, settings),) = plot.items() if isinstance(plot, dict) else [(plot, {})]
        y = settings.get("y")
        assert set(y if isinstance(y, dict) else [name]) <= written
    shown = json.loads(run_dvc(copy_repository(tmp_path / "copy"), "plots", "show", "--json"))["data"]
    assert len(shown) == len(DVC["plots"])
    for name, charts in shown.items():
        assert [bool(chart.get("content") or chart.get("url")) for chart in charts] == [True], name


@pytest.mark.slow
def test_lock_code_parameters_and_committed_results_agree(tmp_path):
    """In a copy without data: `dvc repro` would run nothing."""
    output = run_dvc(copy_repository(tmp_path / "copy"), "repro", "--allow-missing", "--dry")
    assert "Running stage" not in output, output
    for name in map("@".join, instances()):
        assert f"Stage '{name}' didn't change, skipping" in output, output
