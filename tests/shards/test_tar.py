"""A shard is a plain tar that anybody reads, and one that holds anything but whole samples is refused."""

import io
import json
import shutil
import subprocess
import tarfile

import numpy as np
import pytest
from PIL import Image

from src.runtime.errors import InputError
from src.shards.store import Shards, encode, shard_name, write_all, write_index, write_shard
from src.shards.tar import META_BYTES, header
from tests.shards.samples import samples

PNG = encode(np.zeros((2, 2, 3), np.uint8))
JSON = b'{"label": 0}'


def test_the_layout_is_webdatasets_and_offsets_point_at_the_png(folder):
    with tarfile.open(folder / shard_name(1)) as tar:
        assert tar.getnames() == [f"{key:08d}.{kind}" for key in (3, 4, 5) for kind in ("png", "json")]
        assert json.load(tar.extractfile("00000004.json")) == {"label": 1, "prompt": "a photo of 4"}
    line = json.loads((folder / "index.jsonl").read_text().splitlines()[4])
    png = (folder / line["shard"]).read_bytes()[line["offset"] :][: line["length"]]
    assert np.array_equal(np.array(Image.open(io.BytesIO(png))), samples(7)[4][0])


def test_a_shard_is_the_tar_that_tarfile_writes(folder, tmp_path):
    with tarfile.open(tmp_path / "reference", "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, (image, meta) in enumerate(samples(7)[3:6], 3):
            for kind, data in (("png", encode(image)), ("json", json.dumps(meta, sort_keys=True).encode())):
                info = tarfile.TarInfo(f"{key:08d}.{kind}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    assert (tmp_path / "reference").read_bytes() == (folder / shard_name(1)).read_bytes()


def test_the_systems_tar_lists_and_extracts_a_shard(folder, tmp_path):
    if shutil.which("tar") is None:
        pytest.skip("there is no tar")
    listed = subprocess.run(["tar", "-tf", folder / shard_name(1)], check=True, capture_output=True, text=True)
    assert listed.stdout.split() == [f"{key:08d}.{kind}" for key in (3, 4, 5) for kind in ("png", "json")]
    subprocess.run(["tar", "-xf", folder / shard_name(1), "-C", tmp_path], check=True)
    for key, (image, meta) in enumerate(samples(7)[3:6], 3):
        assert (tmp_path / f"{key:08d}.png").read_bytes() == encode(image)
        assert json.loads((tmp_path / f"{key:08d}.json").read_bytes()) == meta


@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_the_webdataset_package_streams_the_same_samples(tmp_path, image_format):
    webdataset = pytest.importorskip("webdataset")
    write_all(tmp_path, samples(7), 3, image_format)
    shards, suffix = Shards(tmp_path), {"png": "png", "jpeg": "jpg"}[image_format]
    urls = [str(tmp_path / shard_name(k)) for k in range(3)]
    streamed = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in streamed] == [f"{i:08d}" for i in range(7)]
    for i, sample in enumerate(streamed):
        assert np.array_equal(sample[suffix], shards.image(i)) and sample["json"] == shards.meta(i)


def write_tar(path, members: dict[str, bytes], **how) -> None:
    with tarfile.open(path, "w", **how) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    "name",
    ["../00000000.png", "00000000.png/..", "readme.txt", "00000000.jpeg", "/00000000.png", "0000000.png",
     "000000000.png", "00000000.png\x1b[2J", "a/00000000.png", "00000000.png\n../canary.png"],
)  # fmt: skip
def test_a_member_that_no_sample_has_is_refused_and_shown_harmlessly(tmp_path, name):
    write_tar(tmp_path / shard_name(0), {name: b""}, format=tarfile.USTAR_FORMAT)
    with pytest.raises(InputError, match="which no sample has") as error:
        write_index(tmp_path)
    assert str(error.value).isprintable() and [path.name for path in tmp_path.iterdir()] == [shard_name(0)]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CONTTYPE,
             tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE],
)  # fmt: skip
def test_a_member_that_is_no_regular_file_is_refused(tmp_path, kind):
    info = tarfile.TarInfo("00000000.png")
    info.type, info.linkname = kind, "/etc/hostname"
    (tmp_path / shard_name(0)).write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(10240 - 512))
    with pytest.raises(InputError, match="which no sample has"):
        write_index(tmp_path)


