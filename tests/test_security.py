"""Nothing in the code opens what could run: no pickle, no shell, no foreign code, and no data on a command line."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from src.runtime.errors import InputError
from src.settings.params import load
from src.versions.import_closure import ROOT
from tests.micro import PARAMS

CODE = sorted(path for folder in ("src", "stages", "commands", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
MODULES = {"pickle", "_pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle", "code", "pty"}
HARMLESS = {"dump", "dumps", "HIGHEST_PROTOCOL", "PicklingError", "UnpicklingError"}  # of these modules
CALLS = re.compile(
    r"(builtins\.)?(eval|exec|compile|__import__)|os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*)|"
    r"subprocess\.(getoutput|getstatusoutput)|yaml\.(load|load_all|full_load\w*|\w*safe_load\w*)|"
    r"shutil\.unpack_archive|tempfile\.mktemp|torch\.hub\.load|runpy\.\w+|numpy\.fromregex|pandas\.read_pickle"
)
METHODS = {"extractall", "unpack_archive"}  # of a tar or zip file: members choose where they land
ALLOWED = {
    (
        "src/data/published/cifar_files.py",
        "pickle.Unpickler",
    ): "an unpickler to which five names are known, none of code",
    (
        "src/feedback/zero_shot.py",
        "transformers.CLIPTokenizer.from_pretrained without use_safetensors",
    ): "a tokenizer has words, and no weights",
    ("commands/deps.py", "yaml.load"): "ruamel's round-trip loader, on a file of this repository",
    ("src/runtime/files.py", "yaml.load"): "with a loader derived from SafeLoader, which the next test looks at",
}


def dangers(source: str) -> Iterator[str]:
    """What the code does that data could turn into running code, under the names that it imports things by."""
    tree, known = ast.parse(source), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name.split(".")[0]: alias.asname and alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            module, _, rest = _full_name(node, known).partition(".")
            if module in MODULES and rest and rest not in HARMLESS:
                yield f"{module}.{rest}"
        if isinstance(node, ast.Call):
            yield from _of_call(node, known)


def _full_name(node: ast.expr, known: dict[str, str | None]) -> str:
    """The dotted name of what an expression of names and dots means, ? for the result of anything else."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    first = node.id if isinstance(node, ast.Name) else "?"
    if first in MODULES and first not in known:  # a variable of that name
        first = "?"
    return ".".join([known.get(first) or first, *reversed(words)])


def _of_call(node: ast.Call, known: dict[str, str | None]) -> Iterator[str]:
    name = _full_name(node.func, known)
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    keywords = {name: value.value if isinstance(value, ast.Constant) else ... for name, value in given.items()}
    if CALLS.fullmatch(name):
        yield name
    methods = METHODS | {"extract"} if known.keys() & {"tarfile", "zipfile"} else METHODS
    if name.rpartition(".")[2] in methods and keywords.get("filter") != "data":
        yield f"{name.rpartition('.')[2]} of an archive"
    for word in ("shell", "trust_remote_code", "allow_pickle"):
        if keywords.get(word, False) is not False:
            yield f"{word} in {name}"
    if "custom_pipeline" in keywords:
        yield f"custom_pipeline in {name}"
    if name == "torch.load" and keywords.get("weights_only") is not True:
        yield "torch.load without weights_only"
    if (
        name.endswith((".from_pretrained", "DiffusionPipeline.download"))
        and keywords.get("use_safetensors") is not True
    ):
        yield f"{name} without use_safetensors"
    if name == "PIL.Image.open" and "formats" not in keywords:
        yield "PIL.Image.open of any format"
    if name.endswith("jinja2.Environment") and "autoescape" not in keywords:
        yield "a page without autoescape"


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_code_opens_what_could_run(path):
    place = path.relative_to(ROOT).as_posix()
    assert [danger for danger in dangers(path.read_text()) if (place, danger) not in ALLOWED] == []


@pytest.mark.parametrize(("place", "danger"), ALLOWED)
def test_every_exception_is_still_needed(place, danger):
    assert danger in dangers((ROOT / place).read_text())


