"""The tables of a report, complete whatever the metadata holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from support.bags import small_robot
from support.browser import Browser
from support.full_robot import HOSTILE, recorded_facts
from support.reports import in_browser

from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load
from robot_recorder.report.html import page


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
