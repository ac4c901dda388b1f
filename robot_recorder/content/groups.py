"""Group the values of a series into curves that belong together, and name them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from robot_recorder.alignment.command_pairing import JointStream, pair
from robot_recorder.content.series import EpisodeData, Series
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Bools, Floats
from robot_recorder.model.streams import NS_PER_S, Role
from robot_recorder.model.value_names import group_values, joint_of
from robot_recorder.quality.checks.following_error import alike
from robot_recorder.quality.checks.values import Trace

_LEAST_CELLS = 8  # values of one name from which on they are drawn as an array
_CELL = re.compile(r"\d+(,\d+)?\Z")


@dataclass(frozen=True)
class CurveGroup:
    """Columns of a series that belong together: the positions of all joints, a force, a pad.

    Attributes:
        name: "position", "force", "normal", "normal/palm", "position/head"; for unknown message
            types the name of the field.
        unit: empty: unknown.
        items: the part of each column's name that differs.
        columns: indexes of the columns in the series.
    """

    name: str
    unit: str
    items: tuple[str, ...]
    columns: tuple[int, ...]

    @property
    def is_array(self) -> bool:
        """Return whether the columns are numbered cells, to be drawn as a picture."""
        numbered = all(map(_CELL.match, self.items))
        return numbered and len(self.items) >= _LEAST_CELLS


def groups(series: Series) -> list[CurveGroup]:
    """Return the groups of a series, in its order."""
    by_field = series.topic.sort is Sort.JOINTS  # names of joints may have slashes
    return [CurveGroup(*group) for group in group_values(series.names, by_field)]


def group_of(series: Series, name: str) -> CurveGroup | None:
    """Return the group of a name; None: it does not exist."""
    return next((g for g in groups(series) if g.name == name), None)


def joint_group(series: Series) -> CurveGroup | None:
    """Return the group of joints to draw: positions, or else velocities."""
    return group_of(series, "position") or group_of(series, "velocity")


def observed_joints(data: EpisodeData) -> list[Series]:
    """Return the observed joint states; a bag of commands only: the commands."""
    joints = [s for s in data.series if s.topic.sort is Sort.JOINTS and joint_group(s)]
    return [s for s in joints if s.topic.role is not Role.ACTION] or joints


def command_series(data: EpisodeData) -> dict[str, list[Series]]:
    """Return the commands that each observed joint state follows, by its stream."""
    joints = {s.topic.stream: s for s in data.series if s.topic.sort is Sort.JOINTS}
    commands = {n: s for n, s in joints.items() if s.topic.role is Role.ACTION}
    others = {n: s for n, s in joints.items() if n not in commands}
    plan = data.contents.plan
    of = {s.name: s.of for s in plan.profile.streams} if plan else {}
    found = pair(
        [_joint_stream(s, of) for s in commands.values()],
        [_joint_stream(s, of) for s in others.values()],
        lambda command, stream: alike(_trace(joints[command]), _trace(joints[stream])),
    )
    return {name: [commands[c] for c in found.commands.get(name, ())] for name in others}


def commands_of(data: EpisodeData, observed: Series) -> dict[str, tuple[Series, int]]:
    """Return series and column of the command for each observed position that has one."""
    return command_columns(observed, command_series(data).get(observed.topic.stream, []))


def command_columns(observed: Series, commands: list[Series]) -> dict[str, tuple[Series, int]]:
    """Return series and column of the command by the name of each observed position."""
    return {
        name: (command, column)
        for command in commands
        for column, name in enumerate(command.names)
        if name.startswith("position/") and name in observed.names
    }


def _joint_stream(series: Series, of: dict[str, str]) -> JointStream:
    joints = frozenset(joint_of(n) for n in series.names if n.startswith("position/"))
    topic = series.topic
    return JointStream(topic.stream, topic.name, joints, of.get(topic.stream, ""))


def _trace(series: Series) -> Trace:
    columns = [i for i, name in enumerate(series.names) if name.startswith("position/")]
    trace = Trace(tuple(joint_of(series.names[i]) for i in columns))
    trace.add((series.times_s * NS_PER_S).astype(np.int64), series.values[:, columns])
    return trace


def changing(values: Floats) -> Bools:
    """Return which columns change; those that are always the same, or never there, do not.

    Args:
        values: float64[n, k]; NaN is ignored.
    """
    if not len(values):
        return np.zeros(values.shape[1], dtype=bool)
    return np.asarray(np.fmax.reduce(values, axis=0) > np.fmin.reduce(values, axis=0))


def most_moving(values: Floats, count: int) -> list[int]:
    """Return the columns with the largest range of values, largest first."""
    with np.errstate(invalid="ignore"):
        travel = np.fmax.reduce(values, axis=0) - np.fmin.reduce(values, axis=0)
    travel = np.nan_to_num(travel, posinf=0.0)
    return [int(c) for c in np.argsort(-travel, kind="stable")[:count]]


def cell_shape(items: tuple[str, ...]) -> tuple[int, int] | None:
    """Return rows and columns in the names of cells, if all cells exist in order; else None."""
    try:
        places = [tuple(map(int, item.split(","))) for item in items]
        rows, cols = (max(place[axis] for place in places) + 1 for axis in (0, 1))
    except (ValueError, IndexError):
        return None
    if rows * cols != len(items):
        return None
    expected = [(r, c) for r in range(rows) for c in range(cols)]
    return (rows, cols) if places == expected else None
