"""Watches one stream of numbers: decodes its messages, feeds its checks and keeps its trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_recorder.alignment.stream_decoder import Decoder, StreamCounts
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.kinds import Sort, kind_of
from robot_recorder.model.arrays import Bools, Floats, Int64s
from robot_recorder.model.payloads import Messages
from robot_recorder.model.streams import StreamConfig
from robot_recorder.model.units import is_measured
from robot_recorder.model.value_names import joint_of, split_name
from robot_recorder.quality.checks.check import Check, Limits, ValueCheck
from robot_recorder.quality.checks.joints import JointJump, JointNames, scaled
from robot_recorder.quality.checks.numbers import Undecodable
from robot_recorder.quality.checks.values import Trace, Values, joined

_NARROW = 32  # columns
_Messages = tuple[Int64s, Int64s, Sequence[bytes]]  # times, times of receipt, messages


@dataclass
class _Driver:
    """One driver of a topic and its checks; most streams have exactly one.

    Attributes:
        checks: checks of the driver's values.
        columns: indices of its values among those of the stream; may grow.
        trace: positions of its joints, or the sum over a pad.
    """

    checks: list[ValueCheck]
    columns: list[int] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)


class NumberWatch:
    """One stream of numbers: its decoder, its checks and its trace.

    Drivers that share the topic, each with joints of its own, are checked separately.
    """

    def __init__(
        self,
        stream: StreamConfig,
        decode: Callable[[bytes], Decoded],
        build: Callable[[], list[Check]],
        undecodable: list[Check],
    ) -> None:
        """Watch a stream.

        Args:
            stream: the stream.
            decode: decodes one message.
            build: makes the checks of its values; called once for each driver.
            undecodable: its checks that need no decoded values.
        """
        self.stream = stream
        self.sort = kind_of(stream).sort
        self._waiting: _Messages | None = None
        self._counts = StreamCounts()
        self._decoder = Decoder(decode, self._counts)
        self._build = build
        self._undecodable = [c for c in undecodable if isinstance(c, Undecodable)]
        self._names = [c for c in undecodable if isinstance(c, JointNames)]
        self._parts = [self._new_part()]

    def _new_part(self) -> _Driver:
        return _Driver([c for c in self._build() if isinstance(c, ValueCheck)])

    @property
    def others(self) -> int:
        """Return the number of messages with more named values than a stream can keep."""
        return self._counts.mismatched

    @property
    def notes(self) -> list[str]:
        """Return what is unusual about its messages, one sentence each."""
        return self._decoder.notes

    @property
    def words(self) -> tuple[str, ...]:
        """Return the notes, and which values only some messages have."""
        return self._decoder.words

    @property
    def drivers(self) -> tuple[int, ...]:
        """Return the message count of each driver of the topic, even if there is only one."""
        return self._decoder.layouts.drivers(self._decoder.seen)

    @property
    def trace(self) -> Trace:
        """Return the trace of all its joints, or of the sum over its pad."""
        return joined([p.trace for p in self._parts if len(p.trace)] or [Trace()])

    def cut(self, time_ns: int) -> None:
        """Drop the trace before a time."""
        for part in self._parts:
            part.trace.cut(time_ns)

    def in_other_units(self) -> dict[str, list[str]]:
        """Return the joints whose unit has no known scale, by unit."""
        found: dict[str, list[str]] = {}
        names = self._decoder.names or ()
        if self.sort is not Sort.JOINTS:
            return found
        known = {names[at] for at in scaled(names, self.stream.quality.range)[0].tolist()}
        for name in names:
            if name.startswith("position/") and name not in known:
                found.setdefault(split_name(name)[1] or "no unit", []).append(joint_of(name))
        return found

    def unjudged(self, limits: Limits) -> set[str]:
        """Return the joints whose positions cannot be angles although no other unit is declared."""
        jumps = (c for part in self._parts for c in part.checks if isinstance(c, JointJump))
        return {joint for check in jumps for joint in check.unjudged(limits)}

    def add(self, times: Int64s, receives: Int64s, messages: Sequence[bytes]) -> None:
        """Take messages in order of receipt.

        Args:
            times, receives: int64[n], ns, robot clock.
            messages: n whole messages, CDR.
        """
        if self.stream.disorder_ns:
            times, receives, messages = self._in_order(times, receives, messages)
        if len(times):
            self._take(times, receives, messages)

    def end(self) -> None:
        """Process the messages that still wait; no more follow."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and len(waiting[0]):
            self._take(*waiting)
        self._build = list  # breaks the reference cycle with the builder, so that both can be freed

    def _in_order(self, times: Int64s, receives: Int64s, messages: Sequence[bytes]) -> _Messages:
        """Return the messages that nothing earlier can follow any more, sorted; keep the rest."""
        if self._waiting is not None:
            times = np.concatenate((self._waiting[0], times))
            receives = np.concatenate((self._waiting[1], receives))
            messages = [*self._waiting[2], *messages]
        order = np.argsort(times, kind="stable")
        times, receives = times[order], receives[order]
        messages = [messages[n] for n in order.tolist()]
        ready = int(np.searchsorted(times, times[-1] - self.stream.disorder_ns, "right"))
        self._waiting = times[ready:], receives[ready:], messages[ready:]
        return times[:ready], receives[:ready], messages[:ready]

    def _take(self, times: Int64s, receives: Int64s, messages: Sequence[bytes]) -> None:
        done, rows, shapes = self._decoder.all(Messages(messages))
        for undecodable in self._undecodable:
            undecodable.messages += len(messages)
            undecodable.bad = self._counts.undecodable
            if self.stream.mapping is not None:
                undecodable.why = self._decoder.first_error
        for names in self._names:
            noted = self._decoder.layouts.notes
            names.odd = sum(self._decoder.seen[shape] for shape in noted)
            names.why = "; ".join(self.notes)
        if not len(done):
            return
        if len(done) < len(times):
            times, receives = times[done], receives[done]
        if len(self._decoder.layouts) == 1 and len(self._parts) == 1:
            self._parts[0].columns = list(range(rows.shape[1]))
            self._tell(self._parts[0], times, receives, rows, None)
            return
        layouts = self._decoder.layouts
        for members, columns in layouts.parts():
            mine = np.isin(shapes, members)
            if mine.any():
                part = self._part(columns)
                places = np.array(part.columns, dtype=np.intp)
                absent = ~layouts.has(shapes[mine], places)
                own = rows[mine][:, places]
                self._tell(part, times[mine], receives[mine], own, absent if absent.any() else None)

    def _part(self, columns: list[int]) -> _Driver:
        """Return the driver with these joints, or a new one."""
        found = next((p for p in self._parts if not set(columns).isdisjoint(p.columns)), None)
        if found is None:
            found = next((p for p in self._parts if not p.columns), None)
        if found is None:
            found = self._new_part()
            self._parts.append(found)
        found.columns += [c for c in columns if c not in found.columns]
        return found

    def _tell(
        self, part: _Driver, times: Int64s, receives: Int64s, rows: Floats, absent: Bools | None
    ) -> None:
        # Checks work along columns; few columns are faster when each is contiguous.
        rows = np.asfortranarray(rows) if rows.shape[1] <= _NARROW else rows
        every = self._decoder.names or ()
        mapping = self.stream.mapping
        if mapping is not None and mapping.absent is not None:
            absent = np.isnan(rows)
        names = every if len(part.columns) == len(every) else tuple(every[c] for c in part.columns)
        if part.columns != sorted(part.columns):
            names = tuple(every[c] for c in part.columns)
        values = Values(times, receives, rows, names, absent)
        for check in part.checks:
            check.add(values)
        self._trace(part.trace, values)

    def _trace(self, trace: Trace, values: Values) -> None:
        if self.sort is Sort.TACTILE:
            columns = values.columns("normal/")
        elif self.sort is Sort.JOINTS:
            columns, scale = scaled(values.names, self.stream.quality.range)
        else:
            return
        if not len(columns):
            return
        rows = values.rows[:, columns]
        if self.sort is Sort.TACTILE:
            trace.names = (f"normal {values.names[0].rpartition(' ')[2]}",)
            rows = rows.sum(axis=1, keepdims=True)
        elif len(trace.names) < len(columns):
            names = [values.names[c] for c in columns.tolist()]
            trace.names = tuple(map(joint_of, names))
            units = zip(trace.names, names, scale.tolist())
            trace.scales = {j: (split_name(n)[1], one) for j, n, one in units if not is_measured(n)}
        if trace.scales:
            rows = rows / scale
        trace.add(values.times, rows)
