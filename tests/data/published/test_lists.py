"""ImageNet-LT, Places-LT and ImageNet100-LT from their lists, with the quirks in which these are found."""

import hashlib
import lzma
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models import ResNet50_Weights

from src.data.imbalance import shots
from src.data.published.class_names import imagenet_names, unique
from src.data.published.file_splits import require_disjoint
from src.data.published.lists import SHIPPED, class_folder, read_list
from src.runtime.errors import InputError
from src.synthesis import plan
from src.versions.import_closure import ROOT
from tests.data.loading import load
from tests.data.published import miniatures
from tests.synthesis.plans import synthesis_plan


def total(data) -> dict[str, int]:
    return {name: len(source) for name, source in data.splits.items()}


def edit(path: Path, number: int, line: str) -> None:
    lines = path.read_text().splitlines()
    lines[number - 1] = line
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("write", [miniatures.imagenet_lt, miniatures.places_lt, miniatures.imagenet100_lt])
def test_each_list_gives_its_images_in_its_order_and_training_is_the_pool(write, tmp_path):
    data = load(write(tmp_path))
    assert total(data) == {"train": 42, "val": 12, "test": 15, "pool": 42}
    assert data.counts == [24, 12, 6] and "groups" not in data.record({})
    assert all(name.startswith("train/") for name in data.splits["val"].ids)
    assert data.splits["pool"] is data.splits["train"]
    for source in data.splits.values():
        image = source.read(len(source) - 1)
        expected = miniatures.picture(2, 0, 0).astype(float)
        assert image.shape == (40, 40, 3) and np.abs(image - expected).mean() < 40


def test_lower_case_list_names_and_a_flat_val_folder_give_the_same_data(tmp_path):
    usual = load(miniatures.imagenet_lt(tmp_path / "usual"))
    wild = load(miniatures.imagenet_lt(tmp_path / "wild", lower=True, flat=True))
    assert not (tmp_path / "wild" / "val" / "n01440764").exists()
    for name in usual.splits:
        one, other = usual.splits[name], wild.splits[name]
        assert one.ids == other.ids and all(np.array_equal(one.read(i), other.read(i)) for i in range(len(one)))


def test_images_may_lie_elsewhere_and_in_another_case_of_their_extension(tmp_path):
    settings = miniatures.imagenet_lt(tmp_path / "lists")
    for folder in ("train", "val"):
        shutil.move(tmp_path / "lists" / folder, tmp_path / "images" / folder)
    moved = next((tmp_path / "images" / "train").rglob("n01440764_0.JPEG"))
    moved.rename(moved.with_suffix(".jpeg"))
    data = load({**settings, "images": str(tmp_path / "images")})
    assert data.splits["train"].ids[0].endswith("n01440764_0.JPEG")
    assert data.splits["train"].read(0).shape == (40, 40, 3)


def test_an_image_that_is_missing_or_unreadable_is_named_when_it_is_read(tmp_path):
    data = load(miniatures.places_lt(tmp_path))
    (tmp_path / data.splits["train"].ids[1]).unlink()
    (tmp_path / data.splits["train"].ids[2]).write_bytes(b"no image")
    with pytest.raises(InputError, match=r"airfield/00000001\.jpg is missing"):
        data.splits["train"].read(1)
    with pytest.raises(InputError, match=r"airfield/00000002\.jpg cannot be read"):
        data.splits["train"].read(2)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("train/n01440764/x.JPEG", r"line 5 is not `<path> <label>`"),
        ("7", r"line 5 is not"),
        ("train/n01440764/x.JPEG -1", r"line 5 is not .* from 0 up"),
        ("train/n01440764/x.JPEG 1.0", r"line 5 is not"),
        ("/train/n01440764/x.JPEG 0", r"line 5 has a path that is not below"),
        ("C:/train/n01440764/x.JPEG 0", r"line 5 has a path that is not below"),
        ("train\\n01440764\\x.JPEG 0", r"line 5 has a path that is not below"),
        ("train/../../x.JPEG 0", r"line 5 has a path that is not below"),
        (". 0", r"line 5 has a path that is not below"),
        ("train/n01440764/x.JPEG 4", r"no image of label 3, though line 5 has label 4"),
        ("train/n01440764/x.JPEG 999999999", r"no image of label 3, though line 5"),
        ("train/n01443537/x.JPEG 0", r"line 5 has label 0 in the folder 'n01443537', but .* 'n01440764'"),
        ("train/n01440764/n01440764_0.JPEG 0", r"has train/n01440764/n01440764_0\.JPEG twice in the train split"),
        ("train/n01440764/n01440764_100.JPEG 0", r"n01440764_100\.JPEG in both the train and the val split"),
        ("./train//n01440764/n01440764_100.JPEG 0", r"n01440764_100\.JPEG in both the train and the val split"),
    ],
)
def test_a_damaged_list_is_refused_with_its_line(tmp_path, line, problem):
    settings = miniatures.imagenet_lt(tmp_path)
    edit(tmp_path / "ImageNet_LT_train.txt", 5, line)
    with pytest.raises(InputError, match=problem):
        load(settings)


