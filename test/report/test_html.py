"""The HTML report of an episode as a page: offline, safe, printed, without scripts.

Holds also: html_head.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.bags import small_robot
from support.browser import Browser
from support.full_robot import HOSTILE
from support.pictures import pixels
from support.reports import in_browser, report
from support.samples import write_bag

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load
from robot_recorder.model.errors import ConfigError
from robot_recorder.report.html import write_html

GRIPPER = Path(__file__).parents[3] / "shared" / "data" / "gripper_closes_can"


@in_browser
def test_it_opens_offline_without_an_error(browser: Browser, full: Path) -> None:
    browser.open(full)
    assert browser.errors == []
    assert browser.ask("document.documentElement.dataset.error") is None
    assert {url.split(":")[0] for url in browser.requests} == {"file", "data"}
    assert len([url for url in browser.requests if url.startswith("file")]) == 1


@in_browser
def test_no_text_of_a_bag_is_run_as_script(browser: Browser, full: Path, tmp_path: Path) -> None:
    evil = report(small_robot(tmp_path / "bag", seconds=1, prefix=f"/{HOSTILE}/"))
    for target in (full, evil):
        browser.open(target)
        assert browser.ask("window.pwned") is None
        assert HOSTILE in browser.ask(
            "document.body.textContent.split('window.addEventListener')[0]"
        )
        assert browser.ask("document.scripts.length") == 2
        assert browser.errors == []
    browser.open(full)
    assert any("\ufffd" in name for name in browser.ask("data.panels[0].curves.map((c) => c.name)"))
    # Even if a script got into the page, the policy does not let it run.
    browser.ask(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'pwned = 1'}))"
    )
    assert browser.ask("window.pwned") is None


@in_browser
@pytest.mark.parametrize("width", [390, 800, 1400])
def test_no_page_is_wider_than_its_window(browser: Browser, full: Path, width: int) -> None:
    browser.open(full, width=width, height=800)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("data.panels[0].area.right - data.panels[0].area.left") > 0.45 * width


@in_browser
def test_dark_mode_darkens_page_and_plots(browser: Browser, full: Path, tmp_path: Path) -> None:
    brightness = []
    for on in (False, True):
        browser.dark(on)
        browser.open(full)
        browser.screenshot(tmp_path / "a.png", whole=False)
        brightness.append(float(np.median(pixels(tmp_path / "a.png"))))
    browser.dark(False)
    assert brightness[0] > 200 and brightness[1] < 50


@in_browser
def test_print_has_a_film_strip_and_no_buttons(
    browser: Browser, full: Path, tmp_path: Path
) -> None:
    browser.open(full)
    seen = "[...document.querySelectorAll('.frames img')].filter((i) => i.offsetWidth).length"
    assert browser.ask(seen) == 1
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.ask(seen) == 6
        assert browser.ask("document.querySelector('#play').offsetWidth") == 0
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")
    browser.pdf(tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().count(b"/Type /Page\n") >= 2
    assert browser.errors == []


@in_browser
def test_a_foreign_bag_has_a_report(browser: Browser, tmp_path: Path) -> None:
    if not GRIPPER.exists():
        pytest.skip("the recording gripper_closes_can is not beside the checkout")
    write_html(load(Contents.open(GRIPPER)), tmp_path / "a.html")
    browser.open(tmp_path / "a.html", "#t=13")
    titles = browser.ask("data.panels.map((p) => p.title)")
    assert any("force" in t for t in titles) and sum("finger_tip" in t for t in titles) == 2
    assert browser.ask("data.panels.filter((p) => p.cells).map((p) => p.curves.length)") == [22, 22]
    assert (
        browser.ask("[...document.querySelectorAll('dd')].map((d) => d.textContent)").count(
            "unknown"
        )
        == 3
    )
    assert browser.errors == []


@in_browser
def test_an_empty_bag_has_a_report(browser: Browser, tmp_path: Path) -> None:
    write_bag(McapWriter(), tmp_path / "bag", [])
    browser.open(report(tmp_path / "bag"))
    assert browser.errors == []
    assert browser.ask("data.panels.length") == 0


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    data = load(Contents.open(small_robot(tmp_path / "bag", seconds=1)))
    with pytest.raises(ConfigError, match="cannot be written"):
        write_html(data, tmp_path / "nowhere" / "a.html")
    write_html(data, tmp_path / "a.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "bag"]
