"""Gathers what an episode's sync certificate and quality report are made from, while its samples pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from robot_recorder.core.cdr import HEAD, stamps_of
from robot_recorder.core.certificate import (
    Certificate,
    FrameStats,
    StreamEvidence,
    certified,
    certify,
)
from robot_recorder.core.errors import DecodeError
from robot_recorder.core.frame_messages import decode_frame
from robot_recorder.core.quality.inspector import Inspector
from robot_recorder.core.quality.report import UNCHECKED, QualityReport
from robot_recorder.core.source_clock import Restamp, robot_stamps
from robot_recorder.core.stream_tally import StreamTally
from robot_recorder.core.streams import NS_PER_S, FrameClock, StreamConfig
from robot_recorder.core.topics import Channel, Sample

# Samples; many looked at together cost little more than one. Of pictures they would fill the memory.
_AT_ONCE, _BYTES_AT_ONCE, _LEAST_AT_ONCE = 2000, 1_000_000, 30
_WAIT_NS = 5 * NS_PER_S  # the longest that a sample waits for others


@dataclass
class _Stream:
    config: StreamConfig
    tally: StreamTally
    inspected: bool
    at_once: int = _LEAST_AT_ONCE
    receives: list[int] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)


class Evidence:
    """Counts an episode's samples and frames. Memory: that of a clock model and a minute's traces a stream."""

    def __init__(
        self,
        streams: Mapping[Channel, StreamConfig],
        frame_clock: FrameClock,
        frames: Channel,
        from_ns: int,
        restamp: Callable[[], Restamp | None],
        inspector: Inspector | None = None,
    ) -> None:
        """
        Args:
            frames: where aligned frames arrive.
            from_ns: what the episode begins with, robot clock; frames of before are not its own.
            restamp: asked for what takes the clock's jumps up to now out of stamps.
            inspector: told of all samples, too; None: nobody asks for a quality report.
        """
        self._streams: dict[Channel, _Stream] = {}
        for channel, config in streams.items():
            inspected = inspector is not None and inspector.wants(config)
            if certified(config) or inspected:
                self._streams[channel] = _Stream(config, StreamTally(config), inspected)
        self._frame_clock = frame_clock
        self._frames = frames
        self._from_ns = from_ns
        self._restamp = restamp
        self._inspector = inspector
        self._stats = FrameStats()
        self._looked_ns = from_ns

    def add(self, samples: Iterable[Sample]) -> None:
        """Take samples in order of receipt."""
        streams = self._streams
        receive_ns = self._looked_ns
        for channel, data, receive_ns, *_ in samples:
            stream = streams.get(channel)
            if stream is not None:
                stream.receives.append(receive_ns)
                stream.messages.append(data)
                if len(stream.messages) >= stream.at_once:
                    self._tally(channel, stream)
            elif channel is self._frames:
                self._add_frame(data)
        if receive_ns >= self._looked_ns + _WAIT_NS:
            self._look(receive_ns)

    def _look(self, now_ns: int) -> None:
        """Look at everything that waits."""
        self._looked_ns = now_ns
        for channel, stream in self._streams.items():
            if stream.messages:
                self._tally(channel, stream)
        if self._inspector is not None:
            self._inspector.advance(self._from_ns, now_ns)

    def _add_frame(self, data: bytes) -> None:
        try:
            frame, names = decode_frame(data)
        except DecodeError:
            return  # somebody else's frames; the messages themselves are recorded
        if frame.tick_ns >= self._from_ns:  # frames are late: the first are of before
            self._stats.add(frame, names)

    def _tally(self, channel: Channel, stream: _Stream) -> None:
        receives = np.array(stream.receives, dtype=np.int64)
        messages = stream.messages
        stamps = np.zeros_like(receives)
        if channel.stamped:
            stamps = stamps_of([message[:HEAD] for message in messages])
        restamp = self._restamp()
        stream.tally.push(stamps, receives, restamp)
        stream.receives, stream.messages = [], []
        stream.at_once = max(
            min(_AT_ONCE, _BYTES_AT_ONCE // (len(messages[0]) + 1)), _LEAST_AT_ONCE
        )
        if self._inspector is not None and stream.inspected:
            stamps = robot_stamps(stream.config, stamps, receives, restamp)
            self._inspector.add(stream.config, stamps, receives, messages)

    def certificate(
        self, start_ns: int, to_ns: int, lost: Callable[[str], int | None]
    ) -> Certificate:
        """The certificate; nothing can be added any more.

        Args:
            start_ns, to_ns: the episode's nominal start and its end, robot clock. What is not there of
                the pre-roll is no gap.
            lost: messages of a topic that are missing; None: not known.
        """
        self._look(to_ns)
        evidence = [
            StreamEvidence(
                s.config, channel.topic, s.tally.facts(start_ns, to_ns), lost(channel.topic)
            )
            for channel, s in self._streams.items()
            if certified(s.config)
        ]
        return certify(evidence, self._stats, self._frame_clock)

    def report(
        self,
        start_ns: int,
        to_ns: int,
        certificate: Certificate,
        incomplete: tuple[str, bool],
    ) -> QualityReport:
        """The quality report, once there is a certificate.

        Args:
            start_ns, to_ns: nominal start and end, robot clock.
            incomplete: why it is not all that was to be recorded, and whether data is lost.
        """
        if self._inspector is None:
            return UNCHECKED
        return self._inspector.report(self._from_ns, start_ns, to_ns, certificate, *incomplete)

    @property
    def troubles(self) -> dict[str, str]:
        """What can be seen to go wrong now, by stream."""
        return self._inspector.troubles if self._inspector is not None else {}
