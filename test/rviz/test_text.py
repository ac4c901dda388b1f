"""rviz can draw every line that a scene has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.rviz.text import LONGEST, drawable, lines_of, plain

PACKAGE = Path(__file__).parents[2] / "robot_recorder"


def is_drawn(line: str) -> bool:
    return bool(line.strip()) and line.isascii() and line.isprintable() and len(line) <= LONGEST


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("12.3 N", "12.3 N"),
        ("playback   1.0 of 8.0 s", "playback   1.0 of 8.0 s"),
        ("Jürgen Müßig", "Jurgen Mussig"),
        ("37 °C ± 2 µm…", "37 degC +- 2 um..."),
        ("fold\u00a0the\tshirt\n", "fold the shirt"),
        ("箱を lift", "?? lift"),
        ("", "-"),
        (" \x00", "-"),
        ("x" * 60, "x" * (LONGEST - 4) + " ..."),
    ],
)
def test_a_text_becomes_what_rviz_draws(text: str, drawn: str) -> None:
    assert drawable(text) == drawn


@given(st.text(max_size=300), st.integers(1, 5))
def test_every_line_can_be_drawn_and_nothing_is_left_out_in_silence(text: str, most: int) -> None:
    lines = lines_of(text, most)
    assert len(lines) <= most and all(map(is_drawn, lines)) and is_drawn(drawable(text))
    whole = "".join(plain(text).split())
    shown = "".join("".join(lines).split())
    assert shown == whole or (lines[-1].endswith(" ...") and whole.startswith(shown[:-3]))


def test_texts_become_markers_in_one_place() -> None:
    """There they get the width of blanks, and only what can be drawn; the tests' viewer checks it."""
    places = [p.name for p in PACKAGE.rglob("*.py") if "Marker.TEXT_VIEW_FACING" in p.read_text()]
    assert places == ["scene_markers.py"]
