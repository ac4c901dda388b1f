"""Checks of joint states."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_recorder.core.arrays import Floats
from robot_recorder.core.quality.check import Check, EpisodeFacts, ValueCheck
from robot_recorder.core.quality.result import Result, Threshold
from robot_recorder.core.quality.values import Values
from robot_recorder.core.streams import NS_PER_S
from robot_recorder.core.value_names import joint_of


class NotANumber(ValueCheck):
    """Numbers that are none: NaN or infinite. What never is a number is not there, as an effort nobody measures."""

    name = "not_a_number"
    remedy = "its driver publishes what it has not read; check the sensor's connection"

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """See ValueCheck."""
        super().__init__(stream, threshold, range)
        self._bad = np.zeros(0, dtype=np.int64)  # samples, of each value
        self._samples = 0
        self._names: tuple[str, ...] = ()

    def add(self, values: Values) -> None:
        """See ValueCheck."""
        if not self._samples:
            self._bad, self._names = np.zeros(values.rows.shape[1], dtype=np.int64), values.names
        self._samples += len(values.rows)
        with np.errstate(invalid="ignore", over="ignore"):
            if np.isfinite(values.rows.sum()):  # one pass; a sum of finite numbers is finite
                return
        self._bad += (~np.isfinite(values.rows)).sum(axis=0)

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        mixed = np.where(self._bad < self._samples, self._bad, 0)
        worst = int(mixed.max(initial=0))
        which = f" in {self._names[int(mixed.argmax())]}" if worst else ""
        yield self.say(worst, f"has {worst} samples that are not numbers{which}")


class JointJump(ValueCheck):
    """A position that no joint can have got to since the sample before."""

    name = "joint_jump"
    remedy = "its encoder loses counts, or two drivers publish the topic"
    _LEAST_RAD = 0.05
    _FASTEST_RAD_S = 20.0
    _TURN_RAD = 0.3

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """See ValueCheck."""
        super().__init__(stream, threshold, range)
        self._last: tuple[int, int, Floats] | None = None
        self._jumps = 0
        self._largest = (0.0, "")

    def add(self, values: Values) -> None:
        """See ValueCheck."""
        columns = values.columns("position/")
        if not len(columns):
            return
        positions, times, receives = values.rows[:, columns], values.times, values.receives
        if self._last is not None:
            times = np.concatenate(([self._last[0]], times))
            receives = np.concatenate(([self._last[1]], receives))
            positions = np.concatenate((self._last[2], positions))
        self._last = int(times[-1]), int(receives[-1]), positions[-1:].copy()
        steps = np.abs(np.diff(positions, axis=0))
        if not len(steps) or not np.fmax.reduce(steps, axis=None) > self._LEAST_RAD:
            return
        # Stamps may be coarse; whichever tells of more time.
        spans = np.maximum(np.diff(times), np.diff(receives))[:, None] / NS_PER_S
        jumps = steps > np.maximum(self._LEAST_RAD, self._FASTEST_RAD_S * spans)
        jumps &= np.abs(steps - 2 * np.pi) > self._TURN_RAD  # a wheel or a wrist that starts over
        if jumps.any():
            self._jumps += int(jumps.any(axis=1).sum())
            at = np.unravel_index(np.argmax(np.where(jumps, steps, 0)), steps.shape)
            name = joint_of(values.names[columns[at[1]]])
            self._largest = max(self._largest, (float(steps[at]), name))

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        size, name = self._largest
        most = f", the largest {size:.2f} rad at {name}" if self._jumps else ""
        yield self.say(self._jumps, f"jumped {self._jumps} times{most}")


class JointLimits(ValueCheck):
    """Positions beyond what the robot's description allows."""

    name = "joint_limits"
    remedy = "home the joint again, or correct the robot description"

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """See ValueCheck."""
        super().__init__(stream, threshold, range)
        self._lowest: Floats = np.empty(0)
        self._highest: Floats = np.empty(0)
        self._names: tuple[str, ...] = ()

    def add(self, values: Values) -> None:
        """See ValueCheck."""
        columns = values.columns("position/")
        if not len(columns):
            return
        if not self._names:
            self._names = tuple(joint_of(values.names[c]) for c in columns)
            self._lowest = self._highest = np.full(len(columns), np.nan)
        positions = values.rows[:, columns]
        self._lowest = np.fmin(self._lowest, np.fmin.reduce(positions))
        self._highest = np.fmax(self._highest, np.fmax.reduce(positions))

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
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


class Undecodable(Check):
    """Messages whose bytes do not fit their type."""

    name = "undecodable"
    remedy = "is its driver built against the same version of the message?"

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """See Check."""
        super().__init__(stream, threshold)
        self.bad = self.messages = 0

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        if self.messages:
            words = f"{self.bad} of {self.messages} messages can not be decoded"
            yield self.say(self.bad / self.messages, words)
