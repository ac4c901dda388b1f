"""Checks of joint states."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache

import numpy as np

from robot_recorder.alignment.stream_decoder import widened
from robot_recorder.model.arrays import Bools, Floats, Places
from robot_recorder.model.check_result import Result, Threshold
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.units import is_measured
from robot_recorder.model.value_names import joint_of, split_name
from robot_recorder.quality.checks.check import Check, EpisodeSummary, ValueCheck
from robot_recorder.quality.checks.values import Values

_MOST_LEAPS = 2000  # jumps that are kept one by one


@lru_cache(maxsize=64)
def judged(names: tuple[str, ...]) -> Places:
    """Return the indices of positions in rad or m; other units cannot be judged."""
    return np.array(
        [i for i, n in enumerate(names) if n.startswith("position/") and is_measured(n)],
        dtype=np.intp,
    )


_FULL_TURN = np.pi  # of a joint whose unit has another range, such as 0 to 100 percent
_RANGES = {"%": 100.0}


@lru_cache(maxsize=64)
def scaled(names: tuple[str, ...], range: float | None) -> tuple[Places, Floats]:
    """Return the indices of positions with a known scale, and what one rad or m is in their units.

    Args:
        names: of the values.
        range: full range of the stream's positions, in their unit; None: unknown.
    """
    found: dict[int, float] = {}
    for at, name in enumerate(names):
        if name.startswith("position/"):
            whole = range or _RANGES.get(split_name(name)[1])
            if is_measured(name):
                found[at] = 1.0
            elif whole:
                found[at] = whole / _FULL_TURN
    return np.array(list(found), dtype=np.intp), np.array(list(found.values()))


class JointJump(ValueCheck):
    """Positions that differ from the sample before by more than any joint can move."""

    name = "joint_jump"
    remedy = "its encoder loses counts, or two drivers publish the topic"
    _LEAST = 0.05  # rad or m, or the same share of another range
    _FASTEST = 20.0  # rad/s or m/s
    _TURN_RAD = 0.3
    _FAR = 4 * np.pi  # angles are seldom this large, percentages nearly always
    _FAR_SHARE = 0.2
    _FEW = 2  # jumps that an encoder with a large offset may make

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._last: tuple[int, int, Floats] | None = None
        self._names: tuple[str, ...] = ()
        self._samples = 0
        self._far = np.zeros(0, dtype=np.int64)  # samples of each joint
        self._jumps = np.zeros(0, dtype=np.int64)
        self._largest = np.zeros(0)
        self._leaps: list[Bools] = []  # of each sample with a jump, which joints jumped

    def add(self, values: Values) -> None:
        """Count positions too far from the sample before."""
        columns, scale = scaled(values.names, self.range)
        if not len(columns):
            return
        positions, times, receives = values.rows[:, columns], values.times, values.receives
        self._grow(tuple(values.names[c] for c in columns))
        self._samples += len(positions)
        with np.errstate(invalid="ignore"):
            far = self._FAR * scale
            if not (np.abs(positions) <= far).all():
                self._far += (np.abs(positions) > far).sum(axis=0)
        if self._last is not None:
            times = np.concatenate(([self._last[0]], times))
            receives = np.concatenate(([self._last[1]], receives))
            positions = np.concatenate((widened(self._last[2], len(columns)), positions))
        self._last = int(times[-1]), int(receives[-1]), positions[-1:].copy()
        steps = np.abs(np.diff(positions, axis=0))
        if not len(steps) or not (np.fmax.reduce(steps) > self._LEAST * scale).any():
            return
        # Stamps may be coarse, so take the longer of the two times.
        spans = np.maximum(np.diff(times), np.diff(receives))[:, None] / NS_PER_S
        jumps = steps > np.maximum(self._LEAST, self._FASTEST * spans) * scale
        wraps = np.abs(steps - 2 * np.pi) <= self._TURN_RAD  # an angle that begins again
        jumps &= ~(wraps & (scale == 1.0))
        if jumps.any():
            self._jumps += jumps.sum(axis=0)
            self._largest = np.maximum(self._largest, np.where(jumps, steps, 0).max(axis=0))
            if len(self._leaps) < _MOST_LEAPS:
                self._leaps += list(jumps[jumps.any(axis=1)])

    def _grow(self, names: tuple[str, ...]) -> None:
        more = (0, len(names) - len(self._names))
        if more[1] > 0:
            self._names = names
            self._far, self._jumps = np.pad(self._far, more), np.pad(self._jumps, more)
            self._largest = np.pad(self._largest, more)

    def unjudged(self, limited: Collection[str]) -> set[str]:
        """Return the joints whose positions cannot be angles: they are large and jump often.

        Args:
            limited: joints that have limits in the robot's description, in rad or m.
        """
        odd = (self._far > self._FAR_SHARE * max(self._samples, 1)) & (self._jumps > self._FEW)
        return {
            joint
            for joint, is_odd in zip(map(joint_of, self._names), odd.tolist())
            if is_odd and joint not in limited
        }

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Count the jumps and report the largest."""
        odd = self.unjudged(episode.joint_limits.get(self.stream, {}))
        counted = np.array([joint_of(name) not in odd for name in self._names], dtype=bool)
        if len(self._leaps) < _MOST_LEAPS:
            count = sum(bool((leap & counted[: len(leap)]).any()) for leap in self._leaps)
        else:
            count = int(self._jumps[counted].max(initial=0))
        most = ""
        if count:
            at = int(np.argmax(np.where(counted, self._largest, 0)))
            joint, unit = joint_of(self._names[at]), split_name(self._names[at])[1]
            most = f", the largest {self._largest[at]:.2f} {unit} at {joint}"
        yield self.say(count, f"jumped {count} times{most}")


