"""What a report's files say, read back by means of their own: tables, headings, addresses, and broken HTML."""

import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """An HTML file read strictly: every element closed in order; `tables` holds the texts of each table's cells."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.broken: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        self.broken += [f"<{name}> stays open" for name in self.open]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            self.broken.append(f"<{tag}> has an attribute twice")
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "table":
            self.tables.append([])
        if tag in ("td", "th"):
            self.tables[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.broken.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def headings(self) -> list[int]:
        """The levels of the headings, in order."""
        return [int(name[1]) for name, _ in self.elements if re.fullmatch("h[1-6]", name)]


def markdown_tables(text: str) -> list[list[str]]:
    """The texts of each Markdown table's cells, its header's first."""
    tables: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("| "):
            inside = False
            continue
        cells = [_read(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not inside:
            tables.append([])
        if not re.fullmatch(r"[|:\- ]+", line):
            tables[-1] += cells
        inside = True
    return tables


def _read(cell: str) -> str:
    return unescape(re.sub(r"\\(.)", r"\1", cell.strip(" ")))


def checked(html: str) -> Page:
    """What must hold of every page."""
    parsed = Page(html)
    assert parsed.broken == []
    assert html.startswith("<!DOCTYPE html>") and parsed.all("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in parsed.elements:
        assert {*attributes.get("aria-labelledby", "").split()} <= {*ids}
        address = attributes.get("href") or attributes.get("src") or "#main"
        assert address.startswith("data:") or address.removeprefix("#") in ids
    assert all(image["alt"] for image in parsed.all("img")) and all(svg["aria-label"] for svg in parsed.all("svg"))
    levels = parsed.headings
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert {"header", "nav", "main"} <= {name for name, _ in parsed.elements} and len(parsed.all("main")) == 1
    assert all(cell.get("scope") in ("col", "row") for cell in parsed.all("th"))
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert "script" not in {name for name, _ in parsed.elements}
    assert not re.search(r"url\(|@import|https?://", html)
    assert len(html.encode()) < 5_000_000
    return parsed
