"""Draws an episode as one picture: film strips, labels, and its streams over time."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.bags.files import replaced
from robot_recorder.content.contents import SOUND
from robot_recorder.content.depth_pictures import UNKNOWN, DepthScale, scale_colours
from robot_recorder.content.series import EpisodeData, Pictures
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.labels import LabelEvent, Outcome
from robot_recorder.model.marks import Mark, marks_of
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.verdict import Verdict
from robot_recorder.report.panels import Panel, left_out, panels
from robot_recorder.report.plots import (
    ACCENTS,
    plot_array,
    plot_constant,
    plot_curves,
    plot_pads,
    plot_sound,
    plt,
    ylabel,
)

OUTCOME_COLOURS = {
    Outcome.SUCCESS: "#2e7d32", Outcome.FAILURE: "#c62828", Outcome.UNLABELLED: "#616161",
}  # fmt: skip
VERDICT_COLOURS = {
    Verdict.ACCEPT: "#2e7d32", Verdict.REVIEW: "#ef6c00",
    Verdict.REJECT: "#c62828", Verdict.UNKNOWN: "#616161",
}  # fmt: skip
_STRIP = 8  # pictures in a film strip
_SEGMENTS = ("#90caf9", "#a5d6a7", "#ffe082", "#ef9a9a", "#ce93d8", "#80deea", "#bcaaa4")
_WIDE, _LEFT, _RIGHT = 15.0, 0.09, 0.86  # inches; shares of them
_TOP, _BOTTOM, _GAP, _TITLE = 1.0, 0.8, 0.16, 0.25  # inches
_MOST, _LEAST = 26.0, 6.0  # inches of panels: with more some are left out, with less some are added
# Panels of these are kept first when there are too many.
_URGENT = (Sort.JOINTS, Sort.WRENCH, Sort.TACTILE, Sort.POSE, Sort.AUDIO, Sort.NUMBERS, Sort.POINTS)
_LEAST_S = 0.4  # an annotation shorter than this has no room for its name


@dataclass(frozen=True)
class _Row:
    inches: float
    plot: Callable[[Any, Any, EpisodeData], None]
    content: Any
    marked: bool = True  # whether there is a time axis, on which start, stop and outcome are drawn
    title: Panel | None = None  # whose title is above the row


def draw(data: EpisodeData, target: Path) -> None:
    """Write the picture as PNG; an existing file is replaced only when the new one is complete.

    Raises:
        ConfigError: the file cannot be written.
    """
    rows, missing = _rows(data)
    high = _TOP + _BOTTOM + sum(_height(row) for row in rows)
    figure = plt.figure(figsize=(_WIDE, high), dpi=100)
    first, last = data.contents.first_s, max(data.contents.last_s, data.contents.first_s + 0.1)
    at = _TOP
    axes: Any = None
    for row in rows:
        top = at + (_TITLE if row.title else 0.0)
        box = (_LEFT, 1 - (top + row.inches) / high, _RIGHT - _LEFT, row.inches / high)
        axes = figure.add_axes(box)
        if row.title is not None:
            _panel_title(figure, row.title, 1 - (top - 0.05) / high)
        row.plot(axes, row.content, data)
        axes.set_xlim(first, last)
        if row.marked:
            _mark(axes, data)
        is_last = row is next((r for r in reversed(rows) if r.marked), rows[-1])
        axes.tick_params(labelbottom=is_last, bottom=row.marked)
        if is_last:
            axes.set_xlabel("seconds since start")
        at += _height(row)
    if missing:
        note = f"{missing} in the report; show --stream NAME draws all of a stream here"
        figure.text(_LEFT, 0.18 / high, note, fontsize=9.5, color="#616161", va="center")
    _title(figure, data, 1 / high)
    with replaced(target) as partial:
        figure.savefig(partial, format="png")
    plt.close(figure)


def _height(row: _Row) -> float:
    """Return the inches that a row takes with its title and the gap below it."""
    return row.inches + _GAP + (_TITLE if row.title else 0.0)


def _rows(data: EpisodeData) -> tuple[list[_Row], str]:
    """Return the rows of the picture, and what of the episode has no place in it, as a phrase."""
    marks = marks_of(data.episode.labels, data.contents.start_ns)
    cameras = [c for c in data.pictures if not data.chosen or c.topic.stream in data.chosen]
    rows = [_Row(_strip_height(c), _strip, c, marked=False) for c in cameras if c.chosen]
    if data.episode.events:
        rows.append(_Row(0.85, _annotations, marks))
    found = panels(data)
    drawn = _drawn(found, bool(data.chosen))
    for panel in drawn:
        rows += _panel_rows(panel)
    return rows or [_Row(0.85, _annotations, marks)], left_out(found, drawn)


def _drawn(found: list[Panel], everything: bool) -> list[Panel]:
    """Return the panels that the picture has room for, in their order."""
    inches = {id(p): sum(map(_height, _panel_rows(p))) for p in found}
    if everything or sum(inches.values()) < _LEAST:
        return found
    urgent = {sort: place for place, sort in enumerate(_URGENT)}
    main = [p for p in found if p.is_main]
    main.sort(key=lambda p: urgent.get(p.topic.sort, len(urgent)))
    kept: set[int] = set()
    room = _MOST
    for panel in main:
        if inches[id(panel)] <= room:
            room -= inches[id(panel)]
            kept.add(id(panel))
    return [p for p in found if id(p) in kept]


def _panel_rows(panel: Panel) -> list[_Row]:
    if not panel.curves:
        return [_Row(0.02, _plot(plot_constant), panel, marked=False, title=panel)]
    if panel.pads:
        count = len(panel.pads)
        inches = 0.85 if count == 1 else float(np.clip(0.16 * count, 0.6, 2.8))
        if count == 1:
            return [_Row(inches, _plot(plot_array), panel, title=panel)]
        at_once = _Row(0.95, _plot(plot_pads), panel, marked=False, title=panel)
        return [at_once, _Row(inches, _plot(plot_array), panel)]
    if panel.topic.sort is Sort.AUDIO and panel.name == SOUND:
        return [_Row(0.8, _plot(plot_sound), panel, title=panel)]
    few = 0.95 if len(panel.curves) <= 4 else 1.25  # whose legend has room
    inches = 2.3 if panel.topic.sort is Sort.JOINTS and panel.is_main else few
    return [_Row(inches, _plot(plot_curves), panel, title=panel)]


def _plot(draw_panel: Callable[[Any, Panel], None]) -> Callable[[Any, Any, EpisodeData], None]:
    return lambda axes, panel, data: draw_panel(axes, panel)


def _panel_title(figure: Any, panel: Panel, bottom: float) -> None:
    """Write the stream and what is drawn of it, and small its topic and what is left out."""
    is_joints = panel.topic.sort is Sort.JOINTS
    colour = ACCENTS[panel.palette % len(ACCENTS)] if is_joints else "#212121"
    figure.text(_LEFT, bottom, panel.title, fontsize=10.5, weight="bold", color=colour, va="bottom")
    small = "   ".join(filter(None, (panel.note, panel.topic.name)))
    figure.text(_RIGHT, bottom, small, fontsize=8.5, color="#757575", ha="right", va="bottom")


def _strip_height(camera: Pictures) -> float:
    """Return the height in inches that keeps the aspect ratio of a camera's pictures."""
    for _, picture in camera.chosen:
        try:
            height, width = picture.pixels().shape[:2]
        except DecodeError:
            continue
        return float(np.clip(_WIDE * (_RIGHT - _LEFT) / _STRIP * height / width, 0.5, 2.5))
    return 1.0


