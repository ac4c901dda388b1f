"""Selects the panels of an episode, their order and their content, for the picture and the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from robot_recorder.content.contents import SOUND, Topic
from robot_recorder.content.groups import (
    CurveGroup,
    cell_shape,
    changing,
    command_columns,
    command_series,
    groups,
    most_moving,
)
from robot_recorder.content.series import EpisodeData, Series
from robot_recorder.messages.audio import SIZE
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.model.text import plural
from robot_recorder.model.value_names import joint_label

SHOWN = 8  # curves shown at first; a click shows the others
_JOINT_FIELDS = ("position", "velocity", "effort")
_FEW = 3  # main panels of a stream with many
_NO_SCALE = ("", "raw")  # units of values that may begin anywhere
_NAMED = 3  # fields of constant values that are named in a line
# The fields that are looked at first, by sort; of others the first ones.
_MAIN = {
    Sort.WRENCH: ("force",), Sort.TACTILE: ("normal",), Sort.IMU: ("linear_acceleration",),
    Sort.AUDIO: (SOUND,), Sort.POSE: ("position",),
}  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """A column of a series, and the command that is drawn dashed over it."""

    name: str
    series: Series
    column: int
    command: tuple[Series, int] | None = None


@dataclass(frozen=True)
class PadCells:
    """The cells of one pad.

    Attributes:
        name: empty: the stream has only this pad.
        rows, cols: how they are drawn, row by row.
        columns: of the cells in the series.
        is_known: whether the messages say how the cells are arranged.
    """

    name: str
    rows: int
    cols: int
    columns: tuple[int, ...]
    is_known: bool


@dataclass(frozen=True)
class Panel:
    """Values that are drawn together.

    Attributes:
        topic: of the stream.
        name: what the values are, such as ``position``; empty: all of the stream's.
        unit: of the values; empty: unknown.
        curves: those that change, those to be shown first come first; of an array its rows.
        constant: value of each that never changes, by name; NaN: it is never there.
        pads: of an array, its cells.
        series: what the cells of the pads are columns of.
        limits: of an array, values of the darkest and the brightest colour.
        commands: streams whose values are dashed.
        palette: number of the colours, which tell streams of joints apart.
        is_main: whether it is what one looks at first in its stream.
        remark: what one has to know about it, as a phrase; empty: nothing.
    """

    topic: Topic
    name: str
    unit: str
    curves: list[Curve]
    constant: Mapping[str, float] = field(default_factory=dict)
    pads: tuple[PadCells, ...] = ()
    series: Series | None = None
    limits: tuple[float, float] = (0.0, 1.0)
    commands: tuple[str, ...] = ()
    palette: int = 0
    is_main: bool = False
    remark: str = ""

    @property
    def title(self) -> str:
        """Return the stream's name, what is drawn of it, and the commands over it."""
        own = f"{self.topic.stream}: {self.name}" if self.name else self.topic.stream
        return own + (f" with {', '.join(self.commands)} (dashed)" if self.commands else "")

    @property
    def note(self) -> str:
        """Return the remark, and how many values are left out because they never change."""
        return "; ".join(filter(None, (self.remark, self._constant_note)))

    @property
    def _constant_note(self) -> str:
        count = len(self.constant)
        if self.curves:
            return f"{plural(count, 'constant value')} not drawn" if count else ""
        values = list(self.constant.values())
        if all(map(math.isnan, values)):
            return "no values" if count == 1 else f"none of its {count} values is ever there"
        same = f", all {values[0]:g}" if count > 1 and len(set(values)) == 1 else ""
        unit = "" if self.unit == "1" else f" {self.unit}"
        one = f": {next(iter(self.constant))} {values[0]:g}{unit}" if count == 1 else ""
        return f"{plural(count, 'value')} that never change{'s' if count == 1 else ''}{same}{one}"


def panels(data: EpisodeData) -> list[Panel]:
    """Return all panels of an episode: actions first, then observations, then others.

    Joints are drawn once, with the commands that they follow, in the place of the first of these.
    """
    commands = command_series(data)
    followers = {c.topic.stream: name for name, found in commands.items() for c in found}
    joints = {s.topic.stream: s for s in data.series if s.topic.sort is Sort.JOINTS}
    drawn_joints = dict.fromkeys(followers.get(name, name) for name in joints)
    palettes = {name: number for number, name in enumerate(drawn_joints)}
    found: list[Panel] = []
    done: set[str] = set()
    for series in data.series:
        stream = series.topic.stream
        follower = followers.get(stream, stream)
        for name in dict.fromkeys((follower, stream)):
            if series.topic.sort is not Sort.JOINTS:
                found += _of_stream(series, _why_silent(series, data))
            elif name not in done:
                done.add(name)
                drawn = [joints[follower].names] if name != follower else []
                palette = palettes.get(follower, 0)
                found += _of_joints(joints[name], commands.get(name, []), drawn, palette)
    return [p for p in found if not data.chosen or data.chosen & {p.topic.stream, *p.commands}]


