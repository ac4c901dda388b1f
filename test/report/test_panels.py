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
from support.two_arms import two_arms

from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load
from robot_recorder.model.errors import ConfigError
from robot_recorder.report.panels import left_out, panels
from robot_recorder.report.plots import strongest_moment

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
        assert figure(browser, "joint_states: position", "arm_10") == pytest.approx(
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
          let blue = 0;
          for (let i = 0; i < strip.length; i += 4)
            blue += strip[i + 3] > 60 && strip[i + 2] > strip[i] + 60 && strip[i + 2] > strip[i + 1] + 40;
          return blue; }); })()"""
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
        "data.panels.slice(0, 2).map((p) => p.curves.filter("
        "(c) => c.button.getAttribute('aria-pressed') === 'true').map((c) => c.name))"
    )
    moving = [f"arm_{i}" for i in range(10, 2, -1)]  # those that move most first
    assert browser.ask(pressed) == [moving] * 2
    browser.ask("data.panels[1].curves[9].button.click()")
    assert browser.ask(pressed) == [[*moving, "arm_1"]] * 2
    browser.ask("data.panels[0].curves[0].button.click()")
    assert browser.ask(pressed) == [[*moving[1:], "arm_1"]] * 2
    assert browser.ask("data.panels[0].curves.length") == 12
    titles = browser.ask("data.panels.slice(0, 3).map((p) => p.title)")
    assert titles == [
        "joint_states: position with joint_commands (dashed)",
        "joint_states: velocity",
        "joint_states: effort",
    ]
    assert browser.ask("data.panels[2].note") == "12 values that never change, all 0.5"


@in_browser
def test_the_small_robot_swings_in_its_report(browser: Browser, tmp_path: Path) -> None:
    """In a bag without metadata of the recorder, zero is the first message."""
    browser.open(report(small_robot(tmp_path / "bag", seconds=3)), "#t=1.5")
    first_s = browser.ask("data.first")
    assert first_s == pytest.approx(0, abs=1e-6)
    at = 1.5 + (load(Contents.open(tmp_path / "bag")).contents.start_ns - T0) / 1e9
    assert figure(browser, "joint_states: position", "joint_0") == pytest.approx(
        float(angle(at)), abs=0.03
    )


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_arms(tmp_path_factory.mktemp("arms") / "bag")


def test_actions_come_first_and_each_arm_has_its_own_leader(arms: Path) -> None:
    found = panels(load(Contents.open(arms)))
    assert [p.title for p in found] == [
        "right_arm: position with right_leader (dashed)",
        "left_arm: position with left_leader (dashed)",
        "touch: normal",
        "bodies: position/hand",
        "bodies: orientation/hand, position/head, orientation/head",
    ]
    right, left = found[:2]
    assert right.palette != left.palette and right.commands == ("right_leader",)
    for panel in (right, left):
        assert sorted(c.name for c in panel.curves) == ["elbow", "waist"]
        assert panel.note == "1 constant value not drawn" and panel.constant == {"spare": 0.25}
        for curve in panel.curves:
            assert curve.command is not None
            assert curve.command[0].topic.stream == panel.commands[0]
    assert found[4].curves == [] and found[4].note == "11 values that never change"


def test_pads_of_a_stream_are_one_panel_with_their_shapes(arms: Path) -> None:
    touch = panels(load(Contents.open(arms)))[2]
    assert [(p.name, p.rows, p.cols) for p in touch.pads] == [("tip", 2, 2), ("palm", 2, 3)]
    assert [c.name for c in touch.curves] == ["tip", "palm"] and touch.unit == "raw"
    highest = touch.curves[0].series.values
    assert highest[:, 0].max() == 1600 and (highest[:, 1] == 1000).all()
    assert touch.limits == (1000, 1600), "an unknown scale is that of the episode"


def test_touch_that_makes_values_smaller_is_shown(tmp_path: Path, monkeypatch) -> None:
    from support import two_arms as robot

    whole = robot.cells
    monkeypatch.setattr(robot, "cells", lambda s: 3000 - whole(s))
    (touch,) = [p for p in panels(load(Contents.open(two_arms(tmp_path / "bag")))) if p.pads]
    assert touch.limits == (1400, 2000) and 1.0 < strongest_moment(touch) < 3.0
    assert touch.curves[0].series.values[:, 0].min() == 1400


def test_a_frozen_joint_is_drawn_if_its_command_moves(tmp_path: Path, monkeypatch) -> None:
    from support import two_arms as robot

    still = robot.angles(0, 1)
    whole = robot.angles
    monkeypatch.setattr(robot, "angles", lambda s, side: whole(s, side) if side < 0 else still)
    data = load(Contents.open(two_arms(tmp_path / "bag")))
    (left,) = [p for p in panels(data) if p.topic.stream == "left_arm"]
    assert left.curves == [] and left.note == "3 values that never change"
    leader = next(s for s in data.series if s.topic.stream == "left_leader")
    leader.values[:, 0] = np.arange(len(leader.values))
    (left,) = [p for p in panels(data) if p.topic.stream == "left_arm"]
    assert [c.name for c in left.curves] == ["waist"]


def test_chosen_streams_come_with_their_commands_and_no_others(arms: Path) -> None:
    for name in ("left_arm", "/left/leader"):
        data = load(Contents.open(arms), streams=[name])
        assert [p.topic.stream for p in panels(data)] == ["left_arm"]
        assert all(c.command for c in panels(data)[0].curves)
    with pytest.raises(ConfigError, match=r"no stream 'left_amr'; did you mean 'left_arm'"):
        load(Contents.open(arms), streams=["left_amr"])


def test_what_is_not_drawn_is_counted(arms: Path) -> None:
    found = panels(load(Contents.open(arms)))
    assert left_out(found, found) == ""
    assert left_out(found, found[:2]) == "2 more streams"
    assert left_out(found, found[1:3]) == "2 more streams"


@in_browser
def test_every_pad_shows_its_cells_at_the_time(browser: Browser, arms: Path) -> None:
    browser.open(report(arms), "#t=2")
    assert browser.errors == []
    names = "[...document.querySelectorAll('.one-pad small')].map((s) => s.textContent)"
    assert browser.ask(names) == ["tip", "palm"]
    cells = "[...document.querySelectorAll('.one-pad i')].map((i) => i.title)"
    assert browser.ask(cells)[:5] == [
        "tip 0,0: 1000 raw", "tip 0,1: 1200 raw", "tip 1,0: 1400 raw", "tip 1,1: 1600 raw",
        "palm 0,0: 1000 raw",
    ]  # fmt: skip
    caption = browser.ask("document.querySelector('.panel.still').innerText")
    assert "11 values that never change" in caption
