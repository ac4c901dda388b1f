"""Counts and inspects an episode's samples, live or from a bag, for certificate and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from robot_recorder.alignment.certificate import Certificate, FrameStats, StreamInput, certify
from robot_recorder.alignment.stream_tally import StreamTally
from robot_recorder.clocks.source_clock import Restamp, robot_stamps
from robot_recorder.messages.stamps import StampReader, stamp_text
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import FrameClock, StreamConfig
from robot_recorder.quality.inspector import Inspector
from robot_recorder.quality.verdict import UNCHECKED, QualityReport

Lost = Callable[[str], "tuple[int | None, str]"]
"""Returns the lost messages of a topic; None: unknown, with the reason."""


@dataclass(frozen=True)
class AuditedStream:
    """A stream to be audited.

    Attributes:
        config: its entry in the profile.
        topic: fully qualified.
        reader: reads its stamps, and counts where they came from; None: unknown.
    """

    config: StreamConfig
    topic: str
    reader: StampReader | None = None

    @property
    def has_header(self) -> bool:
        """Return whether stamps are read from headers."""
        return self.reader is None or self.reader.has_header


class EpisodeAudit:
    """The counts of an episode's streams, and the inspector of their messages.

    Memory does not grow with the episode: it is that of a clock model per stream.
    """

    def __init__(
        self, streams: Iterable[AuditedStream], inspector: Inspector | None = None
    ) -> None:
        """Create the audit of one episode.

        Args:
            streams: to be audited.
            inspector: gets the messages of the streams it wants; None: there is no quality report.
        """
        self.streams = {stream.config.name: stream for stream in streams}
        self._inspector = inspector
        self._tallies = {n: StreamTally(s.config, s.has_header) for n, s in self.streams.items()}
        self._read = {n: Counter(s.reader.used) for n, s in self.streams.items() if s.reader}
        self._inspected = {
            n
            for n, s in self.streams.items()
            if inspector is not None and inspector.wants(s.config)
        }

    def wants(self, stream: str) -> bool:
        """Return whether the inspector looks at a stream's messages."""
        return stream in self._inspected

    def add(
        self,
        stream: str,
        stamps: Int64s,
        receives: Int64s,
        messages: Sequence[bytes] = (),
        restamp: Restamp | None = None,
    ) -> None:
        """Take samples of a stream, in order of receipt.

        Args:
            stream: its name.
            stamps: int64[n], ns, source clock; 0: no stamp.
            receives: int64[n], ns, robot clock.
            messages: n messages, CDR; needed where ``wants`` is true.
            restamp: removes jumps of the machine's clock from stamps.
        """
        self._tallies[stream].push(stamps, receives, restamp)
        if self._inspector is not None and stream in self._inspected:
            config = self.streams[stream].config
            on_robot = robot_stamps(config, stamps, receives, restamp)
            self._inspector.add(config, on_robot, receives, messages)

    def advance(self, from_ns: int, now_ns: int) -> None:
        """Tell the inspector that every sample received before a time has been added.

        Args:
            from_ns: beginning of the episode with its pre-roll, robot clock.
            now_ns: that time, robot clock.
        """
        if self._inspector is not None:
            self._inspector.advance(from_ns, now_ns)

    def certificate(
        self,
        start_ns: int,
        stop_ns: int,
        frames: FrameStats,
        clock: FrameClock,
        lost: Lost,
        notes: Callable[[str], tuple[str, ...]] | None = None,
        unreadable: tuple[int | None, str] = (None, ""),
    ) -> Certificate:
        """Return the sync certificate; afterwards nothing can be added.

        Args:
            start_ns, stop_ns: span of the episode, robot clock. Silence in the pre-roll is not a
                gap.
            frames: figures of its frames.
            clock: of the frames.
            lost: returns the lost messages of a topic.
            notes: returns what a stream's messages leave unnamed; None: ask the inspector.
            unreadable: number of unusable messages on the recorder's own topics (None: unknown),
                and why.
        """
        inputs = [
            StreamInput(
                s.config,
                s.topic,
                self._tallies[name].figures(start_ns, stop_ns),
                *lost(s.topic),
                (notes or self._layout_notes)(name),
                self._stamp_text(s),
            )
            for name, s in self.streams.items()
        ]
        return certify(inputs, frames, clock, *unreadable)

    def _stamp_text(self, stream: AuditedStream) -> str:
        """Return where a stream's stamps came from; empty: unknown."""
        if stream.reader is None:
            return ""
        return stamp_text(stream.reader.text, stream.reader.used - self._read[stream.config.name])

    def _layout_notes(self, stream: str) -> tuple[str, ...]:
        return self._inspector.layout_notes(stream) if self._inspector is not None else ()

    def report(
        self,
        from_ns: int,
        start_ns: int,
        stop_ns: int,
        certificate: Certificate | None,
        incomplete: tuple[str, bool],
    ) -> QualityReport:
        """Return the quality report; ``certificate`` comes first.

        Args:
            from_ns, start_ns, stop_ns: beginning of the pre-roll, start and stop, robot clock.
            certificate: None: it could not be made.
            incomplete: why not everything was recorded, and whether data is lost.
        """
        if self._inspector is None:
            return UNCHECKED
        return self._inspector.report(from_ns, start_ns, stop_ns, certificate, *incomplete)

    @property
    def troubles(self) -> dict[str, str]:
        """Return what is visibly wrong now, by stream."""
        return self._inspector.troubles if self._inspector is not None else {}
