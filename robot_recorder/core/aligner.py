"""The aligner: from samples of many streams to frames. The only one; live and offline call it alike.

It knows no clock of its own. Whoever feeds it says what time it is, with every sample's receive stamp
and with ``advance``; the same samples in the same order of arrival therefore give the same frames.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.core.decoding import KINDS, Decoded
from robot_recorder.core.errors import DecodeError
from robot_recorder.core.frames import Frame, FrameSample, SampleStatus
from robot_recorder.core.streams import NS_PER_S, Policy, StreamConfig

# A stamp this far ahead of its own arrival is a broken clock, not a sample to wait for. Without a
# limit one such stamp would pass every watermark and fill the buffer.
MAX_AHEAD_NS = NS_PER_S

_EMPTY: npt.NDArray[np.float64] = np.empty(0)


@dataclass
class StreamCounts:
    """What became of every sample pushed.

    ``received = accepted + duplicate + late + ahead``. Of the accepted ones that a frame chose,
    ``undecodable`` had bytes that could not be read, ``mismatched`` had other value names than the first.
    """

    received: int = 0
    accepted: int = 0
    out_of_order: int = 0
    duplicate: int = 0
    late: int = 0
    ahead: int = 0
    undecodable: int = 0
    mismatched: int = 0


class _Lane:
    """One stream's samples, sorted by corrected stamp, and the choice of them for a tick."""

    def __init__(self, config: StreamConfig) -> None:
        self.config = config
        kind = KINDS.get(config.type)
        self._decode = kind.decode if kind else None
        self._quaternions = kind.quaternions if kind else ()
        self.stamps: list[int] = []
        self._payloads: list[bytes] = []
        self._decoded: dict[int, Decoded | None] = {}
        self.names: tuple[str, ...] | None = None
        self.counts = StreamCounts()
        self._floor_ns: int | None = None

    def push(self, stamp_ns: int, receive_ns: int, payload: bytes) -> None:
        counts = self.counts
        counts.received += 1
        if stamp_ns > receive_ns + MAX_AHEAD_NS:
            counts.ahead += 1
            return
        if self._floor_ns is not None and stamp_ns < self._floor_ns:
            counts.late += 1  # every tick it could have served is out already
            return
        stamps = self.stamps
        if not stamps or stamp_ns > stamps[-1]:
            stamps.append(stamp_ns)
            self._payloads.append(payload)
        else:
            at = bisect_left(stamps, stamp_ns)
            if stamps[at] == stamp_ns:
                counts.duplicate += 1
                return
            counts.out_of_order += 1
            stamps.insert(at, stamp_ns)
            self._payloads.insert(at, payload)
        counts.accepted += 1

    def passed(self, tick_ns: int) -> bool:
        return bool(self.stamps) and self.stamps[-1] >= tick_ns

    def drop_before(self, tick_ns: int) -> None:
        """Forget what no tick at or after ``tick_ns`` can choose."""
        keep = bisect_right(self.stamps, tick_ns) - 1
        if keep > 0:
            for stamp in self.stamps[:keep]:
                self._decoded.pop(stamp, None)
            del self.stamps[:keep]
            del self._payloads[:keep]
        if self.stamps and self.stamps[0] <= tick_ns:
            self._floor_ns = self.stamps[0]

    def choose(self, tick_ns: int) -> FrameSample:
        policy, tolerance = self.config.policy, self.config.tolerance_ns
        stamps = self.stamps
        after = bisect_left(stamps, tick_ns)
        exact = after < len(stamps) and stamps[after] == tick_ns
        before = after if exact else after - 1
        if policy in (Policy.LINEAR, Policy.SLERP) and not exact:
            if before >= 0 and after < len(stamps) and stamps[after] - stamps[before] <= tolerance:
                return self._between(before, after, tick_ns)
        elif policy is Policy.NEAREST and after < len(stamps):
            # The earlier of two equally near ones: it can not leak the future.
            if before < 0 or stamps[after] - tick_ns < tick_ns - stamps[before]:
                if stamps[after] - tick_ns <= tolerance:
                    return self._measured(after, tick_ns, SampleStatus.FRESH)
        if before < 0:
            return FrameSample(SampleStatus.MISSING, 0, 0, _EMPTY)
        near = exact or (
            policy in (Policy.NEAREST, Policy.PREVIOUS) and tick_ns - stamps[before] <= tolerance
        )
        return self._measured(before, tick_ns, SampleStatus.FRESH if near else SampleStatus.HELD)

    def _measured(self, at: int, tick_ns: int, status: SampleStatus) -> FrameSample:
        values = self._values(at)
        if values is None:
            return FrameSample(SampleStatus.MISSING, 0, 0, _EMPTY)
        return FrameSample(status, self.stamps[at], self.stamps[at] - tick_ns, values)

    def _between(self, before: int, after: int, tick_ns: int) -> FrameSample:
        first, second = self._values(before), self._values(after)
        if first is None or second is None:
            return self._measured(before if second is None else after, tick_ns, SampleStatus.HELD)
        t0, t1 = self.stamps[before], self.stamps[after]
        share = (tick_ns - t0) / (t1 - t0)
        values = first + (second - first) * share
        for q in self._quaternions:
            values[q : q + 4] = slerp(first[q : q + 4], second[q : q + 4], share)
        near = before if tick_ns - t0 <= t1 - tick_ns else after
        skew = self.stamps[near] - tick_ns
        return FrameSample(SampleStatus.INTERPOLATED, self.stamps[near], skew, values)

    def _values(self, at: int) -> npt.NDArray[np.float64] | None:
        """Values in the order of the stream's layout; None when the bytes can not be read."""
        if self._decode is None:
            return _EMPTY
        stamp = self.stamps[at]
        if stamp not in self._decoded:
            try:
                self._decoded[stamp] = self._decode(self._payloads[at])
            except DecodeError:
                self.counts.undecodable += 1
                self._decoded[stamp] = None
        decoded = self._decoded[stamp]
        if decoded is None:
            return None
        if self.names is None:
            self.names = decoded.names
        if decoded.names is self.names or decoded.names == self.names:
            return decoded.values
        if sorted(decoded.names) != sorted(self.names):
            # Other joints than the layout has, as when two drivers share a topic: never invent a number.
            self.counts.mismatched += 1
            return None
        known = dict(zip(decoded.names, decoded.values, strict=True))
        return np.array([known[name] for name in self.names])


