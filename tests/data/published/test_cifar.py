"""CIFAR with a long tail: the published selection, a validation split of its own, and no open pickle."""

import os
import pickle

import numpy as np
import pytest

from src.data.imbalance import exponential_counts, shots
from src.data.published.cifar import long_tail_and_validation
from src.data.published.cifar_files import unpickle
from src.runtime.errors import InputError
from tests.data.loading import load
from tests.data.published import miniatures
from tests.data.published.cifar_writing import python2_pickle

TOTALS = [
    (100, 100, 10847, (35, 35, 30)),
    (100, 50, 12608, (41, 41, 18)),
    (100, 10, 19573, (69, 31, 0)),
    (100, 200, 9502, None),
    (10, 100, 12406, None),
    (10, 50, 13996, None),
    (10, 10, 20431, None),
]


def published_selection(labels: np.ndarray, classes: int, factor: float) -> dict[int, list[int]]:
    """Cao et al.'s selection in its own words: one global legacy generator, class after class."""
    np.random.seed(0)  # noqa: NPY002
    largest = len(labels) / classes
    chosen = {}
    for k in range(classes):
        members = np.where(labels == k)[0]
        np.random.shuffle(members)  # noqa: NPY002
        chosen[k] = members[: int(largest * (1 / factor) ** (k / (classes - 1.0)))].tolist()
    return chosen


