"""The overlay's text for typical situations."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.alignment.frames import NO_FLOATS, NO_INTS, Frame, FrameSample, SampleStatus
from robot_recorder.model.labels import Outcome
from robot_recorder.model.marks import Mark
from robot_recorder.quality.verdict import Verdict
from robot_recorder.rviz.overlay import (
    FrameTrouble,
    Line,
    Situation,
    State,
    overlay_lines,
    overlay_shapes,
)
from robot_recorder.rviz.shapes import BLUE, GREEN, GREY, ORANGE, RED, YELLOW
from robot_recorder.rviz.text import LONGEST, drawable

MARKS = (Mark("reach", 0.5, 2.0), Mark("slip", 1.5, 2.5), Mark("touch", 3.0, 3.0))


def lines_of(**fields) -> dict[str, tuple]:
    return {line.text: line.colour for line in overlay_lines(Situation(**fields))}


def test_a_recording_shows_task_time_outcome_and_trouble() -> None:
    lines = lines_of(
        state=State.RECORDING, task="lift_box", operator="ann", instruction="Lift it.", at_s=3.21,
        trouble=("imu silent",), streams=12,
    )  # fmt: skip
    assert list(lines) == [
        "lift_box - ann", "Lift it.", "RECORDING   3.2 s", "unlabelled", "imu silent"
    ]  # fmt: skip
    assert lines["RECORDING   3.2 s"] == RED and lines["imu silent"] == ORANGE


def test_a_missing_recorder_and_an_idle_one_are_shown() -> None:
    assert lines_of(state=State.WAITING) == {"waiting for the recorder": ORANGE}
    assert lines_of(state=State.IDLE, streams=12) == {"idle": GREY, "all 12 streams fine": GREY}


@pytest.mark.parametrize(
    ("outcome", "cause", "text", "colour"),
    [
        (Outcome.SUCCESS, "", "success", GREEN),
        (Outcome.FAILURE, "drop", "failure: drop", RED),
        (Outcome.UNLABELLED, "", "unlabelled", GREY),
    ],
)
def test_an_outcome_has_its_colour(outcome, cause, text, colour) -> None:
    lines = lines_of(state=State.PLAYBACK, at_s=1.0, duration_s=8.0, outcome=outcome, cause=cause)
    assert lines["playback   1.0 of 8.0 s"] == BLUE and lines[text] == colour


def test_a_verdict_has_its_reason_unless_it_is_accept() -> None:
    why = {"sentence": "imu lost 5 messages", "state": State.IDLE, "duration_s": 8.0}
    assert "imu lost 5 messages" not in lines_of(verdict=Verdict.ACCEPT, **why)
    assert lines_of(verdict=Verdict.REVIEW, **why)["imu lost 5 messages"] == ORANGE
    assert lines_of(verdict=Verdict.REJECT, **why)["recording: reject"] == RED


@pytest.mark.parametrize(
    ("at_s", "text"),
    [
        (0.2, None), (1.0, "reach"), (1.7, "reach, slip"), (2.2, "slip"), (2.7, "slip at 1.5 s"),
        (3.5, "touch at 3.0 s"),
    ],
)  # fmt: skip
def test_the_current_annotations_are_shown_or_else_the_last_one(
    at_s: float, text: str | None
) -> None:
    lines = lines_of(state=State.PLAYBACK, at_s=at_s, duration_s=8.0, marks=MARKS)
    assert [t for t, colour in lines.items() if colour == YELLOW] == ([text] if text else [])


def test_times_in_the_pre_roll_are_marked_except_just_before_the_start() -> None:
    assert "playback   -0.7 of 8.0 s (before the start)" in lines_of(
        state=State.PLAYBACK, at_s=-0.7, duration_s=8.0
    )
    assert "playback   0.0 of 8.0 s" in lines_of(state=State.PLAYBACK, at_s=-0.01, duration_s=8.0)


@given(
    st.lists(st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1), max_size=30)
)
def test_only_a_few_streams_in_trouble_are_named(names: list[str]) -> None:
    lines = overlay_lines(Situation(State.IDLE, trouble=tuple(names), streams=30))
    orange = " ".join(line.text for line in lines if line.colour == ORANGE)
    assert bool(names) == bool(orange)
    assert ("more" in orange.split()[-1:]) >= (len(names) > 4)


@given(st.text(), st.text(), st.text(), st.lists(st.text(min_size=1), max_size=6))
def test_every_line_is_one_that_rviz_draws(
    task: str, person: str, sentence: str, names: list[str]
) -> None:
    now = Situation(
        State.RECORDING, task, sentence, person, 2.0, 8.0, Outcome.FAILURE, sentence, Verdict.REJECT,
        sentence, tuple(Mark(name, 1.0, 3.0) for name in names), tuple(names), 9,
    )  # fmt: skip
    for line in overlay_lines(now):
        assert line.text == drawable(line.text) and len(line.text) <= LONGEST


@given(st.lists(st.floats(0.01, 0.1), min_size=1, max_size=10), st.floats(-1, 2))
def test_lines_are_stacked_in_order(heights: list[float], z: float) -> None:
    lines = [Line(str(n), GREY, height) for n, height in enumerate(heights)]
    shapes = sorted(overlay_shapes(lines, "root", 0.1, 0.2, z), key=lambda s: s.key.number)
    assert [s.text for s in shapes] == [line.text for line in lines]
    assert shapes[-1].at == pytest.approx((0.1, 0.2, z), abs=1e-4)
    for upper, lower in pairwise(shapes):
        assert upper.at[2] - lower.at[2] > 0.99 * (lower.height + upper.height) / 2


def test_streams_that_a_frame_lacks_stay_readable_for_a_while() -> None:
    trouble = FrameTrouble()

    def frame(*statuses: SampleStatus) -> Frame:
        empty = NO_FLOATS, NO_INTS, NO_FLOATS
        return Frame(1, 0, tuple(FrameSample(status, 0, 0, *empty) for status in statuses))

    names = ("joints", "wrench", "camera")
    fresh, held, missing = SampleStatus.FRESH, SampleStatus.HELD, SampleStatus.MISSING
    trouble.see(frame(fresh, held, missing), names, 10.0)
    trouble.see(frame(fresh, fresh, missing), names, 10.5)
    assert trouble.words(10.5) == ("camera missing", "wrench held") and trouble.streams == 3
    assert trouble.words(11.0) == ("camera missing",)
    assert trouble.words(3.0) == ()
