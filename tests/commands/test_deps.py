"""Command deps: dvc.yaml's lists of code are those that it writes, and it writes nothing else."""

from pathlib import Path

import pytest

from commands import deps
from src.runtime.errors import InputError
from src.versions.import_closure import ROOT

PIPELINE = """# Comments stay,
stages:
  one:
    desc: 'quotes: too'
    cmd: "\\\\${LAUNCH:-python} -m stages.one"
    deps:
    - src/gone.py
    - data/raw/${dataset}  # at an item as well
    params:
    - seed
    outs:
    - data/one:
        cache: false
  two:
    foreach:
      a: {own: b}
    do:
      cmd: python -m stages.two ${key} and a line of more than eighty characters, which is not to be folded
      deps:
      - ${item.own}
      - stages/two.py
"""
FILES = {
    "stages/one.py": "import src.room.left\nfrom src.room import right\nimport json\n",
    "stages/two.py": "def late():\n    from src.room.right import name\n",
    "src/__init__.py": "",
    "src/room/__init__.py": '"""A room."""\n',
    "src/room/left.py": "from src.room.right import name\n",
    "src/room/right.py": "name = 1\n",
    "src/room/other.py": "import src.room.left\n",
}


@pytest.fixture
def root(tmp_path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_each_stage_depends_on_its_data_and_then_on_the_files_that_it_imports_and_all_else_stays(root):
    comment, two = "  # at an item as well\n", "      - stages/two.py\n"
    room = ["src/room/left.py", "src/room/right.py"]
    code = "".join(f"    - {path}\n" for path in [*room, "stages/one.py"])
    expected = PIPELINE.replace("    - src/gone.py\n", "").replace(comment, comment + code)
    expected = expected.replace(two, f"      - {room[1]}\n" + two)
    written = deps.with_code(PIPELINE.encode(), root).decode()
    assert written == expected
    assert deps.with_code(written.encode(), root).decode() == written


def test_a_stage_without_a_script_is_named(root):
    (root / "stages/two.py").unlink()
    with pytest.raises(InputError, match=r"has the stage 'two', but stages/two\.py is missing"):
        deps.with_code(PIPELINE.encode(), root)


def test_dvc_yaml_is_what_the_command_writes_which_then_leaves_the_file_alone(tmp_path, monkeypatch):
    text = (ROOT / "dvc.yaml").read_bytes()
    assert deps.with_code(text) == text, "run `make deps`"
    (tmp_path / "dvc.yaml").write_bytes(text)
    (tmp_path / "dvc.yaml").chmod(0o444)
    before = (tmp_path / "dvc.yaml").stat()
    monkeypatch.setattr(deps, "PIPELINE", tmp_path / "dvc.yaml")
    deps.main()
    assert (tmp_path / "dvc.yaml").stat().st_ino == before.st_ino
