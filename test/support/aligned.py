"""An aligner, and the frames it has emitted."""

from __future__ import annotations

from robot_recorder.alignment.aligner import Aligner
from robot_recorder.alignment.frames import Frame, Frames
from robot_recorder.model.streams import FrameClock, Policy, Role, StreamConfig
from support.samples import WRENCH, wrench

MS = 1_000_000
T0 = 1_700_000_000_000_000_000  # on the tick grid of 10, 20, 25, 50 Hz


def stream(
    policy: Policy, tolerance_ms: float = 30, type_name: str = WRENCH, **more
) -> StreamConfig:
    more = {
        k.replace("_ms", "_ns"): round(v * MS) if k.endswith("_ms") else v for k, v in more.items()
    }
    return StreamConfig(
        f"s_{policy.value}", "t", type_name, Role.OBSERVATION, 100, True, policy,
        round(tolerance_ms * MS), **more,
    )  # fmt: skip


class Run:
    """An aligner, and the frames it has emitted."""

    def __init__(
        self,
        *streams: StreamConfig,
        rate_hz: float | None = 10,
        deadline_ms: int = 200,
        reference: str = "",
    ) -> None:
        self.frames: list[Frame] = []
        clock = FrameClock(rate_hz, reference)
        self.aligner = Aligner(streams, clock, deadline_ms * MS, self._take)

    def _take(self, frames: Frames) -> None:
        self.frames += list(frames)

    def push(
        self, at_ms: float, value: float = 0.0, lane: int = 0, received_ms: float | None = None
    ) -> None:
        stamp = T0 + round(at_ms * MS)
        received = stamp if received_ms is None else T0 + round(received_ms * MS)
        self.give(lane, stamp, received, wrench(stamp, (value,) * 6))

    def give(self, lane: int, stamp: int, received: int, data: bytes) -> None:
        self.aligner.advance(received)
        self.aligner.push(lane, [stamp], [received], [data])
        self.aligner.advance(received)

    def sample(self, tick_ms: float, lane: int = 0):
        return next(f.samples[lane] for f in self.frames if f.tick_ns == T0 + round(tick_ms * MS))


def accounted(run: Run) -> None:
    """Check that every sample is used, superseded, left out for a reason, or still kept."""
    run.aligner.finish()
    for lane in run.aligner.lanes:
        counts = lane.counts
        assert counts.received == lane.unused + sum(
            (counts.used, counts.superseded, counts.duplicate, counts.ahead, counts.no_clock,
             counts.overflow)
        )  # fmt: skip


def three(**more) -> tuple[StreamConfig, ...]:
    return (
        stream(Policy.NEAREST, **more),
        stream(Policy.PREVIOUS, **more),
        stream(Policy.LINEAR, window=True, **more),
    )
