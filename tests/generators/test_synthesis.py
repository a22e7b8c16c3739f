"""What each synthetic image is told, what is recorded of it, and what does not change it."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from src.feedback.guidance import loss_scale
from src.feedback.update_rules import RULES
from src.generators.diffusion_model import DiffusionModel
from src.generators.sampler import SCHEDULERS
from src.runtime.errors import InputError
from src.runtime.seeds import derive
from src.settings.schema import build
from src.settings.sections import FeedbackSettings, SynthSettings
from src.synthesis.conditioning import CONDITIONING, PROMPTS, Conditioning, embedding_dropout, encoded
from src.synthesis.plan import PlannedImage
from src.synthesis.synthesiser import Synthesiser
from tests.feedback.settings import feedback_settings
from tests.generators.scene import GUIDED, SETTINGS, Scene, change, smooth_value

FIELDS = {
    "label",
    "index",
    "seed",
    "prompt",
    "source",
    "criterion_before",
    "criterion_after",
    "updates",
    "skipped",
}


def record(generator: DiffusionModel, method: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What the generator's method is called with from now on."""
    calls: list[tuple] = []
    original = getattr(generator, method)

    def recorder(*arguments: object) -> Any:
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(generator, method, recorder)
    return calls


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_in_float32_an_image_differs_by_1e_5_at_most_among_other_batch_mates(
    scene: Scene, name: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scene.synthesiser(
        change(scheduler=name), feedback_settings(scale=0.1, every=2, rule=rule), smooth_value(scene)
    )
    decoded = record(scene.generator, "decode", monkeypatch)
    made(scene.plan)
    among = decoded[-1][0]  # the last decoding is of the finished latents
    made(scene.plan[4:5])
    assert (among[4:5] - decoded[-1][0]).abs().max() <= 1e-5


@pytest.mark.parametrize("name", ["unclip", "sd15", "sdxl"])
def test_thousands_of_prompts_pass_the_encoders_in_parts_and_each_image_is_told_its_own(
    scene: Scene, generators: dict[str, DiffusionModel], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, one = scene.of(generators[name]), scene.plan[0]
    plan = [replace(one, index=i, prompt="a photo of a" + " bold" * (i % 20) + " thin" * (i // 20)) for i in range(300)]
    expected = here.generator.text([p.prompt for p in plan])
    asked = record(here.generator, "text", monkeypatch)
    made = here.synthesiser(conditioning="text", plan=plan)
    lengths = [len(prompts) for (prompts,) in asked if list(prompts) != [""]]
    assert lengths == [PROMPTS, 300 - PROMPTS]
    told = made.condition(plan)
    assert all(torch.allclose(told[key], value, rtol=0, atol=1e-5) for key, value in expected.items())


def test_prompts_that_fit_are_encoded_in_one_pass_bit_for_bit(scene: Scene) -> None:
    prompts = sorted({p.prompt for p in scene.plan})
    told, plain = encoded(scene.generator, prompts), scene.generator.text(prompts)
    assert all(torch.equal(told[key], value) for key, value in plain.items())


@pytest.mark.parametrize("feedback", [None, GUIDED])
def test_provenance_is_complete(scene: Scene, feedback: FeedbackSettings | None) -> None:
    made = scene.synthesiser(feedback=feedback, value=scene.value)(scene.plan)
    for planned, (image, meta) in zip(scene.plan, made, strict=True):
        assert image.shape == (32, 32, 3) and image.dtype == np.uint8
        assert set(meta) == FIELDS
        assert all(meta[name] == getattr(planned, name) for name in ("label", "index", "seed", "prompt", "source"))
        assert scene.labels[meta["source"]] == meta["label"]
        assert (meta["criterion_before"] is None) == (feedback is None)
        assert meta["criterion_after"] >= 0 and meta["skipped"] == 0
        assert meta["updates"] == (0 if feedback is None else SETTINGS.steps)


def test_the_criterion_after_is_that_of_the_image_and_guidance_raised_it(scene: Scene) -> None:
    plain = scene.synthesiser(value=scene.value)(scene.plan)
    made = scene.synthesiser(feedback=GUIDED)(scene.plan)
    shown = torch.from_numpy(np.stack([image for image, _ in made])).permute(0, 3, 1, 2).float() / 127.5 - 1
    after, before = (torch.tensor([meta["criterion_after"] for _, meta in samples]) for samples in (made, plain))
    assert torch.allclose(after, scene.value(shown, torch.tensor([p.label for p in scene.plan])), atol=1e-3)
    assert (after - before).mean() > 0


def test_scale_zero_makes_the_pixels_of_no_feedback(scene: Scene) -> None:
    silent = scene.synthesiser(feedback=feedback_settings(scale=0.0))(scene.plan)
    plain = scene.synthesiser()(scene.plan)
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(silent, plain, strict=True))


def test_dropout_puts_the_mean_in_place_of_its_share_of_the_embedding(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(scene.generator, "image", monkeypatch)
    for rate in (0.0, 0.4):
        scene.synthesiser(change(steps=1), image_dropout=rate)(scene.plan)
    # Each synthesiser asks for one image's condition first, to measure what fits.
    (whole, _, noise), (dropped, _, same_noise) = (call for call in calls if len(call[0]) == len(scene.plan))
    assert torch.equal(whole, scene.generator.image_embeddings(scene.images)[[p.source for p in scene.plan]])
    kept, mean = dropped == whole, scene.generator.mean_embedding(whole).expand_as(whole)
    assert torch.equal(dropped[~kept], mean[~kept])
    assert 0.25 < 1 - kept.float().mean() < 0.55  # 144 dimensions: .4 +- 3.5 standard errors
    assert len(kept.unique(dim=0)) > 1 and torch.equal(noise, same_noise)


def test_dropout_changes_the_images(scene: Scene) -> None:
    whole, dropped = (scene.synthesiser(image_dropout=rate)(scene.plan) for rate in (0.0, 0.4))
    assert not any(np.array_equal(a, b) for (a, _), (b, _) in zip(whole, dropped, strict=True))


@pytest.mark.parametrize("conditioning", CONDITIONING)
def test_the_model_is_told_what_the_conditioning_says_and_nothing_else(
    scene: Scene, conditioning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(scene.generator, "denoise", monkeypatch)
    made = scene.synthesiser(conditioning=conditioning)(scene.plan)
    empty = scene.generator.text([""] * len(scene.plan))["states"]
    for _, _, condition in calls:
        (absent, told), (no_image, image) = condition["states"].chunk(2), condition["class_labels"].chunk(2)
        assert torch.equal(absent, empty) and not no_image.any()
        assert torch.equal(told, empty) == (conditioning == "image")
        if conditioning == "text":
            assert not image.any()
        else:
            assert image.any(1).all()
    assert all((meta["prompt"] == "") == (conditioning == "image") for _, meta in made)
    assert all((meta["source"] is None) == (conditioning == "text") for _, meta in made)


def test_text_alone_needs_no_real_images_and_others_say_that_they_do(scene: Scene) -> None:
    assert len(Synthesiser(scene.generator, SETTINGS, scene.plan)(scene.plan[:2])) == 2
    with pytest.raises(InputError, match="conditioning=text_image needs real images"):
        Conditioning(scene.generator, scene.plan, "text_image")


def partly_alone(scene: Scene) -> list[PlannedImage]:
    """The scene's plan, every third image of an empty group: without a real image to be conditioned on."""
    return [replace(p, context=i % 3, source=None if i % 3 == 1 else p.source) for i, p in enumerate(scene.plan)]


def test_an_image_of_an_empty_group_is_told_what_text_alone_tells_and_the_others_what_they_were(scene: Scene) -> None:
    plan = partly_alone(scene)
    whole, mixed = scene.synthesiser(), scene.synthesiser(plan=plan)
    text = scene.synthesiser(conditioning="text")
    told_each = (rows_of(maker, made) for maker, made in ((mixed, plan), (text, plan), (whole, scene.plan)))
    for told, alone, usual in zip(*told_each, strict=True):
        expected = alone if told["source"] is None else usual
        assert all(torch.equal(told[name], expected[name]) for name in ("states", "class_labels"))
    only = [p for p in plan if p.source is None]
    nothing = scene.generator.no_image(len(only))["class_labels"]
    assert only and torch.equal(mixed.condition(only)["class_labels"], nothing)


def rows_of(maker: Synthesiser, plan: list[PlannedImage]) -> list[dict[str, Any]]:
    """What the denoiser is told about each image, and its source."""
    told = maker.condition(plan)
    return [{"source": p.source, **{name: value[i] for name, value in told.items()}} for i, p in enumerate(plan)]


@pytest.mark.parametrize("feedback", [None, GUIDED])
def test_images_of_empty_groups_are_those_of_text_alone_among_others(
    scene: Scene, feedback: FeedbackSettings | None
) -> None:
    plan = partly_alone(scene)
    mixed = scene.synthesiser(feedback=feedback, plan=plan)(plan)
    text = scene.synthesiser(conditioning="text", feedback=feedback, plan=plan)(plan)
    for planned, (image, meta), (alone, _) in zip(plan, mixed, text, strict=True):
        difference = np.abs(image.astype(int) - alone).max()
        # A pixel at the edge between two bytes may fall to the other side among other batch mates.
        assert difference <= 1 if planned.source is None else difference > 1
        assert meta["source"] == planned.source and meta["context"] == planned.context


def test_a_plan_with_empty_groups_needs_text_and_a_generator_that_can_leave_an_image_out(
    scene: Scene, generators: dict[str, DiffusionModel]
) -> None:
    plan = partly_alone(scene)
    with pytest.raises(InputError, match="image cannot make images of an empty group; set it to text_image"):
        scene.synthesiser(conditioning="image", plan=plan)
    with pytest.raises(InputError, match="cannot leave the image out for an empty group alone; set the budget's"):
        scene.of(generators["sdxl"]).synthesiser(plan=plan)
    with pytest.raises(InputError, match="text_image needs real images to condition on"):
        scene.synthesiser(plan=[replace(p, source=None) for p in plan])


@pytest.mark.parametrize("conditioning", ["image", "text_image"])
@pytest.mark.parametrize("name", ["sd15", "sd21"])
def test_an_image_cannot_condition_a_generator_that_takes_text_alone(
    scene: Scene, generators: dict[str, DiffusionModel], name: str, conditioning: str
) -> None:
    with pytest.raises(InputError, match=f"takes text alone, not synth.conditioning={conditioning}; set it to text"):
        scene.of(generators[name]).synthesiser(conditioning=conditioning)
    with pytest.raises(InputError, match="takes text alone"):
        generators[name].image(torch.zeros(1, 16), 0, torch.zeros(1, 16))


def test_only_float16_needs_its_gradients_scaled_and_a_power_of_two_changes_no_digit() -> None:
    assert loss_scale(torch.float32) == loss_scale(torch.bfloat16) == 1
    assert math.log2(loss_scale(torch.float16)).is_integer()


def test_what_the_model_is_to_be_told_is_one_of_three(scene: Scene) -> None:
    with pytest.raises(InputError, match=r"unknown synth.conditioning 'sound'; choose one of: text, image, text_image"):
        scene.synthesiser(conditioning="sound")
    synth = {"conditioning": "text_image", "dropout_form": "mean", "shard_size": 1, "image_format": "png"}
    for share, message in ((1.0, r"image_dropout=1\.0 must lie in \[0, 1\)"), (math.nan, "must be finite, not nan")):
        with pytest.raises(InputError, match=message):
            build(SynthSettings, {**synth, "image_dropout": share}, "synth")


def test_embedding_dropout_is_one_of_three_formulas() -> None:
    """With m_d ~ Bernoulli(1 - p), each row from its own generator."""
    e, mean = torch.randn(4, 2000, generator=torch.Generator().manual_seed(0)).split([3, 1])
    rate, mean = 0.3, mean[0]
    masks = torch.stack([torch.rand(2000, generator=torch.Generator().manual_seed(i)) >= rate for i in (1, 2, 1)])
    assert abs(masks.float().mean() - 0.7) < 0.03 and not torch.equal(masks[0], masks[1])
    expected = {"zero": e * masks, "rescaled": e * masks / 0.7, "mean": torch.where(masks, e, mean)}
    for form, values in expected.items():
        generators = [torch.Generator().manual_seed(i) for i in (1, 2, 1)]
        assert torch.equal(embedding_dropout(e, rate, form, mean, generators), values)
        assert torch.equal(embedding_dropout(e, 0.0, form, mean, [torch.Generator() for _ in range(3)]), e)
    with pytest.raises(InputError, match=r"unknown synth\.dropout_form 'noise'; choose one of: zero, rescaled, mean"):
        embedding_dropout(e, rate, "noise", mean, generators)


def test_rescaling_makes_embeddings_longer_than_any_images_and_the_mean_does_not() -> None:
    e = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))
    for rate, growth in ((0.3, 1.19), (0.5, 1.42), (0.7, 1.82)):
        generators = [torch.Generator().manual_seed(i) for i in range(500)]
        longer = embedding_dropout(e, rate, "rescaled", torch.zeros(64), generators).norm(dim=1) / e.norm(dim=1)
        assert longer.mean() == pytest.approx(growth, abs=0.03)


def test_the_mean_in_place_of_a_dropped_dimension_is_that_of_the_generators_images(scene: Scene) -> None:
    known = scene.generator.pipeline.image_normalizer.mean[0]
    assert torch.equal(scene.generator.mean_embedding(torch.ones(2, len(known))), known)


def test_the_best_candidate_by_the_criterion_is_kept(scene: Scene) -> None:
    """Generate, then select: what is kept is one of the candidates, each an image of its own seed."""
    chosen = scene.synthesiser(value=scene.value, candidates=3)(scene.plan)
    seeds = [[p.seed, derive("candidate", p.seed, 1), derive("candidate", p.seed, 2)] for p in scene.plan]
    alone = [
        scene.synthesiser(value=scene.value)([replace(p, seed=s[k]) for p, s in zip(scene.plan, seeds, strict=True)])
        for k in range(3)
    ]
    for i, (image, meta) in enumerate(chosen):
        values = [made[i][1]["criterion_after"] for made in alone]
        assert meta["criterion_after"] == max(values)
        assert meta["seed"] == seeds[i][int(np.argmax(values))]
        assert np.array_equal(image, alone[int(np.argmax(values))][i][0])
    assert len({meta["seed"] for _, meta in chosen} - {p.seed for p in scene.plan}) > 0


def test_candidates_need_a_criterion_to_choose_by(scene: Scene) -> None:
    with pytest.raises(InputError, match="candidates=2 need a criterion"):
        scene.synthesiser(candidates=2)


def test_mixed_embeddings_lie_between_those_of_two_real_images(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [replace(p, source=0, partner=partner) for p, partner in zip(scene.plan, [0, 3, 6, 9, None], strict=False)]
    told = record(scene.generator, "image", monkeypatch)
    for mix in (None, 1.0):
        Conditioning(scene.generator, plan, "text_image", 0.0, "mean", 0, scene.images, mix)(plan)
    (alone, _, noise), (mixed, _, same_noise) = told
    assert torch.equal(noise, same_noise)
    embeddings = scene.generator.image_embeddings(scene.images)
    assert torch.equal(alone, embeddings[[0] * 5])
    torch.testing.assert_close(mixed[[0, 4]], alone[[0, 4]])  # an image with itself, and one without a partner
    for i, partner in ((1, 3), (2, 6), (3, 9)):
        way, done = embeddings[partner] - embeddings[0], mixed[i] - embeddings[0]
        share = float(done @ way / (way @ way))
        assert 0 < share < 1
        torch.testing.assert_close(done, share * way, rtol=1e-4, atol=1e-5)
