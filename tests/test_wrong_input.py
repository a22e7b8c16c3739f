"""Wrong settings and damaged files: one clear sentence, exit code 2, and nothing written."""

import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from src.errors import run_stage
from src.training.models import build, save
from tests.micro import RESULTS, digests, set_parameters

pytestmark = pytest.mark.slow
WEIGHTS = Path("models/tiny_unclip/unet/diffusion_pytorch_model.safetensors")
SHORT = {"budgets.digits.fill": "up_to", "budgets.digits.per_class": 30}


def cut_in_half(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()  # the copy may share its bytes with DVC's cache
    path.write_bytes(data[: len(data) // 2])


def spoil_an_image(folder: str) -> None:
    path = Path(folder) / "shard-00000.tar"
    data = bytearray(path.read_bytes())
    start = data.index(b"IDAT") + 8
    data[start : start + 8] = bytes(8)
    path.unlink()
    path.write_bytes(data)


def stopped(stage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the stage, which must stop with exit code 2 and write nothing. Returns the one sentence that it says."""
    name, *arguments = stage.split()
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    main: Callable[[], None] = importlib.import_module(f"stages.{name}").main
    before = digests(*map(Path, RESULTS))
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        run_stage(main)
    assert exit_.value.code == 2
    assert digests(*map(Path, RESULTS)) == before
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    return line


@pytest.mark.parametrize(
    ("stage", "changes", "sentence"),
    [
        ("prepare_lt", {"dataset": "imagenet"}, "unknown dataset 'imagenet'; params.yaml knows digits"),
        ("synth_guided", {"generator": "dalle"}, "unknown generator 'dalle'; params.yaml knows tiny_unclip"),
        ("synth_synaug", {"generator": "dalle"}, "unknown generator 'dalle'; params.yaml knows tiny_unclip"),
        ("synth_guided", {"feedback": "applause"}, "unknown feedback 'applause'; params.yaml knows none, loss"),
        ("prepare_lt", {"datasets.digits.imbalance_factor": 61}, "it can be at most 60"),
        ("prepare_lt", {"datasets.digits.imbalance_factor": 0.5}, "at least 1"),
        ("prepare_lt", {"datasets.digits.imbalance_factor": float("nan")}, "imbalance_factor' is nan; give it"),
        ("prepare_lt", {"datasets.digits.head_count": 500}, "lower the head count"),
        ("prepare_lt", {"datasets.digits.test_per_class": 200}, "lower test_per_class"),
        ("train_base", {"recipes.digits.lr": "1e-4"}, "lr' is the text '1e-4', not a number; write 0.0001"),
        ("train_base", {"recipes.digits.model": "vgg"}, "unknown model 'vgg'; choose one of: small_cnn"),
        ("train_base", {"recipes.digits.epochs": 2}, "give the length either as epochs or as steps"),
        ("train_base", {"recipes.digits.schedule": "zigzag"}, "unknown schedule 'zigzag'; choose one of: "),
        ("train_base", {"recipes.digits.augment": "smudge"}, "unknown augment 'smudge'; choose one of: none, shift"),
        ("train_base", {"recipes.digits.selection": "luck"}, "unknown selection 'luck'; choose one of: macro"),
        ("train_base", {"recipes.digits.selection": "worst_group"}, "worst_group needs groups"),
        ("train_base", {"train.loss": "hinge"}, "unknown loss 'hinge'; choose one of: cross_entropy, focal"),
        ("train_base", {"train.weighting": "fair"}, "unknown weighting 'fair'; choose one of: none, class_balanced"),
        ("train_base", {"train.sampler": "dice"}, "unknown sampler 'dice'; choose one of: instance, class"),
        ("train_base", {"train.second_stage": "third"}, "unknown second stage 'third'; choose one of: none, crt"),
        ("train_base", {"train.loss": "group_dro"}, "train.loss group_dro works by group, and this data set has no"),
        ("train_base", {"train.sampler": "group"}, "train.sampler group works by group, and this data set has no"),
        ("train_base", {"train.weighting": "inverse_group"}, "train.weighting inverse_group works by group"),
        ("train_base", {"train.loss": "focal", "train.focal_gamma": -1}, "train.focal_gamma must not be negative"),
        ("retrain guided", {"train.loss": "group_dro"}, "train.loss group_dro works by group, and this data set"),
        ("retrain synaug", {"retrain.second_stage": "third"}, "unknown second stage 'third'; choose one of: none, crt"),
        ("train_base", {"train.mixing": "blend"}, "unknown mixing 'blend'; choose one of: none, mixup, cutmix"),
        ("retrain synaug", {"synaug.mixing": "blend"}, "unknown mixing 'blend'; choose one of: none, mixup, cutmix"),
        ("retrain guided", {"retrain.fraction_real": 1.5}, "lies in [0, 1], not 1.5"),
        ("synth_guided", SHORT, "per_class=30 is below the head count 60"),
        ("synth_synaug", SHORT, "per_class=30 is below the head count 60"),
        ("synth_guided", {"budgets.digits.fill": "sideways"}, "unknown budget fill 'sideways'; known: add, up_to"),
        ("synth_guided", {"budgets.digits.per_class": 0}, "set it to at least 1"),
        ("synth_guided", {"budgets.digits.balance": "mood"}, "unknown budget balance 'mood'; known: class, group"),
        ("synth_guided", {"budgets.digits.empty_group": "x"}, "unknown budget empty_group 'x'; known: class, text"),
        ("synth_guided", {"budgets.digits.balance": "group"}, "this data has no contexts; set the budget's balance"),
        ("synth_synaug", {"budgets.digits.name_context": True}, "this data has no contexts; set the budget's balance"),
        ("merge_balance guided", {"budgets.digits.balance": "group"}, "needs real and synthetic images with contexts"),
        ("synth_guided", {"synth.shard_size": 0}, "must be at least 1"),
        ("synth_guided", {"synth.conditioning": "smell"}, "choose one of text, image, text_image"),
        ("synth_guided", {"synth.image_dropout": 1.5}, "synth.image_dropout=1.5 must lie in [0, 1)"),
        ("synth_guided", {"feedbacks.entropy.criterion": "joy"}, "'joy' is unknown; choose one of none, loss, entropy"),
        ("synth_guided", {"feedbacks.entropy.rule": "polite"}, "choose one of latent, score"),
        ("synth_guided", {"feedbacks.entropy.every": 0}, "feedback needs every >= 1"),
        ("synth_guided", {"generators.tiny_unclip.scheduler": "euler"}, "'euler' is unknown; choose one of ddim"),
        ("synth_guided", {"generators.tiny_unclip.scheduler": "unipc"}, "use ddim or dpmpp_2m"),
        ("synth_guided", {"generators.tiny_unclip.noise_level": 1000}, "must lie in 0..999"),
        ("eval_fid_density_coverage", {"evaluation.nearest_k": 20}, "below the 20 images of 'synaug'"),
        ("synth_guided", {"generators.tiny_unclip.path": "models/absent"}, "no model_index.json"),
        ("synth_guided", {"generators.tiny_unclip.precision": "float16"}, "precision=float16 needs a GPU"),
        ("synth_guided", {"generators.tiny_unclip.compile": "yes"}, "compile must be true or false, not 'yes'"),
        ("synth_synaug", {"generators.tiny_unclip.precision": "int8"}, "'int8' is unknown; choose one of auto"),
        ("synth_synaug", {"generators.tiny_unclip.image_size": 36}, "image_size=36 must be a multiple of 8"),
        ("synth_guided", {"feedbacks.entropy.decoder": "quarter"}, "choose one of full, half, tiny"),
        (
            "synth_guided",
            {"feedbacks.entropy.decoder": "tiny", "generators.tiny_unclip.tiny_decoder": None},
            "decoder=tiny needs the generator preset's tiny_decoder",
        ),
        ("synth_guided", {"feedbacks.entropy.stop_gradient": "yes"}, "stop_gradient must be true or false, not 'yes'"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_one_sentence_and_touches_nothing(stage, changes, sentence, workspace, capsys, monkeypatch):
    set_parameters(workspace, changes)
    assert sentence in stopped(stage, capsys, monkeypatch)


def test_a_classifier_of_other_classes_than_the_data_is_one_sentence(workspace, capsys, monkeypatch):
    save(build("small_cnn", 7, 32, 0), "data/base")
    assert "data/base tells 7 classes apart, the data has 10" in stopped("synth_guided", capsys, monkeypatch)


@pytest.mark.parametrize("stage", ["synth_guided", "synth_synaug", "eval_fid_density_coverage"])
def test_a_missing_or_truncated_generator_file_is_one_sentence(stage, workspace, capsys, monkeypatch):
    cut_in_half(WEIGHTS)
    assert f"{WEIGHTS} is truncated" in stopped(stage, capsys, monkeypatch)
    WEIGHTS.unlink()
    assert "lacks the weights of 'unet'" in stopped(stage, capsys, monkeypatch)
    shutil.rmtree(WEIGHTS.parent)
    assert "lacks its part 'unet'" in stopped(stage, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("folder", "stages"),
    [
        ("data/real/train", ["train_base", "synth_guided", "retrain guided"]),
        ("data/real/val", ["train_base", "retrain synaug", "eval_fid_density_coverage"]),
        ("data/synth/guided", ["retrain guided", "eval_fid_density_coverage"]),
        ("data/real/test", ["eval_acc"]),
    ],
)
def test_a_shard_with_a_corrupt_image_is_named_with_the_image(folder, stages, workspace, capsys, monkeypatch):
    spoil_an_image(folder)
    for stage in stages:
        line = stopped(stage, capsys, monkeypatch)
        assert f"{folder}/shard-00000.tar is damaged at sample 00000000" in line and "dvc checkout" in line


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("data/base/model.safetensors", "synth_guided"),
        ("data/retrained/guided/model.safetensors", "eval_acc"),
        ("data/reference/config.json", "eval_fid_density_coverage"),
        ("data/merged/guided.csv", "retrain guided"),
        ("data/synth/guided/index.jsonl", "merge_balance guided"),
        ("prompts/digits.yaml", "synth_synaug"),
        ("data/real/names.json", "train_base"),
    ],
)
def test_a_damaged_or_missing_input_is_named(path, stage, workspace, capsys, monkeypatch):
    cut_in_half(Path(path))
    named = path if not path.endswith("model.safetensors") else str(Path(path).parent)
    assert named in stopped(stage, capsys, monkeypatch)
    Path(path).unlink()
    assert f"{path} is missing" in stopped(stage, capsys, monkeypatch)
