"""The synchronizer node: publishes all streams of a robot aligned to one frame clock."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import Header

from robot_recorder.alignment.aligner import Aligner
from robot_recorder.alignment.frame_messages import encode_frames
from robot_recorder.alignment.frames import Frames
from robot_recorder.alignment.lane import Lane
from robot_recorder.clocks.clock_model import ClockEstimate
from robot_recorder.messages.encoded import recorded_stream
from robot_recorder.messages.stamps import LazyStamps, StampReader
from robot_recorder.model.samples import by_channel, columns
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S, RobotProfile
from robot_recorder.model.topics import Batch, Channel, Sample
from robot_recorder.msg import AlignedFrame, ClockModels, FrameLayout
from robot_recorder.nodes.conversions import to_time
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.layout_messages import to_clock_models, to_layout
from robot_recorder.nodes.live_streams import live_stream
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED, profile_parameter
from robot_recorder.recorder.live_stream import decoders_by_name

# Counts of samples that are reported as a warning; the other counts are normal.
_TROUBLE = (
    "duplicate", "ahead", "overflow", "late", "tickless", "out_of_order", "undecodable", "mismatched",
)  # fmt: skip
_REPORT_S = 1.0  # between two diagnostics
_ESTIMATE_S = 5.0  # between two of clocks that are not corrected: each is a line through a minute
# While nobody but this process's recorder listens, frames are aligned many at once, which costs a
# fraction, and published this much later, evenly; at the end of an episode at once.
_HELD_NS = NS_PER_S
_EVER_NS = 2**63
_LATENCIES = 300  # frames that the reported latency covers
_LEAST_DEPTH, _MOST_DEPTH = 100, 5000


class SynchronizerNode(Node):
    """Publishes ``synchronizer/frames`` and, latched, ``synchronizer/layout`` and ``.../clocks``."""

    def __init__(self, ingest: Ingest) -> None:
        """Create the node.

        Args:
            ingest: not started yet; may be shared with other nodes of the process.

        Raises:
            ConfigError: the profile or a stream is invalid.
        """
        super().__init__("synchronizer")
        self._profile = profile_parameter(self)
        self._streams = self._profile.aligned
        self._channels: dict[Channel, list[tuple[int, StampReader]]] = {}
        live = [live_stream(ingest, stream) for stream in self._streams]
        self._decoders = decoders_by_name(live)
        for index, found in enumerate(live):
            self._channels.setdefault(found.channel, []).append((index, found.reader))
        self._names = tuple(s.name.encode() + b"\0" for s in self._streams)
        self._recorded = [recorded_stream(stream) for stream in self._streams]
        self._topics = [self.resolve_topic_name(s.topic) for s in self._recorded]
        depth = frames_depth(self._profile)
        self._frames = self.create_publisher(AlignedFrame, "synchronizer/frames", depth)
        self._frames_topic = self._frames.topic_name  # asking for it takes as long as counting
        self._layout = self.create_publisher(FrameLayout, "synchronizer/layout", LATCHED)
        self._clocks = self.create_publisher(ClockModels, "synchronizer/clocks", LATCHED)
        self._layout_names: list[tuple[str, ...] | None] = []
        self._fresh: dict[Channel, list[Sample]] = {}  # not given to the aligner yet
        self._aligned_ns = 0  # when it was given some
        self._until_ns = 0  # of the batch before
        # Frames as messages, each with the time when it was complete, and its tick.
        self._ready: deque[tuple[int, int, bytes]] = deque()
        self._latencies: deque[tuple[int, int]] = deque(maxlen=_LATENCIES)
        self._robot_clock = ingest.clock
        self._ingest = ingest
        self._aligner = self._new_aligner()
        self._failed = 0  # batches that were not aligned
        self._reported_at = self._estimated_at = 0.0
        self._estimates: dict[str, ClockEstimate | None] = {}  # of clocks that are not corrected
        self._events_reported: dict[str, int] = {}
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        ingest.add_sink(self._on_batch)

    def _new_aligner(self) -> Aligner:
        return Aligner(
            self._streams, self._profile.frame_clock, self._profile.deadline_ns, self._take,
            decoders=self._decoders,
        )  # fmt: skip

    # -- in the ingest's thread

    def _on_batch(self, batch: Batch) -> None:
        try:
            if batch.shift_ns:
                self._begin_anew()
            self._collect(batch.samples)
            self._ingest.prompt = self._others_listen()
            held_ns = 0 if batch.hurry or self._ingest.prompt else _HELD_NS
            if batch.until_ns >= self._aligned_ns + held_ns:
                self._aligner.set_restamp(self._robot_clock.restamp())
                self._align(batch.until_ns)
            self._publish(batch.until_ns - held_ns)
            self._until_ns = batch.until_ns
            self._report(batch.until_ns)
        except Exception:  # can be aligned again from the bag; the recording must go on
            self._failed += 1
            self._fresh = {}
            NodeLog(self).seldom_failure(
                "a batch was not aligned; robot-recorder align can do it later"
            )

    def _begin_anew(self) -> None:
        """Publish what was complete before the clock was set, and drop the other samples from before."""
        try:
            self._align(self._until_ns)
            self._publish(_EVER_NS)
        finally:
            self._aligner = self._new_aligner()
            self._events_reported = {}
            self._fresh, self._aligned_ns = {}, 0
            self._estimated_at = 0.0  # those told last are of clocks before
            self._ready.clear()

    def _others_listen(self) -> bool:
        """Tell whether anybody but this process's recorder subscribes to the frames."""
        own = self._ingest.reads(self._frames_topic)
        return self._frames.get_subscription_count() > own

    def _collect(self, samples: list[Sample]) -> None:
        for channel, mine in by_channel(samples).items():
            if channel in self._channels:
                self._fresh.setdefault(channel, []).extend(mine)

    def _align(self, until_ns: int) -> None:
        """Give the collected samples to the aligner, which calls back with frames."""
        fresh, self._fresh, self._aligned_ns = self._fresh, {}, until_ns
        for channel, samples in fresh.items():
            payloads, receives, sends = columns(samples)
            for index, reader in self._channels[channel]:
                stamps = LazyStamps(reader, payloads, sends, receives)
                self._aligner.push(index, stamps, receives, payloads)
        self._aligner.advance(until_ns)

    def _take(self, frames: Frames) -> None:
        """Take frames from the aligner."""
        names = self._aligner.value_names
        if names != self._layout_names:
            self._layout_names = names
            self._layout.publish(
                to_layout(
                    int(frames.ticks[0]), self._profile.frame_clock, self._streams, self._topics,
                    names,
                )
            )  # fmt: skip
        messages = encode_frames(frames, self._names)
        self._ready.extend(zip(frames.due.tolist(), frames.ticks.tolist(), messages))

    def _publish(self, until_ns: int) -> None:
        """Publish the frames that were complete at a time."""
        while self._ready and self._ready[0][0] <= until_ns:
            due_ns, tick_ns, message = self._ready.popleft()
            self._frames.publish(message)
            now_ns = self._robot_clock.now_ns()
            self._latencies.append((now_ns - tick_ns, now_ns - due_ns))

    def _report(self, now_ns: int) -> None:
        now = time.monotonic()
        due = now >= self._reported_at + _REPORT_S
        tell = any([lane.clock.changes for lane in self._aligner.lanes])
        if (due and self._clock_news()) or now >= self._estimated_at + _ESTIMATE_S:
            self._estimated_at, tell = now, True
            self._estimates = {
                lane.config.name: lane.clock.model.estimate
                for lane in self._aligner.lanes
                if lane.clock.setting is None
            }
        if tell:
            self._clocks.publish(to_clock_models(now_ns, self._aligner, self._estimates))
        if due:
            self._reported_at = now
            if self._diagnostics.get_subscription_count():
                self._publish_diagnostics(now_ns)

    def _clock_news(self) -> bool:
        """Warn of what went wrong with clocks since the last call; return whether anything did."""
        news = False
        for lane in self._aligner.lanes:
            events, name = lane.clock.model.events, lane.config.name
            fresh = events[self._events_reported.get(name, 0) :]
            if fresh:  # a machine that stalls shows as many jumps at once
                more = f" (and {len(fresh) - 1} more of its clock)" if len(fresh) > 1 else ""
                NodeLog(self).warning(f"{name}: {fresh[-1].text}{more}")
            self._events_reported[name] = len(events)
            news = news or bool(fresh)
        return news

    def _publish_diagnostics(self, now_ns: int) -> None:
        """Publish the sample counts of every stream and the latency of frames."""
        report = DiagnosticArray(header=Header(stamp=to_time(now_ns)))
        node = self.get_fully_qualified_name()
        for lane in self._aligner.lanes:
            report.status.append(_stream_status(f"{node}: {lane.config.name}", lane))
        report.status.append(self._latency_status(f"{node}: latency"))
        self._diagnostics.publish(report)

    def _latency_status(self, name: str) -> DiagnosticStatus:
        latencies = np.array(list(self._latencies) or [(0, 0)]) / NS_PER_MS
        from_tick, from_last = np.percentile(latencies, 95, axis=0)
        figures = {
            "frames": len(self._latencies),
            "skipped_ticks": self._aligner.skipped_ticks,
            "batches_not_aligned": self._failed,
            "tick_to_frame_ms_p95": round(float(from_tick), 3),
            "last_sample_to_frame_ms_p95": round(float(from_last), 3),
            "last_sample_to_frame_ms_max": round(float(latencies[:, 1].max()), 3),
        }
        failed = f"{self._failed} batches were not aligned, see the log; " if self._failed else ""
        return DiagnosticStatus(
            level=DiagnosticStatus.ERROR if failed else DiagnosticStatus.OK,
            name=name,
            message=f"{failed}frames are published {from_tick:.0f} ms after their tick, {from_last:.1f} ms "
            "after the last sample they wait for (p95)",
            values=[KeyValue(key=k, value=str(v)) for k, v in figures.items()],
        )


def frames_depth(profile: RobotProfile) -> int:
    """Return how many frames the publisher keeps for readers: all that it holds, which go at once at a stop."""
    clock = profile.frame_clock
    rates = [s.rate_hz for s in profile.aligned if s.name == clock.reference]
    rate_hz = clock.rate_hz or next(filter(None, rates), None) or _MOST_DEPTH
    return round(min(max(_LEAST_DEPTH, 2 * rate_hz * _HELD_NS / NS_PER_S), _MOST_DEPTH))


def _stream_status(name: str, lane: Lane) -> DiagnosticStatus:
    figures = {k: v for k, v in asdict(lane.counts).items() if v}
    troubles = [f"{figures[k]} {k.replace('_', ' ')}" for k in _TROUBLE if k in figures]
    troubles += [event.text for event in lane.clock.model.events[-1:]]
    estimate = lane.clock.model.estimate
    if estimate is not None:
        figures["offset_ms"] = round(estimate.offset_ns / NS_PER_MS, 3)
        figures["drift_ppm"] = round(estimate.drift_ppm, 3)
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if troubles else DiagnosticStatus.OK,
        name=name,
        message="; ".join(troubles) or "OK",
        values=[KeyValue(key=k, value=str(v)) for k, v in figures.items()],
    )
