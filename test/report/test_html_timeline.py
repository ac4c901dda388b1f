"""The timeline of a report: playing, keys, clicks and current labels."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from support.bags import picture
from support.browser import Browser
from support.made import bag
from support.pictures import compressed_depth
from support.reports import box, in_browser, now
from support.samples import T0

from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load
from robot_recorder.messages.image_messages import COMPRESSED
from robot_recorder.report.html_timeline import cameras


@in_browser
def test_keys_move_the_time_and_play(browser: Browser, full: Path) -> None:
    browser.open(full, "#t=2")
    browser.key("ArrowRight")
    assert now(browser) == pytest.approx(2.1)
    browser.key("ArrowLeft", shift=True)
    assert now(browser) == pytest.approx(1.1)
    assert browser.ask("location.hash") == "#t=1.100"
    browser.key(" ", text=" ")
    browser.wait("Number(document.querySelector('#lane').getAttribute('aria-valuenow')) > 1.4")
    browser.key(" ", text=" ")
    stopped = now(browser)
    browser.call(
        "Runtime.evaluate", expression="new Promise(requestAnimationFrame)", awaitPromise=True
    )
    assert now(browser) == stopped and browser.errors == []


@in_browser
def test_it_plays_to_the_end_at_the_speed_asked_for(browser: Browser, full: Path) -> None:
    browser.open(full, "#t=3.5")
    browser.ask("document.querySelector('#speed').value = '4'")
    begin = time.monotonic()
    place = box(browser, "#play")
    browser.click(place["left"] + 5, place["top"] + 5)
    browser.wait("document.querySelector('#play').textContent === '▶'")
    assert now(browser) == pytest.approx(5.5, abs=0.01)
    assert time.monotonic() - begin > 0.4  # 2 s, four times as fast


@in_browser
def test_a_click_on_a_plot_or_the_lane_sets_the_time(browser: Browser, full: Path) -> None:
    browser.open(full)
    place = box(browser, ".plot")
    left, right = browser.ask("[data.panels[0].area.left, data.panels[0].area.right]")
    browser.click(place["left"] + (left + right) / 2, place["top"] + 50)
    assert now(browser) == pytest.approx(2.5, abs=0.02)
    place = box(browser, "#lane")
    browser.click(place["left"] + place["width"] / 4, place["top"] + 5)
    assert now(browser) == pytest.approx(1.0, abs=0.02)
    assert browser.ask("location.hash") == f"#t={now(browser):.3f}"


def test_the_lane_shows_current_labels_only(text: str) -> None:
    lane = text[text.index('id="lane"') : text.index('id="readout"')]
    names = re.findall(r'class="mark (\w+)[^>]*><span>([^<]*)', lane)
    assert ("segment", "reach") in names and "mistaken" not in lane
    assert not any(kind in ("success", "failure") for kind, _ in names)  # given much later
    assert 'class="outside" title="pre-roll"' in lane and "left:0.000%;width:8.3" in lane


def test_pictures_of_depth_have_a_scale_in_metres(tmp_path: Path) -> None:
    depth = np.linspace(500, 1500, 48 * 64).reshape(48, 64).astype(np.uint16)
    sent = [(T0 + n * 10**8, compressed_depth(depth, stamp_ns=T0 + n * 10**8)) for n in range(10)]
    path = bag(tmp_path / "bag", {"/eye/depth/compressedDepth": (COMPRESSED, sent)})
    text = str(cameras(load(Contents.open(path))))
    assert re.search(
        r'<span>0.5 m</span><i style="[^"]*gradient[^"]*"></i><span>1.5 m</span>', text
    )
    assert "unknown</span>" in text
    jpeg = bag(tmp_path / "jpeg", {"/eye": (COMPRESSED, [(T0, picture(T0, 0.0))] * 2)})
    assert "unknown</span>" not in str(cameras(load(Contents.open(jpeg))))