def _of_joints(
    series: Series, commands: list[Series], drawn: Sequence[tuple[str, ...]], palette: int
) -> Iterator[Panel]:
    """Yield the panels of a joint state.

    Args:
        series: the joint state.
        commands: those that it follows.
        drawn: names of the stream with which its positions have been drawn; empty: it is none.
        palette: of its colours.
    """
    columns = command_columns(series, commands)
    elsewhere = {n for names in drawn for n in names if n.startswith("position/")}
    order = _order(series)
    found: list[Panel] = []
    own = [g for g in groups(series) if g.name in _JOINT_FIELDS] or groups(series)
    main = next((g.name for g in own), "")
    for group in groups(series):
        kept = [(i, c) for i, c in zip(group.items, group.columns)
                if series.names[c] not in elsewhere]  # fmt: skip
        moves = changing(series.values)
        curves, constant = [], {}
        for item, column in kept:
            command = columns.get(series.names[column])
            commanded = command is not None and changing(command[0].values[:, [command[1]]])[0]
            if moves[column] or commanded:
                curves.append(Curve(joint_label(item), series, column, command))
            else:
                constant[item] = _usual(series.values[:, column])
        curves.sort(key=lambda curve: order.get(curve.name, len(order)))
        used = tuple(dict.fromkeys(c.command[0].topic.stream for c in curves if c.command))
        if kept:
            found.append(
                Panel(series.topic, group.name, group.unit, curves, constant, commands=used,
                      palette=palette, is_main=group.name == main and bool(kept))
            )  # fmt: skip
    yield from _with_constant_last(found)


def _order(series: Series) -> dict[str, int]:
    """Rank joints by how far they move, or else by velocity or effort."""
    by_name = {g.name: g for g in groups(series)}
    group = next((by_name[name] for name in _JOINT_FIELDS if name in by_name), None)
    if group is None:
        return {}
    ranked = most_moving(series.values[:, group.columns], len(group.columns))
    return {joint_label(group.items[place]): rank for rank, place in enumerate(ranked)}


def _why_silent(series: Series, data: EpisodeData) -> str:
    """Return why there is only the size of a sound; empty: it is another stream."""
    if series.names != SIZE:
        return ""
    start = f"{series.topic.name}: "
    why = next((p for p in data.problems if p.startswith(start)), "")
    return why.removeprefix(start).partition(": ")[0] or "its sound is not decoded"


def _of_stream(series: Series, remark: str = "") -> Iterator[Panel]:
    """Yield the panels of any other stream.

    Args:
        series: the stream.
        remark: of its panels.
    """
    sort = series.topic.sort
    found: list[Panel] = []
    if sort is Sort.TACTILE:
        fields: dict[tuple[str, str], list[CurveGroup]] = {}
        for group in groups(series):
            fields.setdefault((group.name.partition("/")[0], group.unit), []).append(group)
        found = [_of_pads(series, name, pads) for (name, _), pads in fields.items()]
    else:
        for group in groups(series):
            is_array = group.is_array and sort is not Sort.AUDIO
            found.append(
                _of_pads(series, group.name, [group]) if is_array else _of_group(series, group)
            )
    for panel in _with_constant_last(_with_main(found, sort)):
        yield replace(panel, remark=remark)


def _with_main(found: list[Panel], sort: Sort) -> list[Panel]:
    """Mark the panels that one looks at first."""
    drawn = [p for p in found if p.curves]
    names = _MAIN.get(sort, ())
    main = [p for p in drawn if p.name.partition("/")[0] in names] or drawn
    if sort is Sort.POSE:
        main.sort(key=lambda p: -_travel(p))
    chosen = {id(p) for p in main[:_FEW]}
    return [replace(p, is_main=id(p) in chosen) for p in found]


def _travel(panel: Panel) -> float:
    """Return the largest range of a panel's values."""
    return max((float(np.nanmax(v) - np.nanmin(v)) for c in panel.curves
                if np.isfinite(v := c.series.values[:, c.column]).any()), default=0.0)  # fmt: skip


def _with_constant_last(found: list[Panel]) -> Iterator[Panel]:
    """Yield the panels with curves, then one line for all values that never change."""
    drawn = [p for p in found if p.curves]
    yield from drawn
    still = [p for p in found if not p.curves and p.constant]
    if not still:
        return
    values = {
        f"{p.name}/{name}".strip("/"): value for p in still for name, value in p.constant.items()
    }
    names = list(dict.fromkeys(p.name for p in still if p.name))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    name = ", ".join(names[:_NAMED]) + more
    unit = still[0].unit if len({p.unit for p in still}) == 1 else ""
    yield replace(still[0], name=name, unit=unit, constant=values, is_main=not drawn, pads=())


