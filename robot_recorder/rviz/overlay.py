"""Text beside the robot: task, time, outcome, verdict, annotations and state of the streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from robot_recorder.alignment.frames import Frame, SampleStatus
from robot_recorder.model.labels import Outcome, outcome_text
from robot_recorder.model.marks import Mark
from robot_recorder.quality.verdict import Verdict
from robot_recorder.rviz.shapes import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    WHITE,
    YELLOW,
    Colour,
    Key,
    Text,
)
from robot_recorder.rviz.text import drawable, lines_of

_LETTER_M = 0.032
_TITLE_M = 0.045
_LINE = 1.5  # distance between lines, in letter heights
_MOST_LINES = 6  # of an instruction
_NAMES = 4  # most streams in trouble that are named; the rest are counted
_REMEMBER_S = 0.7  # a problem of a single frame stays readable this long


class State(Enum):
    """What the recorder or the player is doing."""

    WAITING = "waiting for the recorder"
    IDLE = "idle"
    RECORDING = "RECORDING"
    FINALISING = "closing the episode"
    PLAYBACK = "playback"


@dataclass(frozen=True)
class Situation:
    """What the overlay shows.

    Attributes:
        state: what the recorder or the player is doing.
        task, instruction, operator: of the episode; empty: unknown.
        at_s: now, since the episode's start; None: nothing is running.
        duration_s: of the whole episode; None: it is not over.
        outcome, cause: as labelled.
        verdict: of the quality checks.
        sentence: the verdict's reason.
        marks: annotations.
        trouble: streams with a problem, each with a word about it.
        streams: number of watched streams; 0: unknown.
    """

    state: State
    task: str = ""
    instruction: str = ""
    operator: str = ""
    at_s: float | None = None
    duration_s: float | None = None
    outcome: Outcome = Outcome.UNLABELLED
    cause: str = ""
    verdict: Verdict = Verdict.UNKNOWN
    sentence: str = ""
    marks: tuple[Mark, ...] = ()
    trouble: tuple[str, ...] = ()
    streams: int = 0


@dataclass(frozen=True)
class Line:
    """A line of text; ``height`` is that of a capital letter, m."""

    text: str
    colour: Colour
    height: float = _LETTER_M


_STATES = {State.RECORDING: RED, State.PLAYBACK: BLUE, State.WAITING: ORANGE}
_OUTCOMES = {Outcome.SUCCESS: GREEN, Outcome.FAILURE: RED, Outcome.UNLABELLED: GREY}
_VERDICTS = {
    Verdict.ACCEPT: GREY,
    Verdict.REVIEW: ORANGE,
    Verdict.REJECT: RED,
}


def overlay_lines(now: Situation) -> list[Line]:
    """Return the lines from top to bottom; unknown facts are left out."""
    who = f" - {now.operator}" if now.operator and now.task else ""
    lines = _lines(now.task + who if now.task else "", WHITE, height=_TITLE_M)
    lines += _lines(now.instruction, WHITE, _MOST_LINES)
    lines += _lines(_when(now), _STATES.get(now.state, GREY))
    if now.at_s is not None or now.duration_s is not None:
        lines += _lines(outcome_text(now.outcome, now.cause), _OUTCOMES[now.outcome])
    if now.verdict in _VERDICTS:
        lines += _lines(f"recording: {now.verdict.text}", _VERDICTS[now.verdict])
        if now.verdict is not Verdict.ACCEPT:
            lines += _lines(now.sentence, _VERDICTS[now.verdict], 2)
    lines += _lines(_marks(now.marks, now.at_s), YELLOW)
    if now.trouble:
        return lines + _lines(_troubles(now.trouble), ORANGE, _NAMES + 2)
    return lines + _lines(f"all {now.streams} streams fine" if now.streams else "", GREY)


def _lines(text: str, colour: Colour, most: int = 2, height: float = _LETTER_M) -> list[Line]:
    return [Line(part, colour, height) for part in lines_of(text, most)]


def overlay_shapes(lines: Sequence[Line], frame: str, x: float, y: float, z: float) -> list[Text]:
    """Stack the lines upwards, away from the robot.

    Args:
        lines: from top to bottom.
        frame: of the coordinates.
        x, y, z: centre of the lowest line, m.
    """
    shapes: list[Text] = []
    for number, line in reversed(list(enumerate(lines))):
        if shapes:  # a text is centred at its position
            z += (shapes[-1].height + line.height) / 2 * _LINE
        at = (x, y, round(z, 4))
        shapes.append(Text(Key("episode", number), frame, at, line.height, line.text, line.colour))
    return shapes


def _when(now: Situation) -> str:
    if now.at_s is None:
        return now.state.value
    of = f" of {now.duration_s:.1f}" if now.duration_s is not None else ""
    # Rounded to 0.1 s, so allow half of that; earlier times are the pre-roll.
    before = " (before the start)" if now.at_s < -0.05 else ""
    return f"{now.state.value}   {round(now.at_s, 1) + 0.0:.1f}{of} s{before}"


def _marks(marks: Iterable[Mark], at_s: float | None) -> str:
    """Return the annotations that cover this time, or else the last one."""
    if at_s is None:
        return ""
    begun = sorted((m for m in marks if m.start_s <= at_s), key=lambda m: (m.start_s, m.end_s))
    running = [m for m in begun if at_s <= m.end_s and m.end_s > m.start_s]
    if running:
        return ", ".join(m.name for m in running)
    return f"{begun[-1].name} at {begun[-1].start_s:.1f} s" if begun else ""


def _troubles(trouble: Sequence[str]) -> str:
    more = f" and {len(trouble) - _NAMES} more" if len(trouble) > _NAMES else ""
    return ", ".join(drawable(one) for one in trouble[:_NAMES]) + more


class FrameTrouble:
    """The streams that recent frames lacked, kept long enough to be read."""

    def __init__(self) -> None:
        self.streams = 0
        self._seen: dict[str, tuple[SampleStatus, float]] = {}

    def see(self, frame: Frame, names: Sequence[str], now_s: float) -> None:
        """Take a frame; ``now_s`` is on the same clock as that of ``words``."""
        self.streams = len(names)
        for name, sample in zip(names, frame.samples):
            if sample.status > SampleStatus.INTERPOLATED:
                self._seen[name] = sample.status, now_s

    def words(self, now_s: float) -> tuple[str, ...]:
        """Return streams with their problem, such as ``left_wrench missing``."""
        # abs(), because time goes back when a recording is played again.
        self._seen = {n: s for n, s in self._seen.items() if abs(now_s - s[1]) <= _REMEMBER_S}
        return tuple(f"{n} {status.name.lower()}" for n, (status, _) in sorted(self._seen.items()))
