"""Selects the plots of a report, their order and their content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from robot_recorder.content.groups import (
    CurveGroup,
    commands_of,
    group_of,
    groups,
    most_moving,
    observed_joints,
    short_name,
)
from robot_recorder.content.series import EpisodeData, Series
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.value_names import joint_label, joint_of, split_name

_SHOWN = 8  # curves shown at first; a click shows the others
_UNASKED = 8  # plots of unknown types that are unfolded at first
_JOINT_FIELDS = (("position", "positions", 240), ("velocity", "velocities", 170),
                 ("effort", "efforts", 170))  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """A column of a series, and the command that is drawn dotted over it."""

    name: str
    series: Series
    column: int
    command: tuple[Series, int] | None = None


@dataclass(frozen=True)
class Plot:
    """One plot of the report.

    Attributes:
        title: above the plot.
        unit: of its values.
        topic: the topic of its values.
        curves: those to be shown first come first.
        linked: plots with the same name show and hide the same curves.
        height: pixels.
        shown: number of curves shown at first.
        cells: rows and columns of a pad drawn as a heat map, (n, 1) if its shape is unknown;
            None: curves.
        limits: values of the heat map's darkest and brightest colour.
        folded: whether it is folded at first.
    """

    title: str
    unit: str
    topic: str
    curves: list[Curve]
    linked: str
    height: int = 130
    shown: int = _SHOWN
    cells: tuple[int, int] | None = None
    limits: tuple[float, float] = (0.0, 1.0)
    folded: bool = False


def panels(data: EpisodeData) -> list[Plot]:
    """Return all plots of a report: those of known types first."""
    found = [*_joints(data), *_forces(data), *_touch(data), *_others(data, Sort.IMU, Sort.POSE)]
    unknown = list(_others(data, Sort.NUMBERS))
    return found + [replace(p, folded=i >= _UNASKED) for i, p in enumerate(unknown)]


def _joints(data: EpisodeData) -> Iterator[Plot]:
    """Yield measured joints with their commands, then commands that no measured joint follows."""
    observed = observed_joints(data)
    commanded = {id(s) for o in observed for s, _ in commands_of(data, o).values()}
    for series in observed:
        where = f"{short_name(series.topic)}: " if len(observed) > 1 else "joint "
        commands = commands_of(data, series)
        order = _order(series)
        for name, title, height in _JOINT_FIELDS:
            curves = [
                Curve(joint, series, column, commands.get(series.names[column]))
                for joint, column in _joint_columns(series, name)
            ]
            if not curves:
                continue
            curves.sort(key=lambda curve: order.get(curve.name, len(order)))
            dotted = any(curve.command for curve in curves)
            yield Plot(
                f"{where}{title}" + (" (dotted: commanded)" if dotted else ""),
                split_name(series.names[curves[0].column])[1],
                series.topic.name, curves, series.topic.name, height,
            )  # fmt: skip
    for series in data.series:
        known = any(series is o for o in observed) or id(series) in commanded
        if series.topic.sort is Sort.JOINTS and not known:
            yield from _curves(series)


def _joint_columns(series: Series, name: str) -> list[tuple[str, int]]:
    """Return the joints that have a field, and their columns."""
    return [
        (joint_label(joint_of(text)), column)
        for column, text in enumerate(series.names)
        if text.startswith(f"{name}/")
    ]


def _order(series: Series) -> dict[str, int]:
    """Rank joints by how far they move, or else by velocity or effort."""
    joints = next(filter(None, (_joint_columns(series, name) for name, _, _ in _JOINT_FIELDS)), [])
    ranked = most_moving(series.values[:, [column for _, column in joints]], len(joints))
    return {joints[place][0]: rank for rank, place in enumerate(ranked)}


def _forces(data: EpisodeData) -> Iterator[Plot]:
    wrenches = [s for s in data.series if s.topic.sort is Sort.WRENCH]
    for name in ("force", "torque"):
        for series in wrenches:
            group = group_of(series, name)
            if group is not None:
                curves = _in_order(series, group)
                title = f"{short_name(series.topic)}: {name}"
                yield Plot(title, group.unit, series.topic.name, curves, f"{name}s", 120)


def _touch(data: EpisodeData) -> Iterator[Plot]:
    for series in data.series:
        if series.topic.sort is Sort.TACTILE:
            for group in groups(series):
                yield _heat_map(series, group)


def _others(data: EpisodeData, *sorts: Sort) -> Iterator[Plot]:
    for series in data.series:
        if series.topic.sort in sorts:
            yield from _curves(series)


def _curves(series: Series) -> Iterator[Plot]:
    for group in groups(series):
        if group.is_array:
            yield _heat_map(series, group)
            continue
        few = len(group.columns) <= _SHOWN
        curves = _in_order(series, group)
        if not few:
            ranked = most_moving(series.values[:, group.columns], len(curves))
            curves = [curves[c] for c in ranked]
        title = f"{short_name(series.topic)}: {group.name.replace('_', ' ')}".rstrip(": ")
        name = f"{series.topic.name} {group.name}"
        yield Plot(title, group.unit, series.topic.name, curves, name)


def _in_order(series: Series, group: CurveGroup) -> list[Curve]:
    return [Curve(i, series, c) for i, c in zip(group.items, group.columns, strict=True)]


def _heat_map(series: Series, group: CurveGroup) -> Plot:
    title = short_name(series.topic)
    if group.name not in ("normal", ""):
        title += f": {group.name.replace('_', ' ')}"
    cells = _shape(group.items)
    height = min(max(7 * len(group.items), 84), 200)
    return Plot(
        title, group.unit, series.topic.name, _in_order(series, group),
        f"{series.topic.name} {group.name}", height, len(group.items), cells,
        _limits(series.values[:, group.columns], group.unit),
    )  # fmt: skip


def _shape(items: tuple[str, ...]) -> tuple[int, int]:
    """Return the rows and columns in the cells' names, if all cells exist in order; else (n, 1)."""
    try:
        places = [tuple(map(int, item.split(","))) for item in items]
        rows, cols = (max(place[axis] for place in places) + 1 for axis in (0, 1))
    except (ValueError, IndexError):
        return len(items), 1
    expected = [(r, c) for r in range(rows) for c in range(cols)] if rows * cols < 10**5 else []
    return (rows, cols) if places == expected else (len(items), 1)


def _limits(values: np.ndarray, unit: str) -> tuple[float, float]:
    """Return the values of the darkest and brightest colour.

    From rest to nearly the highest value; symmetric about 0 for signed values.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, rest, high = (float(q) for q in np.percentile(finite, (0.5, 50, 99.5)))
    if unit and low < -0.1 * high:
        reach = max(-low, high)
        return -reach, reach
    low = 0.0 if unit else min(rest, high)
    return low, high if high > low else low + 1.0
