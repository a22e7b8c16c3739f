"""The merged index: all real images, the synthetic ones that the arm uses, and no copies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.merge import Merged, merge, read_merged, to_replace, write_merged
from src.runtime.errors import InputError
from src.runtime.files import write_csv
from src.shards.store import Shards, write_all
from tests.micro import set_parameters
from tests.small import run

labels = st.lists(st.integers(0, 4), min_size=1, max_size=40).map(np.array)


def shards(folder, labels, shade: int) -> Shards:
    """Image i is uniformly `shade + i`, so that an image says where it comes from."""
    write_all(folder, [(np.full((2, 2, 3), shade + i, np.uint8), {"label": int(y)}) for i, y in enumerate(labels)])
    return Shards(folder)


@pytest.fixture
def both(tmp_path) -> tuple[Shards, Shards]:
    return shards(tmp_path / "real", [0, 0, 0, 1], 0), shards(tmp_path / "made", [0, 1, 1, 0, 1], 100)


def test_feedback_guidance_takes_every_image_the_real_ones_first(both):
    real, made = both
    merged = merge(real.labels, made.labels, uniformise=False)
    assert merged.images(real, made)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 100, 101, 102, 103, 104]
    assert merged.synthetic.tolist() == [False] * 4 + [True] * 5
    assert merged.label.tolist() == [0, 0, 0, 1, 0, 1, 1, 0, 1]


def test_synaug_fills_every_class_up_to_the_largest_real_one_with_its_first_images(both):
    real, made = both
    merged = merge(real.labels, made.labels, uniformise=True)
    assert np.bincount(merged.label).tolist() == [3, 3]
    assert merged.images(real, made)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 101, 102]


@given(labels, labels)
def test_uniformised_classes_reach_the_largest_real_one_or_use_all_there_is(real, made):
    counts, extra = (np.bincount(part, minlength=5) for part in (real, made))
    classes = max(real.max(), made.max()) + 1
    if (counts + extra)[:classes].min() == 0:
        return
    merged = merge(real, made, uniformise=True)
    assert np.bincount(merged.label, minlength=5).tolist() == np.minimum(counts + extra, counts.max()).tolist()
    assert merged.position[~merged.synthetic].tolist() == list(range(len(real)))
    assert np.array_equal(merged.label[merged.synthetic], made[merged.position[merged.synthetic]])
    assert len(set(merged.position[merged.synthetic])) == merged.synthetic.sum()


def test_a_class_without_any_image_is_named():
    with pytest.raises(InputError, match="class 1 has neither real nor synthetic images; raise the budget's per_class"):
        merge(np.array([0, 0]), np.array([0, 2]), uniformise=False)


def test_the_file_holds_what_was_merged(tmp_path):
    merged = merge(np.array([0, 0, 1]), np.array([1, 0]), uniformise=False)
    write_merged(tmp_path / "arm.csv", merged)
    assert (tmp_path / "arm.csv").read_text().splitlines()[:2] == ["source,position,label", "real,0,0"]
    again = read_merged(tmp_path / "arm.csv")
    assert again.context is None
    for name in ("synthetic", "position", "label"):
        assert np.array_equal(getattr(again, name), getattr(merged, name))


contexts = st.lists(st.integers(0, 2), min_size=40, max_size=40).map(np.array)


@given(labels, labels, contexts, contexts)
def test_by_group_every_group_reaches_the_largest_real_one_or_uses_all_there_is(
    real, made, real_contexts, made_contexts
):
    places = real_contexts[: len(real)], made_contexts[: len(made)]
    counts, extra = (np.bincount(y * 3 + a, minlength=15) for y, a in zip((real, made), places, strict=True))
    classes, width = max(real.max(), made.max()) + 1, max(a.max() for a in places) + 1
    if (counts + extra).reshape(5, 3)[:classes, :width].min() == 0:
        return
    merged = merge(real, made, True, *places, balance="group")
    filled = np.bincount(merged.label * 3 + merged.context, minlength=15)
    assert filled.tolist() == np.minimum(counts + extra, counts.max()).tolist()
    assert np.array_equal(merged.context[merged.synthetic], places[1][merged.position[merged.synthetic]])


def test_by_group_the_first_images_of_each_group_are_taken():
    real = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 1])
    made = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 1, 0, 0, 1])
    merged = merge(real[0], made[0], True, real[1], made[1], balance="group")
    assert merged.position[merged.synthetic].tolist() == [1, 3, 5]
    assert merged.context.tolist() == [0, 0, 1, 0, 1, 1, 0, 1]


def test_by_class_contexts_change_nothing_but_are_kept():
    real, made = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0, 1])
    plain = merge(real, made, uniformise=True)
    known = merge(real, made, True, np.array([0, 1, 0, 1]), np.array([1, 1, 0, 0, 1]))
    assert np.array_equal(plain.position, known.position) and plain.context is None
    assert known.context.tolist() == [0, 1, 0, 1, 1, 0]
    assert merge(real, made, True, np.array([0, 1, 0, 1]), None).context is None


@pytest.mark.parametrize(
    ("made_contexts", "balance", "problem"),
    [
        (
            np.array([0, 1]),
            "group",
            "class 1 in context 1 has neither real nor synthetic images; raise the budget's per_class",
        ),
        (None, "group", "the budget's balance=group needs real and synthetic images with contexts; set it to class"),
        (None, "colour", "unknown budget balance 'colour'; known: class, group"),
    ],
)
def test_groups_that_cannot_be_merged_are_refused(made_contexts, balance, problem):
    with pytest.raises(InputError, match=problem):
        merge(np.array([0, 1]), np.array([1, 0]), True, np.array([0, 0]), made_contexts, balance)


def test_the_file_has_a_context_only_if_the_images_have(tmp_path):
    merged = merge(np.array([0, 1]), np.array([1]), False, np.array([1, 0]), np.array([1]))
    write_merged(tmp_path / "arm.csv", merged)
    lines = (tmp_path / "arm.csv").read_text().splitlines()
    assert lines == ["source,position,label,context", "real,0,0,1", "real,1,1,0", "synthetic,0,1,1"]
    assert read_merged(tmp_path / "arm.csv").context.tolist() == [1, 0, 1]


def test_too_many_images_for_memory_are_read_when_they_are_asked_for(both, monkeypatch):
    real, made = both
    merged = merge(real.labels, made.labels, uniformise=False)
    whole = merged.images(real, made)
    monkeypatch.setattr("src.data.merge.in_memory", lambda images: images)
    view = merged.images(real, made)
    assert isinstance(whole, np.ndarray) and not isinstance(view, np.ndarray)
    assert view.shape == whole.shape and np.array_equal(view[np.array([8, 0, 5])], whole[[8, 0, 5]])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"source": "dreamt", "position": 0, "label": 0}, "damaged"),
        ({"source": "real", "position": "first", "label": 0}, "damaged"),
        ({"source": "real", "position": 0}, "damaged"),
        ({"source": "real", "position": -1, "label": 0}, "negative"),
        ({"source": "real", "position": 0, "label": 0, "context": ""}, "damaged"),
        ({"source": "real", "position": 0, "label": 0, "context": -1}, "negative"),
    ],
)
def test_a_damaged_file_is_one_sentence(row, problem, tmp_path):
    write_csv(tmp_path / "arm.csv", [row])
    with pytest.raises(InputError, match=problem):
        read_merged(tmp_path / "arm.csv")


def test_an_empty_or_missing_file_is_one_sentence(tmp_path):
    (tmp_path / "arm.csv").write_text("source,position,label\n")
    with pytest.raises(InputError, match="is empty"):
        read_merged(tmp_path / "arm.csv")
    with pytest.raises(InputError, match="is missing"):
        read_merged(tmp_path / "other.csv")


def test_an_index_that_does_not_fit_its_shards_is_refused(both):
    real, made = both
    for position, label, problem in [([4], [1], "points beyond the 4 images"), ([3], [0], "disagree on labels")]:
        with pytest.raises(InputError, match=problem):
            Merged(np.array([False]), np.array(position), np.array(label)).images(real, made)


def merged_slowly(real, made, uniformise, unit, real_contexts, made_contexts) -> np.ndarray:
    """Positions of the synthetic images that `merge` takes, by a search for every class or group."""
    groups = [real, made] if unit == 1 else [real * unit + real_contexts, made * unit + made_contexts]
    counts = np.bincount(groups[0], minlength=(max(real.max(), made.max()) + 1) * unit)
    wanted = counts.max() - counts
    taken = [np.flatnonzero(groups[1] == g)[: wanted[g] if uniformise else None] for g in range(len(counts))]
    return np.sort(np.concatenate(taken))


@given(labels, labels, contexts, contexts, st.booleans(), st.sampled_from(["class", "group"]))
def test_one_sort_takes_what_a_search_for_every_class_or_group_takes(
    real, made, real_contexts, made_contexts, uniformise, balance
):
    places = real_contexts[: len(real)], made_contexts[: len(made)]
    unit = 1 if balance == "class" else max(a.max() for a in places) + 1
    chosen = merged_slowly(real, made, uniformise, unit, *places)
    try:
        merged = merge(real, made, uniformise, *places, balance=balance)
    except InputError as error:
        assert "has neither real nor synthetic images" in str(error)
        return
    assert merged.position.tolist() == [*range(len(real)), *chosen]
    assert merged.label.tolist() == [*real, *made[chosen]] and merged.context.tolist() == [
        *places[0],
        *places[1][chosen],
    ]
    assert {column.dtype for column in (merged.position, merged.label, merged.context)} == {np.dtype(np.int64)}


@given(labels, st.floats(0, 1), st.integers(0, 5))
def test_replaced_images_are_the_share_of_every_class_and_all_of_the_last_classes(real, fraction, classes):
    count = int(real.max()) + 1
    classes = min(classes, count)
    replaced, sizes = to_replace(real, fraction, classes), np.bincount(real, minlength=count)
    expected = [size if k >= count - classes else round(fraction * size) for k, size in enumerate(sizes.tolist())]
    assert np.bincount(real[replaced], minlength=count).tolist() == expected
    for k in range(count - classes):  # the first ones stay, so that a smaller share replaces fewer of the same
        assert sorted(replaced[real == k].tolist()) == replaced[real == k].tolist()


def test_synthetic_images_take_the_places_of_replaced_ones(both):
    real, made = both
    merged = merge(real.labels, made.labels, uniformise=True, replaced=np.array([False, True, False, True]))
    assert merged.images(real, made)[:, 0, 0, 0].tolist() == [0, 2, 100, 101, 102, 104]
    assert np.bincount(merged.label).tolist() == [3, 3]


def test_places_of_replaced_images_that_stay_empty_are_refused_with_the_class_and_both_numbers():
    real, made = np.array([0] * 4 + [1] * 3), np.array([0] * 3 + [1] * 3)
    sentence = (
        r"^class 1 has 4 places to fill, replaced real images' among them, and synthetic images for 3; raise "
        r"budgets\.<dataset>\.per_class, or lower merge\.replace_fraction and merge\.replace_classes$"
    )
    with pytest.raises(InputError, match=sentence):
        merge(real, made, True, replaced=to_replace(real, 0, 1))
    with pytest.raises(InputError, match=r"class 0 has 4 places to fill, .* and synthetic images for 3"):
        merge(real, made, True, replaced=to_replace(real, 1, 0))
    enough = np.append(made, [0, 1])
    assert np.bincount(merge(real, enough, True, replaced=to_replace(real, 1, 0)).label).tolist() == [4, 4]


def test_by_group_the_context_that_cannot_be_filled_is_named():
    real = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 1])
    made = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 1, 0, 0, 1])
    with pytest.raises(InputError, match=r"class 1 in context 1 has 2 places to fill, .* and synthetic images for 1"):
        merge(real[0], made[0], True, real[1], made[1], balance="group", replaced=to_replace(real[0], 0, 1))


def test_without_replaced_images_and_where_nothing_is_filled_up_there_may_be_fewer():
    real, made = np.array([0] * 4 + [1]), np.array([0, 1])
    assert np.bincount(merge(real, made, True, replaced=to_replace(real, 0, 0)).label).tolist() == [4, 2]
    assert np.bincount(merge(real, made, False, replaced=to_replace(real, 0, 1)).label).tolist() == [5, 1]


def test_replacing_nothing_changes_nothing():
    real, made = np.array([0, 0, 1]), np.array([1, 1, 0])
    plain, none = merge(real, made, True), merge(real, made, True, replaced=to_replace(real, 0, 0))
    assert all(np.array_equal(getattr(plain, name), getattr(none, name)) for name in ("synthetic", "position", "label"))


@pytest.mark.parametrize(("fraction", "classes"), [(1.5, 0), (-0.1, 0), (0, 4), (0, -1)])
def test_an_impossible_share_is_refused(fraction, classes):
    with pytest.raises(InputError, match="must lie in 0"):
        to_replace(np.array([0, 1, 2]), fraction, classes)


@pytest.mark.slow
def test_the_stage_replaces_its_share_of_the_real_images_of_every_class(workspace, monkeypatch):
    before, made = Shards("data/real/train").labels, Shards("data/synth/guided").labels
    set_parameters(workspace, {"merge.replace_fraction": 0.5})
    run("merge_balance", monkeypatch, "guided")
    merged = read_merged(workspace / "data/merged/guided.csv")
    assert np.bincount(merged.label[~merged.synthetic]).tolist() == [n - round(n / 2) for n in np.bincount(before)]
    assert np.array_equal(merged.label[merged.synthetic], made)
