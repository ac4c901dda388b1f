"""Draws curves and heat maps of an episode on matplotlib axes, one row of a picture each."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib
import numpy as np

from robot_recorder.content.series import Series
from robot_recorder.model.arrays import Floats
from robot_recorder.report.panels import SHOWN, PadCells, Panel

matplotlib.use("Agg")
from matplotlib import font_manager
from matplotlib import pyplot as plt

# Labels are plain text, not formulas, in any script: use the fonts that are installed for it.
_SCRIPTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
            "Source Han Sans SC", "Droid Sans Fallback", "Unifont")  # fmt: skip
_installed = set(font_manager.get_font_names())
matplotlib.rcParams["text.parse_math"] = False
matplotlib.rcParams["font.family"] = ["DejaVu Sans", *(s for s in _SCRIPTS if s in _installed)]
warnings.filterwarnings("ignore", message="Glyph .* missing from")

__all__ = ["plot_array", "plot_constant", "plot_curves", "plot_pads", "plot_sound", "plt"]

_ACROSS = 1500  # most columns of a heat map
# Colours of curves, a row for each stream of joints, so that equal joints of two arms differ.
PALETTES = (
    ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"),
    ("#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#b8860b", "#a6761d", "#444444"),
    ("#00798c", "#d1495b", "#8d6a9f", "#edae49", "#30638e", "#6a994e", "#b56576", "#5c677d"),
    ("#6a3d9a", "#33a02c", "#e31a1c", "#1f78b4", "#b15928", "#ff7f00", "#01665e", "#888888"),
)
ACCENTS = ("#1f5fa8", "#b34700", "#006b5e", "#5e2d91")
_GAPS, _NO_CELL = "#9e9e9e", "#d5d8dc"
_PAD_SHARE = 0.96  # of the width that all pads take
_ROOM_BESIDE = 0.085  # for the only pad, share of the width of its heat map
_HEAT_ASPECT = 0.85 / 11.55  # height by width of its heat map


def plot_curves(axes: Any, panel: Panel) -> None:
    """Draw the curves of a panel, at most eight, with their commands dashed."""
    colours = PALETTES[panel.palette % len(PALETTES)]
    for number, curve in enumerate(panel.curves[:SHOWN]):
        colour = colours[number % len(colours)]
        values = curve.series.values[:, curve.column]
        axes.plot(curve.series.times_s, values, color=colour, label=curve.name, linewidth=1.2)
        if curve.command is not None:
            series, column = curve.command
            axes.plot(
                series.times_s, series.values[:, column], "--", color=colour, linewidth=1.0,
                alpha=0.85, dashes=(4, 2.5),
            )  # fmt: skip
    if panel.unit not in ("", "1"):
        ylabel(axes, panel.unit)
    axes.grid(alpha=0.2, linewidth=0.6)
    legend(axes, len(panel.curves) - SHOWN)


def plot_sound(axes: Any, panel: Panel) -> None:
    """Draw the waveform of each channel, from the lowest to the highest sample of every moment."""
    for number, curve in enumerate(panel.curves[:SHOWN]):
        colour = PALETTES[0][number]
        values = curve.series.values[:, curve.column]
        name = curve.name if len(panel.curves) > 1 else None
        axes.plot(curve.series.times_s, values, color=colour, linewidth=0.5, label=name)
    most = max((float(np.nanmax(np.abs(c.series.values[:, c.column]))) for c in panel.curves),
               default=1.0)  # fmt: skip
    axes.set_ylim(-1.05 * most, 1.05 * most)
    axes.axhline(0, color="#9e9e9e", linewidth=0.5)
    if len(panel.curves) > 1:
        legend(axes, len(panel.curves) - SHOWN)


def plot_constant(axes: Any, panel: Panel) -> None:
    """Say in a line that nothing changes; the title above has said it."""
    del panel
    axes.axis("off")


def plot_array(axes: Any, panel: Panel) -> None:
    """Draw cells over time as a heat map; of several pads the highest cell of each."""
    series = panel.curves[0].series
    times, cells = _gridded(series, [c.column for c in panel.curves])
    factor, unit = _scale(panel)
    low, high = panel.limits
    signed = low < 0 and low == -high
    drawn = axes.imshow(
        cells.T * factor, extent=(times[0], times[-1], len(panel.curves), 0), aspect="auto",
        cmap="RdBu_r" if signed else "inferno", interpolation="nearest", vmin=low * factor,
        vmax=high * factor,
    )  # fmt: skip
    axes.set_facecolor(_GAPS)
    axes.set_yticks([])
    if len(panel.pads) > 1:
        size = float(np.clip(150 / len(panel.pads), 5, 8))
        axes.set_yticks(
            np.arange(len(panel.pads)) + 0.5, [p.name for p in panel.pads], fontsize=size
        )
        axes.tick_params(axis="y", length=0, pad=3)
    else:
        ylabel(axes, f"{len(panel.curves)} cells")
    place = axes.inset_axes((1.01, 0.05, 0.012, 0.9))
    axes.figure.colorbar(drawn, cax=place).set_label(unit)
    if len(panel.pads) == 1 and panel.pads[0].is_known and panel.pads[0].cols > 1:
        _plot_pad_beside(axes, panel)


def _plot_pad_beside(axes: Any, panel: Panel) -> None:
    """Draw the only pad beside its heat map, at the moment of the strongest touch."""
    assert panel.series is not None
    (pad,) = panel.pads
    at = strongest_moment(panel)
    share = (_ROOM_BESIDE * pad.rows / pad.cols) / _HEAT_ASPECT
    tall = min(0.8, share)
    place = 1.085, 0.95 - tall, _ROOM_BESIDE * tall / share, tall
    _draw_cells(axes, panel, pad, at, place)
    axes.text(
        place[0] + place[2] / 2, place[1] - 0.03, f"at {at:.1f} s", transform=axes.transAxes,
        fontsize=7.5, ha="center", va="top",
    )  # fmt: skip


def plot_pads(axes: Any, panel: Panel) -> None:
    """Draw each pad as its cells are arranged, at the moment of the strongest touch."""
    assert panel.series is not None
    axes.axis("off")
    at = strongest_moment(panel)
    size = 7.5 if len(panel.pads) <= 12 else 6
    for pad, place in zip(panel.pads, _boxes(axes, panel.pads)):
        _draw_cells(axes, panel, pad, at, place)
        name = pad.name + ("" if pad.is_known else "*")
        axes.text(
            place[0] + place[2] / 2, place[1] - 0.03, name, transform=axes.transAxes, fontsize=size,
            ha="center", va="top",
        )  # fmt: skip
    text = f"at {at:.2f} s" + ("" if all(p.is_known for p in panel.pads) else "\n* order only")
    axes.text(-0.008, 0.6, text, transform=axes.transAxes, ha="right", va="center")


def _draw_cells(
    axes: Any, panel: Panel, pad: PadCells, at: float, box: tuple[float, float, float, float]
) -> None:
    """Draw the cells of a pad in rows and columns.

    Args:
        axes: of the plot.
        panel: of the pad.
        pad: the pad.
        at: time, s since the start.
        box: left, bottom, width and height, shares of the axes.
    """
    assert panel.series is not None
    place = int(np.abs(panel.series.times_s - at).argmin())
    low, high = panel.limits
    cmap = plt.get_cmap("RdBu_r" if low < 0 and low == -high else "inferno").copy()
    cmap.set_bad(_NO_CELL)
    cells = np.full(pad.rows * pad.cols, np.nan)
    cells[: len(pad.columns)] = panel.series.values[place, pad.columns]
    left, bottom, wide, tall = box
    limits = axes.get_ylim()  # which imshow changes
    drawn = axes.imshow(
        cells.reshape(pad.rows, pad.cols), cmap=cmap, vmin=low, vmax=high, interpolation="nearest",
        extent=(left, left + wide, bottom, bottom + tall), transform=axes.transAxes,
        aspect="auto", clip_on=False,
    )  # fmt: skip
    drawn.set_clip_path(None)
    axes.set_ylim(limits)
    frame = plt.Rectangle(
        (left, bottom), wide, tall, transform=axes.transAxes, fill=False, linewidth=0.8,
        clip_on=False,
    )  # fmt: skip
    axes.add_patch(frame)


def strongest_moment(panel: Panel) -> float:
    """Return when all cells together are strongest, s since the start."""
    assert panel.series is not None
    columns = [c for pad in panel.pads for c in pad.columns]
    cells = np.nan_to_num(panel.series.values[:, columns], nan=0.0)
    sums = np.abs(cells).sum(axis=1) if panel.limits[0] < 0 else cells.sum(axis=1)
    rest = float(np.median(sums))
    if panel.unit in ("", "raw") and rest - sums.min() > sums.max() - rest:
        sums = -sums  # as with electrodes
    return float(panel.series.times_s[int(sums.argmax())])


def _boxes(axes: Any, pads: tuple[PadCells, ...]) -> list[tuple[float, float, float, float]]:
    """Return left, bottom, width and height of each pad as shares of the axes, cells alike."""
    figure, place = axes.figure, axes.get_position()
    wide, tall = figure.get_size_inches() * (place.width, place.height)
    room = 0.76 * tall  # below are the names
    slot = _PAD_SHARE * wide / max(len(pads), 1)
    cell = min(min(room / p.rows, 0.86 * slot / p.cols, room / 4) for p in pads)
    boxes = []
    for number, pad in enumerate(pads):
        w, h = pad.cols * cell, pad.rows * cell
        slot_wide = min(slot, max(1.6, w + 0.3))
        boxes.append((number * slot_wide / wide + (slot_wide - w) / 2 / wide,
                      (tall - room + (room - h) / 2) / tall, w / wide, h / tall))  # fmt: skip
    return boxes


def _scale(panel: Panel) -> tuple[float, str]:
    """Return the factor and the unit of what is drawn: pressures in kPa."""
    return (1e-3, "kPa") if panel.unit == "Pa" else (1.0, panel.unit)


def _gridded(series: Series, columns: list[int]) -> tuple[Floats, Floats]:
    """Return evenly spaced times, and float64[n, cells], the highest value of each; NaN in gaps."""
    times, values = series.times_s, series.values[:, columns]
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    count = int(np.clip((times[-1] - times[0]) / max(step, 1e-6), 1, _ACROSS)) + 1
    edges = np.linspace(times[0], times[-1], count)
    place = np.clip(np.searchsorted(edges, times, "right") - 1, 0, count - 1)
    slots, starts = np.unique(place, return_index=True)
    grid = np.full((count, values.shape[1]), np.nan)
    grid[slots] = np.fmax.reduceat(values, starts)
    gaps = np.flatnonzero(np.isnan(grid).all(axis=1))
    if len(gaps):  # a slot or two are jitter, more is a gap
        before = slots[np.searchsorted(slots, gaps) - 1]
        near = gaps - before <= 2
        grid[gaps[near]] = grid[before[near]]
    return edges, grid


def ylabel(axes: Any, text: str) -> None:
    """Set a horizontal label left of the plot."""
    axes.set_ylabel(text, rotation=0, ha="right", va="center")


def legend(axes: Any, more: int = 0) -> None:
    """Put the legend beside the plot.

    Args:
        axes: of the plot.
        more: number of curves that are not drawn.
    """
    if more > 0:
        axes.plot([], [], " ", label=f"and {more} more")
    axes.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), fontsize=8, frameon=False)
