"""The HTML report of an episode, tested in a browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.bags import angle, small_robot
from support.browser import Browser, chromium
from support.full_robot import HOSTILE, SILENT, force, full_robot, pressure, recorded_facts, swing
from support.pictures import pixels
from support.samples import T0, write_bag

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.content.contents import Contents, Topic
from robot_recorder.content.series import EpisodeData, Series, load
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.errors import ConfigError
from robot_recorder.report.html import page, write_html

GRIPPER = Path(__file__).parents[3] / "shared" / "data" / "gripper_closes_can"
START = 0.5  # start of the full robot's episode, s after its first message
in_browser = pytest.mark.skipif(chromium() is None, reason="chromium is not installed")


def report(bag: Path) -> Path:
    """Write the report beside the bag and return its path."""
    target = bag.with_suffix(".html")
    write_html(load(Contents.open(bag)), target)
    return target


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as tab:
        yield tab


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(full_robot(tmp_path_factory.mktemp("full") / "bag", **recorded_facts()))


@pytest.fixture(scope="module")
def text(full: Path) -> str:
    """Return the page without its data and script."""
    return full.read_text(encoding="utf-8").split('<script id="data"')[0]


def figure(browser: Browser, title: str, name: str) -> float:
    """Return what a legend shows at the page's current time."""
    return float(
        browser.ask(
            f"(() => {{ const panel = data.panels.find((p) => p.title.startsWith({title!r})); "
            f"return panel.curves.find((c) => c.name === {name!r}).output.textContent; }})()"
        ).replace("–", "nan")
    )


def box(browser: Browser, selector: str) -> Any:
    """Scroll an element into view and return its box in the window."""
    found = f"document.querySelector({selector!r})"
    browser.ask(f"{found}.scrollIntoView({{block: 'center'}})")
    return browser.ask(
        f"(({{left, top, width, height}}) => ({{left, top, width, height}}))({found}.getBoundingClientRect())"
    )


def now(browser: Browser) -> float:
    return float(browser.ask("document.querySelector('#lane').getAttribute('aria-valuenow')"))


