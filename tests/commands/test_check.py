"""What a data set would give is told before anything is made, and refused in the words of the stage that would."""

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

import commands.check
from src.runtime.errors import InputError
from src.runtime.files import write_json
from src.runtime.pipeline import read_mapping
from src.settings.params import resolve
from src.synthesis import preflight
from src.versions.import_closure import ROOT
from tests.data.pictures import photographs, text


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with nothing made, and an own folder of four classes."""
    for file in ("dvc.yaml", "params.yaml", "prompts/folder.yaml", "benchmarks/results/counted.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "models").symlink_to(ROOT / "models")
    for name, count in (("cat", 30), ("dog", 9), ("emu", 3), ("fox", 2)):
        photographs(tmp_path / "data/raw/folder" / name, count)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["check", *words])
    commands.check.main()


def test_it_tells_counts_copies_power_and_cost(root, monkeypatch, capsys) -> None:
    Image.open("data/raw/folder/cat/0.png").save("data/raw/folder/cat/0 again.png")
    for arm in ("guided", "synaug"):
        write_json(f"metrics/cost/{arm}.json", {"seconds_per_image": 60.0})
    check(monkeypatch, "--dataset", "folder")
    out, err = capsys.readouterr()
    rows = [line.strip("| ").split(" | ") for line in out.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[2:]] == ["emu", "fox", "dog", "cat"]
    assert sum(int(row[k]) for row in rows[2:] for k in (1, 2, 3)) == 45
    assert "images to make in the guided arm" in out and "GB of images" in out
    made = sum(int(words[0]) for words in re.findall(r"(\d+) (images to make|in SYNAuG)", out))
    assert f"about {made} minutes of sampling" in out
    assert "minutes of training four times resnet18 on this machine" in out
    assert "1 images are copies of others" in err and "few-shot classes, so that one run tells no" in err
    assert out.endswith("nothing here would be refused: `dvc repro` can begin\n")
    assert sorted(path.name for path in Path("data").iterdir()) == ["raw"]


def test_sampling_is_priced_by_the_feedback_and_the_generator_in_use(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    pipeline, everything = read_mapping(Path("dvc.yaml")), read_mapping(Path("params.yaml"))

    def price(**chosen: str) -> str:
        generator = resolve("synth_guided", pipeline, everything | chosen).generator
        return commands.check.cost(generator, chosen, {"guided": 50_000, "synaug": 50_000})

    none, entropy = (price(generator="sd21_unclip", feedback=name) for name in ("none", "entropy"))
    hours = [float(text.split()[1]) for text in (none, entropy)]
    assert "hours of sampling" in none and hours[0] < hours[1]
    assert "minutes of sampling on the machine" in price(generator="tiny_lora", feedback="none")
    assert price(generator="pool", feedback="none") == price(generator="vae", feedback="none")
    assert "no time to speak of" in price(generator="vae", feedback="none")
    monkeypatch.setattr(commands.check, "Path", lambda path: ROOT / "nowhere" / path)
    assert "`dvc repro measure_cost` measures it" in price(generator="tiny_unclip", feedback="none")


@pytest.mark.parametrize(
    ("generator", "feedback", "steps"),
    [
        ("tiny_unclip", "hardness", "4 of 12 steps: 0, 3, 6, 9"),
        ("tiny_unclip", "none", "0 of 12 steps"),
        ("sd21_unclip", "matched", "5 of 30 steps: 6, 7, 8, 9, 10"),
    ],
)
def test_it_tells_which_steps_feedback_guides(monkeypatch, generator: str, feedback: str, steps: str) -> None:
    monkeypatch.chdir(ROOT)
    everything = read_mapping(Path("params.yaml")) | {"generator": generator, "feedback": feedback}
    told = commands.check.guided_steps(resolve("synth_guided", read_mapping(Path("dvc.yaml")), everything))
    assert told == f"feedback '{feedback}' guides {steps}"


def test_what_a_stage_would_refuse_is_refused_after_what_can_be_told(root, monkeypatch, capsys) -> None:
    monkeypatch.setattr(preflight, "try_to_load_from_cache", lambda *a, **k: None)
    monkeypatch.setattr(preflight.HfApi, "model_info", lambda *a, **k: (_ for _ in ()).throw(OSError("offline")))
    with pytest.raises(InputError, match=r"cannot be fetched \(offline\)"):
        check(monkeypatch, "--dataset", "folder", "--generator", "sd21")
    assert "hours of sampling" in capsys.readouterr().out
    text(root / "data/raw/folder/cat/broken.jpg")
    with pytest.raises(InputError, match="1 of 45 images cannot be used"):
        check(monkeypatch, "--dataset", "folder")
    with pytest.raises(InputError, match="unknown dataset 'digts'"):
        check(monkeypatch, "--dataset", "digts")
