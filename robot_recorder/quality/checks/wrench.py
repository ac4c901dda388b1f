"""Checks of force and torque sensors."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from robot_recorder.model.arrays import Bools, Floats, Int64s
from robot_recorder.model.check_result import Result, Threshold, at_most_warn
from robot_recorder.model.value_names import split_name
from robot_recorder.quality.checks.check import EpisodeSummary, ValueCheck
from robot_recorder.quality.checks.clipping import ClipCounter
from robot_recorder.quality.checks.values import Trace, Values


class WrenchBias(ValueCheck):
    """A sensor that shows a force although the robot is at rest and touches nothing."""

    name = "wrench_bias"
    remedy = (
        "tare the sensor while nothing is held, correct the hand's mass in its driver, or set "
        "'quality: {wrench_bias: off}' in the profile for a sensor that always carries load"
    )
    _WINDOW = 10  # rows of the trace: 0.2 s
    _TOUCH_SHARE = 0.05  # share of a pad's largest reading

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._trace = Trace()
        self._biases = [math.inf, math.inf]  # least force at rest, and least force at any time, N
        self._pressed: dict[str, tuple[float, float]] = {}  # lowest and highest sum of each pad

    def add(self, values: Values) -> None:
        """Keep a trace of the force."""
        force = values.columns("force/")
        if len(force):
            self._trace.add(values.times, values.rows[:, force])

    def fold(self, stretch: EpisodeSummary) -> None:
        """Look for the least force of the stretch, then drop its trace."""
        self._look(self._trace.before(stretch.stop_ns), stretch)
        self._trace.cut(stretch.stop_ns)

    def _look(self, trace: Trace, stretch: EpisodeSummary) -> None:
        if len(trace) < self._WINDOW or not stretch.motion.known:
            return
        times, force = trace.times, np.nan_to_num(trace.rows)
        free = self._untouched(times, stretch)
        # Also take any untouched time, in case the robot never rests: moving a free hand takes less
        # force than a bias worth a warning.
        for number, chosen in enumerate((free & stretch.motion.at_rest(times), free)):
            whole = [
                float(np.linalg.norm(np.median(force[i : i + self._WINDOW], axis=0)))
                for i in range(0, len(times) - self._WINDOW + 1, self._WINDOW // 2)
                if chosen[i : i + self._WINDOW].all()
            ]
            self._biases[number] = min([self._biases[number], *whole])

    def _untouched(self, times: Int64s, stretch: EpisodeSummary) -> Bools:
        """Return bool[n], True while no pad is pressed, judged by its lowest and highest sum."""
        free = np.ones(len(times), dtype=bool)
        for name, touch in stretch.touches.items():
            if len(touch) > 1:
                pressed = touch.at(times)[:, 0]
                idle, most = self._pressed.get(name, (math.inf, -math.inf))
                idle, most = min(idle, float(pressed.min())), max(most, float(pressed.max()))
                self._pressed[name] = idle, most
                free &= pressed - idle <= self._TOUCH_SHARE * max(most - idle, 1e-9)
        return free

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report the least force with nothing touched."""
        self._look(self._trace, episode)
        bias = next((b for b in self._biases if math.isfinite(b)), None)
        if bias is None:
            return
        if self._pressed or episode.touches:
            yield self.say(bias, f"shows {bias:.1f} N with nothing touched")
        else:  # the hand may carry something, or the sensor be in a foot
            limits = at_most_warn(self.threshold)
            yield self.say(bias, f"never shows less than {bias:.1f} N", threshold=limits)


class WrenchClipping(ValueCheck):
    """Readings that stop at the end of the sensor's range."""

    name = "wrench_clipping"
    remedy = "the sensor's range is too small for this task, or set too small in its driver"

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._clips = ClipCounter(range, both_ends=True)

    def add(self, values: Values) -> None:
        """Look for readings at the end of the range."""
        columns = values.columns("force/") if self.range else values.columns("")
        self._clips.add(values.times, values.rows[:, columns])

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report the axis that was clipped for longest."""
        seconds, column, at = self._clips.worst()
        axis = ("force x", "force y", "force z", "torque x", "torque y", "torque z")[column % 6]
        where = f" ({axis} at {at:.1f})" if seconds else ""
        yield self.say(seconds, f"was at the end of its range for {seconds:.2f} s{where}")


class WrenchSpikes(ValueCheck):
    """Single readings far from both of their neighbours."""

    name = "wrench_spikes"
    remedy = "check the sensor's cable and shielding"
    _FORCE_N, _TORQUE_NM = 40.0, 4.0

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._before: Floats = np.empty((0, 0))
        self._spikes = 0
        self._largest = 0.0  # times its limit
        self._worst = ""

    def add(self, values: Values) -> None:
        """Count the spikes."""
        rows = values.rows
        if len(self._before) and self._before.shape[1] == rows.shape[1]:
            rows = np.concatenate((self._before, rows))
        self._before = rows[-2:].copy()
        if len(rows) < 3:
            return
        steps = np.diff(rows, axis=0)
        # Far from both neighbours on the same side: one step away and one back.
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
            sizes = off / limits
            column = int(np.argmax(sizes.max(axis=0)))
            if sizes[:, column].max() > self._largest:
                self._largest = float(sizes[:, column].max())
                self._worst = f"{off[:, column].max():.3g} {split_name(values.names[column])[1]}"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report the number of spikes and the largest."""
        largest = f" of up to {self._worst}" if self._spikes else ""
        yield self.say(self._spikes, f"has {self._spikes} spikes{largest}")
