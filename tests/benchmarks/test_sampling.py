"""The benchmark's contestants do the same thing: the plain order, its levers one by one, and the engine."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.measure import compared
from benchmarks.plain import thawed
from benchmarks.sampling import APPROXIMATIONS, LEVERS, Bench, gradient_cosines
from benchmarks.shapes import autoencoder, unet
from src.generators.loading import quiet
from src.shards.pixels import to_uint8
from src.synthesis.cost import flops
from src.synthesis.synthesiser import Synthesiser
from src.versions.import_closure import ROOT
from tests.feedback.settings import feedback_settings
from tests.generators import miniatures
from tests.generators.miniatures import load

IMAGES = 6


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder: Path = tmp_path_factory.mktemp("generator") / "miniature"
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        preset = miniatures.unclip(folder)
        model = load(preset, torch.device("cpu"))
    settings = miniatures.settings_of({**preset, "steps": 6})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return Bench(model, settings, feedback_settings(every=3), IMAGES)


@pytest.mark.parametrize("name", LEVERS)
def test_every_order_of_work_makes_the_engines_images(bench: Bench, name: str) -> None:
    conditioning = bench.conditioning(bench.plan)
    maker = Synthesiser(bench.model, bench.settings, bench.plan, conditioning, bench.listening())
    engine = np.stack([image for image, _ in maker(bench.plan)])
    unguided = np.stack([image for image, _ in maker.unguided()(bench.plan)])
    plain = to_uint8(bench.plain(LEVERS[name])())
    assert np.abs(plain.astype(int) - engine).max() <= 1  # a pixel at the edge between two bytes
    assert np.abs(unguided.astype(int) - engine).max() > 1


def test_thawed_networks_are_frozen_again_afterwards(bench: Bench) -> None:
    convolution = bench.model.pipeline.unet.conv_in
    with thawed(bench.model):
        assert "forward" not in vars(convolution)
    assert "forward" in vars(convolution)


def test_only_what_is_approximate_has_another_gradient(bench: Bench) -> None:
    names = ("exact", "first third only", "stop_gradient", "half decoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.sampling.APPROXIMATIONS", {name: APPROXIMATIONS[name] for name in names})
        cosines = gradient_cosines(bench)
    assert cosines["exact"] == cosines["first third only"] == pytest.approx(1)
    assert all(-1 <= cosines[name] < 0.999 for name in ("stop_gradient", "half decoder"))


def test_a_speed_up_is_the_ratio_of_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"slow": [2.0, 4.0, 90.0], "fast": [1.0, 1.0, 1.0]}
    monkeypatch.setattr("benchmarks.measure.alternate", lambda contestants, repeats: times)
    result = compared({"slow": lambda: None, "fast": lambda: None}, 3, "slow")
    assert result["slow"]["seconds"] == 4.0 and result["fast"]["speedup"] == 4.0


def test_the_real_shapes_count_what_the_published_networks_do() -> None:
    """Parameters of the checkpoints, and operations per 768-px image counted from their shapes."""
    with torch.device("meta"):
        network, vae = unet(), autoencoder()
        z, states, labels = torch.zeros(1, 4, 96, 96), torch.zeros(1, 77, 1024), torch.zeros(1, 2048)
        t = torch.tensor(1)
    assert sum(p.numel() for p in network.parameters()) == 870_173_124
    assert sum(p.numel() for p in vae.parameters()) == 83_653_863
    with torch.no_grad():
        assert flops(lambda: network(z, t, states, class_labels=labels)) == pytest.approx(2.15e12, rel=0.01)
        assert flops(lambda: vae.decode(z)) == pytest.approx(5.75e12, rel=0.01)
