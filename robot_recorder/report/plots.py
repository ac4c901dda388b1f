"""Draws curves and heat maps of an episode on matplotlib axes, one row of a picture each."""

from __future__ import annotations

import textwrap
import warnings
from typing import Any

import matplotlib
import numpy as np

from robot_recorder.content.groups import (
    CurveGroup,
    commands_of,
    joint_group,
    most_moving,
    observed_joints,
    short_name,
)
from robot_recorder.content.series import EpisodeData, Series
from robot_recorder.model.arrays import Floats
from robot_recorder.model.value_names import joint_label

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

__all__ = ["plot_array", "plot_curves", "plot_force", "plot_joints", "plt"]

_JOINTS = 8  # most joints drawn: those that move most
_CURVES = 8
_ACROSS = 1500  # most columns of a heat map
_STYLES = ("-", "--", ":")


def plot_joints(axes: Any, series: Series, data: EpisodeData) -> None:
    """Draw the positions of the joints that move most, with their commands dotted."""
    group = joint_group(series)
    if group is None:
        return
    commands = commands_of(data, series)
    several = len(observed_joints(data)) > 1
    name = "\n".join(textwrap.wrap(short_name(series.topic), 14)) if several else "joints"
    dotted = False
    for number, which in enumerate(most_moving(series.values[:, group.columns], _JOINTS)):
        column, colour = group.columns[which], f"C{number}"
        label = joint_label(group.items[which])
        axes.plot(
            series.times_s, series.values[:, column], color=colour, label=label, linewidth=1.3
        )
        command = commands.get(series.names[column])
        if command is not None:
            other, at = command
            axes.plot(other.times_s, other.values[:, at], ":", color=colour, linewidth=0.8)
            dotted = True
    ylabel(axes, f"{name}\n{group.unit}" + ("\n(dotted:\ncommand)" if dotted else ""))
    legend(axes)


def plot_force(axes: Any, wrenches: list[Series], data: EpisodeData) -> None:
    """Draw the forces of all wrench sensors."""
    del data
    for number, series in enumerate(wrenches):
        for axis, style in enumerate(_STYLES):
            axes.plot(
                series.times_s, series.values[:, axis], style, color=f"C{number}", linewidth=1.0,
                label=f"{short_name(series.topic)} {'xyz'[axis]}",
            )  # fmt: skip
    ylabel(axes, "force\nN")
    legend(axes)


def plot_curves(axes: Any, content: tuple[Series, CurveGroup], data: EpisodeData) -> None:
    """Draw any numbers; if there are many, those that change most."""
    del data
    series, group = content
    for which in most_moving(series.values[:, group.columns], _CURVES):
        values = series.values[:, group.columns[which]]
        axes.plot(series.times_s, values, label=group.items[which], linewidth=1.0)
    unit = f"\n{group.unit}" if group.unit else ""
    ylabel(axes, "\n".join(textwrap.wrap(f"{short_name(series.topic)} {group.name}", 12)) + unit)
    legend(axes)


def plot_array(axes: Any, content: tuple[Series, CurveGroup], data: EpisodeData) -> None:
    """Draw the cells of a pad over time as a heat map."""
    del data
    series, group = content
    times, cells = _gridded(series, group)
    pascal = group.unit == "Pa"
    scaled = cells / 1000 if pascal else cells
    # For pads whose rest value is not 0, show the change.
    rest = 0.0 if pascal else float(np.nanmedian(scaled)) if np.isfinite(scaled).any() else 0.0
    high = float(np.nanpercentile(scaled, 99.5)) if np.isfinite(scaled).any() else 1.0
    drawn = axes.imshow(
        scaled.T, extent=(times[0], times[-1], len(group.items), 0), aspect="auto", cmap="inferno",
        interpolation="nearest", vmin=min(rest, high), vmax=max(high, rest + 1e-9),
    )  # fmt: skip
    axes.set_facecolor("#9e9e9e")  # gaps
    axes.set_yticks([])
    field = "" if group.name == "normal" else f" {group.name}"
    name = "\n".join(textwrap.wrap(f"{short_name(series.topic)}{field}", 14))
    ylabel(axes, f"{name}\n{len(group.items)} cells")
    place = axes.inset_axes((1.01, 0.05, 0.012, 0.9))
    axes.figure.colorbar(drawn, cax=place).set_label("kPa" if pascal else group.unit)


def _gridded(series: Series, group: CurveGroup) -> tuple[Floats, Floats]:
    """Return evenly spaced times, and float64[n, cells], the highest value of each; NaN in gaps."""
    times, values = series.times_s, series.values[:, group.columns]
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


def legend(axes: Any) -> None:
    """Put the legend beside the plot."""
    axes.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), fontsize=8, frameon=False)