def test_a_label_that_training_lacks_an_empty_list_and_bytes_are_refused(tmp_path):
    settings = miniatures.places_lt(tmp_path)
    edit(tmp_path / "Places_LT_val.txt", 2, "train/alcove/00000001.jpg 3")
    with pytest.raises(InputError, match=r"Places_LT_val\.txt line 2 has label 3, which .*_train\.txt lacks"):
        load(settings)
    (tmp_path / "Places_LT_val.txt").write_text("\n")
    with pytest.raises(InputError, match="leaves the val split empty"):
        load(settings)
    (tmp_path / "Places_LT_val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not text"):
        load(settings)


def test_absent_lists_or_images_are_one_sentence_with_what_was_looked_for_and_the_guide(tmp_path):
    settings = miniatures.imagenet_lt(tmp_path)
    with pytest.raises(InputError, match=r"lacks ImageNet_LT_train\.txt, .*SOURCE\.md says where"):
        load({**settings, "path": str(tmp_path / "nowhere")})
    with pytest.raises(InputError, match=r"lacks train/n01440764/n01440764_0\.JPEG, .* looked for in .*elsewhere"):
        load({**settings, "images": str(tmp_path / "elsewhere")})


@pytest.mark.parametrize("images", [None, "elsewhere"])
def test_absent_images_ask_for_the_setting_that_names_their_folder_and_absent_lists_for_the_other(tmp_path, images):
    settings = {**miniatures.places_lt(tmp_path), "images": images and str(tmp_path / images)}
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(InputError, match=r"or set datasets\.places_lt\.images in params\.yaml to where"):
        load(settings)
    (tmp_path / "Places_LT_val.txt").unlink()
    with pytest.raises(InputError, match=r"or set datasets\.places_lt\.path in params\.yaml to where"):
        load(settings)


