"""SIGKILL at every kind of point of every stage: the rerun ends with the bytes of an uninterrupted run.

FAULTS=all kills at each point that the stages pass (hundreds, several minutes) instead of at one of each kind.
"""

import os
import re
import signal

import pytest

from tests.faults.trial import shards, state, torn

pytestmark = pytest.mark.slow

STAGES = (
    "train_generator", "prepare_lt", "train_base", "synth_guided", "synth_synaug", "merge_balance@synaug",
    "merge_balance@guided", "retrain@synaug", "retrain@guided", "eval_fid_density_coverage", "eval_acc",
)  # fmt: skip
KINDS = (
    r"opened .*/\.shard-\d+\.tar\.OWN",  # a shard is begun and empty
    r"(replace|rename) .*/shard-\d+\.tar #1",  # it is written, but has not its name or place yet
    r"(replace|rename) .*/sums/",  # it is in its place, but not known to be whole
    r"open .*/\.?index",  # all shards are there, the index is not
    r"(replace|rename) .*/index",
    r"opened .*/\.training\.",  # in the first checkpoints, and in a later one
    r"(replace|rename) .*/training\.safetensors",
    r"(replace|rename) .*/(vae|clip|unet)\.safetensors",
    r"(replace|rename) .*/model/model",  # the last file before publishing
    r"link (data|models)/",  # half published
    r"(unlink|rmdir) (data|models)/(?!.*OWN)",  # the old output is half removed
    r"(replace|rename) (data|models)/(?!results/)",  # it is gone, the new one not there
    r"(unlink|rmdir) \.dvc/tmp/scratch/.*",  # the scratch is half removed
    r"(open|opened) data/results/",
    r"(replace|rename) data/results/",  # a small result is written, but has no name yet
    r"(replace|rename) .*/features/.*npy",  # features are written, but have no name yet
    r"(replace|rename) .*/features/.*sha256",  # they are there, but not known to be whole
)
FEW = {  # kinds; the same ways are seen in the other stages
    "train_generator": 1, "prepare_lt": 4, "train_base": 4, "synth_guided": 2, "synth_synaug": 8, "retrain@synaug": 2,
    "retrain@guided": 5, "eval_fid_density_coverage": 4,
}  # fmt: skip
ALL = os.environ.get("FAULTS") == "all"


def chosen(stage: str, points: list[str]) -> list[str]:
    """One point in the middle of each kind; all points, where there are few or if asked."""
    if ALL or len(points) < 20:
        return points
    kinds = [[point for point in points if re.match(kind, point)] for kind in KINDS]
    middles = [kind[len(kind) // 2] for kind in kinds if kind]
    few = FEW.get(stage, len(middles))
    return [middles[i * len(middles) // few] for i in range(few)]


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_any_kind_of_point_a_stage_leaves_whole_outputs_and_its_rerun_the_same_bytes(
    stage, warm, known, uninterrupted, trial
):
    whole = uninterrupted(stage)
    assert whole.points, "the stage changes files"
    for point in chosen(stage, whole.points):
        folder = trial(stage)
        old = state(folder, known[stage])
        ended = warm.run(known[stage], folder, {"kind": "kill", "point": point})
        assert ended.status == -signal.SIGKILL, (point, ended.output)
        left, finished = state(folder, known[stage]), shards(folder / ".dvc")
        assert torn(left, old, whole) == [], point

        ended = warm.run(known[stage], folder)
        assert (ended.status, whole.differences(folder)) == (0, []), (point, ended.output)
        again = [name for stamp, name in finished.items() if stamp not in shards(folder / "data")]
        assert len(again) <= 1, f"killed at '{point}', the stage made these finished shards again: {again}"