def _title(figure: Any, data: EpisodeData, inch: float) -> None:
    episode, labels, quality = data.episode, data.episode.labels, data.episode.quality
    figure.text(_LEFT, 1 - 0.3 * inch, episode.id, fontsize=15, weight="bold", va="center")
    outcome = labels.outcome_text if labels.cause else labels.outcome.text
    badge(figure, _RIGHT, 1 - 0.3 * inch, outcome.upper(), OUTCOME_COLOURS[labels.outcome])
    by = f", operator {labels.operator_name}" if labels.operator_name else ""
    text = f"{labels.instruction or 'no instruction'}   ({episode.duration_s:.1f} s{by})"
    figure.text(_LEFT, 1 - 0.57 * inch, text, fontsize=11, color="#424242", va="center")
    if quality.verdict is not Verdict.UNKNOWN:
        text = textwrap.shorten(f"recording: {quality.sentence}", 150, placeholder=" …")
        colour = VERDICT_COLOURS[quality.verdict]
        figure.text(_LEFT, 1 - 0.8 * inch, text, fontsize=10, color=colour, va="center")


def badge(figure: Any, right: float, middle: float, text: str, colour: str) -> None:
    """Draw white text on a coloured background."""
    figure.text(
        right, middle, text, fontsize=14, weight="bold", color="white", ha="right", va="center",
        bbox={"facecolor": colour, "edgecolor": colour, "boxstyle": "round,pad=0.35"},
    )  # fmt: skip


def _mark(axes: Any, data: EpisodeData) -> None:
    axes.axvline(0, color="#424242", linewidth=1.2, linestyle="--")
    axes.axvspan(-data.episode.pre_roll_s, 0, color="#9e9e9e", alpha=0.25, linewidth=0, zorder=3)
    axes.axvline(data.episode.duration_s, color="#424242", linewidth=1.2, linestyle="--")
    for event in _outcomes(data):
        axes.axvline(
            _seconds(data, event.stamp_ns), color=OUTCOME_COLOURS[event.outcome], linewidth=2
        )