@given(st.lists(st.tuples(st.from_regex(r"[a-z][a-z ]{0,8}/[a-z0-9]{1,8}\.jpg", fullmatch=True), st.integers(0, 999))))
def test_a_list_is_read_back_whatever_its_spaces_and_blank_lines(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("list") / "list.txt"
    path.write_text("\n\n".join(f" {name}\t{label}  " for name, label in entries))
    assert [(line.path, line.label) for line in read_list(path)] == entries
    assert [line.number for line in read_list(path)] == list(range(1, 2 * len(entries), 2))


def test_the_thousand_categories_stand_in_the_order_of_the_sorted_wordnet_ids(tmp_path):
    wnids = [f"n{number:08d}" for number in range(1000)]
    categories = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    assert imagenet_names(wnids[::-1], tmp_path) == categories[::-1]
    for wnid in wnids:
        (tmp_path / "train" / wnid).mkdir(parents=True)
    assert imagenet_names(["n00000003", "n00000001"], tmp_path) == [categories[3], categories[1]]
    assert categories[:2] == ["tench", "goldfish"] and categories[999] == "toilet tissue"


def test_where_a_wordnet_id_cannot_be_told_it_is_the_name_unless_a_file_beside_the_lists_says(tmp_path):
    settings = miniatures.imagenet100_lt(tmp_path)
    assert load(settings).class_names == ("n02869837", "n01749939", "n02488291")
    (tmp_path / "classes.txt").write_text("n02488291 langur\nn02869837 bonnet, poke bonnet\n\nn09999999 other\n")
    assert load(settings).class_names == ("bonnet", "n01749939", "langur")
    (tmp_path / "classes.txt").write_text("n02488291 langur\nn02869837\n")
    with pytest.raises(InputError, match=r"classes\.txt line 2 is not"):
        load(settings)
    (tmp_path / "classes.txt").write_bytes(b"n01440764 t\xe9n\n")
    with pytest.raises(InputError, match=r"classes\.txt is not UTF-8 text"):
        load(settings)


def test_equal_names_get_their_folder_in_brackets():
    assert unique(["crane", "tench", "crane"], ["n02012849", "n01440764", "n03126707"]) == (
        "crane (n02012849)", "tench", "crane (n03126707)",
    )  # fmt: skip


def test_places_are_named_by_their_folders_in_words(tmp_path):
    data = load(miniatures.places_lt(tmp_path))
    assert data.class_names == ("airfield", "airplane cabin", "apartment building outdoor")
    assert class_folder("train/a/airfield/00000001.jpg") == "airfield"
    assert class_folder("train/a/apartment_building/outdoor/1.jpg") == "apartment_building/outdoor"
    assert class_folder("val/ILSVRC2012_val_00029930.JPEG") == ""


def test_disjoint_splits_pass():
    require_disjoint("data", {"train": ["a", "b"], "val": ["c"]})


def imagenet_lt_like() -> list[int]:
    """A stand-in for ImageNet-LT's counts with its totals. The real ones are one draw from a Pareto distribution, which
    no formula gives back: 385 classes above 100, 136 below 20, from 1280 to 5, and 115,846 in all."""
    many = [1280] + [round(101 + 420 * (k / 383) ** 4) for k in range(384)]
    medium = [20 + round(80 * k / 478) for k in range(479)]
    few = [5 + 14 * k // 135 for k in range(136)]
    for k in range(1, 385):
        short = 115846 - sum(many) - sum(medium) - sum(few)
        many[k] += round(short / (385 - k))
    return many + medium + few


class SamePrompts:
    """A thousand prompts that cost nothing."""

    def __len__(self) -> int:
        return 1000

    def plain(self, label: int, context: int | None = None) -> str:
        return ""


@pytest.mark.slow
def test_imagenet_lt_filled_to_1300_is_1_184_154_images_to_make(monkeypatch):
    counts = imagenet_lt_like()
    assert len(counts) == 1000 and sum(counts) == 115846 and (max(counts), min(counts)) == (1280, 5)
    assert tuple(map(len, shots(counts).values())) == (385, 479, 136)
    monkeypatch.setattr(plan, "derive", lambda *parts: 0)  # a million hashes that are not in question here
    planned = synthesis_plan(counts, 1300, "up_to", 0, SamePrompts())
    assert len(planned) == 1_184_154
    made = np.bincount([image.label for image in planned], minlength=1000)
    assert (made + counts == 1300).all()


def test_the_lists_of_places_ship_as_they_are_published_and_own_ones_come_first(tmp_path):
    known = re.findall(
        r"\| (Places_LT_\w+.txt) \| [\d,]+ \| (\w{64}) \|", (ROOT / "data/raw/places_lt/SOURCE.md").read_text()
    )
    content = {name: lzma.decompress((SHIPPED / f"{name}.xz").read_bytes()) for name, _ in known}
    assert {name: hashlib.sha256(text).hexdigest() for name, text in content.items()} == dict(known) and len(known) == 3
    lines = {name: read_list(SHIPPED / f"{name}.xz") for name in content}
    assert {name: len(part) for name, part in lines.items()} == {
        "Places_LT_train.txt": 62_500, "Places_LT_val.txt": 7_300, "Places_LT_test.txt": 36_500,
    }  # fmt: skip
    counts = np.bincount([line.label for line in lines["Places_LT_train.txt"]])
    assert {shot: len(classes) for shot, classes in shots(counts.tolist()).items()} == {
        "many": 131, "medium": 163, "few": 71,
    }  # fmt: skip
    settings = miniatures.places_lt(tmp_path)
    own = load(settings)
    for name in content:
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"lacks train/airfield/00004851.jpg.*or set datasets\.places_lt\.images"):
        load(settings)
    assert total(own)["train"] == 42