def slerp(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], share: float
) -> npt.NDArray[np.float64]:
    """Unit quaternion ``share`` of the way from first to second, by the shorter arc.

    Source: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.
    """
    dot = float(np.dot(first, second))
    if dot < 0:  # q and -q are the same rotation
        second, dot = -second, -dot
    if dot > 0.9995:  # nearly equal: sin(angle) would divide by nearly nothing
        mixed = first + (second - first) * share
        norm = float(np.linalg.norm(mixed))
        return mixed / norm if norm > 0 else mixed
    angle = np.arccos(dot)
    weights = np.sin(np.array([(1 - share) * angle, share * angle])) / np.sin(angle)
    return np.asarray(first * weights[0] + second * weights[1])


class Aligner:
    """Streams in, frames out.

    Ticks lie on ``index * period`` since the epoch, so that every run at one rate, live or offline, has
    the same ticks. A frame is emitted once every stream has a sample at or after its tick, or when
    ``deadline_ns`` have passed since the tick. Between calls at most the samples of the last deadline,
    plus one older per stream, are kept.
    """

    def __init__(
        self,
        streams: Sequence[StreamConfig],
        rate_hz: float,
        deadline_ns: int,
        emit: Callable[[Frame], None],
    ) -> None:
        """
        Args:
            streams: the aligned streams, in the order frames list them.
            rate_hz: rate of the frame clock.
            deadline_ns: how long after a tick to wait for late streams.
            emit: called with each frame, ticks strictly rising.
        """
        self._lanes = [_Lane(s) for s in streams]
        self._rate_hz = rate_hz
        self._deadline_ns = deadline_ns
        self._emit = emit
        self._index: int | None = None
        self._tick_ns = 0
        self._now_ns = 0
        self.skipped_ticks = 0  # ticks nobody could serve: everything paused for over ten seconds

    def _tick_at(self, index: int) -> int:
        # Whole arithmetic: a float period would drift over the 1.7e18 ns since the epoch.
        return index * NS_PER_S * 1000 // round(self._rate_hz * 1000)

    @property
    def counts(self) -> list[StreamCounts]:
        """Per stream, what became of its samples."""
        return [lane.counts for lane in self._lanes]

    @property
    def value_names(self) -> list[tuple[str, ...] | None]:
        """Per stream, the names of its values; None until a frame has chosen a sample."""
        return [lane.names for lane in self._lanes]

    def push(self, stream: int, stamp_ns: int, receive_ns: int, payload: bytes) -> None:
        """Take one sample.

        Args:
            stream: index into the streams given at construction.
            stamp_ns: source stamp; the stream's fixed latency is subtracted here.
            receive_ns: when it arrived, robot clock; not before that of earlier calls.
            payload: its bytes, decoded only if a frame chooses it.
        """
        # Deadlines first: what is late must not depend on how samples were batched.
        self.advance(receive_ns)
        lane = self._lanes[stream]
        lane.push(stamp_ns - lane.config.latency_ns, receive_ns, payload)
        if self._index is None and lane.stamps:
            self._start(max(lane.stamps[0], receive_ns - self._deadline_ns))
        if lane.passed(self._tick_ns):
            self._emit_ready()

    def advance(self, now_ns: int) -> None:
        """Say what time it is: emits the frames whose deadline has passed."""
        self._now_ns = max(self._now_ns, now_ns)
        if self._index is None:
            return
        # After a pause of everything (suspend, a clock set forward) the skipped ticks hold nothing.
        behind = (self._now_ns - self._deadline_ns - self._tick_ns) * self._rate_hz / NS_PER_S
        if behind > self._rate_hz * 10:
            self.skipped_ticks += int(behind)
            self._index += int(behind)
            self._tick_ns = self._tick_at(self._index)
        while self._now_ns >= self._tick_ns + self._deadline_ns:
            self._step()

    def _start(self, stamp_ns: int) -> None:
        self._index = -(-stamp_ns * round(self._rate_hz * 1000) // (NS_PER_S * 1000))
        self._tick_ns = self._tick_at(self._index)

    def _emit_ready(self) -> None:
        while all(lane.passed(self._tick_ns) for lane in self._lanes):
            self._step()

    def _step(self) -> None:
        assert self._index is not None
        samples = tuple(lane.choose(self._tick_ns) for lane in self._lanes)
        frame = Frame(self._index, self._tick_ns, samples)
        self._index += 1
        self._tick_ns = self._tick_at(self._index)
        for lane in self._lanes:
            lane.drop_before(self._tick_ns)
        self._emit(frame)
