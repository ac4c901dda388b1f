"""Audit an episode while it is recorded: collect samples, then count and inspect many at once."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_recorder.alignment.certificate import Certificate, FrameStats, TickSpan
from robot_recorder.alignment.frame_messages import OWN_READERS, FrameScan
from robot_recorder.clocks.source_clock import Restamp
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.samples import by_channel, columns
from robot_recorder.model.streams import NS_PER_S, RobotProfile
from robot_recorder.model.topics import Channel, Sample
from robot_recorder.quality.audit import AuditedStream, EpisodeAudit, Lost
from robot_recorder.quality.inspector import Inspector
from robot_recorder.quality.verdict import QualityReport
from robot_recorder.recorder.live_stream import LiveStream

# Samples per batch: many cost little more than one. Bounded in bytes, because of pictures.
_AT_ONCE, _BYTES_AT_ONCE, _LEAST_AT_ONCE = 2000, 1_000_000, 30
_FRAMES_AT_ONCE = 100
_WAIT_NS = 5 * NS_PER_S  # longest time that a sample waits for others
# Plus the deadline: a frame received this long after its tick lies before any later stop.
_SURELY_NS = NS_PER_S
_NEVER = 1 << 62


@dataclass
class _Waiting:
    """Samples of a channel that are waiting to be counted."""

    streams: list[LiveStream] = field(default_factory=list)
    at_once: int = _LEAST_AT_ONCE
    samples: list[Sample] = field(default_factory=list)


class _OwnMessages:
    """Reads the recorder's own messages (frames, labels, ...) and counts unreadable ones."""

    def __init__(self, frames: Channel, profile: RobotProfile, span: TickSpan) -> None:
        """Start without messages.

        Args:
            frames: channel of the aligned frames.
            profile: the robot's profile.
            span: the ticks that count; its end is not known yet.
        """
        self.unreadable = 0
        self.why = ""
        self._frames = frames
        self._aligned = tuple(s.name for s in profile.aligned)
        self._scan = FrameScan(self._aligned)
        self._before_ns = _SURELY_NS + profile.deadline_ns
        self._stats = FrameStats(span)
        # Of frames to be counted, or that may still lie after the stop.
        self._ticks, self._skews, self._statuses = array("q"), array("q"), bytearray()
        self._count_at = _FRAMES_AT_ONCE
        self._tick_ns = -1

    def add(self, channel: Channel, data: bytes, receive_ns: int) -> None:
        """Take a message that belongs to no stream."""
        try:
            if channel is self._frames:
                self._add_frame(data, receive_ns)
            else:
                read = OWN_READERS.get(channel.bag_topic.type)
                if read is not None:
                    read(data)
        except DecodeError as error:
            self.unreadable += 1
            self.why = self.why or f"{channel.topic}: {error}"

    def _add_frame(self, data: bytes, receive_ns: int) -> None:
        tick_ns, statuses, skews = self._scan.read(data)
        if tick_ns < self._stats.span.first_ns:
            return  # frames are late: the first belong to the time before
        if tick_ns <= self._tick_ns:
            raise DecodeError("a second frame of the same tick: are two synchronizers running?")
        self._tick_ns = tick_ns
        self._ticks.append(tick_ns)
        self._statuses.extend(statuses)
        self._skews.extend(skews)
        if len(self._ticks) >= self._count_at:
            self._count(receive_ns - self._before_ns)

    def _count(self, before_ns: int) -> None:
        """Count the frames of ticks before a time."""
        end = bisect_left(self._ticks, before_ns)
        shape = (end, len(self._aligned))
        size = end * len(self._aligned)
        self._stats.add(
            np.array(self._ticks[:end]),
            np.array(self._statuses[:size]).reshape(shape),
            np.array(self._skews[:size]).reshape(shape),
            self._aligned,
        )
        del self._ticks[:end], self._statuses[:size], self._skews[:size]
        self._count_at = len(self._ticks) + _FRAMES_AT_ONCE

    def stats(self, span: TickSpan) -> FrameStats:
        """Return the statistics of all frames within the span."""
        self._stats.span = span
        self._count(_NEVER)
        return self._stats


