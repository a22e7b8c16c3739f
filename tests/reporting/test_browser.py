"""Tests of the page in a real browser: it asks no network, nothing complains, a phone need not scroll aside."""

import pytest

from src.reporting.document import report
from src.reporting.report_writer import write
from src.reporting.revision import snapshot
from src.reporting.run_results import read_run
from tests.reporting import made
from tests.reporting.browser import Browser, chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no Chromium here: apt-get install chromium"),
]
OPEN = "document.querySelectorAll('details').forEach(d => d.open = true)"
WIDTHS = "[document.documentElement.scrollWidth, window.innerWidth]"
# Elements that stand out of the window, but inside a box that scrolls.
OUTSIDE = """[...document.querySelectorAll('main *, header *')].filter(
    e => e.getBoundingClientRect().right > window.innerWidth + 1 && !e.closest('.scroll') && !e.closest('svg')
).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    root = made.repository(folder / "repository", ("zero", "a_class_with_a_rather_long_name_" * 3, "two", "three"))
    runs = [read_run(snapshot(root, name, folder / str(name))) for name in (None, "HEAD")]
    return write(report(*runs), folder / "out")[0]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_loads_alone_without_complaint_and_fits(browser, page, width, dark):
    browser.open(page, width=width, dark=dark)
    assert browser.requests == [page.as_uri()] and browser.complaints == []
    browser.value(OPEN)
    assert browser.value(WIDTHS) == [width, width] and browser.value(OUTSIDE) == []
    complete = browser.value("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    paper = browser.value("getComputedStyle(document.body).backgroundColor")
    assert complete and (paper == "rgb(21, 23, 26)") is dark


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser, page):
    browser.open(page, width=390)
    for _ in range(2):
        browser.ask("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        if browser.value("document.activeElement.className") == "skip":
            break
    assert browser.value("document.activeElement.getBoundingClientRect().left >= 0")
    assert browser.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.value(OPEN)
    script = (
        "[...document.querySelectorAll('.scroll')].every(e => e.tabIndex === 0 && e.getAttribute('aria-labelledby'))"
    )
    assert browser.value(script)


def test_a_wide_table_scrolls_inside_its_own_box(browser, page):
    browser.open(page, width=390)
    wider = (
        "(e => [e.scrollWidth > e.clientWidth, (e.scrollLeft = 40, e.scrollLeft)])(document.querySelector('.scroll'))"
    )
    assert browser.value(wider) == [True, 40]


def test_a_picture_of_the_page_is_not_blank(browser, page, tmp_path):
    browser.open(page, width=390, height=844)
    browser.picture(tmp_path / "phone.png")
    assert (tmp_path / "phone.png").stat().st_size > 10_000
