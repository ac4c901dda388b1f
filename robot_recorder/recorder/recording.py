"""Record one episode, from its start until it is finalised on disk."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.bags.files import Spare, folder_bytes, is_regular, share
from robot_recorder.bags.metadata import METADATA_FILE, topic_metadata
from robot_recorder.bags.writer import BagWriter
from robot_recorder.clocks.robot_clock import ClockStep
from robot_recorder.configuration.version import software_version
from robot_recorder.episodes.facts import (
    encoded_topics,
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
from robot_recorder.messages.cdr import HEAD, header_stamp_ns
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, Labels, appended, fold
from robot_recorder.model.losses import Dropout, LossLedger, Place
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.topics import Batch, Sample
from robot_recorder.quality.verdict import UNCHECKED, unchecked
from robot_recorder.recorder.limping import Limping
from robot_recorder.recorder.live_audit import LiveAudit
from robot_recorder.recorder.own_channels import OwnChannels
from robot_recorder.recorder.stop_reason import StopReason
from robot_recorder.recorder.write_behind import EpisodeWriter

# That frames arrive after their tick: a deadline, a second that the synchronizer holds them, and a stall.
_LATEST_NS = 4 * NS_PER_S


@dataclass
class EpisodeStart:
    """The properties of an episode that are fixed when it starts.

    Attributes:
        id: its id.
        path: its ``.partial`` directory.
        start_ns: nominal start, when it was requested, robot clock.
        from_ns: begin of the pre-roll, robot clock; everything received since belongs to it.
        started_at: when it was started, monotonic clock, ns.
        forced: whether problems were overridden with ``force``.
        label: its first label: task and operator.
        jumps_before: how often the clock had been set before.
        facts: custom_data that does not change.
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
    """An episode being recorded; still used for status and labels after it has been finalised.

    Call ``open`` first, then ``offer``, then ``finalise``. The ingest thread calls ``offer``, the
    writer's thread calls back; other threads use the rest.
    """

    def __init__(
        self, begin: EpisodeStart, store: EpisodeStore, own: OwnChannels, audit: LiveAudit
    ) -> None:
        """Create the recording; ``open`` creates its bag.

        Args:
            begin: properties fixed at the start.
            store: where the episode is kept.
            own: channels of the recorder's own messages.
            audit: a new audit; makes the certificate and the quality report.
        """
        self.id, self.path = begin.id, begin.path
        self.start_ns, self.from_ns, self.forced = begin.start_ns, begin.from_ns, begin.forced
        self.started_at = begin.started_at
        self.stop_ns = 0
        self.stopped_at = 0
        self.closing = False  # whether frames that arrive after the stop are too late
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
        self._encoded = encoded_topics(begin.facts)
        self._channels = audit.channels  # losses are also counted on topics without messages
        self._audit: LiveAudit | None = audit
        self._certificate: Certificate | None = None
        self._settled_ns = begin.from_ns + _LATEST_NS
        self._last_ns = begin.from_ns
        self._noted = (0, 0)
        self._labels_to_write: list[LabelEvent] = []
        self._counted_lost: dict[str, int] = {}
        self._lock = threading.Lock()  # guards events and the note

    def open(self, writer: BagWriter, latched: list[Sample], max_queue_bytes: int) -> None:
        """Create and lock the bag, and start to write.

        Args:
            writer: a new writer.
            latched: latched messages to write first.
            max_queue_bytes: maximum memory of messages waiting for the disk.

        Raises:
            BagError, OSError: the bag cannot be created.
        """
        begin, own = self._begin, self._own
        self._store.make_root()
        self._held = RecordingLock(begin.path)  # keeps others from recovering it as a leftover
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
        first = ((own.labels, own.encode_label), (own.task, own.encode_task))
        head = [Sample(c, e(begin.label), begin.from_ns, begin.start_ns) for c, e in first]
        self._writer.offer(Batch(head + latched), free=True)

    # -- while it runs

    def offer(self, batch: Batch, free: bool = False) -> None:
        """Queue the samples and losses of a batch that belong to the episode.

        Args:
            batch: in order of receipt.
            free: already in memory (pre-roll), so the queue's limit does not apply.
        """
        samples = batch.samples
        if samples and (
            samples[0].receive_ns < self._settled_ns
            or (self.stop_ns and samples[-1].receive_ns > self.stop_ns)
        ):
            # Latched messages that arrived while the latched ones were collected.
            samples = [
                s._replace(receive_ns=self.from_ns)
                if s.channel.latched and s.receive_ns < self.from_ns
                else s
                for s in samples
            ]
            samples = list(filter(self._has, samples))
            batch = replace(batch, samples=samples)
        for loss in batch.dropouts:
            # Losses around the start or the stop may belong to the episode: count them.
            if loss.end_ns >= self.from_ns and not (self.stop_ns and loss.start_ns > self.stop_ns):
                self.losses.add(loss)
        if samples:
            self._writer.offer(batch, free)

    def _has(self, sample: Sample) -> bool:
        """Tell whether a sample belongs to the episode: a frame by its tick, all others by their receipt.

        The synchronizer waits for late samples, and holds frames that nobody waits for. What the last ones were
        made with, a correction of a clock, comes with them.
        """
        at_ns, stop_ns = sample.receive_ns, self.stop_ns
        in_time = not (self.closing and at_ns > stop_ns)
        if in_time and stop_ns and sample.channel in self._own.about_frames:
            at_ns = min(at_ns, stop_ns)
        if in_time and sample.channel is self._own.frames and len(sample.data) >= HEAD:
            at_ns = header_stamp_ns(sample.data)
        return self.from_ns <= at_ns and (not stop_ns or at_ns <= stop_ns)

    def add_event(self, decide: Callable[[LabelledEpisode], LabelEvent]) -> bool:
        """Append a label and write it to disk; return False if the episode is finalised already.

        Args:
            decide: returns the label, given the episode's current state; called under its lock.

        Raises:
            BagError: the disk fails; nothing has changed.
            Exception: whatever ``decide`` raises; nothing has changed.
        """
        with self._lock:
            if self.finalised:
                return False
            before = self.events
            self.events = appended(before, decide(self._labelled()))
            try:
                self._write_note()
            except BagError:
                self.events = before  # the label was rejected and may be sent again
                raise
            self._labels_to_write.append(self.events[-1])
        return True

    def _labelled(self) -> LabelledEpisode:
        span = Span(self.start_ns, self.from_ns, self.stop_ns or None)
        return LabelledEpisode(self.id, self._begin.facts, tuple(self.events), span)

    @property
    def labels(self) -> Labels:
        """Return the labels that are valid now."""
        return fold(self.events)

    @property
    def problem(self) -> BagError | None:
        """Return the error that stopped the writing; None: no error."""
        return self._writer.error

    @property
    def queued_bytes(self) -> int:
        """Return the bytes that wait for the writer."""
        return self._writer.queued_bytes

    @property
    def messages(self) -> int:
        """Return the number of messages in the bag so far."""
        return sum(self.counts().values())

    def counts(self) -> dict[str, int]:
        """Return the number of messages in the bag so far, by topic."""
        if self.finalised:
            return self.written
        return {channel.topic: n for channel, n in self._writer.traffic.written.items()}

    @property
    def data_bytes(self) -> int:
        """Return the message bytes written so far."""
        return self._writer.traffic.bytes

    def lost(self) -> int:
        """Return the number of messages known to be lost, at all places together."""
        return self.losses.total()

    def unknown_losses(self) -> list[str]:
        """Return the recorded topics whose losses in the middleware are unknown."""
        return [t for t, s in self._streams().items() if s["written"] and s["lost"]["dds"] is None]

    def dropped(self) -> int:
        """Return the number of messages that arrived but are not in the bag."""
        return self.losses.total(lambda place: place is not Place.DDS)

    # -- the end

    def finalise(self, detach: Callable[[], None]) -> Answer:
        """Write the queue, close the bag and turn it into an episode; slow.

        After a write error, the readable part becomes an episode that is marked as aborted.

        Args:
            detach: stops the calls of ``offer``. Called late, because losses just before the stop
                show only when the next message arrives.

        Returns:
            The answer; its value is the episode's directory.
        """
        self._spare.give()  # frees the reserved space for the final writes
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
        """Return the bytes on disk; errors are ignored, because the episode is saved already."""
        try:
            return folder_bytes(self.path)
        except OSError:
            data = (self.path / f"{self.path.name}_{number}.mcap" for number in itertools.count())
            files = [self.path / METADATA_FILE, *itertools.takewhile(is_regular, data)]
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
        kept = f"{found.messages} messages are saved in {found.path}"
        return Answer(False, f"aborted: {self.error}; {kept}", self.path)

    def _after_abort(self, handed_over: dict[str, int], in_file: dict[str, int]) -> dict[str, str]:
        """Return the facts of an aborted episode, once the messages in its file are counted."""
        self.written = in_file
        for topic, count in handed_over.items():
            lost = count - in_file.get(topic, 0) - self._counted_lost.get(topic, 0)
            if lost > 0:  # called again if the repair fails: count only once
                now = self.stop_ns or self._last_ns
                since = min(self._last_ns, now)
                self.losses.add(Dropout(topic, Place.WRITER, lost, since, now))
                self._counted_lost[topic] = self._counted_lost.get(topic, 0) + lost
        return {**self.facts(), "aborted": "true", "error": self.error}

    def _judge(self) -> None:
        """Make certificate and quality report; errors are noted, since both can be made later."""
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
            logging.getLogger(__name__).exception(
                "%s is not checked: run robot-recorder check", self.id
            )
            self.quality = unchecked(error)
        # The recording object lives on; free the memory of its audit.
        self._audit = None

    @property
    def troubles(self) -> dict[str, str]:
        """Return the current problems of its streams, by stream."""
        audit = self._audit
        return audit.troubles if audit is not None else {}

    # -- in the writer's thread

    def _on_written(self, samples: list[Sample]) -> None:
        self._last_ns = samples[-1].receive_ns
        if self._audit is not None:
            try:
                self._audit.add(samples)
            except Exception as error:  # an audit can be repeated, a take cannot
                logging.getLogger(__name__).exception(
                    "%s is not checked: run robot-recorder check", self.id
                )
                self._audit, self.quality = None, unchecked(error)

    def _before_sync(self) -> Iterable[Sample]:
        with self._lock:
            if self._noted != (len(self.events), len(self._writer.traffic.written)):
                self._write_note()
            labels, self._labels_to_write = self._labels_to_write, []
        for event in labels:  # only accepted labels are written
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

    # -- metadata

    def add_facts(self, facts: Mapping[str, str]) -> None:
        """Add or change custom_data that is not known before the end."""
        self._begin.facts.update(facts)

    def facts(self) -> dict[str, str]:
        """Return the current custom_data."""
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
            places = [p for p in Place if p is not Place.ENCODER or topic in self._encoded]
            lost: dict[str, int | None] = {p.text: self.losses.count(topic, p) for p in places}
            if not numbered.get(topic, True):
                lost[Place.DDS.text] = None
            streams[topic] = {"written": counts.get(topic, 0), "lost": lost}
            if topic in unknown:
                streams[topic]["unknown"] = unknown[topic]
        return streams