class LiveAudit:
    """Counts and inspects an episode's samples and frames while they are written."""

    def __init__(
        self,
        streams: Sequence[LiveStream],
        profile: RobotProfile,
        frames: Channel,
        from_ns: int,
        start_ns: int,
        restamp: Callable[[], Restamp | None],
        inspector: Inspector | None = None,
    ) -> None:
        """Create the audit of one episode.

        Args:
            streams: the profile's streams.
            profile: the robot's profile.
            frames: channel of the aligned frames.
            from_ns: begin of the episode with its pre-roll, robot clock.
            start_ns: its nominal start. Silence in the pre-roll is no gap.
            restamp: returns the correction of timestamps for the clock's jumps so far.
            inspector: also gets the samples; None: no quality report is made.
        """
        self._waiting: dict[Channel, _Waiting] = {}
        for stream in streams:
            self._waiting.setdefault(stream.channel, _Waiting()).streams.append(stream)
        self.channels = list(self._waiting)
        audited = [AuditedStream(s.config, s.channel.topic, s.reader) for s in streams]
        self._audit = EpisodeAudit(audited, inspector)
        self._profile = profile
        self._from_ns, self._start_ns = from_ns, start_ns
        self._own = _OwnMessages(frames, profile, self._span(_NEVER))
        self._restamp = restamp
        self._looked_ns = from_ns

    def _span(self, stop_ns: int) -> TickSpan:
        return TickSpan.of_episode(
            self._from_ns, self._start_ns, stop_ns, self._profile.deadline_ns
        )

    def add(self, samples: list[Sample]) -> None:
        """Take samples in order of receipt."""
        if not samples:
            return
        for channel, mine in by_channel(samples).items():
            stream = self._waiting.get(channel)
            if stream is None:
                for sample in mine:
                    self._own.add(channel, sample.data, sample.receive_ns)
                continue
            stream.samples += mine
            if len(stream.samples) >= stream.at_once:
                self._count(stream)
        receive_ns = samples[-1].receive_ns
        if receive_ns >= self._looked_ns + _WAIT_NS:
            self._look(receive_ns)

    def _look(self, now_ns: int) -> None:
        """Count all waiting samples."""
        self._looked_ns = now_ns
        for waiting in self._waiting.values():
            if waiting.samples:
                self._count(waiting)
        self._audit.advance(self._from_ns, now_ns)

    def _count(self, waiting: _Waiting) -> None:
        samples, waiting.samples = waiting.samples, []
        messages, receives, sends = columns(samples)
        waiting.at_once = max(
            min(_AT_ONCE, _BYTES_AT_ONCE // (len(messages[0]) + 1)), _LEAST_AT_ONCE
        )
        for stream in waiting.streams:
            stamps = stream.reader.read(messages, sends, receives)
            self._audit.add(stream.config.name, stamps, receives, messages, self._restamp())

    def certificate(self, to_ns: int, lost: Lost) -> Certificate:
        """Return the certificate; call it once, after the last ``add``.

        Args:
            to_ns: end of the episode, robot clock.
            lost: returns the lost messages of a topic (None: unknown), and why they are unknown.
        """
        self._look(to_ns)
        own = self._own
        return self._audit.certificate(
            self._start_ns,
            to_ns,
            own.stats(self._span(to_ns)),
            self._profile.frame_clock,
            lost,
            unreadable=(own.unreadable, own.why),
        )

    def report(
        self, to_ns: int, certificate: Certificate, incomplete: tuple[str, bool]
    ) -> QualityReport:
        """Return the quality report; call it after ``certificate``.

        Args:
            to_ns: end of the episode, robot clock.
            certificate: its certificate.
            incomplete: why the episode is incomplete (empty: complete), and whether data is lost.
        """
        return self._audit.report(self._from_ns, self._start_ns, to_ns, certificate, incomplete)

    @property
    def troubles(self) -> dict[str, str]:
        """Return the current problems, by stream."""
        return self._audit.troubles
