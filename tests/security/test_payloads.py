"""Weights, pickles and YAML that carry code or lie about memory are refused, and the code is not run."""

import hashlib
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from src.classifiers import models
from src.evaluation import feature_cache
from src.evaluation.inception import inception
from src.runtime.checkpoint_file import load_checkpoint
from src.runtime.errors import InputError
from src.settings.params import load as load_params
from src.synthesis.prompts import Prompts
from src.versions.import_closure import ROOT
from tests.security.burglar import Burglar, loaded

CPU = torch.device("cpu")


@pytest.mark.parametrize("form", ["plain", "zip", "legacy"])
def test_the_payload_would_run_if_it_were_opened(form, tmp_path):
    path = loaded(tmp_path / "x.pth", Burglar(tmp_path / "ran"), form)
    torch.load(path, weights_only=False) if form != "plain" else pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").is_dir()


@pytest.mark.parametrize("form", ["plain", "zip", "legacy"])
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors"])
def test_weights_to_start_from_run_nothing(name, form, tmp_path, payload):
    with pytest.raises(InputError, match="holds no intact weights"):
        models.build("small_cnn", 3, 32, 0, weights=str(loaded(tmp_path / name, payload, form)))


@pytest.mark.parametrize("content", [{"a": 1}, {1: torch.zeros(1)}, [torch.zeros(1)], "text", {"model": {"a": [1]}}])
def test_weights_that_are_no_tensors_by_name_are_one_sentence(content, tmp_path):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth'? (holds no intact weights|hold more than tensors by name)"):
        models.build("small_cnn", 3, 32, 0, weights=str(tmp_path / "w.pth"))


@pytest.mark.parametrize("form", ["plain", "zip", "legacy"])
def test_a_classifier_a_checkpoint_and_inception_run_nothing(form, tmp_path, payload):
    models.save(models.build("small_cnn", 3, 32, 0), tmp_path)
    path = loaded(tmp_path / "model.safetensors", payload, form)
    with pytest.raises(InputError, match="holds no intact classifier"):
        models.load(tmp_path)
    assert load_checkpoint(path) is None
    for name in ("i.pth", "i.safetensors"):
        with pytest.raises(InputError, match="holds no Inception"):
            inception(str(loaded(tmp_path / name, payload, form)), CPU)


def test_kept_features_that_are_a_pickle_are_not_opened(tmp_path, payload, monkeypatch):
    """Even one with a fitting hash beside it."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(feature_cache, "_key", lambda *_: "key")
    path = tmp_path / ".dvc/tmp/features/key.npy"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(payload))
    path.with_suffix(".sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match="allow_pickle"):
        feature_cache.cached_features("x", lambda x: x.flatten(1), np.zeros((2, 4, 4, 3), np.uint8))


# A dtype of pointers whose pickled state denies that it is one, as the shape that numpy is asked to read: a wild read.
_DTYPE = b"cnumpy\ndtype\n(U\x02O8K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
_ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K\x01t"
    + _DTYPE + b"\x89U\x08" + struct.pack("<Q", 0x4141414141414141) + b"tb"
)  # fmt: skip


@pytest.mark.parametrize("body", [_ARRAY, b"cnumpy\nndarray\n(" + _ARRAY + b"tR"])
def test_a_cifar_batch_that_forges_memory_is_refused_and_crashes_nothing(body):
    """In a process of its own, because numpy's own arrays would crash it."""
    code = (
        "import sys\nfrom src.data.published.cifar_files import pickled_batch\n"
        "try: pickled_batch('labels', sys.stdin.buffer.read())\nexcept ValueError: print('refused')"
    )
    data = b"\x80\x02}(U\x04data" + body + b"U\x06labels](K\x00eu."
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, cwd=ROOT)
    assert done.stdout == b"refused\n", done.stderr


YAML = [
    "!!python/object/apply:os.mkdir [{canary}]",
    "!!python/object/new:os.mkdir [{canary}]",
    "!!python/name:os.mkdir",
    "!!python/module:os",
    "{{x: !!python/object/apply:subprocess.check_output [[mkdir, {canary}]]}}",
]


@pytest.mark.parametrize("text", YAML)
def test_yaml_makes_no_objects(text, tmp_path, payload):
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "params.yaml").write_text(f"seed: {text.format(canary=payload.canary)}\n")
    (tmp_path / "prompts.yaml").write_text(f"template: {text.format(canary=payload.canary)}\n")
    with pytest.raises(InputError, match="not valid YAML"):
        load_params("prepare_lt", root=tmp_path)
    with pytest.raises(InputError, match="not valid YAML"):
        Prompts(tmp_path / "prompts.yaml")


def test_yaml_that_multiplies_itself_is_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
    lines += ["template: *a11", "modified: *a11", "modifiers: *a11"]
    (tmp_path / "prompts.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError):
        Prompts(tmp_path / "prompts.yaml", ["a"])


def test_a_bomb_in_a_zip_is_never_unpacked_as_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**24))
        archive.writestr("archive/version", "3")
    assert (tmp_path / "w.pth").stat().st_size < 2**16
    with pytest.raises(InputError, match="holds no intact weights"):
        models.build("small_cnn", 3, 32, 0, weights=str(tmp_path / "w.pth"))