def test_long_names_and_pax_fields_which_a_shard_never_has_are_refused(tmp_path):
    long = {"x" * 150 + "/00000000.png": PNG}
    write_tar(tmp_path / shard_name(0), long, format=tarfile.GNU_FORMAT)
    with pytest.raises(InputError, match="which no sample has"):
        write_index(tmp_path)
    write_tar(tmp_path / shard_name(0), {"00000000.png": PNG}, format=tarfile.PAX_FORMAT, pax_headers={"comment": "x"})
    with pytest.raises(InputError, match="which no sample has"):
        write_index(tmp_path)


@pytest.mark.parametrize("size", [513, 10**6, 8**11 - 1])
def test_a_member_that_reaches_beyond_the_file_is_refused(tmp_path, size):
    (tmp_path / shard_name(0)).write_bytes(header("00000000.png", size) + bytes(512))
    with pytest.raises(InputError, match=r"shard-00000.tar is damaged"):
        write_index(tmp_path)


def test_a_size_below_nothing_is_refused(tmp_path):
    block = bytearray(header("00000000.png", 0))
    block[124:136] = b"\xff" * 12  # base 256, which GNU tar reads as -1
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / shard_name(0)).write_bytes(bytes(block) + bytes(1024))
    with pytest.raises(InputError, match=r"shard-00000.tar is damaged"):
        write_index(tmp_path)


@pytest.mark.parametrize(
    "members",
    [
        {"00000000.png": PNG},
        {"00000000.json": JSON},
        *({"00000000.png": PNG, "00000000.json": text} for text in (
            b"{}", b"[]", b"3", b'{"label": true}', b'{"label": 1.0}', b'{"label": "1"}', b'{"label": -1}',
            b'{"label": 9999999999999999999999}', b'{"label": null}', b'{"label": 0, "context": true}',
            b'{"label": 0, "context": -1}', b'{"label": 0, "context": []}',
        )),
    ],
)  # fmt: skip
def test_half_a_sample_is_refused(tmp_path, members):
    write_tar(tmp_path / shard_name(0), members)
    with pytest.raises(InputError, match="lacks the image or the label of sample 00000000"):
        write_index(tmp_path)


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"label": NaN}', b"\xff", b"[" * 100_000, b'{"label": 1' + b"0" * 9999 + b"}"]
)
def test_text_that_is_no_json_is_refused(tmp_path, text):
    write_tar(tmp_path / shard_name(0), {"00000000.png": PNG, "00000000.json": text})
    with pytest.raises(InputError, match=r"shard-00000.tar is damaged after sample 00000000"):
        write_index(tmp_path)


def test_json_of_absurd_size_is_refused_unread(tmp_path):
    write_tar(tmp_path / shard_name(0), {"00000000.png": PNG, "00000000.json": JSON + b" " * META_BYTES})
    with pytest.raises(InputError, match="more than any sample"):
        write_index(tmp_path)


@pytest.mark.parametrize("second", ["00000000.png", "00000000.jpg", "00000000.json"])
def test_a_sample_with_two_images_or_two_labels_is_refused(tmp_path, second):
    with tarfile.open(tmp_path / shard_name(0), "w") as tar:
        for name, data in (("00000000.png", PNG), ("00000000.json", JSON), (second, JSON)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(InputError, match="sample 00000000 twice"):
        write_index(tmp_path)


def test_a_key_in_two_shards_and_a_file_that_is_no_shard_are_refused(tmp_path):
    for k in range(2):
        write_shard(tmp_path / shard_name(k), 0, samples(1))
    with pytest.raises(InputError, match="twice"):
        write_index(tmp_path)
    (tmp_path / shard_name(1)).rename(tmp_path / "shard-copy.tar")
    with pytest.raises(InputError, match=r"shard-copy\.tar has no shard's name"):
        write_index(tmp_path)


@pytest.mark.parametrize("label", [{}, {"label": None}, {"label": True}, {"label": -1}, {"label": 0, "context": "a"}])
def test_what_could_not_be_read_back_is_a_defect_at_writing(tmp_path, label):
    with pytest.raises(ValueError, match="with a label"):
        write_shard(tmp_path / "shard", 0, [(samples(1)[0][0], label)])
    assert not any(tmp_path.iterdir())