def _seconds(data: EpisodeData, stamp_ns: int) -> float:
    return (stamp_ns - data.episode.start_ns) / NS_PER_S


def _outcomes(data: EpisodeData) -> list[LabelEvent]:
    """Return the outcomes that were given during the recording."""
    given = [e for e in data.episode.events if e.outcome is not Outcome.UNLABELLED]
    return [e for e in given if _seconds(data, e.stamp_ns) <= data.contents.last_s]


def _strip(axes: Any, camera: Pictures, data: EpisodeData) -> None:
    first, last = data.contents.first_s, data.contents.last_s
    width = (last - first) / _STRIP
    axes.set_yticks([])
    ylabel(axes, "\n".join(textwrap.wrap(camera.topic.stream.replace("_", " "), 12)))
    axes.set_facecolor("#212121")
    times = np.array([time for time, _ in camera.chosen])
    for number in range(_STRIP):
        centre = first + (number + 0.5) * width
        nearest = int(np.abs(times - centre).argmin())
        if abs(times[nearest] - centre) > width / 2:
            continue  # the camera was silent: leave a visible gap
        try:
            image = camera.chosen[nearest][1].pixels()
        except DecodeError:
            axes.text(centre, 0.5, "undecodable", color="white", ha="center")
            continue
        extent = (first + number * width, first + (number + 1) * width * 0.997, 0, 1)
        axes.imshow(image, extent=extent, aspect="auto")
        axes.text(
            extent[0] + 0.03 * width, 0.06, f"{times[nearest]:.2f} s", color="white", fontsize=8,
            bbox={"facecolor": "black", "alpha": 0.5, "pad": 1.5, "linewidth": 0},
        )  # fmt: skip
    axes.set_ylim(0, 1)
    if camera.scale is not None:
        _scale_bar(axes, camera.scale)


def _scale_bar(axes: Any, scale: DepthScale) -> None:
    """Draw the colours of distances beside their pictures, and the grey of what is unknown."""
    grey = "#" + bytes(UNKNOWN).hex()
    bar = axes.inset_axes((1.008, 0.24, 0.012, 0.76))
    colours = np.array(scale_colours(128), dtype=np.uint8)
    bar.imshow(colours[:, None], extent=(0, 1, scale.near_m, scale.far_m), origin="lower")
    bar.set_aspect("auto")
    bar.set_xticks([])
    bar.yaxis.tick_right()
    ticks = np.linspace(scale.near_m, scale.far_m, 3)
    bar.set_yticks(ticks, [f"{tick:.3g} m" for tick in ticks], fontsize=8)
    bar.tick_params(length=2, pad=2)
    nothing = axes.inset_axes((1.008, 0.0, 0.012, 0.14))
    nothing.set_facecolor(grey)
    nothing.set_xticks([])
    nothing.yaxis.tick_right()
    nothing.set_yticks([0.5], ["unknown"], fontsize=8)
    nothing.set_ylim(0, 1)
    nothing.tick_params(length=2, pad=2)


def _annotations(axes: Any, marks: Sequence[Mark], data: EpisodeData) -> None:
    axes.set_yticks([])
    axes.set_ylim(0, 1)
    ylabel(axes, "labels")
    if data.episode.pre_roll_s:
        axes.text(
            -data.episode.pre_roll_s,
            0.5,
            " pre-roll",
            color="#616161",
            fontsize=9,
            va="center",
            clip_on=True,
        )
    if not marks:
        axes.text(
            0.5,
            0.5,
            "no annotations",
            transform=axes.transAxes,
            color="#9e9e9e",
            ha="center",
            va="center",
        )
    instants = 0
    for number, mark in enumerate(marks):
        start, end = mark.start_s, mark.end_s
        if not mark.is_instant:
            colour = _SEGMENTS[number % len(_SEGMENTS)]
            axes.axvspan(start, end, 0, 0.5, color=colour, linewidth=0)
            axes.text(
                (start + end) / 2,
                0.24,
                mark.name,
                ha="center",
                va="center",
                fontsize=9,
                clip_on=True,
            )
        else:  # instants go above the segments, alternating between two rows to keep them apart
            height = (0.63, 0.87)[instants % 2]
            instants += 1
            axes.plot([start, start], [0, height + 0.1], color="#6a1b9a", linewidth=2)
            axes.text(
                start,
                height,
                f" {mark.name}",
                color="#6a1b9a",
                fontsize=8.5,
                va="center",
                clip_on=True,
            )
    for event in _outcomes(data):
        axes.text(
            _seconds(data, event.stamp_ns), 1.02, event.outcome.text, fontsize=9, ha="right",
            color=OUTCOME_COLOURS[event.outcome], va="bottom", weight="bold",
        )  # fmt: skip
