"""A stage whose parameters, code or inputs move while it runs fails in one sentence; else nothing matters."""

from collections.abc import Callable
from pathlib import Path

import pytest

from src.runtime.errors import InputError
from src.runtime.files import hash_file
from src.settings import provenance
from src.settings.provenance import unmoved

PIPELINE = """stages:
  retrain:
    foreach:
      guided: {own: retrain.fraction_real}
    do:
      cmd: python -m stages.retrain ${key}
      deps: ["data/synth/${key}", src/training/loop.py]
      params: [seed, "recipes.${dataset}", train.loss, "${item.own}"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = Path(__file__).parents[2]
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_bytes((root / "params.yaml").read_bytes())
    for path in ("data/synth/guided/00000.tar", "src/training/loop.py"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("as it was")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["retrain", "guided"])
    monkeypatch.setattr(provenance, "CODE", {"src/training/loop.py": hash_file("src/training/loop.py")})
    return tmp_path


def edit(path: str, old: str, new: str) -> Callable[[], None]:
    def run() -> None:
        text = Path(path).read_text()
        assert old in text
        Path(path).write_text(text.replace(old, new, 1))

    return run


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (edit("params.yaml", "loss: cross_entropy", "loss: focal"), "train.loss"),
        (edit("params.yaml", "steps: 400", "steps: 500"), "recipe.steps"),
        (edit("params.yaml", "dataset: digits", "dataset: csv"), r"recipe\.\w+ and \d+ more"),
        (edit("params.yaml", "seed: 0", "seed: ["), "params.yaml"),
        (edit("src/training/loop.py", "was", "is now"), "src/training/loop.py"),
        (edit("data/synth/guided/00000.tar", "as it was", "otherwise"), "data/synth/guided/00000.tar"),
        (lambda: Path("data/synth/guided/00001.tar").touch(), "data/synth/guided/00001.tar"),
        (lambda: Path("data/synth/guided/00000.tar").unlink(), "data/synth/guided/00000.tar"),
    ],
)
def test_what_a_stage_depends_on_may_not_move_while_it_runs(
    project: Path, change: Callable[[], None], named: str
) -> None:
    # With train.loss edited meanwhile dvc.lock said focal of a model trained by cross-entropy, as did the run-cache.
    with pytest.raises(InputError, match=f"^{named}.* changed while retrain ran.*run the same command again"):
        unmoved("retrain", change)()


def test_a_link_that_leads_nowhere_or_back_is_an_input_like_another(project: Path) -> None:
    # Of one that leads to its own folder, following it had no end; one to nothing was a traceback.
    Path("data/synth/guided/broken").symlink_to("nothing")
    Path("data/synth/guided/loop").symlink_to(".")
    unmoved("retrain", lambda: None)()


def test_what_it_does_not_depend_on_may_move(project: Path) -> None:
    def change() -> None:
        edit("params.yaml", "sampler: instance", "sampler: class")()
        Path("README.md").write_text("new")

    unmoved("retrain", change)()


def test_code_edited_between_its_import_and_the_beginning_is_noticed_too(project: Path) -> None:
    edit("src/training/loop.py", "was", "is now")()
    with pytest.raises(InputError, match=r"^src/training/loop\.py changed while retrain ran"):
        unmoved("retrain", lambda: None)()


def test_its_own_error_comes_first(project: Path) -> None:
    def fail() -> None:
        raise InputError("the disk is gone")

    with pytest.raises(InputError, match="the disk is gone"):
        unmoved("retrain", fail)()
