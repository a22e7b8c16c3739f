"""Inputs for the fuzzer: a valid file damaged byte by byte or along its structure, and files made up from nothing.

Mutation after valid examples is AFL's idea (Zalewski); the structures are those of the formats that this program reads.
"""

import csv
import io
import json
import tarfile
from collections.abc import Callable
from random import Random
from typing import Any

import yaml
from hypothesis import strategies as st

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, "", " ", "a", "0", "-1", "1e3", "nan", "no",
    "..", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "C:\\a", "\0", "a\nb", "\u00e9", "\ud83d\ude00", "{class}",
    "{0}", "{class.__init__}", "{class!r:>99999999}", "$(id)", "x" * 300, [], {}, [[]], [None], {"a": 1}, ["a", "a"],
    "!!python/object:os",
)  # fmt: skip
TOKENS = (
    b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n", b"\t", b" ", b'"', b"'", b",", b";", b":",
    b": ", b"- ", b"[", b"]", b"{", b"}", b"[" * 2000, b"{" * 400, b'{"a":' * 400, b"&a [*a]", b"*a", b"<<: ", b"? ",
    b"!!python/object/apply:os.system [id]", b"!!set {a}", b"!!binary aaaa", b"!!timestamp x", b"!!int x",
    b"!!float x", b"!!bool x", b"!!int ''", b"2024-13-45", b"2024-01-01", b"1:99", b"0x", b"0b", b"0o9", b"1_0",
    b".inf", b".nan", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 5000, b"-", b"\\ud800", b"\\u0000", b"\\",
    b"../", b"/", b"..", b"\xc3\xa9", b"\xe9", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"---\n", b"...\n",
    b"%YAML 9.9\n", b"#", b"null", b"true", b"no",
)  # fmt: skip
LONGEST = 1 << 20  # bytes


def damaged(data: bytes, name: str, random: Random) -> bytes:
    """`data`, a valid file called `name`, after one to four mutations, of its structure where it still has one."""
    structured = STRUCTURED.get(name.rpartition(".")[2])
    for _ in range(random.randint(1, 4)):
        if structured and random.random() < 0.5:
            try:
                data = structured(data, random)
                continue
            except Exception:  # broken by an earlier mutation: bytes are all there is
                pass
        data = random.choice(BYTES)(data, random)
    return data[:LONGEST]


def _place(data: bytes, random: Random) -> int:
    """Anywhere, or near the beginning, where headers are."""
    return random.randint(0, random.choice((len(data), min(len(data), 256))))


def _span(data: bytes, random: Random, most: int = 64) -> tuple[int, int]:
    start = _place(data, random)
    return start, min(len(data), start + random.randint(0, random.choice((1, 4, most, len(data)))))


