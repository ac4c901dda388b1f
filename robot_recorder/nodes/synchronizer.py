"""The synchronizer node: publishes all streams of a robot aligned to one frame clock."""

from __future__ import annotations

import array
import time
import traceback
from dataclasses import asdict
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import Header

from robot_recorder.core.aligner import Aligner
from robot_recorder.core.cdr import header_stamp_ns
from robot_recorder.core.errors import DecodeError
from robot_recorder.core.frames import Frame
from robot_recorder.core.topics import Batch, Channel, Sample
from robot_recorder.installed_types import has_header
from robot_recorder.msg import AlignedFrame, FrameLayout, StreamLayout, StreamSample
from robot_recorder.nodes.conversions import to_time
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.runtime import LATCHED, STEADY, profile_parameter, run


class SynchronizerNode(Node):
    """Publishes ``synchronizer/frames`` and, latched, ``synchronizer/layout``."""

    def __init__(self, ingest: Ingest) -> None:
        """
        Args:
            ingest: not started yet; may be shared with other nodes of the process.
        """
        super().__init__("synchronizer")
        profile = profile_parameter(self)
        self._streams = profile.aligned
        self._rate_hz = profile.frame_rate_hz
        self._channels: dict[Channel, tuple[int, bool]] = {}
        for index, stream in enumerate(self._streams):
            channel = ingest.subscribe(stream.topic, stream.type, stream.qos)
            self._channels[channel] = (index, has_header(stream.type))
        self._topics = [self.resolve_topic_name(s.topic) for s in self._streams]
        self._frames = self.create_publisher(AlignedFrame, "synchronizer/frames", 100)
        self._layout = self.create_publisher(FrameLayout, "synchronizer/layout", LATCHED)
        self._layout_names: list[tuple[str, ...] | None] = []
        self._deadline_ns = profile.deadline_ns
        self._aligner = self._new_aligner()
        self._robot_clock = ingest.clock
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._publish_diagnostics, clock=STEADY)
        ingest.add_sink(self._on_batch)

    def _new_aligner(self) -> Aligner:
        return Aligner(self._streams, self._rate_hz, self._deadline_ns, self._publish)

    def _on_batch(self, batch: Batch) -> None:
        try:
            if batch.shift_ns:  # what it holds is of another time
                self._aligner = self._new_aligner()
            self._align(batch.samples)
        except Exception:  # alignment can be done again from the bag; it must not end the recording
            self.get_logger().error(
                f"a batch was not aligned:\n{traceback.format_exc()}", throttle_duration_sec=5.0
            )

    def _align(self, samples: list[Sample]) -> None:
        plain = self._robot_clock.plain
        for channel, data, receive_ns, *_ in samples:
            entry = self._channels.get(channel)
            if entry is None:
                # Not ours, but it says what time it is: a silent robot must not hold frames back.
                self._aligner.advance(receive_ns)
                continue
            index, stamped = entry
            try:
                stamp_ns = header_stamp_ns(data) if stamped else 0
            except DecodeError:
                continue
            if stamp_ns and not plain:
                stamp_ns = self._robot_clock.stamp(stamp_ns)
            self._aligner.push(index, stamp_ns or receive_ns, receive_ns, data)

    def _publish(self, frame: Frame) -> None:
        if self._aligner.value_names != self._layout_names:
            self._publish_layout(frame)
        message = AlignedFrame(
            header=Header(stamp=to_time(frame.tick_ns)), index=frame.index, complete=frame.complete
        )
        for stream, sample in zip(self._streams, frame.samples, strict=True):
            # array.array is what the generated setter takes without looking at every number
            message.samples.append(
                StreamSample(
                    stream=stream.name,
                    status=int(sample.status),
                    stamp=to_time(sample.stamp_ns),
                    skew_ns=sample.skew_ns,
                    values=array.array("d", sample.values.tobytes()),
                )
            )
        self._frames.publish(message)

    def _publish_layout(self, frame: Frame) -> None:
        self._layout_names = self._aligner.value_names
        layout = FrameLayout(
            header=Header(stamp=to_time(frame.tick_ns)), rate_hz=float(self._rate_hz)
        )
        for stream, topic, names in zip(
            self._streams, self._topics, self._layout_names, strict=True
        ):
            layout.streams.append(
                StreamLayout(
                    name=stream.name,
                    topic=topic,
                    type=stream.type,
                    role=stream.role.value,
                    policy=stream.policy.value,
                    value_names=list(names or ()),
                )
            )
        self._layout.publish(layout)

    def _publish_diagnostics(self) -> None:
        """What became of every stream's samples, as counted by the aligner."""
        report = DiagnosticArray(header=Header(stamp=to_time(time.time_ns())))
        for stream, counts in zip(self._streams, self._aligner.counts, strict=True):
            figures = asdict(counts)
            trouble = {k: v for k, v in figures.items() if v and k not in ("received", "accepted")}
            report.status.append(
                DiagnosticStatus(
                    level=DiagnosticStatus.WARN if trouble else DiagnosticStatus.OK,
                    name=f"{self.get_fully_qualified_name()}: {stream.name}",
                    message=", ".join(f"{v} {k}" for k, v in trouble.items()) or "OK",
                    values=[KeyValue(key=k, value=str(v)) for k, v in figures.items()],
                )
            )
        self._diagnostics.publish(report)


def main() -> int:
    """Entry point of ``ros2 run robot_recorder synchronizer``."""

    def build() -> tuple[list[Node], list[Any]]:
        ingest = Ingest("synchronizer_ingest")
        node = SynchronizerNode(ingest)
        ingest.start()
        return [node], [ingest]

    return run(build)
