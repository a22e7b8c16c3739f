"""Raw data is looked for where the preset says, and a queued experiment finds the main repository's."""

import os

import pytest

from src.data.locations import missing_data, raw_folder, raw_state
from src.settings.dataset_settings import DatasetSettings, ListSettings


def birds(**where: str | None) -> ListSettings:
    return ListSettings(kind="imagenet_lt", image_size=8, name="birds", **where)


@pytest.fixture
def two(tmp_path, monkeypatch):
    """A main repository, and the temporary copy that an experiment runs in."""
    copy = tmp_path / "copy"
    for root in (tmp_path / "main", copy):
        (root / "data/raw/birds").mkdir(parents=True)
        (root / "data/raw/birds/SOURCE.md").write_text("get it")
    monkeypatch.chdir(copy)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path / "main", copy


def test_the_folder_is_named_after_the_preset_unless_it_has_a_path(two):
    assert str(raw_folder(birds())) == "data/raw/birds"
    assert str(raw_folder(birds(path=None))) == "data/raw/birds"
    assert str(raw_folder(birds(path="elsewhere/birds"))) == "elsewhere/birds"


def test_an_experiments_copy_falls_back_to_the_main_repository(two, monkeypatch):
    main, copy = two
    monkeypatch.setenv("DVC_ROOT", str(main))
    assert str(raw_folder(birds())) == "data/raw/birds"  # neither holds more than its guide
    (main / "data/raw/birds/metadata.csv").touch()
    assert raw_folder(birds()) == main / "data/raw/birds"
    (copy / "data/raw/birds/.hidden").touch()
    assert raw_folder(birds()) == main / "data/raw/birds"
    (copy / "data/raw/birds/metadata.csv").touch()
    assert str(raw_folder(birds())) == "data/raw/birds"


def test_a_copy_that_lacks_the_file_in_question_falls_back_although_it_holds_others(two, monkeypatch):
    main, copy = two
    monkeypatch.setenv("DVC_ROOT", str(main))
    for root in two:
        (root / "data/raw/birds/shipped.png").touch()
    assert str(raw_folder(birds(), holding="more.gz")) == "data/raw/birds"  # neither has it
    (main / "data/raw/birds/more.gz").touch()
    assert raw_folder(birds(), holding="more.gz") == main / "data/raw/birds"
    assert str(raw_folder(birds())) == "data/raw/birds"
    (copy / "data/raw/birds/more.gz").touch()
    assert str(raw_folder(birds(), holding="more.gz")) == "data/raw/birds"


def test_an_absolute_path_is_taken_as_it_is(two, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(two[0]))
    assert raw_folder(birds(path=str(tmp_path / "x"))) == tmp_path / "x"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert raw_folder(birds(path="~/x")) == tmp_path / "x"


def test_what_is_missing_is_said_with_where_it_belongs_and_where_to_get_it(two):
    message = str(missing_data(raw_folder(birds()), ["metadata.csv", "forest/"], birds()))
    for part in ("metadata.csv, forest/", "data/raw/birds;", "data/raw/birds/SOURCE.md", "datasets.birds.path"):
        assert part in message
    message = str(missing_data(raw_folder(birds()), ["forest/1.jpg"], birds(), "images"))
    assert "datasets.birds.images" in message and "birds.path" not in message


def test_the_state_of_a_list_that_is_named_itself_is_that_of_its_folder(tmp_path):
    (tmp_path / "images.csv").write_text("path,label\na.png,cat\n")
    settings = birds(path=str(tmp_path / "images.csv"))
    states = [raw_state(settings)]
    (tmp_path / "a.png").write_bytes(b"1234")
    states.append(raw_state(settings))
    assert "" not in states and len(set(states)) == 2


def test_the_state_of_images_elsewhere_is_known_in_a_queued_experiment_too(two, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(two[0]))
    (two[0] / "photographs").mkdir()
    (two[0] / "photographs/a.png").write_bytes(b"1234")
    assert raw_state(birds(images="photographs")) != raw_state(birds(images="nowhere"))


def test_the_state_changes_with_any_file_and_with_nothing_else(two, tmp_path):
    folder, images = two[1] / "data/raw/birds", tmp_path / "elsewhere"
    (images / "a").mkdir(parents=True)
    settings = birds(images=str(images))
    states = [raw_state(settings)]
    assert raw_state(settings) == states[0]
    (images / "a/one.png").write_bytes(b"1234")
    states.append(raw_state(settings))
    stood = (images / "a/one.png").stat()
    (images / "a/one.png").write_bytes(b"4321")  # the same name and size
    os.utime(images / "a/one.png", ns=(stood.st_atime_ns, stood.st_mtime_ns + 1000))
    states.append(raw_state(settings))
    (folder / "list.txt").touch()
    states.append(raw_state(settings))
    os.symlink("nowhere", folder / "broken")
    assert raw_state(settings) == states[-1]
    assert len(set(states)) == 4
    assert raw_state(DatasetSettings(kind="digits", image_size=8, name="digits")) == ""
