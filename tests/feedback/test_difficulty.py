"""How hard images are: classes weigh alike, groups where there are contexts, and only what every kind of images has."""

import numpy as np
import pytest
from scipy import stats

from src.data.names import Names
from src.feedback.difficulty import difficulty, distribution, mean_difficulty, units
from stages.measure_difficulty import IMAGES, spread


def test_classes_weigh_alike_however_many_images_they_have() -> None:
    found = distribution(np.array([1.0, 3.0, 10.0, np.nan]), np.array([0, 0, 1, 1]))
    assert found is not None and found["mean"] == 6 and found["images"] == 3
    assert distribution(np.array([np.inf]), np.array([0])) is None


def test_the_standard_error_is_that_of_the_mean() -> None:
    """Within classes where they have several images; between them where each has one; of one image nobody knows."""
    values, labels = np.array([1.0, 3.0, 10.0, 14.0]), np.array([0, 0, 1, 1])
    found = distribution(values, labels)
    assert found is not None and found["standard_error"] == pytest.approx(np.sqrt((2 / 2 + 8 / 2) / 2 / 2))
    single = distribution(values, np.arange(4))
    assert single is not None and single["standard_error"] == pytest.approx(stats.sem(values))
    one = distribution(values[:1], labels[:1])
    assert one is not None and one["standard_error"] is None


def test_only_classes_are_compared_of_which_every_kind_has_images() -> None:
    """The rarest have no validation images where few are held out, the largest no synthetic ones where all are kept."""
    real = np.array([1.0, 2.0]), np.array([0, 1])
    made = np.array([2.5, 9.0]), np.array([1, 2])
    report = difficulty({"real": real, "unguided": made}, [200, 50, 5])
    assert {kind: part["mean"] for kind, part in report["overall"].items()} == {"real": 2.0, "unguided": 2.5}
    assert report["many"] == report["few"] == {"real": None, "unguided": None}
    assert mean_difficulty({"real": real, "unguided": made}, [200, 50, 5])["unguided"] == {
        "overall": 2.5, "many": None, "medium": 2.5, "few": None,
    }  # fmt: skip


def test_images_that_are_as_hard_as_real_ones_of_their_group_are_as_hard() -> None:
    """Though all synthetic images of a class are of its harder context, and the real ones of both."""
    names, hard = Names(("a", "b"), ("easy", "hard")), np.array([1.0, 5.0])
    labels, contexts = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    made, where = np.array([0, 1]), np.array([1, 1])
    compared, width = units({"real": (labels, contexts), "unguided": (made, where)}, names)
    report = difficulty(
        {"real": (hard[contexts], compared["real"]), "unguided": (hard[where], compared["unguided"])}, [60, 5], width
    )
    for subset in ("overall", "medium", "few"):
        assert report[subset]["real"]["mean"] == report[subset]["unguided"]["mean"] == 5
    assert units({"real": (labels, contexts), "unguided": (made, None)}, names)[1] == 1


@pytest.mark.parametrize(("images", "kinds"), [(600, 10), (60, 10), (100_000, 1000), (4000, 360), (100_000, 600)])
def test_the_images_made_again_are_of_all_classes_alike(images: int, kinds: int) -> None:
    """A plan takes an image of each class in turn."""
    places = spread(images, kinds)
    assert len(places) == len(set(places.tolist())) == min(images, IMAGES)
    assert places.max() < max(kinds, min(IMAGES, images)) and set(np.diff(places) // (-(-kinds // IMAGES))) <= {0, 1}
    assert len(set((places % kinds).tolist())) == min(kinds, IMAGES)
