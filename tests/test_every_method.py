"""Every method beyond the defaults, through its stages, on a miniature of the digits: what it promises can be seen."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from src.data.merged_index import read_merged
from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.runtime.pipeline import read_mapping
from src.settings.params import resolve
from src.settings.together import check_one_step
from src.shards.store import Shards
from src.versions.import_closure import ROOT
from tests.micro import put, set_parameters
from tests.small import enter, fill, lay_out, run

FEW = {f"generators.{name}.{key}": value for name in ("tiny_lora", "tiny_textual_inversion", "vae", "gan")
       for key, value in (("steps", 2), ("fit.steps", 3), ("fit.batch", 4))}  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and a base classifier, with the shipped generator, that nothing here changes."""
    root = tmp_path_factory.mktemp("methods") / "prepared"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        enter(root, "digits", ROOT / "models/tiny_unclip", patch)
        lay_out("digits")
        set_parameters(root, {**FEW, "synth.shard_size": 6})
        run("prepare_lt", patch)
        fill("digits")
        run("train_base", patch)
        run("train_committee", patch)
    return root


@pytest.fixture
def here(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "here"
    shutil.copytree(prepared, root)
    monkeypatch.chdir(root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return root


class Made(NamedTuple):
    """pixels (N, H, W, 3), labels (N,) and what is recorded of each image."""

    pixels: np.ndarray
    labels: np.ndarray
    metas: list[dict[str, Any]]

    def each(self, name: str) -> list[Any]:
        return [meta[name] for meta in self.metas]


def make(here: Path, monkeypatch: pytest.MonkeyPatch, arm: str, **changes: Any) -> Made:
    """The arm's images under these parameters, whose dots are written as two underscores."""
    set_parameters(here, {name.replace("__", "."): value for name, value in changes.items()})
    run("fit_generator", monkeypatch)
    run(f"synth_{arm}", monkeypatch)
    shards = Shards(f"data/synth/{arm}")
    pixels = np.array(shards.images()[:]).astype(int)
    return Made(pixels, np.array(shards.labels), [shards.meta(i) for i in range(len(shards))])


@pytest.mark.slow
@pytest.mark.parametrize("feedback", ["chamfer", "learnability", "x0", "disagreement"])
def test_a_feedback_raises_its_own_criterion(here: Path, monkeypatch: pytest.MonkeyPatch, feedback: str) -> None:
    """Over all images, against the same images without guidance."""
    if feedback == "disagreement":
        set_parameters(here, {"committee": 3})
        run("train_committee", monkeypatch)
        assert sorted(path.name for path in Path("data/committee").iterdir() if path.is_dir()) == ["1", "2"]
    scale, every = f"feedbacks.{feedback}.scale", f"feedbacks.{feedback}.every"
    set_parameters(here, {every: 1, scale: 0.0})
    plain = make(here, monkeypatch, "guided", feedback=feedback)
    set_parameters(here, {scale: 0.05})
    made = make(here, monkeypatch, "guided")
    assert np.mean(made.each("criterion_after")) > np.mean(plain.each("criterion_after"))
    assert not np.array_equal(made.pixels, plain.pixels) and set(made.each("updates")) == {2}


@pytest.mark.slow
def test_a_cohort_lies_in_one_shard(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_parameters(here, {"budgets.digits.per_class": 4, "feedbacks.chamfer.cohort": 2})
    made = make(here, monkeypatch, "guided", feedback="chamfer")
    where = {key: i for i, key in enumerate(zip(made.each("label"), made.each("index"), strict=True))}
    for label, index in where:
        partner = where[label, index ^ 1]
        assert abs(where[label, index] - partner) == 1 and where[label, index] // 6 == partner // 6


@pytest.mark.slow
def test_mixed_embeddings_make_other_images_and_without_a_partner_s_share_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = make(here, monkeypatch, "guided", feedback="none").pixels
    mixed, labels, _ = make(here, monkeypatch, "guided", synth__embedding_mix=1.0)
    tail = labels == 9  # one real image: it is its own partner
    assert not np.array_equal(plain[~tail], mixed[~tail]) and np.abs(plain[tail] - mixed[tail]).max() <= 1


@pytest.mark.slow
def test_online_feedback_makes_its_first_round_as_the_base_would_and_the_next_otherwise(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_parameters(here, {"feedbacks.entropy.every": 1, "feedbacks.entropy.scale": 0.1})
    one_shot = make(here, monkeypatch, "guided").pixels
    online = make(here, monkeypatch, "guided", online__rounds=2).pixels
    first = 12  # two of four shards of six
    assert np.array_equal(online[:first], one_shot[:first]) and not np.array_equal(online[first:], one_shot[first:])
    assert np.array_equal(make(here, monkeypatch, "guided").pixels, online)


@pytest.mark.slow
def test_without_feedback_rounds_change_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = make(here, monkeypatch, "guided", feedback="none").pixels
    assert np.array_equal(make(here, monkeypatch, "guided", online__rounds=3).pixels, plain)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["intra_class", "inter_class"])
def test_a_translation_says_where_it_began(here: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    made, real = make(here, monkeypatch, "synaug", synaug__translation=kind), Shards("data/real/train")
    sizes = np.bincount(real.labels)
    begun = [(meta["label"], real.labels[meta["start"]]) for meta in made.metas]
    if kind == "intra_class":
        assert all(label == its for label, its in begun)
    else:
        assert all(sizes[its] > sizes[label] or label == its == sizes.argmax() for label, its in begun)


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["tiny_lora", "tiny_textual_inversion", "vae", "gan"])
def test_a_fitted_generator_makes_both_arms(here: Path, monkeypatch: pytest.MonkeyPatch, generator: str) -> None:
    for arm in ("guided", "synaug"):
        plain = make(here, monkeypatch, arm, generator="tiny_unclip", feedback="none")
        made = make(here, monkeypatch, arm, generator=generator)
        assert made.labels.tolist() == plain.labels.tolist() and not np.array_equal(made.pixels, plain.pixels)
        learnt = any("<class-9>" in prompt for prompt in made.each("prompt"))
        assert learnt == (generator == "tiny_textual_inversion")
    first = {path.name: path.read_bytes() for path in Path("data/fitted").iterdir()}
    run("fit_generator", monkeypatch)
    assert {path.name: path.read_bytes() for path in Path("data/fitted").iterdir()} == first


def test_a_generator_of_one_step_takes_no_feedback(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="generator=gan makes an image in one step, which leaves nothing to guide"):
        make(here, monkeypatch, "guided", generator="gan")


def test_the_pool_makes_both_arms_of_real_images_that_training_does_not_have(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = {image.tobytes() for image in Shards("data/real/train").images()[:]}
    pool = Shards("data/real/pool")
    chosen = {}
    for arm, feedback in (("synaug", "none"), ("guided", "none"), ("guided", "select")):
        made = make(here, monkeypatch, arm, generator="pool", feedback=feedback, feedbacks__select__candidates=6)
        assert [pool.labels[i] for i in made.each("pool")] == made.labels.tolist()
        assert all(
            np.array_equal(pool.image(i), image) for i, image in zip(made.each("pool"), made.pixels, strict=True)
        )
        assert len({image.astype(np.uint8).tobytes() for image in made.pixels} - trained) == len(made.pixels)
        chosen[arm, feedback] = made
    plain, best = chosen["guided", "none"], chosen["guided", "select"]
    assert plain.each("pool") == chosen["synaug", "none"].each("pool") != best.each("pool")
    near = make(here, monkeypatch, "guided", feedbacks__select__target="real")
    off = {k: np.abs(np.array(m.each("criterion_after")) - near.each("target")) for k, m in (("m", best), ("n", near))}
    assert off["n"].mean() < off["m"].mean()
    assert np.mean(near.each("criterion_after")) < np.mean(best.each("criterion_after"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"feedback": "entropy"}, "leaves nothing to guide; set the feedback preset's scale to 0, as in select"),
        ({"feedback": "chamfer"}, "leaves nothing to guide"),
        (
            {"feedback": "learnability", "feedbacks.learnability.scale": 0.0},
            "has no CLIP; set feedback to select or none",
        ),
        ({"feedback": "select", "online.rounds": 2}, "all chosen before the first round; set online.rounds=1"),
        (
            {"feedback": "none", "budgets.digits.name_context": True},
            "knows no contexts; set the budget's balance=class",
        ),
    ],
)
def test_the_pool_refuses_what_it_cannot_heed(changes: dict[str, Any], sentence: str) -> None:
    everything = read_mapping(ROOT / "params.yaml")
    put(everything, {"generator": "pool", **changes})
    with pytest.raises(InputError, match=f"generator=pool takes real images as they are, .*{sentence}"):
        check_one_step(resolve("synth_guided", read_mapping(ROOT / "dvc.yaml"), everything))


def test_a_pool_of_training_images_alone_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree("data/real/pool")
    shutil.copytree("data/real/train", "data/real/pool")
    with pytest.raises(InputError, match="data/real/pool holds none of class zero; choose another generator"):
        make(here, monkeypatch, "guided", generator="pool", feedback="none")


@pytest.mark.slow
@pytest.mark.parametrize("pilot", [None, 1])
def test_matched_feedback_makes_the_same_images_again_and_says_how_hard_they_are(
    here: Path, monkeypatch: pytest.MonkeyPatch, pilot: int | None
) -> None:
    set_parameters(here, {"feedbacks.matched.first": 0, "feedbacks.matched.pilot": pilot})
    made = make(here, monkeypatch, "guided", feedback="matched")
    assert set(made.each("updates")) == {2} and len(set(made.each("target"))) > 1
    run("measure_difficulty", monkeypatch)
    report = read_json("metrics/difficulty.json")
    assert list(report) == ["hardness", "loss"]
    assert all(set(part["overall"]) == {"real", "unguided", "guided"} for part in report.values())
    judged = np.mean(made.each("criterion_after"))
    assert report["hardness"]["overall"]["guided"]["mean"] == pytest.approx(judged, abs=0.02)  # but for 256 levels
    shutil.rmtree("data/synth/guided")
    assert np.array_equal(make(here, monkeypatch, "guided").pixels, made.pixels)


@pytest.mark.slow
def test_without_feedback_images_are_judged_by_loss(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(here, monkeypatch, "guided", feedback="none")
    run("measure_difficulty", monkeypatch)
    report = read_json("metrics/difficulty.json")
    assert list(report) == ["loss"] and set(report["loss"]["overall"]) == {"real", "unguided"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clean", "clip"])
def test_a_filter_says_what_share_it_kept_and_the_next_images_take_their_place(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = make(here, monkeypatch, "guided", feedback="none", budgets__digits__per_class=6, merge__per_class=2)
    run("merge_balance", monkeypatch, "guided")
    assert read_json("data/results/filter/guided.json")["share_kept"] == 1.0
    thinned = read_merged(Path("data/merged/guided.csv"))
    set_parameters(here, {"merge.filter": name, "merge.filter_high": 0.5})
    run("merge_balance", monkeypatch, "guided")
    filtered, share = read_merged(Path("data/merged/guided.csv")), read_json("data/results/filter/guided.json")
    assert 0 < share["share_kept"] < 1
    kept = np.round(np.array(share["share_kept_by_class"]) * np.bincount(made.labels)).astype(int)
    assert np.bincount(filtered.label[filtered.synthetic], minlength=10).tolist() == np.minimum(kept, 2).tolist()
    assert np.bincount(thinned.label[thinned.synthetic]).tolist() == [2] * 10
    assert set(filtered.position[filtered.synthetic]) - set(thinned.position[thinned.synthetic])


@pytest.mark.slow
def test_synthetic_then_real_ends_on_real_images(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(here, monkeypatch, "guided", feedback="none", retrain__fraction_real=0.0, retrain__second_stage="finetune")
    run("merge_balance", monkeypatch, "guided")
    run("retrain", monkeypatch, "guided")
    assert "finetune" in read_json("data/results/validation/guided.json")["later_stages"]
