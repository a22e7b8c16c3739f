"""Cost: operations are the hand count, notes add up and survive a resume, the report is numbers."""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from src.generators.frozen_layers import freeze
from src.shards.store import Sample
from src.synthesis import cost
from src.synthesis.cost import cost_of, flops, matrix_rate, seconds
from src.synthesis.plan import PlannedImage
from src.synthesis.production import write_plan
from src.synthesis.shelf import Shelf, peak_gb, spent
from src.synthesis.synthesiser import Synthesiser
from tests.generators.scene import GUIDED, Scene, change

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "MATRIX", {"cpu": 64})


@pytest.mark.parametrize("inference", [False, True])
def test_a_linear_layer_counts_two_operations_per_weight_and_row(inference: bool) -> None:
    layer, x = nn.Linear(6, 10), torch.randn(4, 6)
    with torch.inference_mode(inference):
        assert flops(lambda: layer(x)) == 2 * 4 * 6 * 10
        assert flops(lambda: x @ layer.weight.T) == 2 * 4 * 6 * 10


def test_a_linear_layers_backward_counts_once_more_per_gradient() -> None:
    layer, x = nn.Linear(6, 10), torch.randn(4, 6, requires_grad=True)
    forward = 2 * 4 * 6 * 10
    assert flops(lambda: layer(x).sum().backward()) == 3 * forward
    freeze(layer)
    assert flops(lambda: torch.autograd.grad(layer(x).sum(), x)) == 2 * forward


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_counts_its_kernel_at_every_output_and_frozen_only_the_inputs_gradient(groups: int) -> None:
    layer = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=groups)
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    forward = 2 * 2 * (4 * 4) * (3 * 3) * 6 * (4 // groups)
    assert flops(lambda: layer(x)) == forward
    with torch.no_grad():
        assert flops(lambda: layer(x)) == forward
    freeze(layer)
    assert flops(lambda: torch.autograd.grad(layer(x).sum(), x)) == 2 * forward


def test_attention_counts_two_products_forward_and_five_backward() -> None:
    batch, heads, queries, keys, width = 2, 3, 16, 8, 32
    q = torch.randn(batch, heads, queries, width, requires_grad=True)
    k, v = (torch.randn(batch, heads, keys, width, requires_grad=True) for _ in "kv")
    product = 2 * batch * heads * queries * keys * width
    assert flops(lambda: F.scaled_dot_product_attention(q, k, v)) == 2 * product
    # The scores are computed again, then the gradients of values, scores, queries and keys.
    assert flops(lambda: F.scaled_dot_product_attention(q, k, v).sum().backward()) == (2 + 5) * product


def test_a_network_counts_as_the_sum_of_its_parts_for_every_image() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Flatten(), nn.Linear(144, 5))
    one = 2 * 36 * 9 * 4 * 3 + 2 * 144 * 5
    for images in (1, 7):
        assert flops(lambda images=images: network(torch.randn(images, 3, 8, 8))) == images * one


def test_notes_add_up_over_shards_and_the_last_note_of_a_shard_counts(tmp_path: Path) -> None:
    assert spent(tmp_path / "cost") == {"images": 0, "seconds": 0, "peak_memory_gb": 0}
    samples = [(np.zeros((8, 8, 3), np.uint8), {"label": 0})] * 4
    shelf = Shelf(tmp_path / "shards", 3)
    for k, images, taken in ((0, 4, 2.0), (1, 4, 3.0), (2, 1, 0.5), (1, 4, 1.0)):
        shelf.put(tmp_path, k, 4 * k, samples[:images], "png", taken, CPU)
    total = spent(tmp_path / "cost")
    assert (total["images"], total["seconds"]) == (9, 3.5)
    assert 0 < total["peak_memory_gb"] <= peak_gb(CPU)


def test_the_cost_of_an_arm_is_finite_numbers_that_json_can_hold(scene: Scene, tmp_path: Path) -> None:
    guided = scene.synthesiser(change(steps=2), feedback=GUIDED)
    write_plan(guided, scene.plan, 4, tmp_path / "shards", "test")
    took = spent(tmp_path / "cost")
    cost: dict[str, Any] = json.loads(json.dumps(cost_of(guided, took, feedback="x"), allow_nan=False))
    words = {name: cost.pop(name) for name in ("feedback", "device", "torch", "precision")}
    assert words["feedback"] == "x" and words["precision"] == "float32" and all(words.values())
    assert all(isinstance(value, int | float) and math.isfinite(value) and value > 0 for value in cost.values())
    assert cost["images"] == len(scene.plan)
    assert cost["images_per_second_per_worker"] == pytest.approx(cost["images"] / cost["seconds"])
    assert cost["guided_over_unguided"] == pytest.approx(cost["seconds_per_image"] / cost["seconds_per_unguided_image"])
    assert cost["gflop_per_image"] == flops(lambda: guided(scene.plan[:1])) / 1e9
    assert cost["gflop_per_image"] > 1.5 * cost["gflop_per_unguided_image"]  # guided at every step


def test_without_feedback_there_is_no_comparison_and_of_unknown_sampling_no_rate(scene: Scene) -> None:
    guided, plain = (scene.synthesiser(change(steps=2), feedback=feedback) for feedback in (GUIDED, None))
    cost, of_plain = cost_of(guided, {}), cost_of(plain, {})
    assert of_plain["gflop_per_image"] == cost["gflop_per_unguided_image"]
    assert not any("unguided" in name for name in of_plain)
    assert not {"images", "seconds", "images_per_second_per_worker"} & set(cost)


@pytest.mark.parametrize("compiled", [False, True])
def test_compiled_networks_make_their_images_once_before_the_clock_runs(
    scene: Scene, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    guided, calls = scene.synthesiser(change(steps=1), feedback=GUIDED), []
    monkeypatch.setattr(guided.generator, "compiled", compiled)
    original = Synthesiser.__call__

    def recorder(self: Synthesiser, part: Sequence[PlannedImage]) -> list[Sample]:
        calls.append((self.guide is not None, len(part)))
        return original(self, part)

    monkeypatch.setattr(Synthesiser, "__call__", recorder)
    cost_of(guided, {})
    probe, times = len(scene.plan), 2 if compiled else 1
    for under_feedback in (True, False):
        assert calls.count((under_feedback, probe)) == times and calls.count((under_feedback, 1)) == 1


def test_what_the_first_call_takes_is_not_counted_if_it_is_warm() -> None:
    waits = iter([0.3, 0.0, 0.3])
    assert seconds(lambda: time.sleep(next(waits)), CPU, warm=True) < 0.3
    assert seconds(lambda: time.sleep(next(waits)), CPU) >= 0.3


def test_the_matrix_rate_and_the_clock_are_positive() -> None:
    assert matrix_rate(CPU, torch.bfloat16) > 0
    assert seconds(lambda: None, CPU) >= 0
