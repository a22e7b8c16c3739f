"""Rule x0: its limits, its noise, and that it asks the UNet for no gradient. The loop itself: `test_sampling`."""

import pytest
import torch

from src.generators.prediction import PREDICTION_TYPES, Noise, output_for, x0_hat
from src.generators.sampler import SCHEDULERS, Step
from tests.feedback import fakes
from tests.feedback.fakes import Listener
from tests.feedback.settings import feedback_settings


def listening(**changes: object) -> Listener:
    return Listener(fakes.value, feedback_settings(**{"rule": "x0", "scale": 0.1, **changes}), fakes.decode, 2)


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_the_output_for_an_image_means_that_image(kind: str) -> None:
    z, x0 = (fakes.batch(3)["z"], fakes.batch(6)["z"][3:])
    noise = Noise(0.6, 0.8)
    assert torch.allclose(x0_hat(kind, z, output_for(kind, z, x0, noise), noise), x0, atol=1e-12)


def test_several_steps_share_the_length_of_one_and_climb_further() -> None:
    inputs = fakes.batch(16)
    after = {}
    for steps in (1, 8):
        listens = listening(inner_steps=steps, scale=0.3)
        after[steps] = fakes.value(fakes.decode(fakes.run("ddim", "epsilon", listens, inputs)), inputs["labels"])
        assert torch.as_tensor(listens.trace.updates).tolist() == [8] * 16  # one for each guided step
    plain = fakes.value(fakes.decode(fakes.run("ddim", "epsilon", None, inputs)), inputs["labels"])
    assert after[8].mean() > after[1].mean() > plain.mean()


def test_the_path_is_no_longer_than_the_scale_says() -> None:
    z, labels = (fakes.batch(4)[name] for name in ("z", "labels"))
    noise = Noise(0.6, 0.8)
    denoiser = fakes.ClassifierFreeGuidance(lambda z, t, condition: z.tanh(), "v_prediction", {}, {}, 1.0)
    predict = listening(inner_steps=5, smoothing=0.2).wrap(denoiser, labels)
    output, same = predict(z, Step(0, 500, noise))
    before, after = (x0_hat("v_prediction", z, o, noise).flatten(1) for o in (z.tanh(), output))
    assert torch.equal(same, z)
    assert ((after - before).norm(dim=1) <= 0.1 * before.norm(dim=1) * (1 + 1e-9)).all()
    assert ((after - before).norm(dim=1) > 0.01 * before.norm(dim=1)).all()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_renewed_noise_is_an_image_s_own_whoever_is_beside_it(name: str) -> None:
    alone = fakes.run(name, "v_prediction", listening(smoothing=0.3, inner_steps=3), fakes.batch(2))
    among = fakes.run(name, "v_prediction", listening(smoothing=0.3, inner_steps=3), fakes.batch(9))
    without = fakes.run(name, "v_prediction", listening(inner_steps=3), fakes.batch(2))
    assert (alone - among[:2]).abs().max() <= 1e-12 and (alone - without).abs().max() > 1e-3


def test_the_unet_is_never_asked_for_a_gradient() -> None:
    inputs, asked = fakes.batch(3), []

    def watched(z: torch.Tensor, t: int, condition: dict[str, torch.Tensor]) -> torch.Tensor:
        asked.append(torch.is_grad_enabled())
        return fakes.denoise(z, t, condition)

    fakes.sampled(watched, fakes.noise_schedule("ddim", "epsilon"), listening(), inputs)
    assert len(asked) == 8 and not any(asked)
