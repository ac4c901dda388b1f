"""Draws the statistics of a floor on one page: days, success, targets, causes and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import dates, ticker

from robot_recorder.catalogue.stats import EpisodeCounts, Side, Stats, TaskTarget
from robot_recorder.model.labels import Outcome
from robot_recorder.model.text import plural
from robot_recorder.quality.verdict import Verdict

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_GOOD, _BAD, _MAYBE, _NONE, _TEXT = "#2e7d32", "#c62828", "#f9a825", "#bdbdbd", "#424242"
_OUTCOMES = (
    (Outcome.SUCCESS, _GOOD, "success"),
    (Outcome.FAILURE, _BAD, "failure"),
    (Outcome.UNLABELLED, _NONE, "unlabelled"),
)
_BARS = 15  # most bars of a panel
_UNDERWAY, _YIELD = "#1565c0", "#00897b"
_FEW = 20  # labelled episodes; with fewer, a rate is chance
_LONGEST = 24  # letters of a name
_MOST_DAYS = 120  # drawn one by one; more are grouped by week
_BAR_INCH, _HEAD_INCH, _GAP_INCH, _DAYS_INCH = 0.27, 1.0, 0.75, 2.2
_COLUMNS = ((0.14, 0.35), (0.63, 0.84))  # where bars begin and end, share of the width
_DAY_LABELS = 14  # most days that are labelled one by one


@dataclass(frozen=True)
class Bar:
    """A bar of several coloured parts.

    Attributes:
        name: left of the bar.
        parts: lengths and colours, left to right.
        text: right of the bar.
    """

    name: str
    parts: tuple[tuple[float, str], ...]
    text: str


@dataclass(frozen=True)
class BarPanel:
    """Bars with a common scale.

    Attributes:
        title: above the bars.
        rows: from top to bottom.
        full: the value of a whole bar.
    """

    title: str
    rows: list[Bar]
    full: float = 1.0

    @property
    def inches(self) -> float:
        """Return the height, inches."""
        return _BAR_INCH * len(self.rows)


def draw_stats(stats: Stats, targets: Mapping[str, TaskTarget], target: Path) -> None:
    """Write the picture as PNG.

    Args:
        stats: from ``grouped``.
        targets: from ``stats.targets``, by task.
        target: file to write.
    """
    panels = [
        _rate_panel(stats, Side.PROGRAMME), _target_panel(targets), _rate_panel(stats, Side.TASK),
        _yield_panel(stats), _rate_panel(stats, Side.ROBOT), _rate_panel(stats, Side.OPERATOR),
        _cause_panel(stats), _reason_panel(stats),
    ]  # fmt: skip
    above = _HEAD_INCH + 0.35 + _DAYS_INCH + _GAP_INCH
    ends = [above] * len(_COLUMNS)
    placed: list[tuple[int, float, BarPanel]] = []
    for panel in panels:
        if panel is not None:  # into the shorter column
            column = ends.index(min(ends))
            placed.append((column, ends[column], panel))
            ends[column] += panel.inches + _GAP_INCH
    height = max(ends) - _GAP_INCH + 0.35
    figure = plt.figure(figsize=(15, height), dpi=100)
    _title(figure, stats, height)
    _days(figure, stats, 1 - (above - _GAP_INCH) / height, _DAYS_INCH / height)
    for column, top, panel in placed:
        left, right = _COLUMNS[column]
        bottom = 1 - (top + panel.inches) / height
        _bars(figure.add_axes((left, bottom, right - left, panel.inches / height)), panel)
    figure.savefig(target)
    plt.close(figure)


def _title(figure: Any, stats: Stats, height: float) -> None:
    total, days = stats.total, sorted(stats.by[Side.DAY])
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}, {len(days)} days with episodes"
    when += " (UTC)"
    figure.text(
        0.04,
        1 - 0.36 / height,
        plural(total.episodes, "episode"),
        fontsize=19,
        weight="bold",
        va="center",
    )
    for side in (Side.ROBOT, Side.OPERATOR):
        named = sum(bool(name) for name in stats.by[side])
        when += f", {plural(named, side.value)}" if named else ""
    figure.text(0.95, 1 - 0.36 / height, when, fontsize=11, color=_TEXT, va="center", ha="right")
    rate = (
        "nothing is labelled yet"
        if total.success_rate is None
        else f"{total.success_rate:.1%} success"
    )
    text = f"{rate}     {total.good:,} good (a success, and not rejected by the quality checks)"
    if total.yield_per_hour is not None:
        text += (
            f"     {total.yield_per_hour:.1f} good per hour of a robot at work ({_hours(total)})"
        )
    figure.text(0.04, 1 - 0.74 / height, text, fontsize=12, color=_TEXT, va="center")


def _days(figure: Any, stats: Stats, bottom: float, height: float) -> None:
    """Draw the episodes per day, or week, stacked by outcome."""
    days = {date.fromisoformat(day): tally for day, tally in stats.by[Side.DAY].items()}
    span = (max(days) - min(days)).days + 1
    width = 1 if span <= _MOST_DAYS else 7
    bins: dict[date, EpisodeCounts] = {}
    for day, tally in days.items():
        first = day - timedelta(days=day.weekday() if width == 7 else 0)
        bins[first] = bins.get(first, EpisodeCounts()) + tally
    axes = figure.add_axes((0.075, bottom, 0.875, height))
    below = dict.fromkeys(bins, 0)
    for outcome, colour, label in _OUTCOMES:
        counts = [bins[day].of(outcome) for day in bins]
        axes.bar(
            list(bins), counts, width=0.85 * width, bottom=list(below.values()), color=colour, label=label,
            align="edge" if width == 7 else "center",
        )  # fmt: skip
        below = {day: below[day] + count for day, count in zip(bins, counts, strict=True)}
    least = max(_DAY_LABELS - span, 0) / 2  # keeps few bars from filling the page
    first, last = (datetime.combine(day, time()) for day in (min(bins), max(bins)))
    axes.set_xlim(first - timedelta(days=0.7 + least), last + timedelta(days=width - 0.3 + least))
    axes.set_title(
        f"episodes per {'day' if width == 1 else 'week'}", loc="left", fontsize=11, weight="bold"
    )
    if span <= _DAY_LABELS:
        named = [first + timedelta(days=n) for n in range(span)]
        axes.set_xticks(named, [f"{day.day} {day:%b}" for day in named])
    else:
        locator = dates.AutoDateLocator(minticks=4, maxticks=12)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        formatter = dates.ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(formatter)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=3,
        frameon=False,
        fontsize=10,
        borderaxespad=0.2,
    )


def _bars(axes: Any, panel: BarPanel) -> None:
    """Draw horizontal bars, the first on top, with name and text."""
    axes.set_title(panel.title, loc="left", fontsize=11, weight="bold")
    for place, row in enumerate(panel.rows):
        axes.barh(place, panel.full, height=0.72, color="#f0f0f0")
        at = 0.0
        for length, colour in row.parts:
            axes.barh(place, min(length, panel.full - at), left=at, height=0.72, color=colour)
            at = min(at + length, panel.full)
        axes.text(1.02 * panel.full, place, row.text, va="center", fontsize=9, color=_TEXT)
    axes.set_yticks(range(len(panel.rows)), [_short(row.name) for row in panel.rows], fontsize=9.5)
    axes.set_ylim(len(panel.rows) - 0.5, -0.5)
    axes.set_xlim(0, panel.full)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _short(name: str) -> str:
    """Shorten a name in the middle, because long names differ at their ends."""
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[: half - 1]}…{name[-half:]}"


def _rate_panel(stats: Stats, side: Side) -> BarPanel | None:
    """Return success rates; of many robots or operators, the lowest."""
    named = {name: t for name, t in stats.by[side].items() if name and t.success_rate is not None}
    if not named or (side is Side.PROGRAMME and len(stats.by[side]) < 2):
        return None
    title = f"success by {side.value}"
    if len(named) > _BARS and side in (Side.ROBOT, Side.OPERATOR):
        enough = {n: t for n, t in named.items() if _labelled(t) >= _FEW} or named
        chosen = sorted(enough, key=lambda n: (enough[n].success_rate or 0, n))[:_BARS]
        title += f": the {len(chosen)} lowest of {len(named)}"
    else:
        chosen = sorted(named, key=lambda n: (-named[n].episodes, n))[:_BARS]
        if len(named) > _BARS:
            title += f": the {_BARS} most frequent of {len(named)}"
    rows = []
    for name in chosen:
        tally = named[name]
        rate = tally.success_rate or 0.0
        text = f"{rate:.1%}   {tally.of(Outcome.SUCCESS):,} of {_labelled(tally):,}"
        rows.append(Bar(name, ((rate, _GOOD), (1 - rate, _BAD)), text))
    return BarPanel(title, rows)


def _labelled(tally: EpisodeCounts) -> int:
    return tally.of(Outcome.SUCCESS) + tally.of(Outcome.FAILURE)


def _target_panel(targets: Mapping[str, TaskTarget]) -> BarPanel | None:
    if not targets:
        return None
    chosen = sorted(targets, key=lambda n: (targets[n].reached, n))
    title = f"targets: {sum(t.reached >= 1 for t in targets.values())} of {len(targets)} reached"
    if len(chosen) > _BARS:
        title += f"; the {_BARS} furthest from it"
    rows = []
    for name in chosen[:_BARS]:
        target = targets[name]
        done = target.reached >= 1
        share = "reached" if done else f"{int(100 * target.reached)} %"
        text = f"{share}   {target.good:,} good of {target.wanted:,}"
        rows.append(Bar(name, ((target.reached, _GOOD if done else _UNDERWAY),), text))
    return BarPanel(title, rows)


def _yield_panel(stats: Stats) -> BarPanel | None:
    tasks = {n: t for n, t in stats.by[Side.TASK].items() if n and t.yield_per_hour is not None}
    if not tasks:
        return None
    chosen = sorted(tasks, key=lambda n: (-tasks[n].episodes, n))[:_BARS]
    rates = {name: tasks[name].yield_per_hour or 0.0 for name in chosen}
    rows = [
        Bar(name, ((rate, _YIELD),), f"{rate:.1f}   {tasks[name].good:,} in {_hours(tasks[name])}")
        for name, rate in rates.items()
    ]
    return BarPanel("good episodes per hour of a robot at work", rows, max(*rates.values(), 1e-9))


def _hours(tally: EpisodeCounts) -> str:
    return f"{tally.hours:,.0f} h" if tally.hours >= 10 else f"{tally.hours:.2f} h"


def _cause_panel(stats: Stats) -> BarPanel | None:
    if not stats.causes:
        return None
    failures = sum(stats.causes.values())
    ranked = sorted(stats.causes.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        Bar(name or "(no cause given)", ((count, _BAD),), f"{count / failures:.1%}   {count:,}")
        for name, count in ranked[:_BARS]
    ]
    return BarPanel(f"why {plural(failures, 'attempt')} failed", rows, ranked[0][1])


def _reason_panel(stats: Stats) -> BarPanel | None:
    """Return what the quality checks found, sorted by rejected episodes."""
    counts = {
        name: (of.get(Verdict.REJECT, 0), of.get(Verdict.REVIEW, 0))
        for name, of in stats.reasons.items()
    }
    if not counts:
        return None
    ranked = sorted(counts, key=lambda n: (-counts[n][0], -counts[n][1], n))[:_BARS]
    rows = []
    for name in ranked:
        reject, review = counts[name]
        parts = ((reject, _BAD), (review, _MAYBE))
        rows.append(
            Bar(name or "(no reason given)", parts, f"{reject:,} rejected   {review:,} to review")
        )
    title = "why episodes were rejected (red), or are to be reviewed"
    return BarPanel(title, rows, max(map(sum, counts.values())))
