"""A study at the papers' scale: commands that set parameters there are, and hours from counted operations."""

import pytest

from src.errors import InputError
from src.files import read_json, read_yaml
from src.studies.paper import COUNTED, PEAK, SHARE, commands, gpu_hours
from src.studies.study import known_studies, read_study

PAPERS = [name for name in known_studies() if read_study(name).paper]
GUIDED = {"generator": "sd21_unclip", "feedback": "entropy", "feedbacks.entropy.every": 5}


@pytest.mark.parametrize("name", PAPERS)
def test_every_study_of_a_paper_gives_commands_with_their_hours(name):
    lines = commands(read_study(name))
    assert any("GPU-hours of sampling for each seed" in line for line in lines)
    assert any(line.startswith("dvc exp run --queue --name s") and "dataset=" in line for line in lines)


def test_guided_images_cost_what_their_steps_cost():
    """30 steps with both halves of guidance, 6 of them with a backward and a decoder there and back; one decoding."""
    unet, decoder = (read_json(COUNTED)["sd21_unclip"][part] for part in ("unet", "decoder"))
    unguided = 60 * unet["forward"] + decoder["forward"]
    extra = 6 * (unet["backward"] + decoder["forward"] + decoder["backward"])
    params = read_yaml("params.yaml")
    assert gpu_hours(params, GUIDED, 3600) == pytest.approx((unguided + extra) / (PEAK * SHARE))
    assert gpu_hours(params, {**GUIDED, "feedback": "none"}, 3600) == pytest.approx(unguided / (PEAK * SHARE))
    twice = gpu_hours(params, {**GUIDED, "feedback": "select"}, 3600)
    assert twice == pytest.approx(2 * unguided / (PEAK * SHARE))


def test_a_study_without_a_paper_version_says_so():
    absent = next(name for name in known_studies() if name not in PAPERS)
    with pytest.raises(InputError, match=f"study '{absent}' has no version at the papers' scale"):
        commands(read_study(absent))
