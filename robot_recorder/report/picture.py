"""One picture that tells an episode: film strip above joints, forces and touch on one time axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np

from robot_recorder.core.labels import LabelEvent, Outcome
from robot_recorder.core.streams import NS_PER_S
from robot_recorder.report.episode_data import EpisodeData, Pictures, Series

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_COLOURS = {Outcome.SUCCESS: "#2e7d32", Outcome.FAILURE: "#c62828", Outcome.UNLABELLED: "#616161"}
_STRIP = 8  # pictures in a film strip
_JOINTS = 8  # joints drawn: those that move most
_SEGMENTS = ("#90caf9", "#a5d6a7", "#ffe082", "#ef9a9a", "#ce93d8", "#80deea", "#bcaaa4")


def draw(data: EpisodeData, target: Path) -> None:
    """Write the picture as PNG.

    Args:
        data: the episode's content.
        target: file to write.
    """
    joints = [s for s in data.series if s.type == "sensor_msgs/msg/JointState"]
    wrenches = [s for s in data.series if s.type == "geometry_msgs/msg/WrenchStamped"]
    pads = [s for s in data.series if s.type == "robot_recorder/msg/TactileArray"]
    observed = [s for s in joints if any(n.startswith("velocity/") for n in s.names)] or joints[:1]
    rows: list[tuple[float, Any, Any]] = [(1.0, _strip, camera) for camera in data.pictures]
    if data.episode.events or not (data.series or data.pictures):
        rows.append((0.5, _annotations, list(data.episode.labels.annotations)))
    rows += [(1.5, _joint_plot, series) for series in observed]
    if wrenches:
        rows.append((1.2, _force_plot, wrenches))
    rows += [(0.6, _touch_plot, pad) for pad in pads]

    heights = [row[0] for row in rows]
    figure = plt.figure(figsize=(15, 1.75 * sum(heights) + 1.2), dpi=100)
    top = 1 - 0.75 / figure.get_figheight()
    grid = figure.add_gridspec(
        len(rows),
        1,
        height_ratios=heights,
        hspace=0.12,
        left=0.09,
        right=0.86,
        top=top,
        bottom=0.6 / figure.get_figheight(),
    )
    first, last = _span(data)
    shared: Any = None
    for number, (_, plot, content) in enumerate(rows):
        axes = figure.add_subplot(grid[number], sharex=shared)
        shared = shared or axes
        plot(axes, content, data, (first, last))
        axes.set_xlim(first, last)
        bottom = number == len(rows) - 1
        axes.tick_params(labelbottom=bottom, bottom=bottom or plot not in (_strip, _annotations))
        if plot is not _strip:
            _mark(axes, data)
    axes.set_xlabel("seconds since start")
    _title(figure, data)
    figure.savefig(target)
    plt.close(figure)


def _span(data: EpisodeData) -> tuple[float, float]:
    times = [s.times_s for s in data.series if len(s.times_s)]
    times += [np.array(p.times_s) for p in data.pictures if p.times_s]
    if not times:
        return 0.0, max(data.episode.duration_s, 1.0)
    return min(0.0, *(float(t.min()) for t in times)), max(
        data.episode.duration_s, *(float(t.max()) for t in times)
    )


def _title(figure: Any, data: EpisodeData) -> None:
    episode, labels = data.episode, data.episode.labels
    colour = _COLOURS[labels.outcome]
    inch = 1 / figure.get_figheight()
    figure.text(0.09, 1 - 0.33 * inch, episode.id, fontsize=15, weight="bold", va="center")
    outcome = labels.outcome.text.upper() + (f": {labels.cause}" if labels.cause else "")
    figure.text(
        0.86, 1 - 0.33 * inch, outcome, fontsize=14, weight="bold", color="white", ha="right",
        va="center", bbox={"facecolor": colour, "edgecolor": colour, "boxstyle": "round,pad=0.35"},
    )  # fmt: skip
    by = f"   operator {labels.operator_name}" if labels.operator_name else ""
    text = f"{labels.instruction or 'no instruction'}   ({episode.duration_s:.1f} s{by})"
    figure.text(0.09, 1 - 0.6 * inch, text, fontsize=11, color="#424242", va="center")


def _mark(axes: Any, data: EpisodeData) -> None:
    axes.axvline(0, color="#424242", linewidth=1.2, linestyle="--")
    axes.axvspan(-data.episode.pre_roll_s, 0, color="#9e9e9e", alpha=0.25, linewidth=0, zorder=3)
    axes.axvline(data.episode.duration_s, color="#424242", linewidth=1.2, linestyle="--")
    for event in _outcomes(data):
        at = (event.stamp_ns - data.episode.start_ns) / NS_PER_S
        axes.axvline(at, color=_COLOURS[event.outcome], linewidth=2)


def _outcomes(data: EpisodeData) -> list[LabelEvent]:
    return [e for e in data.episode.events if e.outcome is not Outcome.UNLABELLED]


def _strip(axes: Any, camera: Pictures, data: EpisodeData, span: tuple[float, float]) -> None:
    first, last = span
    width = (last - first) / _STRIP
    axes.set_yticks([])
    axes.set_ylabel(_wrapped(camera.topic), rotation=0, ha="right", va="center")
    axes.set_facecolor("#212121")
    times = np.array(camera.times_s)
    for number in range(_STRIP):
        centre = first + (number + 0.5) * width
        nearest = int(np.abs(times - centre).argmin())
        if abs(times[nearest] - centre) > width:
            continue  # the camera was silent here, and the gap shall be seen
        image = cv2.imdecode(np.frombuffer(camera.encoded[nearest], np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            axes.text(centre, 0.5, "undecodable", color="white", ha="center")
            continue
        extent = (first + number * width, first + (number + 1) * width * 0.997, 0, 1)
        axes.imshow(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), extent=extent, aspect="auto")
        axes.text(
            extent[0] + 0.03 * width, 0.06, f"{times[nearest]:.2f} s", color="white", fontsize=8,
            bbox={"facecolor": "black", "alpha": 0.5, "pad": 1.5, "linewidth": 0},
        )  # fmt: skip
    axes.set_ylim(0, 1)


def _annotations(axes: Any, events: list[LabelEvent], data: EpisodeData, span: Any) -> None:
    del span
    axes.set_yticks([])
    axes.set_ylim(0, 1)
    axes.set_ylabel("labels", rotation=0, ha="right", va="center")
    if data.episode.pre_roll_s:
        axes.text(
            -data.episode.pre_roll_s, 0.5, " pre-roll", color="#616161", fontsize=9, va="center"
        )
    instants = 0
    for number, event in enumerate(events):
        start = (event.start_ns - data.episode.start_ns) / NS_PER_S
        end = (event.end_ns - data.episode.start_ns) / NS_PER_S
        if end > start:
            colour = _SEGMENTS[number % len(_SEGMENTS)]
            axes.axvspan(start, end, 0, 0.5, color=colour, linewidth=0)
            middle = (start + end) / 2
            axes.text(middle, 0.24, event.name, ha="center", va="center", fontsize=9, clip_on=True)
        else:  # instants stand above the segments, by turns in two rows, so that none hides another
            height = (0.63, 0.87)[instants % 2]
            instants += 1
            axes.plot([start, start], [0, height + 0.1], color="#6a1b9a", linewidth=2)
            axes.text(start, height, f" {event.name}", color="#6a1b9a", fontsize=8.5, va="center")
    for event in _outcomes(data):
        at = (event.stamp_ns - data.episode.start_ns) / NS_PER_S
        axes.text(
            at, 1.02, event.outcome.text, color=_COLOURS[event.outcome], fontsize=9, ha="right",
            va="bottom", weight="bold",
        )  # fmt: skip


def _joint_plot(axes: Any, series: Series, data: EpisodeData, span: Any) -> None:
    del span
    columns = [i for i, name in enumerate(series.names) if name.startswith("position/")]
    if not columns or len(series.values) < 2:
        return
    travel = np.ptp(series.values[:, columns], axis=0)
    commands = {
        name: (s, i)
        for s in data.series
        if s.type == series.type and s is not series
        for i, name in enumerate(s.names)
    }
    for number, which in enumerate(np.argsort(-travel)[:_JOINTS]):
        column = columns[int(which)]
        name = series.names[column]
        label = name.removeprefix("position/").removesuffix(" (rad)").removesuffix("_joint")
        axes.plot(
            series.times_s, series.values[:, column], color=f"C{number}", label=label, linewidth=1.3
        )
        if name in commands:
            other, index = commands[name]
            axes.plot(
                other.times_s,
                other.values[:, index],
                color=f"C{number}",
                linewidth=0.8,
                linestyle=":",
            )
    axes.set_ylabel("joints\nrad\n(dotted:\ncommand)", rotation=0, ha="right", va="center")
    _legend(axes)


def _force_plot(axes: Any, wrenches: list[Series], data: EpisodeData, span: Any) -> None:
    del data, span
    for number, series in enumerate(wrenches):
        for axis, style in enumerate(("-", "--", ":")):
            axes.plot(
                series.times_s, series.values[:, axis], style, color=f"C{number}", linewidth=1.0,
                label=f"{_short(series.topic)} {'xyz'[axis]}",
            )  # fmt: skip
    axes.set_ylabel("wrist\nforce\nN", rotation=0, ha="right", va="center")
    _legend(axes)


def _touch_plot(axes: Any, pad: Series, data: EpisodeData, span: Any) -> None:
    del data, span
    normal = [i for i, name in enumerate(pad.names) if name.startswith("normal/")]
    if len(pad.times_s) < 2:
        return
    image = pad.values[:, normal].T
    extent = (float(pad.times_s[0]), float(pad.times_s[-1]), len(normal), 0)
    unit = "kPa" if pad.names[0].endswith("(Pa)") else ""
    scaled = image / 1000 if unit else image
    drawn = axes.imshow(
        scaled, extent=extent, aspect="auto", cmap="inferno", interpolation="nearest", vmin=0,
        vmax=max(float(np.percentile(scaled, 99.5)), 1e-9),
    )  # fmt: skip
    axes.set_yticks([])
    axes.set_ylabel(
        f"{_wrapped(pad.topic)}\n{len(normal)} taxels", rotation=0, ha="right", va="center"
    )
    place = axes.inset_axes((1.01, 0.05, 0.012, 0.9))
    axes.figure.colorbar(drawn, cax=place).set_label(unit)


def _legend(axes: Any) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), fontsize=8, frameon=False)


def _short(topic: str) -> str:
    """The part of a topic's name that tells it apart."""
    for suffix in (
        "/image/compressed",
        "/image_raw/compressed",
        "/compressed",
        "/wrench",
        "/tactile",
    ):
        topic = topic.removesuffix(suffix)
    return topic.rsplit("/", 1)[-1].replace("_", " ")


def _wrapped(topic: str) -> str:
    """The same for the narrow margin beside a plot."""
    name = _short(topic)
    return name if len(name) <= 12 else name.replace(" ", "\n")