@pytest.mark.parametrize(("classes", "factor", "total", "groups"), TOTALS)
def test_the_profile_has_the_published_totals_and_validation_costs_only_classes_without_spare_images(
    classes, factor, total, groups
):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(classes), 50000 // classes))
    published = published_selection(labels, classes, factor)
    counts = exponential_counts(50000 // classes, classes, factor)
    assert sum(map(len, published.values())) == sum(counts) == total
    assert list(map(len, published.values())) == counts
    if groups:
        assert tuple(map(len, shots(counts).values())) == groups
    parts = long_tail_and_validation(labels, factor, val_per_class=20, split_seed=0)
    train = np.bincount(labels[parts["train"]]).tolist()
    assert train == [min(count, 50000 // classes - 20) for count in counts]
    for k, members in published.items():
        kept = parts["train"][labels[parts["train"]] == k].tolist()
        assert set(kept) <= set(members) and (len(kept) == len(members) or len(members) > 50000 // classes - 20)


def test_validation_is_uniform_and_disjoint_and_the_pool_is_all_the_rest():
    labels = np.repeat(np.arange(4), 40)
    parts = long_tail_and_validation(labels, 10, val_per_class=5, split_seed=0)
    assert np.bincount(labels[parts["val"]]).tolist() == [5] * 4
    assert set(parts["train"]) < set(parts["pool"]) and set(parts["val"]).isdisjoint(parts["pool"])
    assert len(parts["val"]) + len(parts["pool"]) == len(labels)
    other = long_tail_and_validation(labels, 10, val_per_class=5, split_seed=1)
    assert set(other["train"]) != set(parts["train"])


@pytest.mark.parametrize("write", [miniatures.cifar10_lt, miniatures.cifar100_lt])
def test_the_pickled_and_the_binary_version_are_the_same_data(write, tmp_path):
    data = [load(write(tmp_path / str(binary), binary=binary)) for binary in (False, True)]
    for name in ("train", "val", "test", "pool"):
        one, other = (prepared.splits[name] for prepared in data)
        assert one.ids == other.ids and one.labels.tolist() == other.labels.tolist()
        assert all(np.array_equal(one.read(i), other.read(i)) for i in range(len(one)))
    assert data[0].class_names == data[1].class_names
    assert data[0].counts[0] == 34 and data[0].counts[-1] == 8


def test_images_keep_their_pixels_labels_and_names(tmp_path):
    data = load(miniatures.cifar100_lt(tmp_path))
    assert data.class_names == ("apple", "aquarium fish", "baby", "bear")
    test = data.splits["test"]
    assert test.ids[5] == "test/00005" and test.labels[5] == 5 % 4
    assert np.array_equal(test.read(5), miniatures.picture(5 % 4, 0, 105, side=32))


class Burglar:
    """A pickle that runs a command when it is opened."""

    def __reduce__(self):
        return os.system, ("touch opened",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_a_program_is_refused_before_it_does(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    settings = miniatures.cifar10_lt(tmp_path / "data")
    batch = tmp_path / "data" / "cifar-10-batches-py" / "data_batch_2"
    batch.write_bytes(pickle.dumps({"labels": [0], "data": Burglar()}, protocol))
    with pytest.raises(InputError, match=r"data_batch_2 is no CIFAR file .*asks for"):
        load(settings)
    assert not (tmp_path / "opened").exists()


def test_a_batch_that_today_s_numpy_pickled_is_read_too():
    content = {"labels": [1, 2], "data": np.arange(6, dtype=np.uint8).reshape(2, 3)}
    for protocol in (2, 3, 4):
        read = unpickle(pickle.dumps(content, protocol))
        assert read["labels"] == [1, 2] and np.array_equal(read["data"], content["data"])


@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        (b"", "data_batch_1 is no CIFAR file"),
        (b"\x80\x02]q\x00.", "holds no dictionary"),
        (python2_pickle({"labels": [0]}), "holds no `data`"),
        (python2_pickle({"labels": [0], "data": np.zeros((1, 3), np.uint8)}), r"not \(1, 3072\)"),
        (python2_pickle({"labels": [9], "data": np.zeros((1, 3072), np.uint8)}), "do not fit its 3 class"),
        (pickle.dumps({"labels": [2**70], "data": np.zeros((1, 3072), np.uint8)}, 2), "a label has more than 63 bits"),
        (None, "data_batch_1 is missing"),
    ],
)
def test_a_damaged_batch_is_refused_by_its_name(tmp_path, batch, problem):
    settings = miniatures.cifar10_lt(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    path.unlink()
    if batch is not None:
        path.write_bytes(batch)
    with pytest.raises(InputError, match=problem):
        load(settings)


def test_a_truncated_binary_batch_and_one_without_names_are_refused_by_their_names(tmp_path):
    settings = miniatures.cifar100_lt(tmp_path, binary=True)
    path = tmp_path / "cifar-100-binary" / "train.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"train\.bin is no CIFAR file .*3074-byte images"):
        load(settings)
    path.with_name("fine_label_names.txt").write_text("")
    with pytest.raises(InputError, match=r"fine_label_names\.txt is no CIFAR file .*it holds no names"):
        load(settings)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"val_per_class": 40}, "val_per_class 40 leaves nothing of 40"),
        ({"val_per_class": 0}, "val_per_class must be at least 1"),
        ({"imbalance_factor": 41}, "imbalance factor 41 leaves class 2 without"),
        ({"split_seed": "zero"}, "split_seed must be a whole number"),
        ({"path": "nowhere"}, "cifar-10-batches-py/ or cifar-10-batches-bin/, looked for in nowhere"),
    ],
)
def test_settings_that_the_data_cannot_meet_are_refused(tmp_path, change, problem):
    with pytest.raises(InputError, match=problem):
        load({**miniatures.cifar10_lt(tmp_path), **change})


def test_a_pickle_that_numbers_its_objects_in_billions_is_refused_before_room_is_made_for_them():
    """Found by fuzzing: a changed bit in a file of 400 bytes took 20 GiB."""
    whole = pickle.dumps({"data": 1}, 2)
    bomb = whole.replace(b"q\x00", b"r" + (2**31 - 2).to_bytes(4, "little"), 1)
    assert bomb != whole and unpickle(whole) == {"data": 1}
    with pytest.raises(ValueError, match="more memory than it can need"):
        unpickle(bomb)