def _flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 8)):
        if changed:
            changed[min(_place(data, random), len(changed) - 1)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _overwrite(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + random.choice((b"\0", b"\xff", b"\x7f", b"0", b"9")) * (end - start) + data[end:]


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randint(0, len(data))]


def _delete(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _insert(data: bytes, random: Random) -> bytes:
    place = _place(data, random)
    return data[:place] + random.choice((*TOKENS, bytes(random.randrange(256) for _ in range(4)))) + data[place:]


def _duplicate(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:end] + data[start:end] * random.randint(1, 3) + data[end:]


def _splice(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    place = random.randint(0, len(data))
    return data[:place] + data[start:end] + data[place + end - start :]


def _swap_lines(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    random.shuffle(lines)
    return b"".join(lines)


BYTES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip, _flip, _overwrite, _truncate, _delete, _insert, _insert, _duplicate, _splice, _swap_lines,
)  # fmt: skip


def changed(tree: Any, random: Random) -> Any:
    """A tree of lists and mappings with one of its values replaced, taken away, moved, or put under another name."""
    if not isinstance(tree, dict | list) or not tree or random.random() < 0.1:
        return random.choice(VALUES)
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    key = random.choice(keys)
    action = random.randrange(8)
    if action == 0:
        del tree[key]
    elif action == 1:
        tree[key] = tree[random.choice(keys)]
    elif action == 2 and isinstance(tree, dict):
        tree[random.choice(("", "a", "name", "__class__", str(key) + "x"))] = tree.pop(key)
    elif action == 2:
        tree.insert(key, tree[key])
    else:
        tree[key] = changed(tree[key], random)
    return tree


def _json(data: bytes, random: Random) -> bytes:
    return json.dumps(changed(json.loads(data), random)).encode()


def _yaml(data: bytes, random: Random) -> bytes:
    return yaml.safe_dump(changed(yaml.safe_load(data), random), sort_keys=False).encode()


def _jsonl(data: bytes, random: Random) -> bytes:
    lines = data.splitlines()
    place = random.randrange(len(lines))
    lines[place] = _json(lines[place], random)
    return b"\n".join(lines) + b"\n"


def _csv(data: bytes, random: Random) -> bytes:
    rows: Any = changed([list(row) for row in csv.reader(io.StringIO(data.decode(), newline=""))], random)
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=random.choice(",,,,;\t"), lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _words(data: bytes, random: Random) -> bytes:
    rows = changed([line.split(" ") for line in data.decode().splitlines()], random)
    return "\n".join(" ".join(map(str, row)) for row in rows).encode("utf-8", "surrogatepass")


def _safetensors(data: bytes, random: Random) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = _json(data[8 : 8 + length], random)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def _tar(data: bytes, random: Random) -> bytes:
    """A member under another name, of another type or size, left out or twice, its checksum right."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar, tarfile.open(fileobj=out, mode="w") as new:
        members = tar.getmembers()
        chosen = random.randrange(len(members))
        for k, member in enumerate(members):
            content = tar.extractfile(member).read()  # type: ignore[union-attr]
            action = random.randrange(6) if k == chosen else None
            if action == 0:
                continue
            if action == 1:
                member.name = str(
                    random.choice(("../a.png", "/a.json", "00000000.png", "00000000.json", "a" * 90, "x"))
                )
            elif action == 2:
                member.type = random.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, b"Z"))
                member.linkname = "/etc/passwd"
            elif action == 3:
                member.size = random.choice((0, 1, len(content) + 1, 2**33 - 1))
            elif action == 4:
                new.addfile(member, io.BytesIO(content))
            elif action == 5:
                content = damaged(content, member.name, random)
                member.size = len(content)
            if member.size < 1 << 16:
                new.addfile(member, io.BytesIO(content.ljust(member.size, b"\0")))
            else:  # a size with nothing behind it, which `addfile` refuses to write
                out.write(header := member.tobuf(new.format))
                new.offset += len(header)
    return out.getvalue()


STRUCTURED: dict[str, Callable[[bytes, Random], bytes]] = {
    "json": _json, "yaml": _yaml, "jsonl": _jsonl, "csv": _csv, "txt": _words, "safetensors": _safetensors, "tar": _tar,
}  # fmt: skip


def made_up(name: str) -> st.SearchStrategy[bytes]:
    """Files of the kind that `name` ends in, from nothing: token soup, and any tree or table in that notation."""
    soup = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=8), max_size=12).map(b"".join)
    leaves = (
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.sampled_from(VALUES[:30])
    )
    trees = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
    kind = name.rpartition(".")[2]
    if kind in ("json", "jsonl"):
        return soup | trees.map(lambda tree: json.dumps(tree, default=str).encode())
    if kind == "yaml":
        return soup | trees.map(lambda tree: yaml.safe_dump(tree).encode("utf-8", "surrogatepass"))
    if kind in ("csv", "txt"):
        rows = st.lists(st.lists(st.text(max_size=6), max_size=5), max_size=5)
        joint = "," if kind == "csv" else " "
        return soup | rows.map(
            lambda table: "\n".join(joint.join(row) for row in table).encode("utf-8", "surrogatepass")
        )
    return soup | st.binary(max_size=200)