@in_browser
def test_it_opens_offline_without_an_error(browser: Browser, full: Path) -> None:
    browser.open(full)
    assert browser.errors == []
    assert browser.ask("document.documentElement.dataset.error") is None
    assert {url.split(":")[0] for url in browser.requests} == {"file", "data"}
    assert len([url for url in browser.requests if url.startswith("file")]) == 1


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
def test_tables_and_pictures_are_visible_without_scripts(browser: Browser, full: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.call("Page.navigate", url=full.as_uri())
        browser.wait(
            "document.readyState === 'complete' && Boolean(document.querySelector('#everything'))"
        )
        tables = (
            "[...document.querySelectorAll('section > .scroll > table')].map((t) => t.offsetHeight)"
        )
        assert len(browser.ask(tables)) == 4 and min(browser.ask(tables)) > 40
        seen = (
            "[...document.querySelectorAll('.frames img')].filter((i) => i.offsetWidth > 50).length"
        )
        assert browser.ask(seen) == 6
        assert "need JavaScript" in browser.ask("document.querySelector('noscript').innerText")
        assert browser.ask("document.querySelectorAll('#panels *').length") == 0
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@in_browser
def test_a_foreign_bag_has_a_report(browser: Browser, tmp_path: Path) -> None:
    if not GRIPPER.exists():
        pytest.skip("the recording gripper_closes_can is not beside the checkout")
    write_html(load(Contents.open(GRIPPER)), tmp_path / "a.html")
    browser.open(tmp_path / "a.html", "#t=13")
    titles = browser.ask("data.panels.map((p) => p.title)")
    assert any("force" in t for t in titles) and sum("finger tip" in t for t in titles) == 2
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


def row(text: str, *parts: str) -> str:
    """Return the only table row that contains all of these."""
    rows = [r for r in re.findall(r"<tr.*?</tr>", text, re.S) if all(p in r for p in parts)]
    assert len(rows) == 1, (parts, len(rows))
    return rows[0]


def test_labels_are_shown_with_their_history(text: str) -> None:
    assert 'class="badge failure"><small>task</small> failure: slip<' in text
    gone = 'tr class="gone"'
    assert gone in row(text, "physics", "success", "unlabelled")
    assert gone in row(text, "<b>mistaken</b>", "ann")
    assert gone not in row(text, "withdrawn: ", "bob")
    assert gone not in row(text, "failure: slip", "bob", "seen on the video \ufffd", "<td>success<")
    assert gone not in row(text, "<b>reach</b>", 'href="#t=0.000"', "1.50 s")


def test_the_lane_shows_current_labels_only(text: str) -> None:
    lane = text[text.index('id="lane"') : text.index('id="readout"')]
    names = re.findall(r'class="mark (\w+)[^>]*><span>([^<]*)', lane)
    assert ("segment", "reach") in names and "mistaken" not in lane
    assert not any(kind in ("success", "failure") for kind, _ in names)  # given much later
    assert 'class="outside" title="pre-roll"' in lane and "left:0.000%;width:8.3" in lane


def test_quality_shows_figure_limit_and_sentence(text: str) -> None:
    assert 'class="badge reject"><small>recording</small> reject<' in text
    assert 'Recording: <a href="#quality">wrench was silent</a>' in text
    finding = row(text, ">fail<", "gap")
    assert "was silent for 1 s" in finding and "1000 ms" in finding and "100 ms" in finding
    assert "blur: no camera" in text and "1 check passed" in text


def test_unknown_values_are_shown_as_unknown(text: str) -> None:
    assert "<dt>messages lost</dt><dd>at least 7</dd>" in text
    assert "dds: unknown, queue: 7" in row(text, "/wrist/wrench", "WrenchStamped")
    assert "<td>unknown</td>" in row(text, "/palm/tactile", "TactileArray")
    certified = row(text, ">wrench<", "linear")
    assert "166.7 Hz" in certified and "unknown" in certified and "2.2 ms" in certified
    assert "10.0%" in certified


def test_all_custom_data_is_shown(text: str) -> None:
    for key in recorded_facts():
        assert f"<code>{key}</code>" in text
    assert "robot: full\n" in text and HOSTILE not in text


@pytest.mark.parametrize(
    ("key", "value"),
    [("quality", "[1]"), ("quality", "{"), ("sync", '{"streams": {"a": 5}}'), ("labels", "{}"),
     ("sync", '{"frames": "x", "streams": {"a": {"offset_ms": "y"}}}'), ("streams", '{"/wrist/wrench": 5}'),
     ("pre_roll_s", "soon"), ("stop_ns", "1" + 400 * "0"), ("labels", '[{"kind":"annotation","start_ns":1' + 400 * "0" + "}]"), ("clock_jumps", '"x"'),
     ("streams", '{"/wrist/wrench": {"written": 1, "lost": {"dds": []}}}'), ("streams", '{"/wrist/wrench": {"written": 1, "lost": {"dds": ""}}}'),
     ("sync", '{"frames": 1, "streams": {"a": {"disorder_ms": -Infinity, "out_of_order": 1}}}'), ("sync", '{"frames": 1, "complete": 1%s}' % (400 * "0")),
     ("sync", '{"frames": 1, "streams": {"a": {"offset_ms": 1%s}}}' % (400 * "0"))],
)  # fmt: skip
def test_invalid_metadata_is_listed_and_not_fatal(tmp_path: Path, key: str, value: str) -> None:
    path = small_robot(tmp_path / "bag", seconds=1) / "metadata.yaml"
    metadata = yaml.safe_load(path.read_text())
    metadata["rosbag2_bagfile_information"].setdefault("custom_data", {})[key] = value
    path.write_text(yaml.safe_dump(metadata))
    found = page(load(Contents.open(tmp_path / "bag")))
    assert found.count("<h2>") == 6 and found.count('class="badge ') == 2
    listed = found[found.index("What could not be read") :]
    assert "All numbers and pictures could be read" not in listed


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    data = load(Contents.open(small_robot(tmp_path / "bag", seconds=1)))
    with pytest.raises(ConfigError, match="cannot be written"):
        write_html(data, tmp_path / "nowhere" / "a.html")
    write_html(data, tmp_path / "a.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "bag"]


def many(folder: Path, count: int, columns: int, values: np.ndarray) -> EpisodeData:
    """Return series of an unknown type, each column with the same values."""
    times = np.linspace(0, 60, len(values))
    names = tuple(f"field/{c} (V)" for c in range(columns))
    series = [
        Series(
            Topic(f"/t{n}", "a/msg/A", len(values), Sort.NUMBERS, f"t{n}", None), names, times,
            np.repeat(values[:, None], columns, axis=1),
        )
        for n in range(count)
    ]  # fmt: skip
    return EpisodeData(Contents.open(small_robot(folder / "bag", seconds=1)), series, [], [])


class TestNumbers:
    def test_a_page_of_many_numbers_stays_small_and_keeps_the_spike(self, tmp_path: Path) -> None:
        values = np.sin(np.linspace(0, 60, 4000))
        values[1234] = 5.0
        data = many(tmp_path, 60, 40, values)
        found = page(data)
        assert len(found) < 6e6
        if chromium():
            (tmp_path / "a.html").write_text(found, encoding="utf-8")
            with Browser() as browser:
                browser.open(tmp_path / "a.html")
                highest = "Math.max(...values([7, 3]))"
                assert browser.ask(highest) == pytest.approx(5, abs=1e-3)
                assert browser.errors == []

    @in_browser
    @pytest.mark.parametrize("case", ["plain", "constant", "holes", "spike", "huge", "infinite"])
    def test_the_page_decodes_the_values_that_were_embedded(
        self, browser: Browser, tmp_path: Path, case: str
    ) -> None:
        values = np.sin(np.linspace(0, 20, 1000)) + 3.0
        if case == "constant":
            values[:] = -0.125
        elif case == "holes":
            values[10:20] = np.nan
        elif case == "spike":
            values[500] = 1e6
        elif case == "huge":
            values *= 1e300
        elif case == "infinite":
            values[[3, 7]] = np.inf, -np.inf
        (tmp_path / "a.html").write_text(page(many(tmp_path, 1, 2, values)), encoding="utf-8")
        browser.open(tmp_path / "a.html")
        arrived = browser.ask(
            "[...values(data.panels[0].curves[0].at)].map((v) => isNaN(v) ? null : v)"
        )
        got = np.array([np.nan if v is None else v for v in arrived])
        expected = np.where(np.isfinite(values), values, np.nan)
        span = (
            np.nanmax(expected) / 1e5 if case == "huge" else 1e-4 if case != "spike" else 1e-6 * 3
        )
        assert np.allclose(got, expected, rtol=1e-7, atol=span, equal_nan=True)
        assert browser.errors == []


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
