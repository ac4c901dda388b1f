"""Draws what the soak sampled: one panel a kind, faults as lines, and how fast each line grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from soak_samples import Samples, Slope, owner, short

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_COLOURS = {
    "robot": "#757575", "record": "#c62828", "operator": "#6a1b9a", "console": "#1565c0", "agent": "#2e7d32",
    "centre": "#ef6c00", "hands": "#9e9d24",
}  # fmt: skip
_MORE = (
    "#00838f",
    "#ad1457",
    "#6d4c41",
    "#f9a825",
    "#558b2f",
    "#283593",
    "#90a4ae",
    "#ef5350",
    "#212121",
)
_TEXT, _FAULT = "#424242", "#cfd8dc"


@dataclass(frozen=True)
class SoakPanel:
    """Lines with a common axis.

    Attributes:
        title: above them.
        unit: of the axis.
        lines: names of their samples.
        logarithmic: whether sizes are orders of magnitude apart.
    """

    title: str
    unit: str
    lines: tuple[str, ...]
    logarithmic: bool = False


def draw_soak(
    samples: Samples, panels: Sequence[SoakPanel], slopes: Mapping[str, Slope | None],
    faults: Sequence[tuple[float, str, float]], title: str, path: Path,
) -> None:  # fmt: skip
    """Draw the picture.

    Args:
        samples: of everything.
        panels: from top to bottom.
        slopes: of the lines.
        faults: time, s, name and length, s, of each.
        title: of the picture.
        path: of the PNG.
    """
    long = samples.rows[-1][0] > 2 * 3600
    per, word = (3600.0, "h") if long else (60.0, "min")
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(13, 1.2 + 1.9 * len(panels)), sharex=True, squeeze=False
    )
    for axis, panel in zip(axes[:, 0], panels):
        for at_s, _, _ in faults:
            axis.axvline(at_s / per, color=_FAULT, linewidth=0.8, zorder=0)
        for number, line in enumerate(panel.lines):
            _draw_line(axis, samples, line, slopes.get(line), per, number)
        if panel.logarithmic:
            axis.set_yscale("symlog", linthresh=0.01)
        axis.set_ylim(bottom=0)
        axis.set_title(panel.title, loc="left", fontsize=9, color=_TEXT)
        axis.set_ylabel(panel.unit, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, frameon=False)
    _name_faults(axes[0, 0], faults, per)
    axes[-1, 0].set_xlabel(word, fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=_TEXT)
    figure.tight_layout(rect=(0, 0, 1, 0.985))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _draw_line(
    axis: plt.Axes, samples: Samples, line: str, slope: Slope | None, per: float, number: int
) -> None:
    times, values, lives = samples.line(line)
    name, colour = owner(line), _COLOURS.get(owner(line), _MORE[number % len(_MORE)])
    if line.endswith(".mb"):
        colour = _MORE[number % len(_MORE)]
    label: str | None = f"{name.replace('_', ' ')}{_grows(slope)}"
    for life in dict.fromkeys(lives.tolist()):
        own = lives == life
        axis.plot(times[own] / per, values[own], color=colour, linewidth=1.1, label=label)
        label = None


def _grows(slope: Slope | None) -> str:
    """Return growth an hour and its 95 % interval, as short as it can be."""
    if slope is None:
        return ""
    if slope.low == slope.high == 0:
        return ": constant"
    return f": {short(slope.per_hour)}/h ({short(slope.low)} to {short(slope.high)})"


def _name_faults(axis: plt.Axes, faults: Sequence[tuple[float, str, float]], per: float) -> None:
    """Write what broke above the lines, where there is room for it."""
    if len(faults) > 40:
        return
    for at_s, name, _ in faults:
        axis.annotate(
            name.replace("_", " "), (at_s / per, 1.0), xycoords=("data", "axes fraction"), rotation=30,
            fontsize=6, color=_TEXT, xytext=(0, 2), textcoords="offset points",
        )  # fmt: skip
    axis.set_title(axis.get_title(loc="left"), loc="left", fontsize=9, color=_TEXT, pad=52)
