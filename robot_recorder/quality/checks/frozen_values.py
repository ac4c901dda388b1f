"""Checks for streams that keep publishing while their values never change."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from robot_recorder.alignment.stream_decoder import widened
from robot_recorder.model.arrays import Bools, Floats, Int64s
from robot_recorder.model.check_result import Result, Threshold, at_most_warn
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.checks.check import Check, EpisodeSummary, ValueCheck
from robot_recorder.quality.checks.following_error import GRASPS
from robot_recorder.quality.checks.joints import scaled
from robot_recorder.quality.checks.values import (
    MOST_SPANS,
    ConstantRuns,
    Trace,
    Values,
    bits,
    longest,
)

_COMMANDED_RAD = 0.1  # a joint that is commanded this far away must move
_NOISE_RAD = 0.002  # of a held joint: a count or two of a 12 bit encoder
_CREPT_RAD = 0.02
_WINDOW = 15  # samples of a trace: 0.3 s


def frozen_s(spans: list[tuple[int, int]], episode: EpisodeSummary, stream: str) -> float:
    """Return the longest time that a stream was constant while the robot moved, s.

    Args:
        spans: beginning and end of the times without any change, ns, robot clock.
        episode: tells when the robot moved.
        stream: name of the stream; its own motion is left out.
    """
    motion = episode.motion_without(stream)
    return max((motion.moving_s(*span) for span in spans), default=0.0)


class Frozen(ValueCheck):
    """All values of a stream stay exactly the same while the robot moves.

    A sensor without noise may rest: at zero, or at its first reading.
    """

    name = "frozen"
    remedy = "its driver repeats an old reading; restart it, check the sensor's cable"

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._runs = ConstantRuns()
        self._all = ConstantRuns()  # including times at rest
        self._last: Int64s | None = None
        self._first: Floats | None = None

    def add(self, values: Values) -> None:
        """Find runs of equal samples."""
        rows = values.rows
        if not rows.shape[1]:
            return
        if self._first is None:
            self._first = rows[0].copy()
        same = self._same(rows)
        self._all.add(values.times, same)
        again = np.flatnonzero(same)
        rests = (bits(rows[again]) == bits(self._first)).all(axis=1) | ~rows[again].any(axis=1)
        moved = same.copy()
        moved[again[rests]] = False
        self._runs.add(values.times, moved)

    def _same(self, rows: Floats) -> Bools:
        """Return bool[n], True where a sample equals the one before exactly."""
        numbers = bits(rows)
        if self._last is not None and self._last.shape[1] < numbers.shape[1]:
            self._last = bits(widened(self._last.view(np.float64), numbers.shape[1]))
        same = np.empty(len(rows), dtype=bool)
        same[0] = self._last is not None and bool((numbers[:1] == self._last).all())
        same[1:] = (
            numbers[1:, 0] == numbers[:-1, 0]
        )  # most samples differ in their first value already
        again = np.flatnonzero(same[1:]) + 1
        same[again] = (numbers[again] == numbers[again - 1]).all(axis=1)
        self._last = numbers[-1:].copy()
        return same

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure how long the stream was constant while the robot moved."""
        if self._all.samples > 1 and self._all.repeats == self._all.samples - 1:
            yield from self.never_changed(episode)
        elif self._all.samples:
            seconds = frozen_s(self._runs.spans, episode, self.stream)
            yield self.say(seconds, f"did not change for {seconds:.1f} s while the robot moved")

    def never_changed(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report a stream that never changed, at most as a warning.

        It may be dead, or a sensor without noise that had nothing to measure.
        """
        seconds = frozen_s(self._all.spans, episode, self.stream)
        words = f"never changed, while the robot moved for {seconds:.1f} s"
        yield self.say(seconds, words, threshold=at_most_warn(self.threshold))


class JointsFrozen(Frozen):
    """Joint positions stay exactly the same while the robot moves.

    Joints may rest anywhere, so only those count that are elsewhere when they change again.
    """

    _LEAST = 0.015  # least jump after a freeze, rad, and also ...
    _STEPS = 2.0  # ... so many times the usual step

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._before: Floats | None = None
        self._ended: list[tuple[int, int, float]] = []  # beginning and end of a run, jump after it
        self._steps, self._way = 0, 0.0  # count and total length of the trace's steps

    def add(self, values: Values) -> None:
        """Find runs of equal samples, and how far the joints are elsewhere afterwards."""
        positions, scale = scaled(values.names, self.range)
        if not len(positions):
            return
        rows = values.rows
        same = self._same(rows)
        ended = self._all.add(values.times, same)
        for span, place in ended:
            before = rows[place - 1] if place else self._before
            if before is not None:
                before = widened(before[np.newaxis], rows.shape[1])[0]
                jump = float(np.fmax.reduce(np.abs(rows[place] - before)[positions] / scale))
                if jump > self._LEAST:
                    self._ended.append((*span, jump))
        if len(self._ended) > 2 * MOST_SPANS:
            self._ended = longest(self._ended)
        self._before = rows[-1].copy()

    def fold(self, stretch: EpisodeSummary) -> None:
        """Add the steps of the stretch to the usual step."""
        trace = stretch.joints.get(self.stream)
        if trace is not None:
            steps = np.abs(np.diff(trace.rows, axis=0))
            steps = np.fmax.reduce(steps, axis=1, initial=0.0)
            self._steps += int((steps > 0).sum())
            self._way += float(steps[steps > 0].sum())

    def _frozen(self) -> list[tuple[int, int]]:
        """Return the runs after which a joint had moved on by far more than its usual step."""
        usual = self._way / self._steps if self._steps else 0.0
        limit = max(self._LEAST, self._STEPS * usual)
        return [(start, end) for start, end, jump in longest(self._ended) if jump > limit]

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure how long the joints were constant while the robot moved."""
        self.fold(episode)
        if self._all.samples:
            seconds = frozen_s(self._frozen(), episode, self.stream)
            yield self.say(seconds, f"did not change for {seconds:.1f} s while the robot moved")


class JointFrozen(Check):
    """One joint stays where it is while it is commanded to move.

    A held joint still shows the noise of its encoder. Fingers are held by what they grasp, so they
    count only if their readings are exactly the same, or if they were commanded to both sides.
    """

    name = "joint_frozen"
    remedy = "its encoder or motor driver is stuck; power-cycle it"

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """Create the check without results."""
        super().__init__(stream, threshold)
        self._commanded = False
        self._worst = (0.0, "")

    def fold(self, stretch: EpisodeSummary) -> None:
        """Find the joint that stood still the longest while commanded elsewhere."""
        trace = stretch.joints.get(self.stream)
        if trace is None or len(trace) < 3:
            return
        commands = stretch.commands_of(self.stream)
        known = [
            (j, c) for j in range(len(trace.names)) for c in commands if trace.names[j] in c.names
        ]
        self._commanded = self._commanded or bool(known)
        times, rows = trace.times, trace.rows
        for joint, command in known:
            name, own = trace.names[joint], rows[:, joint]
            commanded = _commanded_since(command, name)
            for first, end in _runs(_still(own, _NOISE_RAD)):
                readings = own[first : end + 1]
                if np.ptp(readings) > _CREPT_RAD:
                    continue  # it moved slowly
                grasps = bool(GRASPS.search(name)) and np.ptp(readings) > 0
                at = float(readings[0]) if grasps else None
                since_ns = commanded(int(times[first]), int(times[end]), at)
                stood_s = (int(times[end]) - since_ns) / NS_PER_S
                self._worst = max(self._worst, (stood_s, name))

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report the joint that stood still the longest while commanded elsewhere."""
        self.fold(episode)
        if self._commanded:
            seconds, joint = self._worst
            which = f" ({joint})" if joint else ""
            yield self.say(
                seconds, f"has a joint that stood still for {seconds:.1f} s while commanded{which}"
            )


def _commanded_since(command: Trace, joint: str) -> Callable[[int, int, float | None], int]:
    """Return a function that finds when a joint was commanded away within a time."""
    times, column = command.times, command.rows[:, command.names.index(joint)]

    def since(start_ns: int, end_ns: int, held_at: float | None) -> int:
        """Return the time of the first such command, ns; ``end_ns``: there was none.

        Args:
            start_ns, end_ns: the time, ns.
            held_at: position of a finger, rad, which has to be commanded to both of its sides;
                None: away from where the command was is enough.
        """
        first, last = np.searchsorted(times, (start_ns, end_ns))
        part = column[max(first - 1, 0) : last]
        away = np.flatnonzero(np.abs(part - part[:1]) > _COMMANDED_RAD)
        if held_at is not None:
            sides = [np.flatnonzero(s * (part - held_at) > _COMMANDED_RAD) for s in (1, -1)]
            away = max(sides, key=lambda side: side[0]) if all(map(len, sides)) else away[:0]
        return int(times[max(first - 1, 0) + away[0]]) if len(away) else end_ns

    return since


def _still(column: Floats, noise: float) -> Bools:
    """Return for each step of a trace whether the joint stood still, bool[n - 1].

    Args:
        column: float64[n], its positions, rad.
        noise: range of its readings that is no motion, rad.
    """
    if not noise or len(column) <= _WINDOW:
        return np.asarray(np.diff(column) == 0)
    windows = sliding_window_view(column, _WINDOW)
    still = np.ptp(windows, axis=1) <= noise
    steps = np.zeros(len(column), dtype=np.int64)
    steps[: len(still)] += still  # each still window covers its _WINDOW - 1 steps
    steps[_WINDOW - 1 :] -= still
    return np.asarray(np.cumsum(steps)[: len(column) - 1] > 0)


def _runs(same: np.ndarray) -> list[tuple[int, int]]:
    """Return the first and last row of each run of equal rows."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], same.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))
