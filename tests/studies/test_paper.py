"""A study at the papers' scale: commands that set parameters there are, and hours from counted operations."""

import pytest

from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.studies.paper import COUNTED, PEAK, SHARE, commands, cost, guided_hours, text_hours
from src.studies.study_files import known_studies, read_study

PAPERS = [name for name in known_studies() if read_study(name).paper]
GUIDED = {"generator": "sd21_unclip", "feedback": "entropy", "feedbacks.entropy.every": 5}


@pytest.mark.parametrize("name", PAPERS)
def test_every_study_of_a_paper_gives_commands_with_their_hours(name):
    lines = commands([read_study(name)])
    assert any(line.endswith("in GPU-hours") for line in lines)
    assert any(line.startswith("dvc exp run --queue --name s") and "dataset=" in line for line in lines)


def test_guided_images_cost_what_their_steps_cost():
    """30 steps with both halves of guidance, 6 of them with a backward and a decoder there and back; one decoding."""
    unet, decoder = (read_json(COUNTED)["sd21_unclip"][part] for part in ("unet", "decoder"))
    unguided = 60 * unet["forward"] + decoder["forward"]
    extra = 6 * (unet["backward"] + decoder["forward"] + decoder["backward"])
    assert guided_hours(GUIDED, 3600) == pytest.approx((unguided + extra) / (PEAK * SHARE))
    assert guided_hours({**GUIDED, "feedback": "none"}, 3600) == pytest.approx(unguided / (PEAK * SHARE))
    assert text_hours(GUIDED, 3600) == pytest.approx(unguided / (PEAK * SHARE))
    half = guided_hours({**GUIDED, "feedback": "none", "generators.sd21_unclip.guidance_scale": 1.0}, 3600)
    assert half == pytest.approx((30 * unet["forward"] + decoder["forward"]) / (PEAK * SHARE))
    twice = guided_hours({**GUIDED, "feedback": "select"}, 3600)
    assert twice == pytest.approx(2 * unguided / (PEAK * SHARE))


def test_a_study_without_a_paper_version_says_so():
    absent = next(name for name in known_studies() if name not in PAPERS)
    with pytest.raises(InputError, match=f"study '{absent}' has no version at the papers' scale"):
        commands([read_study(absent)])


def test_images_that_runs_share_are_counted_once_and_an_experiment_is_queued_once():
    lines = commands([read_study("retraining")])
    assert sum("for the guided images" in line for line in lines) < sum(
        line.startswith("dvc exp run") for line in lines
    )
    assert "# balanced softmax: 1,184,154 images in each arm, those of a run above" in lines
    queued = [line.split("--name ")[1].split()[0] for line in commands([read_study("synaug")]) if "--name" in line]
    assert len(queued) == len(set(queued)) == 21


def test_what_two_studies_share_is_queued_and_counted_once():
    """The text, the text + image and the entropy runs of `first_three` are those of `conditioning`."""
    names = ("first_three", "conditioning")
    alone = [commands([read_study(name)]) for name in names]
    both = commands([read_study(name) for name in names])
    queued = [line.split("--name ")[1].split()[0] for line in both if "--name" in line]
    assert len(queued) == len(set(queued)) < sum("--name" in line for lines in alone for line in lines)
    assert total(both) < sum(map(total, alone))


def total(lines: list[str]) -> float:
    (line,) = [line for line in lines if line.startswith("# in all about")]
    return float(line.split()[4].replace(",", ""))


def test_selection_is_compared_with_guidance_of_about_its_cost():
    hours = {v.name: guided_hours(v.settings, v.images) for v in read_study("selection").paper.variants}
    assert hours["best of 2"] == pytest.approx(hours["guided, every 3rd step"], rel=0.05)
    runs, alone = cost(read_study("selection"))
    assert runs == 5 and alone > sum(hours.values())  # SYNAuG's arm besides
