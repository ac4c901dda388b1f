"""Align a stream whose messages name different joints: each group of joints has its own samples.

This happens when drivers share a topic or add joints later. A field that is filled only at times
has a value only where one was sent. As in Lane, the result depends only on the samples that a tick
may choose from, so that live and offline runs agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from robot_recorder.alignment.interpolation import interpolate
from robot_recorder.alignment.layouts import NO_SHAPE, JointGroup, Layouts
from robot_recorder.alignment.sample_buffer import SampleBuffer
from robot_recorder.alignment.sample_choice import (
    HELD,
    INTERPOLATED,
    MISSING,
    NEVER,
    NONE,
    SampleChoice,
    around,
    available,
    choose,
    choose_one,
    neighbours,
)
from robot_recorder.alignment.value_reader import ValueReader
from robot_recorder.model.arrays import Bools, Floats, Int64s, Places
from robot_recorder.model.streams import StreamConfig
from robot_recorder.model.value_names import quaternion_starts


@dataclass
class TickValues:
    """A stream's part of n frames.

    Attributes:
        status, stamps, numbers: [n], of the worst aligned joints among those that have begun.
        values: float64[n, k], NaN where a value was not sent, or is older than the others.
        count: intp[n], how many of the samples each tick could choose from.
        passed: int64[n], receive time at which the last joint's watermark passed the tick, ns.
        used: bool[samples], whether a tick chose the sample.
        kept: bool[samples], whether a later tick may choose the sample.
    """

    status: npt.NDArray[np.uint8]
    stamps: Int64s
    numbers: Int64s
    values: Floats
    count: Places
    passed: Int64s
    used: Bools
    kept: Bools


class _Candidates:
    """The samples in which certain joints are named, in order of arrival."""

    def __init__(self, kept: SampleBuffer, places: Places, shapes: Bools) -> None:
        self.places = places
        self.shapes = shapes
        self.stamps = kept.stamps[places]
        self.receives = kept.receives[places]
        self.rising = bool((self.stamps[1:] > self.stamps[:-1]).all())


class ByName:
    """Chooser of samples for every group of joints of one stream."""

    def __init__(
        self, config: StreamConfig, layouts: Layouts, kept: SampleBuffer, reader: ValueReader
    ) -> None:
        self._config = config
        self._layouts = layouts
        self._kept = kept
        self._reader = reader
        self._began: dict[int, int] = {}  # number of the first sample by shape

    def begin(self, shapes: Int64s, numbers: Int64s) -> None:
        """Note when shapes were first seen.

        Args:
            shapes: of samples.
            numbers: of the same samples, rising.
        """
        found, first = np.unique(shapes, return_index=True)
        for shape, number in zip(found.tolist(), numbers[first].tolist()):
            self._began.setdefault(shape, number)

    def newest_ns(self, newest: dict[int, int]) -> int:
        """Return the stamp that every joint has reached, ns; long ago if there are no samples yet.

        Args:
            newest: newest stamp by shape, ns.
        """
        reached = [
            max(newest[shape] for shape in there)
            for group in self._layouts.groups
            if (there := [s for s in np.flatnonzero(group.shapes).tolist() if s in newest])
        ]
        return min(reached, default=-NEVER)

    def align(self, ticks: Int64s, wait_ns: int, deadline_ns: int) -> TickValues:
        """Return this stream's part of frames.

        Args:
            ticks: int64[n], ns, as in Lane.align.
            wait_ns, deadline_ns: as in sample_choice.available.
        """
        count, size = len(ticks), len(self._kept)
        found = TickValues(
            np.full(count, MISSING, dtype=np.uint8),
            np.zeros(count, dtype=np.int64),
            np.full(count, NONE, dtype=np.int64),
            np.full((count, len(self._layouts.names or ())), np.nan),
            np.zeros(count, dtype=np.intp),
            np.full(count, -NEVER, dtype=np.int64),
            np.zeros(size, dtype=bool),
            (self._kept.shapes == NO_SHAPE) & (self._kept.stamps > ticks[-1]),
        )
        limits = _limits(self._kept, ticks, deadline_ns)
        # Number of the sample that made each frame complete.
        complete = np.full(count, -1, dtype=np.int64)
        for began, group in sorted(
            ((self._first(group), group) for group in self._layouts.groups), key=itemgetter(0)
        ):
            complete = self._follow(
                group, ticks, (wait_ns, deadline_ns), (began, limits, complete), found
            )
        return found

    def _first(self, group: JointGroup) -> int:
        """Return the number of the first sample that names a group of joints."""
        shapes = np.flatnonzero(group.shapes).tolist()
        return min((self._began[s] for s in shapes if s in self._began), default=NEVER)

    def _of(self, shapes: Bools, among: Places | None = None) -> _Candidates:
        """Return the samples of some shapes."""
        kept = self._kept.shapes
        places = np.flatnonzero(kept != NO_SHAPE) if among is None else among
        return _Candidates(self._kept, places[shapes[kept[places]]], shapes)

    def _follow(
        self,
        group: JointGroup,
        ticks: Int64s,
        waits_ns: tuple[int, int],
        begun: tuple[int, Int64s, Int64s],
        found: TickValues,
    ) -> Int64s:
        """Align one group; return the number of the sample that made each frame complete.

        Joints without a sample when a frame became complete are not part of it: a live run has
        emitted it by then.

        Args:
            group: joints to align.
            ticks: int64[n], ns.
            waits_ns: ``wait_ns`` and ``deadline_ns`` of ``align``.
            begun: number of the group's first sample; number of the last sample before each tick's
                deadline; number of the sample that made each frame complete for the previous
                groups.
            found: filled in.
        """
        first_number, limits, complete = begun
        mine = self._of(group.shapes)
        if not len(mine.places):
            return complete
        count, passed = available(mine.stamps, mine.receives, ticks, *waits_ns)
        there = first_number <= np.where(complete < 0, limits, complete)
        count = np.where(there, count, 0)
        last = self._kept.numbers[mine.places[np.maximum(count, 1) - 1]]
        reached = np.where(passed < ticks + waits_ns[1], np.minimum(last, limits), limits)
        complete = np.where(there, np.maximum(complete, reached), complete)
        choice, first, second = self._choose(mine, ticks, count)
        self._worst(choice, ticks, found)
        found.passed = np.where(there, np.maximum(found.passed, passed), found.passed)
        some = count > 0
        found.count[some] = np.maximum(found.count[some], mine.places[count[some] - 1] + 1)
        for columns, shapes in group.fields:
            if np.array_equal(shapes, group.shapes):
                self._fill(columns, ticks, choice, first, second, found)
                continue
            own = self._of(shapes, mine.places)
            among = np.concatenate(([0], np.cumsum(shapes[self._kept.shapes[mine.places]])))[count]
            part, first_own, second_own = self._choose(own, ticks, among)
            # A field that was not sent is missing, unless held at the same sample as the others.
            same = (part.status == HELD) & (choice.status == HELD) & (part.first == choice.first)
            part.status[(part.status == HELD) & ~same] = MISSING
            self._fill(columns, ticks, part, first_own, second_own, found)
        found.kept[mine.places[self._wanted(mine, int(ticks[-1]), int(count[-1]))]] = True
        return complete

    def _choose(
        self, mine: _Candidates, ticks: Int64s, count: Places
    ) -> tuple[SampleChoice, list[Floats | None], list[Floats | None]]:
        """Choose among readable candidates by the stream's policy; return places and values."""
        before, after = neighbours(mine.stamps, mine.rising, ticks, count)
        choice = choose(self._config, mine.stamps, ticks, before, after)
        chosen, both = choice.status != MISSING, choice.status == INTERPOLATED
        every = np.concatenate((choice.first[chosen], choice.second[both]))
        self._reader.prepare(mine.places[every])
        first: list[Floats | None] = [None] * len(ticks)
        second: list[Floats | None] = [None] * len(ticks)
        for row in np.flatnonzero(chosen).tolist():
            while (status := choice.status[row]) != MISSING:
                first[row] = self._read(mine, choice.first[row])
                second[row] = None
                if status == INTERPOLATED:
                    second[row] = self._read(mine, choice.second[row])
                if first[row] is not None and (status != INTERPOLATED or second[row] is not None):
                    break
                self._choose_again(mine, row, int(ticks[row]), int(count[row]), choice)
        chosen, both = choice.status != MISSING, choice.status == INTERPOLATED
        choice.first[chosen] = mine.places[choice.first[chosen]]
        choice.second[both] = mine.places[choice.second[both]]
        return choice, first, second

    def _read(self, mine: _Candidates, number: int) -> Floats | None:
        """Return a candidate's values; None: undecodable, or with other joints than assumed."""
        place = int(mine.places[number])
        values = self._reader.read(place)
        if values is not None and (shape := self._reader.shape(place)) != self._kept.shapes[place]:
            self._kept.shapes[place] = shape
            self._began.setdefault(shape, int(self._kept.numbers[place]))
        shape = int(self._kept.shapes[place])
        return values if shape != NO_SHAPE and mine.shapes[shape] else None

    def _choose_again(
        self, mine: _Candidates, row: int, tick_ns: int, count: int, choice: SampleChoice
    ) -> None:
        """Choose again for one tick, among the candidates within tolerance that can be read."""
        near = np.flatnonzero(mine.stamps[:count] >= tick_ns - self._config.tolerance_ns)
        good = [n for n in near.tolist() if self._read(mine, n) is not None]
        before, after = around(mine.stamps, tick_ns, np.array(good, dtype=np.intp))
        choice.status[row], choice.first[row], choice.second[row] = choose_one(
            self._config, mine.stamps, tick_ns, before, after
        )

    def _fill(
        self,
        columns: Places,
        ticks: Int64s,
        choice: SampleChoice,
        first: list[Floats | None],
        second: list[Floats | None],
        found: TickValues,
    ) -> None:
        """Fill in the values of some columns."""
        stamps = self._kept.stamps
        rows = np.flatnonzero(choice.status != MISSING)
        if not len(rows):
            return
        table = self._reader.table([values for row in rows if (values := first[row]) is not None])
        found.values[np.ix_(rows, columns)] = table[:, columns]
        found.used[choice.first[rows]] = True
        rows = np.flatnonzero(choice.status == INTERPOLATED)
        if len(rows):
            later = self._reader.table([v for row in rows if (v := second[row]) is not None])
            t0, t1 = stamps[choice.first[rows]], stamps[choice.second[rows]]
            part = np.ix_(rows, columns)
            shares = (ticks[rows] - t0) / (t1 - t0)
            names = self._layouts.names or ()
            turned = quaternion_starts(tuple(names[c] for c in columns.tolist()))
            found.values[part] = interpolate(found.values[part], later[:, columns], shares, turned)
            found.used[choice.second[rows]] = True

    def _worst(self, choice: SampleChoice, ticks: Int64s, found: TickValues) -> None:
        """Record status, stamp and number where these joints are worse than those before."""
        rows = np.flatnonzero(choice.status != MISSING)
        status, chosen = choice.status[rows], choice.first[rows].copy()
        stamps = self._kept.stamps
        both = np.flatnonzero(status == INTERPOLATED)
        second = choice.second[rows][both]
        nearer = stamps[second] - ticks[rows][both] < ticks[rows][both] - stamps[chosen[both]]
        chosen[both[nearer]] = second[nearer]
        skew, numbers = stamps[chosen] - ticks[rows], self._kept.numbers[chosen]
        known = found.numbers[rows] != NONE
        best = found.status[rows].astype(np.int64)
        own = found.stamps[rows] - ticks[rows]
        worse = _later(
            (status, np.abs(skew), skew, numbers), (best, np.abs(own), own, found.numbers[rows])
        )
        worse |= ~known
        rows, chosen = rows[worse], chosen[worse]
        found.status[rows] = status[worse]
        found.stamps[rows], found.numbers[rows] = stamps[chosen], numbers[worse]

    def _wanted(self, mine: _Candidates, tick_ns: int, count: int) -> Bools:
        """Return which samples a later tick may choose, bool[n]; the others are too old."""
        arrived = np.arange(len(mine.stamps)) < count
        before = mine.stamps[arrived & (mine.stamps <= tick_ns)]
        if not len(before):
            return np.ones(len(mine.stamps), dtype=bool)
        oldest = min(int(before.max()), tick_ns - self._config.tolerance_ns)
        return np.asarray(~(arrived & (mine.stamps < oldest)))


def _limits(kept: SampleBuffer, ticks: Int64s, deadline_ns: int) -> Int64s:
    """Return the last sample's number before each tick's deadline, int64[n]; -1: none."""
    places = np.searchsorted(kept.receives, ticks + deadline_ns, "left") - 1
    return np.where(places >= 0, kept.numbers[np.maximum(places, 0)], -1)


def _later(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> Bools:
    """Compare columns lexicographically; return where ``one`` is greater, bool[n]."""
    later = np.zeros(len(one[0]), dtype=bool)
    equal = np.ones(len(one[0]), dtype=bool)
    for mine, theirs in zip(one, other):
        later |= equal & (mine > theirs)
        equal &= mine == theirs
    return later
