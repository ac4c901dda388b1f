"""Draws a sync certificate: each stream's skew over time, held and missing frames in colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from robot_recorder.alignment.certificate import Certificate, StreamCertificate
from robot_recorder.alignment.frames import FrameColumn, Frames, SampleStatus
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

_DRAWN = (
    (SampleStatus.FRESH, "#1565c0", "fresh"),
    (SampleStatus.INTERPOLATED, "#00897b", "interpolated"),
    (SampleStatus.HELD, "#ef6c00", "held"),
)
_MISSING = "#c62828"
_LEAST_MS = 0.5  # least half height of a row: smaller skews do not matter
_ROW_INCH, _TOP_INCH, _BOTTOM_INCH = 0.85, 1.15, 0.6


def draw_sync(
    frames: Frames, certificate: Certificate, title: str, start_ns: int, target: Path
) -> None:
    """Write the picture as PNG.

    Args:
        frames: their columns are the certificate's aligned streams, in order.
        certificate: of the same episode.
        title: above the picture.
        start_ns: zero of the time axis, robot clock.
        target: file to write.
    """
    streams = [(n, s) for n, s in certificate.streams.items() if s.policy != "none"]
    height = _TOP_INCH + _BOTTOM_INCH + _ROW_INCH * max(len(streams), 1)
    figure = plt.figure(figsize=(15, height), dpi=100)
    figure.text(0.12, 1 - 0.33 / height, title, fontsize=15, weight="bold", va="center")
    figure.text(
        0.12, 1 - 0.62 / height, certificate.summary, fontsize=11, color="#424242", va="center"
    )
    grid = figure.add_gridspec(
        max(len(streams), 1), 1, left=0.12, right=0.785, hspace=0.18,
        top=1 - _TOP_INCH / height, bottom=_BOTTOM_INCH / height,
    )  # fmt: skip
    times = (frames.ticks - start_ns) / NS_PER_S
    shared: Any = None
    for number, (name, stream) in enumerate(streams):
        axes = figure.add_subplot(grid[number], sharex=shared)
        shared = shared or axes
        _row(axes, times, frames.columns[number], stream)
        axes.set_ylabel("\n".join(name.rsplit("_", 1)), rotation=0, ha="right", va="center")
        axes.tick_params(labelbottom=number == len(streams) - 1)
    if shared is not None:
        axes.set_xlabel("seconds since start")
        _legend(figure, height)
    figure.savefig(target)
    plt.close(figure)


def _row(axes: Any, times: np.ndarray, column: FrameColumn, stream: StreamCertificate) -> None:
    skews = column.skews / NS_PER_MS
    there = column.status != SampleStatus.MISSING
    widest = float(np.abs(skews[there]).max()) if there.any() else 0.0
    reach = max(min(1.15 * widest, 2.5 * stream.tolerance_ms), _LEAST_MS)
    axes.axhline(0, color="#9e9e9e", linewidth=0.8)
    if stream.tolerance_ms < reach:
        for side in (-1, 1):
            axes.axhline(side * stream.tolerance_ms, color="#9e9e9e", linewidth=0.8, linestyle=":")
    for status, colour, _ in _DRAWN:
        mine = column.status == status
        inside = mine & (np.abs(skews) <= reach)
        axes.plot(times[inside], skews[inside], ".", color=colour, markersize=4)
        beyond = mine & ~inside  # outside of the axis: drawn as arrows at its edge
        edge = np.sign(skews[beyond]) * 0.93 * reach
        axes.plot(times[beyond], edge, "v", color=colour, markersize=5)
    for at in times[~there]:
        axes.axvline(at, color=_MISSING, linewidth=1.2, alpha=0.7)
    axes.set_ylim(-reach, reach)
    good = (stream.fresh + stream.interpolated) / max(stream.frames, 1)
    p95 = "-" if stream.skew_p95_ms is None else f"{stream.skew_p95_ms:.1f} ms"
    rate = "-" if stream.measured_hz is None else f"{stream.measured_hz:.4g} Hz"
    clock = ""
    if stream.offset_ms is not None:
        clock = f"\nreceived {stream.offset_ms:.1f} ms after stamp"
        if stream.drift_is_known:
            clock += f", drift {stream.drift_ppm:+.0f} ppm"
    text = f"{stream.policy}, {rate}\nskew p95 {p95}, {good:.1%} good{clock}"
    axes.text(
        1.01, 0.5, text, transform=axes.transAxes, fontsize=9, va="center",
        color=_MISSING if stream.findings() else "#212121",
    )  # fmt: skip


def _legend(figure: Any, height: float) -> None:
    handles = [
        Line2D([], [], marker=".", linestyle="", color=colour, label=label)
        for _, colour, label in _DRAWN
    ]
    handles.append(Line2D([], [], color=_MISSING, label="missing"))
    figure.legend(
        handles=handles, loc="center left", bbox_to_anchor=(0.115, 1 - 0.92 / height), ncols=4,
        frameon=False, fontsize=9, title="skew in ms: stamp of the chosen sample minus tick",
        alignment="left",
    )  # fmt: skip
