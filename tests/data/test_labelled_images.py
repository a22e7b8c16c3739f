"""Images with their class and group: what is balanced, what is counted, and what a group's number is."""

import numpy as np
import pytest

from src.data.labelled_images import LabelledImages, group_ids, labelled
from src.data.names import Names
from src.runtime.errors import InputError
from src.shards.store import Shards, write_all

PLAIN = Names(("a", "b", "c"))
GROUPED = Names(("a", "b", "c"), ("x", "y"))
LABELS, CONTEXTS = np.array([0, 2, 2, 0]), np.array([1, 0, 1, 1])
IMAGES = np.arange(4 * 2 * 2 * 3, dtype=np.uint8).reshape(4, 2, 2, 3)


def test_a_group_is_numbered_by_class_then_context():
    assert group_ids(LABELS, CONTEXTS, GROUPED).tolist() == [1, 4, 5, 1]
    numbers = [int(group_ids(np.array([y]), np.array([a]), GROUPED)[0]) for y in range(3) for a in range(2)]
    assert numbers == list(range(6))


def test_without_contexts_in_the_data_there_are_no_groups_whatever_the_images_say():
    assert group_ids(LABELS, None, PLAIN) is group_ids(LABELS, CONTEXTS, PLAIN) is None


def test_images_that_lack_the_datas_contexts_are_refused_with_the_way_out():
    with pytest.raises(InputError, match=r"synthetic images lack a context; set the budget's balance=group"):
        group_ids(LABELS, None, GROUPED)


def test_counts_are_of_all_classes_and_groups_those_without_images_too():
    assert LabelledImages(IMAGES, LABELS).counts(PLAIN) == ([2, 0, 2], None)
    grouped = LabelledImages(IMAGES, LABELS, group_ids(LABELS, CONTEXTS, GROUPED))
    assert grouped.counts(GROUPED) == ([2, 0, 2], [0, 2, 0, 0, 1, 1])


@pytest.mark.parametrize(("balance", "by_group"), [("class", False), ("group", True)])
def test_what_is_to_be_uniform_are_groups_if_asked_for_and_there_are_any(balance, by_group):
    groups = group_ids(LABELS, CONTEXTS, GROUPED)
    assert LabelledImages(IMAGES, LABELS, groups).keys(balance) is (groups if by_group else LABELS)
    assert LabelledImages(IMAGES, LABELS).keys(balance) is LABELS


@pytest.mark.parametrize("names", [PLAIN, GROUPED])
def test_a_folder_of_shards_gives_its_images_with_labels_and_groups(names, tmp_path):
    metas = [{"label": int(y), **({"context": int(a)} if names.contexts else {})}
             for y, a in zip(LABELS, CONTEXTS, strict=True)]  # fmt: skip
    write_all(tmp_path, list(zip(IMAGES, metas, strict=True)), 2)
    found = labelled(Shards(tmp_path), names)
    assert np.array_equal(found.images, IMAGES) and np.array_equal(found.labels, LABELS)
    assert (found.groups is None) == (names.contexts is None)
    assert found.groups is None or found.groups.tolist() == [1, 4, 5, 1]
