"""The recorder without its node: from batches of samples to episodes on disk."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from robot_recorder.core.errors import BagError, DecodeError
from robot_recorder.core.frames import decode_frame
from robot_recorder.core.health import HealthMonitor, HealthReport
from robot_recorder.core.labels import LabelEvent, LabelKind, Labels, fold
from robot_recorder.core.start_gate import Verdict, judge_start
from robot_recorder.core.streams import NS_PER_MS, NS_PER_S, RobotProfile, StreamConfig
from robot_recorder.core.sync_stats import SyncStats
from robot_recorder.core.topics import BagTopic, Channel, Sample
from robot_recorder.storage.episode_writer import EpisodeCounts, EpisodeWriter
from robot_recorder.storage.episodes import EpisodeStore, episode_id, label_facts
from robot_recorder.storage.writer import BagWriter

# Samples this young are kept, so that those received while a bag is being opened are in it.
_RING_NS = 500 * NS_PER_MS
_LATCHED_MOST = 64  # messages kept per latched topic, so that a chatty one can not fill the memory


class RecorderState(IntEnum):
    """Mirrors EpisodeStatus.STATE_*."""

    IDLE = 0
    RECORDING = 1
    FINALISING = 2


@dataclass(frozen=True)
class Assignment:
    """What an episode demonstrates, and who drives."""

    task: str = ""
    instruction: str = ""
    operator_name: str = ""


@dataclass
class EpisodeRun:
    """One episode from start on; kept after its end as "the last episode".

    Attributes:
        path: its directory now: ``.partial``, final, or in the trash.
        stop_ns: 0 while it runs.
        events: its label log.
        discarded: it is in the trash.
        missed_before: what each channel had missed when the episode began.
    """

    id: str
    path: Path
    start_ns: int
    forced: bool
    stop_ns: int = 0
    events: list[LabelEvent] = field(default_factory=list)
    counts: EpisodeCounts = field(default_factory=lambda: EpisodeCounts(Counter(), Counter(), 0))
    discarded: bool = False
    missed_before: dict[Channel, int | None] = field(default_factory=dict)

    @property
    def labels(self) -> Labels:
        """What holds now."""
        return fold(self.events)


def software_version() -> str:
    """Version of this package, as installed."""
    try:
        return version("robot_recorder")
    except PackageNotFoundError:
        return "0.1.0"  # installed by colcon, which leaves no Python metadata


class Recorder:
    """Starts, feeds and ends episodes of one robot.

    ``on_batch`` comes from the ingest thread, everything else from one other thread.
    """

    def __init__(
        self,
        robot: str,
        profile: RobotProfile,
        store: EpisodeStore,
        new_writer: Callable[[], BagWriter],
        max_queue_bytes: int,
        label_topic: BagTopic,
        frame_topic: str,
        encode_label: Callable[[LabelEvent], bytes],
    ) -> None:
        """
        Args:
            robot: name of the robot, part of every episode id.
            label_topic: where labels are written in the bag.
            frame_topic: name of the topic that carries AlignedFrame.
            encode_label: a label event as the bytes of a Label message.
        """
        self.robot = robot
        self.store = store
        self.state = RecorderState.IDLE
        self.run: EpisodeRun | None = None
        self.finished = 0
        self.monitors: dict[Channel, HealthMonitor] = {}
        self._profile = profile
        self._new_writer = new_writer
        self._max_queue_bytes = max_queue_bytes
        self._label_topic = label_topic
        self._frame_topic = frame_topic
        self._encode_label = encode_label
        self._lock = threading.Lock()
        self._writer: EpisodeWriter | None = None
        self._ring: deque[Sample] = deque()
        self._latched: dict[Channel, dict[bytes, Sample]] = {}
        self._starting_ns = 0  # samples received since then must not leave the ring
        self._sync = SyncStats()

    def watch(self, channel: Channel, config: StreamConfig) -> None:
        """Judge a channel's health by a stream's configuration."""
        self.monitors[channel] = HealthMonitor(config, channel.topic)

    def health(self, now_ns: int) -> list[tuple[HealthMonitor, HealthReport]]:
        """Every profile stream's state, in the profile's order."""
        reports = []
        for channel, monitor in self.monitors.items():
            monitor.wrong_type = channel.wrong_type
            reports.append((monitor, monitor.report(now_ns)))
        return reports

    @property
    def counts(self) -> EpisodeCounts:
        """Totals of the running or last episode."""
        if self._writer is not None:
            return self._writer.counts
        return self.run.counts if self.run else EpisodeCounts(Counter(), Counter(), 0)

    @property
    def queued_bytes(self) -> int:
        """Bytes waiting for the writer."""
        return self._writer.queued_bytes if self._writer else 0

    @property
    def error(self) -> BagError | None:
        """The write error of the running episode."""
        return self._writer.error if self._writer else None

    def on_batch(self, batch: list[Sample]) -> None:
        """Take samples in order of receipt."""
        with self._lock:
            writer, run = self._writer, self.run
            for sample in batch:
                monitor = self.monitors.get(sample.channel)
                if monitor is not None:
                    monitor.on_sample(sample.receive_ns)
                if sample.channel.latched:
                    self._keep_latched(sample)
                if writer is not None and run is not None:
                    late = run.stop_ns and sample.receive_ns > run.stop_ns
                    if sample.receive_ns >= run.start_ns and not late:
                        writer.offer(sample.channel.bag_topic, *sample[1:4])
            self._ring.extend(batch)
            oldest = (self._ring[-1].receive_ns if self._ring else 0) - _RING_NS
            oldest = min(oldest, self._starting_ns or oldest)
            while self._ring and self._ring[0].receive_ns < oldest:
                self._ring.popleft()

    def _keep_latched(self, sample: Sample) -> None:
        kept = self._latched.setdefault(sample.channel, {})
        # The last one of each publisher: /tf_static has several, each with transforms of its own.
        # Where the middleware does not say who sent it, everything different is kept.
        key = sample.publisher or sample.data
        kept.pop(key, None)
        kept[key] = sample
        if len(kept) > _LATCHED_MOST:
            kept.pop(next(iter(kept)))

    def _latched_now(self) -> list[Sample]:
        """What a late joiner of every latched topic would get."""
        samples: list[Sample] = []
        for channel, kept in self._latched.items():
            # Of publishers nobody can tell apart, all that differs is kept: better twice than not at all.
            told_apart = channel.publishers < 2 or all(s.publisher for s in kept.values())
            count = max(1, channel.publishers) if told_apart else len(kept)
            samples += list(kept.values())[-count:]
        return samples

    def start(self, assignment: Assignment, force: bool, now_ns: int) -> Verdict:
        """Begin an episode at ``now_ns``."""
        if self.state is not RecorderState.IDLE:
            assert self.run is not None
            return Verdict(False, f"{self.run.id} is being recorded: stop it first")
        reports = [(monitor.config, report) for monitor, report in self.health(now_ns)]
        verdict = judge_start(reports, force)
        if not verdict.ok:
            return verdict
        self._starting_ns = now_ns
        try:
            return self._open(assignment, now_ns, forced=verdict.forced, warning=verdict.reason)
        except (BagError, OSError) as error:
            return Verdict(False, f"not started: {error}")
        finally:
            self._starting_ns = 0

    def _open(self, assignment: Assignment, now_ns: int, forced: bool, warning: str) -> Verdict:
        partial = self.store.new_partial(episode_id(self.robot, assignment.task, now_ns))
        run = EpisodeRun(partial.with_suffix("").name, partial, now_ns, forced)
        task = LabelEvent(
            now_ns, run.id, LabelKind.TASK, by=assignment.operator_name, **asdict(assignment)
        )
        run.events.append(task)
        sync = SyncStats()
        writer = EpisodeWriter(
            self._new_writer(), partial, self._facts(run), self._max_queue_bytes,
            lambda topic, data: self._on_written(sync, now_ns, topic, data),
        )  # fmt: skip
        with self._lock:
            writer.offer(self._label_topic, self._encode_label(task), now_ns, now_ns)
            for sample in self._latched_now():
                if sample.receive_ns < now_ns:  # younger ones are in the ring
                    writer.offer(sample.channel.bag_topic, sample.data, now_ns, sample.send_ns)
            for sample in self._ring:
                if sample.receive_ns >= now_ns:
                    writer.offer(sample.channel.bag_topic, *sample[1:4])
            self._writer, self._sync, self.run = writer, sync, run
            self.state = RecorderState.RECORDING
        run.missed_before = {channel: channel.missed for channel in self.monitors}
        return Verdict(True, warning)

    def stop(self, now_ns: int, flush: Callable[[int], bool]) -> Verdict:
        """End the running episode at ``now_ns`` and finalise it.

        Args:
            now_ns: samples received later are not part of it.
            flush: returns once every sample received up to a time has come through ``on_batch``;
                False when it gave up.
        """
        run, writer = self.run, self._writer
        if self.state is not RecorderState.RECORDING or run is None or writer is None:
            return Verdict(False, "nothing is being recorded: call start_episode first")
        run.stop_ns = now_ns
        self.state = RecorderState.FINALISING
        delivered = flush(now_ns)
        with self._lock:
            self._writer = None
        try:
            writer.close()
            run.counts = writer.counts
            run.path = self.store.finalise(run.path, self._facts(run))
        except BagError as error:
            run.counts = writer.counts
            return Verdict(False, f"{error}; what is readable is kept in {run.path}")
        finally:
            self.state = RecorderState.IDLE
        self.finished += 1
        return Verdict(
            True, "" if delivered else "the ingest is overloaded: its last messages are missing"
        )

    def discard(self) -> Verdict:
        """Move the last episode to the trash; ``reason`` says where it is."""
        run = self.run
        if run is None or run.discarded:
            return Verdict(False, "there is no episode to discard: name one by its episode_id")
        try:
            run.path = self.store.discard(run.path)
        except BagError as error:
            return Verdict(False, str(error))
        run.discarded = True
        return Verdict(True, str(run.path))

    def discard_finished(self, id: str) -> Verdict:
        """Move a finished episode that is not the last one to the trash."""
        try:
            return Verdict(True, str(self.store.discard(self.store.find(id))))
        except BagError as error:
            return Verdict(False, str(error))

    def label(self, event: LabelEvent) -> Verdict:
        """Take a label: into the running episode, or into a finished one's metadata."""
        run = self.run if self.run is not None and self.run.id == event.episode_id else None
        if run is not None and run.discarded:
            return Verdict(False, f"{run.id} is in the trash: restore it before labelling it")
        if run is None or self.state is RecorderState.IDLE:  # a running one is written at its end
            try:
                self.store.append_label(event)
            except BagError as error:
                return Verdict(False, str(error))
        if run is not None:
            run.events.append(event)
        return Verdict(True)

    def _on_written(self, sync: SyncStats, start_ns: int, topic: str, data: bytes) -> None:
        if topic != self._frame_topic:
            return
        try:
            frame, names = decode_frame(data)
        except (DecodeError, ValueError):
            return  # somebody else's frames; the messages themselves are recorded
        if frame.tick_ns >= start_ns:  # frames arrive late: the first ones are of before the start
            sync.add(frame, names)

    def _facts(self, run: EpisodeRun) -> dict[str, str]:
        streams: dict[str, dict[str, int | None]] = {
            topic: {"written": run.counts.written[topic], "dropped": run.counts.dropped[topic]}
            for topic in sorted({*run.counts.topics, *(c.topic for c in run.missed_before)})
        }
        for channel, before in run.missed_before.items():
            now = channel.missed
            streams[channel.topic]["missed"] = None if now is None else now - (before or 0)
        facts = {
            "robot_recorder": software_version(),
            "episode_id": run.id,
            "robot": self.robot,
            "start_ns": str(run.start_ns),
            **label_facts(run.events),
            "forced": str(run.forced).lower(),
            "profile": self._profile.robot,
        }
        if run.stop_ns:
            facts["stop_ns"] = str(run.stop_ns)
            facts["streams"] = json.dumps(streams)
            facts["sync"] = json.dumps(self._sync.to_dict())
        return facts

    def duration_s(self) -> float:
        """Of the running or last episode."""
        if self.run is None:
            return 0.0
        return ((self.run.stop_ns or time.time_ns()) - self.run.start_ns) / NS_PER_S
