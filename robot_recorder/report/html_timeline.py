"""Cameras and the lane of labels as plain HTML, which the page's script makes interactive."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from robot_recorder.content.depth_pictures import UNKNOWN, DepthScale, scale_colours
from robot_recorder.content.image_files import ImageFile
from robot_recorder.content.series import EpisodeData, Pictures
from robot_recorder.model.labels import LabelEvent, LabelKind, Labels, Outcome
from robot_recorder.model.marks import marks_of
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import plural
from robot_recorder.report.html_text import Html, element

_PICTURE_BYTES = 2_300_000  # of all pictures; a page with more is slow to send and to open
_FEWEST = 6  # pictures of a camera, however large they are
_STRIP = 6  # pictures of a camera in print
_COLOURS = 7  # colours of segments in page.css
_LETTER = 0.0075  # approximate width of a letter, share of the lane
_LEAST = 0.004  # least width of a segment, share of the lane
_SCALE_COLOURS = 17  # between which the browser interpolates
_LONGEST = 40  # letters of a name on the lane


@dataclass(frozen=True)
class TimelineMark:
    """A label on the lane.

    Attributes:
        start_s, end_s: since the episode's start; equal for an instant.
        name: text on the lane.
        kind: ``segment``, ``instant``, or an outcome.
        colour: index of a segment's colour.
    """

    start_s: float
    end_s: float
    name: str
    kind: str
    colour: int = 0


def marks(data: EpisodeData, labels: Labels, events: list[LabelEvent]) -> list[TimelineMark]:
    """Return the current annotations, and the outcome if it was given during the recording."""
    start_ns, found = data.contents.start_ns, []
    colours: dict[str, int] = {}
    for mark in marks_of(labels, start_ns):
        kind = "instant" if mark.is_instant else "segment"
        colour = 0 if mark.is_instant else colours.setdefault(mark.name, len(colours))
        found.append(TimelineMark(mark.start_s, mark.end_s, mark.name, kind, colour % _COLOURS))
    outcomes = [e for e in events if e.kind is LabelKind.OUTCOME]
    if outcomes and outcomes[-1].outcome is not Outcome.UNLABELLED:
        at = (outcomes[-1].stamp_ns - start_ns) / NS_PER_S
        found.append(TimelineMark(at, at, labels.outcome_text, labels.outcome.text))
    first, last = span(data)
    return sorted(
        (m for m in found if m.end_s >= first and m.start_s <= last), key=lambda m: m.start_s
    )


def span(data: EpisodeData) -> tuple[float, float]:
    """Return the time axis, s since the start: all that was received and all that was requested."""
    first = min(data.contents.first_s, 0.0)
    return first, max(data.contents.last_s, stop(data), first + 0.1)


def stop(data: EpisodeData) -> float:
    """Return when it was stopped, s since the start."""
    return data.episode.duration_s


def lane(data: EpisodeData, found: list[TimelineMark]) -> Html:
    """Return the lane: pre-roll, segments and instants in as many rows as their names need."""
    first, last = span(data)

    def share(seconds: float) -> float:
        return min(max((seconds - first) / (last - first), 0.0), 1.0)

    def style(start: float, end: float, row: int = 0) -> str:
        return f"left:{share(start):.3%};width:{share(end) - share(start):.3%};--row:{row}"

    outside = [
        element("span", class_="outside", title=text, style=style(start, end))
        for start, end, text in (
            (first, 0.0, "pre-roll"),
            (stop(data), last, "after the stop"),
        )
        if end > start
    ]
    placed = _placed([(share(m.start_s), share(m.end_s), m) for m in found])
    drawn = [
        element(
            "span", element("span", _short(mark.name)), title=f"{mark.name}, {_when(mark)}",
            class_=f"mark {mark.kind} colour-{mark.colour}{' flipped' if flipped else ''}",
            style=style(mark.start_s, mark.end_s, row),
        )
        for mark, row, flipped in placed
    ]  # fmt: skip
    return element(
        "div", outside, drawn, element("span", class_="window"), element("span", class_="cursor"),
        id="lane", style=f"--rows:{max((row + 1 for _, row, _ in placed), default=1)}",
        role="slider", tabindex="0", aria_label="time", aria_valuemin=f"{first:.3f}",
        aria_valuemax=f"{last:.3f}", aria_valuenow="0",
    )  # fmt: skip


def _placed(found: list[tuple[float, float, TimelineMark]]) -> list[tuple[TimelineMark, int, bool]]:
    """Assign each mark a row, and tell whether its name goes to its left for lack of room.

    Args:
        found: beginning and end as shares of the lane, sorted by beginning.
    """
    ends: list[float] = []  # end of the last mark in each row
    placed = []
    for begin, end, mark in found:
        flipped = False
        if mark.kind == "segment":
            end = max(end, begin + _LEAST)
        else:
            length = _LETTER * (len(_short(mark.name)) + 2)
            flipped = begin + length > 1
            begin, end = (begin - length, begin) if flipped else (begin, begin + length)
        row = next((r for r, taken in enumerate(ends) if taken <= begin + 1e-6), len(ends))
        ends[row : row + 1] = [end]
        placed.append((mark, row, flipped))
    return placed


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _when(mark: TimelineMark) -> str:
    until = f" to {mark.end_s:.2f} s" if mark.end_s > mark.start_s else ""
    return f"{mark.start_s:.2f} s{until}"


def cameras(data: EpisodeData) -> Html:
    """Return the pictures of each camera on top of each other, one of them visible."""
    shown = [p for p in data.pictures
             if p.chosen and (not data.chosen or p.topic.stream in data.chosen)]  # fmt: skip
    size = sum(sum(len(q.data) for _, q in p.chosen) / len(p.chosen) for p in shown)
    # The same number for each, so that all cameras show about the same moment.
    most = max(_FEWEST, int(_PICTURE_BYTES / max(size, 1.0)))
    return element("div", [_camera(p, most) for p in shown], id="cameras")


def _camera(pictures: Pictures, most: int) -> Html:
    count = min(len(pictures.chosen), most)
    places = np.linspace(0, len(pictures.chosen) - 1, count).round().astype(int)
    chosen = [pictures.chosen[place] for place in places]
    times = np.array([at for at, _ in chosen])
    current = int(np.abs(times).argmin())  # shown when the page opens
    strip = set(np.linspace(0, len(chosen) - 1, _STRIP).round().astype(int).tolist())
    frames = []
    for number, (at, picture) in enumerate(chosen):
        classes = ["now"] if number == current else []
        classes += ["strip"] if number in strip else []
        frames.append(
            element(
                "img", src=_source(picture), alt=f"{at:.2f} s", decoding="sync",
                data_time=f"{at:.3f}", class_=" ".join(classes) or None,
            )
        )  # fmt: skip
    name, of = pictures.topic.stream, plural(len(pictures.times_s), "picture")
    counted = of if len(chosen) == len(pictures.times_s) else f"{len(chosen)} of {of}"
    return element(
        "figure",
        element("div", frames, class_="frames"),
        element(
            "figcaption",
            element("b", name, title=pictures.topic.name),
            element("span", f"{times[current]:.2f} s", class_="at"),
            element("small", counted),
        ),
        _scale(pictures.scale) if pictures.scale is not None else "",
        class_="camera",
    )


def _scale(scale: DepthScale) -> Html:
    """Return the colours of distances with their ends, and the grey of what is unknown."""
    near, far = scale.labels
    colours = ",".join("#" + bytes(colour).hex() for colour in scale_colours(_SCALE_COLOURS))
    grey = "#" + bytes(UNKNOWN).hex()
    return element(
        "div",
        element("span", near),
        element("i", style=f"background:linear-gradient(to right,{colours})"),
        element("span", far),
        element("span", element("b", style=f"background:{grey}"), " unknown"),
        class_="distances",
    )


def _source(picture: ImageFile) -> str:
    kind = "image/png" if picture.media_type == "image/png" else "image/jpeg"
    return f"data:{kind};base64,{base64.b64encode(picture.data).decode()}"
