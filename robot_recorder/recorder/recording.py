"""One episode while it is being recorded, from start until it is an episode on disk."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.bags.files import Spare, folder_bytes, is_regular, share
from robot_recorder.bags.metadata import METADATA_FILE, topic_metadata
from robot_recorder.bags.writer import BagWriter
from robot_recorder.clocks.robot_clock import ClockStep
from robot_recorder.configuration.version import software_version
from robot_recorder.episodes.facts import (
    incompleteness,
    label_facts,
    lost_of,
    quality_facts,
    sync_facts,
)
from robot_recorder.episodes.label_rules import Span
from robot_recorder.episodes.labelling import LabelledEpisode
from robot_recorder.episodes.recovery import RecordingLock, recover
from robot_recorder.episodes.store import EpisodeStore, Note
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, Labels, appended, fold
from robot_recorder.model.losses import Dropout, LossLedger, Place
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.topics import Batch, Channel, Sample
from robot_recorder.quality.report import UNCHECKED, unchecked
from robot_recorder.recorder.limping import Limping
from robot_recorder.recorder.live_audit import LiveAudit
from robot_recorder.recorder.write_behind import EpisodeWriter


class StopReason(str, Enum):
    """Why an episode ended."""

    REQUEST = "request"
    MAX_LENGTH = "max_length"
    DISK_FULL = "disk_full"
    WRITE_ERROR = "write_error"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True)
class OwnChannels:
    """What the recorder itself writes into every bag: on which channels, and how it is encoded.

    Attributes:
        task: the task that held, told once at the start, as its label says it.
    """

    labels: Channel
    frames: Channel
    dropouts: Channel
    task: Channel
    encode_label: Callable[[LabelEvent], bytes]
    encode_dropout: Callable[[Dropout], bytes]
    encode_task: Callable[[LabelEvent], bytes]


@dataclass
class EpisodeStart:
    """What is fixed when an episode starts.

    Attributes:
        label: its first: the task, and who drives.
        start_ns: nominal start, robot clock: when it was asked for.
        from_ns: what was received since then belongs to it: earlier by the pre-roll.
        started_at: monotonic clock, ns.
        jumps_before: how often the clock had been set by then.
        facts: custom_data that does not change any more.
    """

    id: str
    path: Path
    start_ns: int
    from_ns: int
    started_at: int
    forced: bool
    label: LabelEvent
    jumps_before: int = 0
    facts: dict[str, str] = field(default_factory=dict)


class Recording:
    """Takes batches and labels, writes them behind, and ends as an episode; kept as "the last one".

    Built, then opened, then fed. ``offer`` comes from the ingest thread; the writer's thread calls back; the
    rest is for others.
    """

    def __init__(
        self, begin: EpisodeStart, store: EpisodeStore, own: OwnChannels, audit: LiveAudit
    ) -> None:
        """
        Args:
            audit: fresh; makes the certificate and the quality report.
        """
        self.id, self.path = begin.id, begin.path
        self.start_ns, self.from_ns, self.forced = begin.start_ns, begin.from_ns, begin.forced
        self.started_at = begin.started_at
        self.stop_ns = 0
        self.stopped_at = 0
        self.stop_reason = StopReason.REQUEST
        self.events = [begin.label]
        self.losses = LossLedger()
        self.jumps: list[ClockStep] = []
        self.jumps_before = begin.jumps_before
        self.error = ""  # why it was aborted
        self.quality = UNCHECKED
        self.limping = Limping()
        self.finalised = False
        self.discarded = False
        self.written: dict[str, int] = {}
        self.size_bytes = 0
        self._begin = begin
        self._store = store
        self._own = own
        self._channels = audit.channels  # whose losses are told even when nothing of them arrives
        self._audit: LiveAudit | None = audit
        self._certificate: Certificate | None = None
        self._last_ns = begin.from_ns
        self._noted = (0, 0)
        self._labels_to_write: list[LabelEvent] = []
        self._counted_lost: dict[str, int] = {}
        self._lock = threading.Lock()  # of events and the note

    def open(self, writer: BagWriter, latched: list[Sample], max_queue_bytes: int) -> None:
        """Create the bag, lock it and start to write.

        Args:
            writer: fresh.
            latched: what stands at the head of the bag.

        Raises:
            BagError, OSError: the bag cannot be created.
        """
        begin, own = self._begin, self._own
        self._store.make_root()
        self._held = RecordingLock(begin.path)  # nobody shall take it for a leftover
        try:
            writer.open(begin.path, self.facts())
        except BaseException:
            self._held.release()
            raise
        share(begin.path, self._store.file_mode)
        self._spare = Spare()
        self._writer = EpisodeWriter(
            writer,
            begin.path,
            max_queue_bytes,
            self.losses,
            frozenset([own.labels, own.task, own.dropouts, *(s.channel for s in latched)]),
            self._on_written,
            self._before_sync,
        )
        self._writer.start()
        told = ((own.labels, own.encode_label), (own.task, own.encode_task))
        head = [Sample(c, e(begin.label), begin.from_ns, begin.start_ns) for c, e in told]
        self._writer.offer(Batch(head + latched), free=True)

    # -- while it runs

    def offer(self, batch: Batch, free: bool = False) -> None:
        """Take what of a batch belongs to the episode."""
        samples = batch.samples
        if samples and (
            samples[0].receive_ns < self.from_ns
            or (self.stop_ns and samples[-1].receive_ns > self.stop_ns)
        ):
            end_ns = self.stop_ns or samples[-1].receive_ns
            # Something latched that was on its way when its topic's last message was looked up.
            samples = [
                s._replace(receive_ns=self.from_ns)
                if s.channel.latched and s.receive_ns < self.from_ns
                else s
                for s in samples
            ]
            samples = [s for s in samples if self.from_ns <= s.receive_ns <= end_ns]
            batch = replace(batch, samples=samples)
        for loss in batch.dropouts:
            # What was lost around the start or the stop may belong to it: better counted than not.
            if loss.end_ns >= self.from_ns and not (self.stop_ns and loss.start_ns > self.stop_ns):
                self.losses.add(loss)
        if samples:
            self._writer.offer(batch, free)

    def add_event(self, decide: Callable[[LabelledEpisode], LabelEvent]) -> bool:
        """Take a label and bring it to the disk; False when the episode is finalised already.

        Args:
            decide: the label, for the episode as it stands, which nobody changes meanwhile.

        Raises:
            BagError: the disk does not take it; or what ``decide`` raises.
        """
        with self._lock:
            if self.finalised:
                return False
            before = self.events
            self.events = appended(before, decide(self._labelled()))
            try:
                self._write_note()
            except BagError:
                self.events = before  # it was not taken, and may be given again
                raise
            self._labels_to_write.append(self.events[-1])
        return True

    def _labelled(self) -> LabelledEpisode:
        span = Span(self.start_ns, self.from_ns, self.stop_ns or None)
        return LabelledEpisode(self.id, self._begin.facts, tuple(self.events), span)

    @property
    def labels(self) -> Labels:
        """What holds now."""
        return fold(self.events)

    @property
    def problem(self) -> BagError | None:
        """The error that ended writing."""
        return self._writer.error

    @property
    def queued_bytes(self) -> int:
        """Bytes waiting for the writer."""
        return self._writer.queued_bytes

    @property
    def messages(self) -> int:
        """In the bag so far, all topics together."""
        return sum(self.counts().values())

    def counts(self) -> dict[str, int]:
        """Messages in the bag so far, per topic."""
        if self.finalised:
            return self.written
        return {channel.topic: n for channel, n in self._writer.traffic.written.items()}

    @property
    def data_bytes(self) -> int:
        """Message bytes written so far."""
        return self._writer.traffic.bytes

    def lost(self) -> int:
        """Messages known to be missing, wherever."""
        return self.losses.total()

    def unknown_losses(self) -> list[str]:
        """Topics of the bag of which nobody can say how much was lost on the way."""
        return [t for t, s in self._streams().items() if s["written"] and s["lost"]["dds"] is None]

    def dropped(self) -> int:
        """Messages that arrived and are not in the bag."""
        return self.losses.total(lambda place: place is not Place.DDS)

    # -- the end

    def finalise(self, detach: Callable[[], None]) -> Answer:
        """Write what is queued and make an episode of it; takes its time.

        After a write error what is readable becomes an episode that says it was aborted.

        Args:
            detach: ends the offers. Called late: what was lost just before the stop shows when the
                next message comes.
        """
        self._spare.give()  # what is written from here on must not lack it
        try:
            self._writer.close()
            problem = ""
        except BagError as error:
            problem = str(error)
        detach()
        self.error = problem
        self._judge()
        with self._lock:
            try:
                return self._abort() if problem else self._keep()
            finally:
                self.finalised = True
                self._held.release()

    def _keep(self) -> Answer:
        self.written = self.counts()
        try:
            self.path = self._store.finalise(
                self.path, self.facts(), self._certificate, self.quality
            )
        except BagError as error:
            self.error = str(error)
            return Answer(False, self.error, self.path)
        self.size_bytes = self._size()
        return Answer(True, "", self.path)

    def _size(self) -> int:
        """Bytes on disk. It is an episode already: nothing that fails here may say it is none."""
        try:
            return folder_bytes(self.path)
        except OSError:
            files = [self.path / METADATA_FILE, self.path / f"{self.path.name}_0.mcap"]
            return sum(path.stat().st_size for path in files if is_regular(path))

    def _abort(self) -> Answer:
        handed_over = self.counts()
        self.stop_reason = StopReason.WRITE_ERROR
        found = recover(
            self._store, self.path, lambda in_file: self._after_abort(handed_over, in_file)
        )
        self.path = found.path
        if not found.ok:
            self._after_abort(handed_over, {})
            return Answer(False, f"aborted: {self.error}; {found.message}", self.path)
        self.size_bytes = self._size()
        kept = f"{found.messages} messages are kept in {found.path}"
        return Answer(False, f"aborted: {self.error}; {kept}", self.path)

    def _after_abort(self, handed_over: dict[str, int], in_file: dict[str, int]) -> dict[str, str]:
        """Facts of an aborted episode, once its file has been counted."""
        self.written = in_file
        for topic, count in handed_over.items():
            lost = count - in_file.get(topic, 0) - self._counted_lost.get(topic, 0)
            if lost > 0:  # this may be asked a second time, when the disk does not take the repair
                now = self.stop_ns or self._last_ns
                self.losses.add(Dropout(topic, Place.WRITER, lost, self._last_ns, now))
                self._counted_lost[topic] = self._counted_lost.get(topic, 0) + lost
        return {**self.facts(), "aborted": "true", "error": self.error}

    def _judge(self) -> None:
        """Certificate and quality report: they can be made again from the bag; they must not cost the take."""
        if self._audit is None:
            return
        try:
            streams, end_ns = self._streams(), self.stop_ns or self._last_ns
            self._certificate = self._audit.certificate(
                end_ns,
                lambda topic: lost_of(streams.get(topic, {})),
            )
            ending = incompleteness({"error": self.error, "stop_reason": self.stop_reason.value})
            self.quality = self._audit.report(end_ns, self._certificate, ending)
        except Exception as error:
            logging.getLogger(__name__).exception("%s is not checked", self.id)
            self.quality = unchecked(error)
        # This stays as "the last one"; what the episode was judged by does not.
        self._audit = None

    @property
    def troubles(self) -> dict[str, str]:
        """What can be seen to go wrong with its streams now, by stream."""
        audit = self._audit
        return audit.troubles if audit is not None else {}

    # -- in the writer's thread

    def _on_written(self, samples: list[Sample]) -> None:
        self._last_ns = samples[-1].receive_ns
        if self._audit is not None:
            try:
                self._audit.add(samples)
            except Exception as error:  # a certificate can be made again, a take not
                logging.getLogger(__name__).exception("%s is not checked", self.id)
                self._audit, self.quality = None, unchecked(error)

    def _before_sync(self) -> Iterable[Sample]:
        with self._lock:
            if self._noted != (len(self.events), len(self._writer.traffic.written)):
                self._write_note()
            labels, self._labels_to_write = self._labels_to_write, []
        for event in labels:  # as they were taken: what was refused is not in the bag
            data = self._own.encode_label(event)
            yield Sample(self._own.labels, data, self._last_ns, event.stamp_ns)
        for loss in self.losses.take_reports():
            data = self._own.encode_dropout(loss)
            yield Sample(self._own.dropouts, data, self._last_ns, self._last_ns)

    def _write_note(self) -> None:
        written = list(self._writer.traffic.written)
        topics = [
            {**topic_metadata(c.bag_topic), "definition": c.bag_topic.definition} for c in written
        ]
        with self._spare.lent():
            self._store.write_note(self.path, Note(self.facts(), topics))
        self._noted = (len(self.events), len(written))

    # -- what metadata.yaml says

    def facts(self) -> dict[str, str]:
        """custom_data as it stands."""
        facts = {
            "robot_recorder": software_version(),
            "episode_id": self.id,
            "start_ns": str(self.start_ns),
            "pre_roll_s": f"{(self.start_ns - self.from_ns) / NS_PER_S:g}",
            "forced": str(self.forced).lower(),
            **self._begin.facts,
            **label_facts(self.events),
        }
        if self.stop_ns:
            facts["stop_ns"] = str(self.stop_ns)
            facts["stop_reason"] = self.stop_reason.value
            facts["streams"] = json.dumps(self._streams())
            if self._certificate is not None:
                facts |= sync_facts(self._certificate)
            facts |= quality_facts(self.quality)
            if self.jumps:
                facts["clock_jumps"] = json.dumps([[j.at_ns, j.by_ns] for j in self.jumps])
        return facts

    def _streams(self) -> dict[str, dict[str, Any]]:
        numbered = {c.topic: c.numbered for c in self._channels}
        counts = self.written or self.counts()
        unknown = self.losses.unknown
        streams: dict[str, dict[str, Any]] = {}
        for topic in sorted({*numbered, *counts, *self.losses.topics}):
            lost: dict[str, int | None] = {p.text: self.losses.count(topic, p) for p in Place}
            if not numbered.get(topic, True):
                lost[Place.DDS.text] = None
            streams[topic] = {"written": counts.get(topic, 0), "lost": lost}
            if topic in unknown:
                streams[topic]["unknown"] = unknown[topic]
        return streams
