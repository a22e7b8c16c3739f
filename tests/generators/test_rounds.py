"""Online feedback: which shards each round makes, what its classifier has seen, and the same bytes after any kill."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.classifiers.models import Classifier, build
from src.data.labelled_images import LabelledImages
from src.data.names import Names
from src.feedback.classifier_criterion import feedback_value
from src.feedback.guidance import Feedback
from src.shards.store import Shards, write_all
from src.synthesis.production import Round, write_plan
from src.synthesis.rounds import online_rounds
from tests.feedback.settings import feedback_settings
from tests.generators.scene import GUIDED, Scene

NAMES = Names(("zero", "one", "two"), None)


class Course:
    """Rounds of a scene's nine images in shards of two, with what each training was given."""

    def __init__(self, scene: Scene, folder: Path, killed: int | None = None) -> None:
        self.seen: list[tuple[int, int, int]] = []
        self.scene, self.killed, self.place = scene, killed, folder / "scratch" / "shards"
        self.place.parent.mkdir(parents=True, exist_ok=True)
        write_all(
            folder / "real", [(image, {"label": int(k)}) for image, k in zip(scene.images, scene.labels, strict=True)]
        )
        self.real = Shards(folder / "real")

    def train(self, k: int, model: Classifier, data: LabelledImages, synthetic: np.ndarray) -> Classifier:
        if k == self.killed:
            raise KeyboardInterrupt
        self.seen.append((k, int((~synthetic).sum()), int(synthetic.sum())))
        return build("small_cnn", 3, 32, seed=100 * k + int(synthetic.sum()))

    def guide(self, model: Classifier) -> Feedback:
        value = feedback_value(feedback_settings(), [model], self.scene.images, self.scene.labels, torch.device("cpu"))
        return Feedback(value, GUIDED, self.scene.generator.decode)

    def rounds(self, count: int) -> list[Round]:
        base = build("small_cnn", 3, 32, 0)
        first = self.scene.synthesiser().under(self.guide(base))
        return online_rounds(first, 5, count, base, self.guide, self.train, self.real, NAMES)

    def run(self, count: int) -> dict[str, bytes]:
        first = self.scene.synthesiser(feedback=GUIDED)
        write_plan(first, self.scene.plan, 2, self.place, "test", "png", self.rounds(count))
        return {path.name: path.read_bytes() for path in sorted(self.place.iterdir())}


def test_rounds_share_out_the_shards_in_order(scene: Scene, tmp_path: Path) -> None:
    course = Course(scene, tmp_path)
    assert [list(r.shards) for r in course.rounds(2)] == [[0, 1], [2, 3, 4]]
    assert [list(r.shards) for r in course.rounds(5)] == [[k] for k in range(5)]
    assert [list(r.shards) for r in course.rounds(9)] == [[k] for k in range(5)]  # no more than shards


@pytest.mark.slow
def test_a_round_s_classifier_has_seen_the_real_images_and_those_of_all_rounds_before(
    scene: Scene,
    tmp_path: Path,
) -> None:
    course = Course(scene, tmp_path)
    online = course.run(3)
    assert course.seen == [(1, 12, 4), (2, 12, 6)]
    one_shot = Course(scene, tmp_path / "b").run(1)
    names = [f"shard-{k:05d}.tar" for k in range(5)]
    assert [online[name] == one_shot[name] for name in names] == [True, True, False, False, False]
    assert len(Shards(course.place)) == 9


@pytest.mark.slow
@pytest.mark.parametrize("killed", [1, 2])
def test_killed_in_any_round_and_begun_again_it_makes_the_same_bytes(
    scene: Scene,
    tmp_path: Path,
    killed: int,
) -> None:
    whole = Course(scene, tmp_path / "a").run(3)
    course = Course(scene, tmp_path / "b", killed)
    with pytest.raises(KeyboardInterrupt):
        course.run(3)
    assert not (course.place.parent / f"classifier-{killed}").exists()
    course.killed = None
    assert course.run(3) == whole
    assert [k for k, *_ in course.seen] == [1, 2]  # no training twice


@pytest.mark.slow
def test_a_damaged_shard_of_an_early_round_is_made_again_by_that_round_s_classifier(
    scene: Scene,
    tmp_path: Path,
) -> None:
    course = Course(scene, tmp_path)
    whole = course.run(3)
    (course.place / "index.jsonl").unlink()
    shard = course.place / "shard-00002.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert course.run(3) == whole and [k for k, *_ in course.seen] == [1, 2]


@pytest.mark.slow
def test_no_classifier_learns_from_a_damaged_shard(scene: Scene, tmp_path: Path) -> None:
    whole = Course(scene, tmp_path / "a").run(3)
    course = Course(scene, tmp_path / "b", killed=2)
    with pytest.raises(KeyboardInterrupt):
        course.run(3)
    shard = course.place / "shard-00000.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    course.killed = None
    assert course.run(3) == whole
    assert not list(course.place.parent.glob(".*.tmp"))
