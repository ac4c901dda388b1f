"""Numbers embedded in a report: small, and exact enough to read values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.bags import small_robot
from support.browser import Browser, chromium
from support.reports import in_browser

from robot_recorder.content.contents import Contents, Topic
from robot_recorder.content.series import EpisodeData, Series
from robot_recorder.messages.kinds import Sort
from robot_recorder.report.html import page


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


def test_a_page_of_many_numbers_stays_small_and_keeps_the_spike(tmp_path: Path) -> None:
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
@pytest.mark.parametrize("case", ["plain", "nearly constant", "holes", "spike", "huge", "infinite"])
def test_the_page_decodes_the_values_that_were_embedded(
    browser: Browser, tmp_path: Path, case: str
) -> None:
    values = np.sin(np.linspace(0, 20, 1000)) + 3.0
    if case == "nearly constant":
        values[:] = -0.125
        values[0] = -0.1250001
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
    span = np.nanmax(expected) / 1e5 if case == "huge" else 1e-4 if case != "spike" else 1e-6 * 3
    assert np.allclose(got, expected, rtol=1e-7, atol=span, equal_nan=True)
    assert browser.errors == []
