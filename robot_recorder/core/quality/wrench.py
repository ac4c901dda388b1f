"""Checks of force and torque sensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_recorder.core.arrays import Floats
from robot_recorder.core.quality.check import EpisodeFacts, ValueCheck
from robot_recorder.core.quality.clipping import ClipCounter
from robot_recorder.core.quality.result import Result, Threshold, at_most_warn
from robot_recorder.core.quality.values import Trace, Values


class WrenchBias(ValueCheck):
    """It shows a force although the robot is at rest and touches nothing."""

    name = "wrench_bias"
    remedy = "tare the sensor while nothing is held; correct the hand's mass in its driver"
    _WINDOW = 10  # rows of the trace: 0.2 s
    _TOUCH_SHARE = 0.05  # of a pad's largest reading

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """See ValueCheck."""
        super().__init__(stream, threshold, range)
        self._trace = Trace()

    def add(self, values: Values) -> None:
        """See ValueCheck."""
        force = values.columns("force/")
        if len(force):
            self._trace.add(values.times, values.rows[:, force])

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        if len(self._trace) < self._WINDOW or not episode.motion.known:
            return
        times, force = self._trace.times, np.nan_to_num(self._trace.rows)
        free = np.ones(len(times), dtype=bool)
        for touch in episode.touches.values():
            if len(touch) > 1:
                pressed = touch.at(times)[:, 0]
                idle = pressed.min()
                free &= pressed - idle <= self._TOUCH_SHARE * max(float(np.ptp(pressed)), 1e-9)
        # Where it never rests: what a hand in the air weighs on the way is less than a bias worth telling.
        for chosen in (free & episode.motion.at_rest(times), free):
            whole = [
                float(np.linalg.norm(np.median(force[i : i + self._WINDOW], axis=0)))
                for i in range(0, len(times) - self._WINDOW + 1, self._WINDOW // 2)
                if chosen[i : i + self._WINDOW].all()
            ]
            if whole:
                bias = min(whole)
                if episode.touches:
                    yield self.say(bias, f"shows {bias:.1f} N with nothing touched")
                else:  # it may carry something, or be a foot
                    limits = at_most_warn(self.threshold)
                    yield self.say(bias, f"shows {bias:.1f} N at least", threshold=limits)
                return


class WrenchClipping(ValueCheck):
    """Readings stop at the end of the sensor's range."""

    name = "wrench_clipping"
    remedy = "the sensor's range is too small for this task, or set too small in its driver"

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """See ValueCheck."""
        super().__init__(stream, threshold, range)
        self._clips = ClipCounter(range, both_ends=True)

    def add(self, values: Values) -> None:
        """See ValueCheck."""
        columns = values.columns("force/") if self.range else values.columns("")
        self._clips.add(values.times, values.rows[:, columns])

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        seconds, column, at = self._clips.worst()
        axis = ("force x", "force y", "force z", "torque x", "torque y", "torque z")[column % 6]
        where = f" ({axis} at {at:.1f})" if seconds else ""
        yield self.say(seconds, f"stood at the end of its range for {seconds:.2f} s{where}")


class WrenchSpikes(ValueCheck):
    """Single readings far off both of their neighbours."""

    name = "wrench_spikes"
    remedy = "check the sensor's cable and shielding"
    _FORCE_N, _TORQUE_NM = 40.0, 4.0

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """See ValueCheck."""
        super().__init__(stream, threshold, range)
        self._before: Floats = np.empty((0, 0))
        self._spikes = 0
        self._largest = 0.0

    def add(self, values: Values) -> None:
        """See ValueCheck."""
        rows = values.rows
        if len(self._before) and self._before.shape[1] == rows.shape[1]:
            rows = np.concatenate((self._before, rows))
        self._before = rows[-2:].copy()
        if len(rows) < 3:
            return
        steps = np.diff(rows, axis=0)
        # Off both neighbours, to the same side: a step there and one back.
        off = np.where(
            np.sign(steps[1:]) * np.sign(steps[:-1]) < 0,
            np.minimum(abs(steps[1:]), abs(steps[:-1])),
            0.0,
        )
        limits = np.full(rows.shape[1], self._FORCE_N)
        limits[values.columns("torque/")] = self._TORQUE_NM
        spikes = (off > limits).any(axis=1)
        if spikes.any():
            self._spikes += int(spikes.sum())
            self._largest = max(self._largest, float(off.max()))

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        largest = f" of up to {self._largest:.0f} N" if self._spikes else ""
        yield self.say(self._spikes, f"has {self._spikes} spikes{largest}")
