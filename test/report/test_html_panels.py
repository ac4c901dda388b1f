"""The panels of a report: curves, pictures and cells at the time shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.bags import angle, small_robot
from support.browser import Browser
from support.full_robot import SILENT, force, pressure, swing
from support.reports import box, in_browser, now, report
from support.samples import T0

from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load

START = 0.5  # start of the full robot's episode, s after its first message


def figure(browser: Browser, title: str, name: str) -> float:
    """Return what a legend shows at the page's current time."""
    return float(
        browser.ask(
            f"(() => {{ const panel = data.panels.find((p) => p.title.startsWith({title!r})); "
            f"return panel.curves.find((c) => c.name === {name!r}).output.textContent; }})()"
        ).replace("–", "nan")
    )


@in_browser
def test_figures_and_pictures_match_the_time_in_the_address(browser: Browser, full: Path) -> None:
    for at in (0.0, 1.234, 2.25, 4.5):
        browser.open(full, f"#t={at}")
        assert now(browser) == pytest.approx(at)
        assert figure(browser, "joint positions", "arm_10") == pytest.approx(
            swing(11, at + START), abs=0.03
        )
        assert figure(browser, "wrist: force", "z") == pytest.approx(force(at + START), abs=0.02)
        shown = browser.ask("[...document.querySelectorAll('.frames img.now')].map((i) => i.alt)")
        assert len(shown) == 1 and abs(float(shown[0].removesuffix(" s")) - at) < 0.06
        most = browser.ask("document.querySelector('#panels .beside + div').textContent")
        cells = pressure(at + START)
        assert f"cell {cells.argmax() // 4},{cells.argmax() % 4}" in most
        assert f"{cells.max() / 1000:.3f} kPa" in most
    pad, scale = box(browser, ".pad"), box(browser, ".scale")
    assert pad["left"] + pad["width"] <= scale["left"]
    assert pad["width"] == pytest.approx(2 * pad["height"], rel=0.1)  # two rows of four


@in_browser
def test_a_silent_stream_has_no_figure_and_no_curve(browser: Browser, full: Path) -> None:
    middle = sum(SILENT) / 2 - START
    browser.open(full, f"#t={middle}")
    assert np.isnan(figure(browser, "wrist: force", "z"))
    drawn = browser.ask(
        """(() => { const panel = data.panels.find((p) => p.title.startsWith('wrist: force'));
        const { top, bottom } = panel.area, context = panel.canvas.getContext('2d');
        return [0.6, 1.5, 2.8, 3.2, 5].map((time) => {
          const strip = context.getImageData(Math.round(panel.area.x(time)) + 2, top, 1, bottom - top).data;
          let green = 0;
          for (let i = 0; i < strip.length; i += 4)
            green += strip[i + 3] > 60 && strip[i + 1] > strip[i] + 60 && strip[i + 1] > strip[i + 2] + 40;
          return green; }); })()"""
    )
    assert [count > 0 for count in drawn] == [True, True, False, False, True], drawn


@in_browser
def test_a_drag_zooms_all_plots_and_a_double_click_shows_all(browser: Browser, full: Path) -> None:
    browser.open(full)
    place = box(browser, ".plot")
    x, y = place["left"] + 0.4 * place["width"], place["top"] + 40
    browser.mouse("mousePressed", x, y)
    browser.mouse("mouseMoved", x + 100, y)
    browser.mouse("mouseReleased", x + 200, y)
    first, last = browser.ask("view")
    left, right = browser.ask("[data.panels[0].area.left, data.panels[0].area.right]")
    scale = 6.0 / (right - left)
    assert first == pytest.approx(-START + (0.4 * place["width"] - left) * scale, abs=0.02)
    assert last - first == pytest.approx(200 * scale, abs=0.02)
    assert (
        browser.ask("getComputedStyle(document.querySelector('#lane .window')).display") == "block"
    )
    browser.click(x, y, clicks=2)
    assert browser.ask("view") == browser.ask("[data.first, data.last]")
    assert browser.ask("document.querySelector('#all').hidden")


@in_browser
def test_eight_joints_are_shown_and_a_click_shows_another_in_all_plots(
    browser: Browser, full: Path
) -> None:
    browser.open(full)
    pressed = (
        "data.panels.slice(0, 3).map((p) => p.curves.filter("
        "(c) => c.button.getAttribute('aria-pressed') === 'true').map((c) => c.name))"
    )
    moving = [f"arm_{i}" for i in range(10, 2, -1)]  # those that move most first
    assert browser.ask(pressed) == [moving] * 3
    browser.ask("data.panels[1].curves[9].button.click()")
    assert browser.ask(pressed) == [[*moving, "arm_1"]] * 3
    browser.ask("data.panels[0].curves[0].button.click()")
    assert browser.ask(pressed) == [[*moving[1:], "arm_1"]] * 3
    assert browser.ask("data.panels[0].curves.length") == 12
    assert browser.ask("data.panels[0].title") == "joint positions (dotted: commanded)"


@in_browser
def test_the_small_robot_swings_in_its_report(browser: Browser, tmp_path: Path) -> None:
    """In a bag without metadata of the recorder, zero is the first message."""
    browser.open(report(small_robot(tmp_path / "bag", seconds=3)), "#t=1.5")
    first_s = browser.ask("data.first")
    assert first_s == pytest.approx(0, abs=1e-6)
    at = 1.5 + (load(Contents.open(tmp_path / "bag")).contents.start_ns - T0) / 1e9
    assert figure(browser, "joint positions", "joint_0") == pytest.approx(
        float(angle(at)), abs=0.03
    )
