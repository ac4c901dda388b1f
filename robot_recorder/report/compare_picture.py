"""Draws repeats of one task into one picture that shows the odd one out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.bags.files import replaced
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.labels import Outcome
from robot_recorder.report.compare import Comparison, Quantity
from robot_recorder.report.oddness import Oddness
from robot_recorder.report.picture import OUTCOME_COLOURS
from robot_recorder.report.plots import plt, ylabel

_WIDE, _LEFT, _RIGHT = 15.0, 0.10, 0.99
_STRIPS, _PICTURES = 6, 8
_STRIP_HIGH, _CURVES_HIGH = 1.25, 1.2  # inches
_JOINTS, _MOST = 6, 12  # joints drawn, and quantities drawn in all: where repeats differ most
_FAILED = "#e6a5a5"
_COLOURS = ("#d62728", "#1f77b4", "#ff7f0e", "#9467bd", "#17becf", "#8c564b", "#e377c2", "#2ca02c")
_GREY = "#b0b0b0"


@dataclass(frozen=True)
class _Look:
    colour: str
    width: float


def draw_comparison(comparison: Comparison, target: Path) -> None:
    """Write the picture as PNG; an existing file is replaced only when the new one is complete.

    Raises:
        ConfigError: the file cannot be written.
    """
    looks = _looks(comparison)
    shown = _shown(comparison)
    strips = _with_strips(comparison)
    legend = min(len(comparison.repeats), 24)
    heights = [0.24 * legend + 0.15, *[_STRIP_HIGH] * len(strips), *[_CURVES_HIGH] * len(shown)]
    high = 0.75 + 0.5 + sum(h + 0.14 for h in heights)
    figure = plt.figure(figsize=(_WIDE, high), dpi=100)
    top = 0.75

    def row(inches: float) -> Any:
        nonlocal top
        axes = figure.add_axes((_LEFT, 1 - (top + inches) / high, _RIGHT - _LEFT, inches / high))
        top += inches + 0.14
        return axes

    _title(figure, comparison, 1 / high)
    _list(row(heights[0]), comparison, looks, legend)
    last = max(float(comparison.times_s[-1]) if len(comparison.times_s) else 1.0, 1.0)
    for index in strips:
        _strip(row(_STRIP_HIGH), comparison, index, looks[index], last)
    axes = None
    for number in shown:
        axes = row(_CURVES_HIGH)
        _curves(axes, comparison, number, looks)
        axes.set_xlim(0, last)
        axes.tick_params(labelbottom=number == shown[-1])
    if axes is not None:
        axes.set_xlabel("seconds since start")
    with replaced(target) as partial:
        figure.savefig(partial, format="png")
    plt.close(figure)


def distance(found: Oddness) -> str:
    """Return how far a repeat is from the others, as text."""
    if found.channel < 0:
        return "–"
    return f"{found.distance:.1f}" + ("  odd" if found.odd else "")


def where(comparison: Comparison, index: int) -> str:
    """Return where a repeat differs most from the others, as a phrase."""
    found = comparison.oddness[index]
    if found.channel < 0:
        return "nothing to compare"
    channel = comparison.channels[found.channel]
    unit, factor = ("kPa", 1e-3) if channel.unit == "Pa" else (channel.unit, 1.0)
    by = f"{found.by * factor:+.3g} {unit}".strip()
    return f"{channel.label.replace('_', ' ')} {by} at {found.at_s:.1f} s"


def _looks(comparison: Comparison) -> list[_Look]:
    """Choose the colour and width of each repeat's curves.

    Up to eight repeats have a colour each; of more, only the odd ones, with the others grey and
    failed ones pale red.
    """
    few = len(comparison.repeats) <= len(_COLOURS)
    looks = []
    for index, (repeat, found) in enumerate(zip(comparison.repeats, comparison.oddness)):
        colour = _FAILED if repeat.episode.labels.outcome is Outcome.FAILURE else _GREY
        if few or (found.odd and index < len(_COLOURS)):
            colour = _COLOURS[index % len(_COLOURS)]
        looks.append(_Look(colour, 2.4 if found.odd else 1.0))
    return looks


def _with_strips(comparison: Comparison) -> list[int]:
    """Return which repeats get a film strip: the first, which are odd, and the most usual one."""
    found = [i for i, r in enumerate(comparison.repeats) if r.pictures]
    usual = _most_usual(comparison)
    if len(found) <= _STRIPS or usual not in found[_STRIPS - 1 :]:
        return found[:_STRIPS]
    return [*found[: _STRIPS - 1], usual]


def _most_usual(comparison: Comparison) -> int:
    """Return the last repeat that can be compared; -1: none."""
    known = [i for i, found in enumerate(comparison.oddness) if found.channel >= 0]
    return known[-1] if known else -1


def _shown(comparison: Comparison) -> list[int]:
    """Return the quantities to draw: the joints that differ most, then forces, touch and others."""
    with np.errstate(all="ignore"):
        spread = [
            float(np.nan_to_num(np.nanmax(np.nanmax(v, axis=0) - np.nanmin(v, axis=0))))
            if np.isfinite(v).any()
            else 0.0
            for v in np.moveaxis(comparison.values, 2, 0)
        ]
    # Where an odd repeat differs most comes first, even if others differ more there.
    told = [f.channel for f in comparison.oddness if f.odd and f.channel >= 0]
    order = [*dict.fromkeys(told), *sorted(range(len(spread)), key=lambda c: -spread[c])]
    order = list(dict.fromkeys(order))
    joints = [c for c in order if comparison.channels[c].kind == "joint"][:_JOINTS]
    others = [c for c in order if comparison.channels[c].kind != "joint"]
    return [*joints, *sorted(others[: _MOST - len(joints)])]


def _title(figure: Any, comparison: Comparison, inch: float) -> None:
    tasks = [t for t in comparison.tasks if t]
    what = f" of {tasks[0]}" if len(tasks) == 1 else ""
    text = f"{len(comparison.repeats)} repeats{what} over each other"
    figure.text(_LEFT, 1 - 0.3 * inch, text, fontsize=15, weight="bold", va="center")
    odd = sum(o.odd for o in comparison.oddness)
    note = f"{odd} stand{'s' if odd == 1 else ''} out" if odd else "no repeat stands out"
    note += "; a distance of 1 is what repeats usually differ by"
    if len(comparison.repeats) < 3:
        note = "finding the odd one takes at least three"
    if _FAILED in {look.colour for look in _looks(comparison)}:
        note += "; failed ones in pale red"
    if len(tasks) > 1:
        note += f"; these are different tasks: {', '.join(tasks)}"
    figure.text(_LEFT, 1 - 0.56 * inch, note, fontsize=11, color="#424242", va="center")


def _list(axes: Any, comparison: Comparison, looks: list[_Look], count: int) -> None:
    """Draw the table of repeats, which is also the legend."""
    axes.axis("off")
    axes.set_xlim(0, 1)
    axes.set_ylim(count, -0.6)
    for x, title in ((0.03, "episode"), (0.40, "outcome"), (0.54, "verdict"), (0.61, "length"), (0.67, "distance"),
                     (0.74, "differs most from the others in")):  # fmt: skip
        axes.text(x, -0.35, title, fontsize=8, color="#757575", va="center")
    for index in range(count):
        repeat, found, look = comparison.repeats[index], comparison.oddness[index], looks[index]
        labels = repeat.episode.labels
        weight = "bold" if found.odd else "normal"
        axes.plot([0, 0.02], [index + 0.45] * 2, color=look.colour, linewidth=look.width + 1)
        cells = (
            (0.03, f"#{index + 1}  {repeat.episode.id}", "black"),
            (0.40, labels.outcome_text, OUTCOME_COLOURS[labels.outcome]),
            (0.54, repeat.episode.quality.verdict.text, "black"),
            (0.61, f"{repeat.episode.duration_s:.1f} s", "black"),
            (0.67, distance(found), "black"),
            (0.74, where(comparison, index), "black"),
        )
        for x, text, colour in cells:
            axes.text(
                x,
                index + 0.45,
                textwrap.shorten(text, 60),
                fontsize=9,
                va="center",
                color=colour,
                weight=weight,
            )
    left_out = len(comparison.repeats) - count
    if left_out:
        axes.text(0.5, count, f"and {left_out} more", fontsize=8, color="#757575", va="bottom")


def _strip(axes: Any, comparison: Comparison, index: int, look: _Look, last: float) -> None:
    repeat = comparison.repeats[index]
    axes.set_xlim(0, last)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    axes.set_facecolor("#212121")
    for side in axes.spines.values():
        side.set(color=look.colour, linewidth=2.5)
    usual = len(comparison.repeats) > 2 and index == _most_usual(comparison)
    ylabel(
        axes,
        f"#{index + 1}\n{repeat.episode.labels.outcome_text}" + ("\nmost usual" if usual else ""),
    )
    width = last / _PICTURES
    times = np.array([time for time, _ in repeat.pictures])
    for number in range(_PICTURES):
        centre = (number + 0.5) * width
        nearest = int(np.abs(times - centre).argmin())
        if abs(times[nearest] - centre) > width:
            continue
        try:
            image = repeat.pictures[nearest][1].pixels()
        except DecodeError:
            continue
        axes.imshow(image, extent=(number * width, (number + 0.997) * width, 0, 1), aspect="auto")


def _curves(axes: Any, comparison: Comparison, number: int, looks: list[_Look]) -> None:
    channel = comparison.channels[number]
    unit, factor = _unit(channel)
    draw: Callable[..., Any] = axes.plot
    for index in reversed(range(len(comparison.repeats))):  # the odd ones lie on top
        values = comparison.values[index, :, number] * factor
        draw(comparison.times_s, values, color=looks[index].colour, linewidth=looks[index].width)
    ylabel(axes, "\n".join([*textwrap.wrap(channel.label.replace("_", " "), 13), unit]))
    axes.grid(alpha=0.25)


def _unit(channel: Quantity) -> tuple[str, float]:
    return ("sum, kPa", 1e-3) if channel.unit == "Pa" else (channel.unit, 1.0)