@pytest.mark.parametrize(
    ("source", "danger"),
    [
        ("eval('1')", "eval"),
        ("from os import system as s\ns('ls')", "os.system"),
        ("import os.path\nos.popen('ls')", "os.popen"),
        ("import subprocess as p\np.run('ls', shell=True)", "shell in subprocess.run"),
        ("import subprocess\nsubprocess.run('ls', shell=flag)", "shell in subprocess.run"),
        ("import pickle\npickle.loads(data)", "pickle.loads"),
        ("import pickle\nclass Mine(pickle.Unpickler): pass", "pickle.Unpickler"),
        ("from pickle import load as read\nread(file)", "pickle.load"),
        ("from joblib import load\nload(file)", "joblib.load"),
        ("import torch\ntorch.load(path)", "torch.load without weights_only"),
        ("import torch as t\nt.load(path, weights_only=False)", "torch.load without weights_only"),
        ("from torch import load\nload(path)", "torch.load without weights_only"),
        ("import numpy as np\nnp.load(path, allow_pickle=True)", "allow_pickle in numpy.load"),
        ("import yaml\nyaml.load(text, Loader=loader)", "yaml.load"),
        ("import yaml\nyaml.unsafe_load(text)", "yaml.unsafe_load"),
        ("import yaml\nyaml.safe_load(text)", "yaml.safe_load"),  # to which 1e-05, as DVC writes it, is a text
        ("Model.from_pretrained(x, use_safetensors=True, trust_remote_code=True)", "trust_remote_code in"),
        ("Model.from_pretrained(x)", "Model.from_pretrained without use_safetensors"),
        ("Pipeline.from_pretrained(x, use_safetensors=True, custom_pipeline=y)", "custom_pipeline in"),
        ("import tarfile\ntarfile.open(path).extractall(folder)", "extractall of an archive"),
        ("import tarfile\ntarfile.open(path).extractall(folder, filter='tar')", "extractall of an archive"),
        ("import zipfile\nzipfile.ZipFile(path).extract(member)", "extract of an archive"),
        ("from PIL import Image\nImage.open(path)", "PIL.Image.open of any format"),
        ("import tempfile\ntempfile.mktemp()", "tempfile.mktemp"),
    ],
)
def test_each_danger_is_seen(source, danger):
    assert any(sentence.startswith(danger) for sentence in dangers(source))


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "import re\nre.compile('a')",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
        "import torch\ntorch.load(path, weights_only=True)",
        "import numpy as np\nnp.load(path, mmap_mode='r')",
        "import pickle\npickle.dumps(1)",
        "archive.extractall(folder, filter='data')",
    ],
)
def test_what_is_harmless_passes(source):
    assert list(dangers(source)) == []


def test_the_only_yaml_loader_is_a_safe_one():
    """`yaml.load` is as safe as the loader that it is given."""
    from src.runtime import files

    kinds = [kind for kind in vars(files).values() if isinstance(kind, type) and hasattr(kind, "yaml_constructors")]
    assert kinds and all(issubclass(kind, yaml.SafeLoader) for kind in kinds)


def test_the_names_of_presets_are_plain_where_a_path_is_made_of_them():
    """dvc.yaml builds data/raw/${dataset} and prompts/${dataset}.yaml."""
    for family in ("datasets", "generators", "feedbacks", "recipes", "budgets"):
        assert all(re.fullmatch(r"\w+", name) for name in PARAMS[family])


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("dataset", "../../x"),
        ("dataset", "digits; touch canary"),
        ("dataset", "$(touch canary)"),
        ("generator", "/etc"),
        ("feedback", ["entropy"]),
    ],
)
def test_a_selector_that_names_no_preset_reaches_no_path(selector, name, tmp_path):
    params = re.sub(rf"(?m)^{selector}:.*", f"{selector}: {json.dumps(name)}", (ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(params)
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    with pytest.raises(InputError):
        load("synth_guided", root=tmp_path)


@pytest.mark.parametrize("folder", ["stages", "commands", "src", "benchmarks"])
def test_no_link_in_the_code_leads_out_of_the_repository(folder):
    assert not [path for path in Path(ROOT / folder).rglob("*") if path.is_symlink()]