class JointLimits(ValueCheck):
    """Positions beyond the limits in the robot's description."""

    name = "joint_limits"
    remedy = "home the joint again, or correct the robot description"

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._lowest: Floats = np.empty(0)
        self._highest: Floats = np.empty(0)
        self._names: tuple[str, ...] = ()

    def add(self, values: Values) -> None:
        """Keep the lowest and highest position of each joint."""
        columns = judged(values.names)
        if not len(columns):
            return
        more = (0, len(columns) - len(self._names))
        if more[1] > 0:
            self._names = tuple(joint_of(values.names[c]) for c in columns)
            self._lowest = np.pad(self._lowest, more, constant_values=np.nan)
            self._highest = np.pad(self._highest, more, constant_values=np.nan)
        positions = values.rows[:, columns]
        self._lowest = np.fmin(self._lowest, np.fmin.reduce(positions))
        self._highest = np.fmax(self._highest, np.fmax.reduce(positions))

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report the joint furthest beyond its limits."""
        reached = zip(self._names, self._lowest.tolist(), self._highest.tolist())
        limits = episode.joint_limits.get(self.stream, {})
        beyond = {}
        for joint, lowest, highest in reached:
            if joint in limits and lowest == lowest:
                low, high = limits[joint]
                beyond[joint] = max(low - lowest, highest - high, 0.0)
        if not beyond:
            return
        worst = max(beyond, key=lambda joint: beyond[joint])
        by = beyond[worst]
        yield self.say(
            by, f"{worst} was {by:.2f} rad beyond its limits" if by else "within all limits"
        )


class JointNames(Check):
    """Messages with unnamed joints, or with arrays whose lengths differ."""

    name = "joint_names"

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """Create the check; ``NumberWatch`` counts its messages."""
        super().__init__(stream, threshold)
        self.odd = 0
        self.why = ""

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Count the messages with unnamed joints."""
        words = f"has {self.odd} odd messages: {self.why}" if self.odd else "names all joints"
        yield self.say(self.odd, words)
