"""Checks of tactile pads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_recorder.configuration.tasks import Contact
from robot_recorder.model.arrays import Floats
from robot_recorder.model.check_result import Result, Threshold
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.value_names import split_name
from robot_recorder.quality.checks.check import Check, EpisodeSummary, ValueCheck
from robot_recorder.quality.checks.clipping import ClipCounter
from robot_recorder.quality.checks.frozen_values import Frozen
from robot_recorder.quality.checks.values import Trace, Values

TOUCHED_PA, TOUCHED_SHARE = 1000.0, 0.05  # over the whole pad's idle sum; share: 1 is full range
_QUIET_NS = 0.5 * NS_PER_S  # a pad has noise if its median taxel changes more often than this


def taxel_label(name: str, number: int) -> str:
    """Return how a taxel is called: by its number, or by pad and place if there are several pads."""
    taxel = split_name(name)[0].partition("/")[2]
    return taxel if "/" in taxel else str(number)


class TactileFrozen(Frozen):
    """All values of a pad stay exactly the same while the robot moves.

    A pad that never changes was never touched, which ``NeverTouched`` reports.
    """

    def never_changed(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Yield nothing."""
        yield from ()


class _Taxels(ValueCheck):
    """A search for taxels with a constant reading, although the pad has noise."""

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._labels: list[str] = []
        self._last: Floats = np.empty(0)
        self._since: Floats = np.empty(0)  # beginning of each taxel's run of equal readings, ns
        self._longest: Floats = np.empty(0)
        self._at: Floats = np.empty(0)  # the reading of the longest run
        self._samples = 0
        self._span = [0, 0]
        self._most = 0.0

    def add(self, values: Values) -> None:
        """Find each taxel's longest run of equal readings."""
        columns = values.columns("normal/")
        rows = values.rows[:, columns]
        times = values.times.astype(np.float64)
        if not rows.shape[1]:
            return
        if not self._samples:
            self._labels = [taxel_label(values.names[c], n) for n, c in enumerate(columns.tolist())]
            self._last = np.full(rows.shape[1], np.nan)
            self._since = np.full(rows.shape[1], times[0])
            self._longest = np.zeros(rows.shape[1])
            self._at = rows[0].copy()
            self._span[0] = int(times[0])
        if rows.shape[1] != len(self._last):
            return
        self._samples += len(rows)
        self._span[1] = int(times[-1])
        same = rows == np.concatenate((self._last[None], rows[:-1]))
        # The beginning of the run that each sample is part of.
        began = np.where(same, -np.inf, times[:, None])
        began = np.maximum(np.maximum.accumulate(began, axis=0), self._since)
        runs = times[:, None] - began
        best = runs.argmax(axis=0)
        longest = runs[best, np.arange(rows.shape[1])]
        better = longest > self._longest
        self._at = np.where(better, rows[best, np.arange(rows.shape[1])], self._at)
        self._longest = np.maximum(self._longest, longest)
        self._since, self._last = began[-1], rows[-1].copy()
        self._most = max(self._most, float(np.nan_to_num(rows).max()))

    def standing(self) -> tuple[list[int], list[float]]:
        """Return the taxels that do not change, and their readings."""
        span = self._span[1] - self._span[0]
        if self._samples < 20 or np.median(self._longest) > _QUIET_NS:
            return [], []  # without noise, an untouched taxel looks like a dead one
        still = np.flatnonzero(self._longest > max(0.5 * span, NS_PER_S))
        return still.tolist(), self._at[still].tolist()

    def which(self, taxels: list[int]) -> str:
        """Name the first few taxels."""
        return f" ({', '.join(self._labels[t] for t in taxels[:6])})" if taxels else ""

    @property
    def taxels(self) -> int:
        """Return the number of taxels of the pad; 0: unknown yet."""
        return len(self._last)

    def _is_idle(self, reading: float) -> bool:
        return abs(reading) <= 0.002 * max(self._most, 1e-9)


class TaxelsDead(_Taxels):
    """Taxels that never leave their idle reading."""

    name = "taxels_dead"
    remedy = "check the pad's cable, or raise the check's limits in the profile"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Count the dead taxels."""
        found = [t for t, at in zip(*self.standing()) if self._is_idle(at)]
        if self.taxels:
            words = f"{len(found)} of {self.taxels} taxels are dead{self.which(found)}"
            yield self.say(len(found), words)


class TaxelsStuck(_Taxels):
    """Taxels whose reading stays at one value, touched or not."""

    name = "taxels_stuck"
    remedy = "check the pad for a trapped object or a short"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Count the stuck taxels."""
        found = [t for t, at in zip(*self.standing()) if not self._is_idle(at)]
        if self.taxels:
            words = f"{len(found)} of {self.taxels} taxels are stuck{self.which(found)}"
            yield self.say(len(found), words)


class TaxelsSaturated(ValueCheck):
    """Taxels at the end of their range."""

    name = "taxels_saturated"
    remedy = "the grip is harder than the pad can measure"

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._clips = ClipCounter(range, both_ends=False)
        self._names: tuple[str, ...] = ()

    def add(self, values: Values) -> None:
        """Look for readings at the end of the range."""
        columns = values.columns("normal/")
        self._names = self._names or tuple(values.names[c] for c in columns.tolist())
        self._clips.add(values.times, values.rows[:, columns])

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report the taxel that was saturated for longest."""
        seconds, taxel, at = self._clips.worst()
        label = taxel_label(self._names[taxel], taxel) if seconds else ""
        where = f" (taxel {label} at {at:.4g})" if seconds else ""
        yield self.say(seconds, f"a taxel was saturated for {seconds:.2f} s{where}")


class NeverTouched(Check):
    """Pads that touched nothing in a task that requires contact."""

    name = "never_touched"
    remedy = "was the object missed, is the glove off, or is the pad broken?"

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """Create the check without results."""
        super().__init__(stream, threshold)
        self._touched: dict[str, bool] = {}

    def fold(self, stretch: EpisodeSummary) -> None:
        """Note which pads were touched."""
        for name, trace in stretch.touches.items():
            range = stretch.streams[name].quality.range if name in stretch.streams else None
            self._touched[name] = self._touched.get(name, False) or _touched(trace, range)

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Count the pads that were never touched."""
        self.fold(episode)
        contact = episode.task.contact if episode.task else Contact.NONE
        if contact is Contact.NONE or not self._touched:
            return
        untouched = [name for name, touched in self._touched.items() if not touched]
        enough = contact is Contact.ANY and len(untouched) < len(self._touched)
        names = ", ".join(untouched) or "none"
        yield self.say(0 if enough else len(untouched), f"pads that touched nothing: {names}")


_TOUCHED = {"Pa": TOUCHED_PA, "1": TOUCHED_SHARE, "%": 100 * TOUCHED_SHARE, "N": 0.5}
_FAR_ABOVE_NOISE = 8.0  # times the usual step between samples, where the unit says nothing


def _touched(trace: Trace, range: float | None) -> bool:
    if not len(trace):
        return True  # StreamMissing reports a pad without samples
    pressed = np.nan_to_num(trace.rows[:, 0])
    limit = TOUCHED_SHARE * range if range else _TOUCHED.get(split_name(trace.names[0])[1])
    if limit is None:
        limit = (
            _FAR_ABOVE_NOISE * float(np.median(np.abs(np.diff(pressed))))
            if len(pressed) > 1
            else 0.0
        )
    return bool(pressed.max() - np.percentile(pressed, 5) > limit)