def _of_group(series: Series, group: CurveGroup) -> Panel:
    """Return the curves of a group; many in the order of how far they move."""
    moves = changing(series.values[:, group.columns])
    curves = [Curve(i, series, c) for i, c, m in zip(group.items, group.columns, moves) if m]
    if len(curves) > SHOWN:
        ranked = most_moving(series.values[:, [c.column for c in curves]], len(curves))
        curves = [curves[place] for place in ranked]
    constant = {
        i: _usual(series.values[:, c])
        for i, c, m in zip(group.items, group.columns, moves)
        if not m
    }
    return Panel(series.topic, group.name, group.unit, curves, constant)


def _usual(values: Floats) -> float:
    """Return the value of a column that never changes; NaN: it has none."""
    known = values[np.isfinite(values)]
    return float(known[0]) if len(known) else math.nan


def _of_pads(series: Series, name: str, found: list[CurveGroup]) -> Panel:
    """Return an array: one pad with its cells, or several pads with the highest cell of each."""
    columns = [c for group in found for c in group.columns]
    unit = found[0].unit
    if not changing(series.values[:, columns]).any():
        constant = {f"{g.name}/{i}".removeprefix(f"{name}/"): _usual(series.values[:, c])
                    for g in found for i, c in zip(g.items, g.columns)}  # fmt: skip
        return Panel(series.topic, name, unit, [], constant)
    pads = tuple(_pad(g, name) for g in found)
    limits = _limits(series.values[:, columns], unit)
    if len(found) == 1:
        (group,) = found
        rows = [Curve(i, series, c) for i, c in zip(group.items, group.columns)]
    else:
        falls = unit in _NO_SCALE and _falls(series.values[:, columns])
        strongest = [_strongest(series.values[:, p.columns], limits, falls) for p in pads]
        highest = np.stack(strongest, axis=1)
        most = Series(series.topic, tuple(p.name for p in pads), series.times_s, highest)
        rows = [Curve(pad.name, most, place) for place, pad in enumerate(pads)]
    return Panel(series.topic, name, unit, rows, pads=pads, series=series, limits=limits)


def _strongest(cells: Floats, limits: tuple[float, float], falls: bool) -> Floats:
    """Return the strongest of all cells at each time; NaN: none has a value.

    Args:
        cells: float64[n, k].
        limits: of the colours; symmetric about 0 for signed values.
        falls: whether a touch makes values smaller.
    """
    high = np.asarray(np.fmax.reduce(cells, axis=1))
    low = np.asarray(np.fmin.reduce(cells, axis=1))
    if falls:
        return low
    return np.where(-low > high, low, high) if limits[0] < 0 else high


def _pad(group: CurveGroup, name: str) -> PadCells:
    own = group.name.removeprefix(name).strip("/")
    shape = cell_shape(group.items)
    count = len(group.items)
    cols = math.ceil(math.sqrt(count))
    rows, cols = shape or (math.ceil(count / cols), cols)
    return PadCells(own, rows, cols, group.columns, shape is not None)


def _limits(values: Floats, unit: str) -> tuple[float, float]:
    """Return the values of the darkest and brightest colour.

    From rest to nearly the highest value; symmetric about 0 for signed values. Values without a
    known scale begin at their rest in this episode, or at their lowest if touch makes them smaller.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, rest, high = (float(q) for q in np.percentile(finite, (0.5, 50, 99.5)))
    highest = float(finite.max())
    high = high if high > rest else highest  # few cells are touched, and not for long
    known = unit not in _NO_SCALE
    if low < -0.1 * high and known:
        reach = max(-low, high)
        return -reach, reach
    if not known and _falls(finite):
        return low, high
    low = 0.0 if known else min(rest, high)
    return low, high if high > low else low + 1.0


def _falls(values: Floats) -> bool:
    """Return whether values go down from their rest more than up, as with electrodes."""
    low, rest, high = np.percentile(values[np.isfinite(values)], (0.5, 50, 99.5))
    return bool(rest - low > high - rest)


def left_out(all_panels: Sequence[Panel], drawn: Sequence[Panel]) -> str:
    """Return what of an episode is not drawn, as a phrase; empty: nothing is left out."""
    there = {p.topic.stream for p in drawn} | {c for p in drawn for c in p.commands}
    missing = [p for p in all_panels if p.curves and not any(p is d for d in drawn)]
    streams = {p.topic.stream for p in missing} - there
    more = sum(p.topic.stream in there for p in missing)
    parts = [f"{plural(len(streams), 'more stream')}"] if streams else []
    parts += [f"{plural(more, 'more panel')} of these streams"] if more else []
    return " and ".join(parts)
