"""Start, feed, stop and label the episodes of one robot, without ROS."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from robot_recorder.bags.writer import BagWriter
from robot_recorder.clocks.robot_clock import RobotClock
from robot_recorder.configuration.tasks import Task, TaskRegistry
from robot_recorder.configuration.version import software_version
from robot_recorder.encoding.encoders import Encoders
from robot_recorder.episodes.episode import episode_id
from robot_recorder.episodes.labelling import LabelledEpisode, decide, label_finished
from robot_recorder.episodes.locks import Claim
from robot_recorder.episodes.store import QUARANTINE, EpisodeStore
from robot_recorder.episodes.trash import TrashLimits
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.ids import PARTIAL
from robot_recorder.model.labels import LabelEvent, LabelKind
from robot_recorder.model.streams import NS_PER_S, RobotProfile, StreamHealth
from robot_recorder.model.topics import Batch
from robot_recorder.quality.checks.looker import Looker, NullLooker
from robot_recorder.recorder.disk_space import (
    DiskLimits,
    episodes_left,
    free_bytes,
    reserve_reached,
    running_out,
    shortage,
)
from robot_recorder.recorder.health import ARRIVES, HealthMonitor, HealthReport
from robot_recorder.recorder.live_stream import decoders_by_name
from robot_recorder.recorder.own_channels import OwnChannels
from robot_recorder.recorder.ring import Ring
from robot_recorder.recorder.shared_memory import SharedMemoryWatch
from robot_recorder.recorder.start_gate import judge_start
from robot_recorder.recorder.stop_reason import StopReason
from robot_recorder.recorder.stream_watch import StreamWatch

if TYPE_CHECKING:  # only episodes need them; see ``Recorder.prepare``
    from robot_recorder.quality.inspector import Inspector
    from robot_recorder.recorder.recording import Recording

_MOST_FINALISING = 3  # each has its own queue in memory


class RecorderState(IntEnum):
    """State of the recorder; values as EpisodeStatus.STATE_*."""

    IDLE = 0
    RECORDING = 1
    FINALISING = 2


@dataclass(frozen=True)
class Assignment:
    """The task of an episode and its operator; empty: unknown."""

    task: str = ""
    instruction: str = ""
    operator_name: str = ""


@dataclass(frozen=True)
class Settings:
    """Settings of the recorder.

    Attributes:
        new_writer: creates the bag writer of an episode.
        pre_roll_s: time kept in memory, s; the default pre-roll of an episode.
        max_ring_bytes: maximum memory of the pre-roll.
        max_queue_bytes: maximum memory of messages waiting for the disk.
        disk: limits of episodes and of the disk.
        check: whether episodes get a quality report when they end.
        tasks: the task registry.
        looker: inspects pictures.
        trash: limits of the trash.
        dds_profile: DDS profile for large messages, named where the shared memory is too small.
    """

    new_writer: Callable[[], BagWriter]
    pre_roll_s: float = 2.0
    max_ring_bytes: int = 512_000_000
    max_queue_bytes: int = 512_000_000
    disk: DiskLimits = field(default_factory=DiskLimits)
    check: bool = True
    tasks: TaskRegistry = field(default_factory=lambda: TaskRegistry({}))
    looker: Looker = field(default_factory=NullLooker)
    trash: TrashLimits = field(default_factory=TrashLimits)
    dds_profile: str = ""


class Recorder:
    """Starts, feeds and stops the episodes of one robot.

    The ingest thread calls ``on_batch``. Any thread may call ``finalise``, so that the next episode
    can start while one is being finalised. All other methods belong to one thread.
    """

    def __init__(
        self,
        robot: str,
        profile: RobotProfile,
        store: EpisodeStore,
        settings: Settings,
        clock: RobotClock,
        own: OwnChannels,
        namespace: str = "/",
        encoders: Encoders | None = None,
    ) -> None:
        """Create the recorder; nothing is recorded yet.

        Args:
            robot: name of the robot, part of every episode id.
            profile: its profile, with the streams as they are in bags.
            store: where episodes are kept.
            settings: how to record.
            clock: clock of the receive times in the batches.
            own: channels of the recorder's own messages.
            namespace: namespace of the profile's relative topics.
            encoders: encode raw pictures before they are recorded; None: there are none to encode.
        """
        self.robot = robot
        self.namespace = namespace
        self.store = store
        self.settings = settings
        self.clock = clock
        self.running: Recording | None = None
        self.last: Recording | None = (
            None  # the running episode, or the one before if none is running
        )
        self.finalised = 0
        self.encoders = encoders or Encoders(())
        self.streams = StreamWatch(profile, clock, self.encoders.sources)
        # At least 1 s: the data rate is measured over it, and it bridges the opening of a bag.
        span_s = max(settings.pre_roll_s, 1.0)
        self.ring = Ring(round(span_s * NS_PER_S), settings.max_ring_bytes)
        self._profile = profile
        self._own = own
        self._lock = threading.Lock()  # guards the ring, the latched messages and _fed
        self._fed: list[Recording] = []
        self._finalising: list[Recording] = []  # stopped, not on disk yet
        self._starting_ns = 0  # the ring keeps all samples since then
        self._sizes: deque[int] = deque(maxlen=20)  # of the last episodes, bytes
        self._shared_memory = SharedMemoryWatch(settings.dds_profile)
        self._free = (0.0, 0)  # time of the last look at the disk (s), free bytes
        self.claim: Claim | None = None  # None: a second recorder of this robot is allowed

    def prepare(self) -> None:
        """Import what only episodes need, so that the first one starts like all others; any thread may.

        The services that answer and the streams that are heard do not wait for it.
        """
        import robot_recorder.quality.inspector
        import robot_recorder.recorder.recording
        import robot_recorder.recorder.sure_failures  # noqa: F401

        self.settings.new_writer()  # imports it
        software_version()  # is looked for among all installed packages, once

    # -- samples

    def on_batch(self, batch: Batch) -> None:
        """Take samples in order of receipt."""
        with self._lock:  # whoever waited for an encoded picture finds it in the recordings
            received, batch = batch.samples, self.encoders.exchange(batch)
            if batch.shift_ns:
                self.ring.shift(batch.shift_ns)
                self.streams.shift(batch.shift_ns)
            for recording in self._fed:
                recording.offer(batch)
            if batch.samples:
                self.ring.push(batch, self._starting_ns)
            else:
                self.ring.note(batch.dropouts)
            if received:
                self.streams.add(received)
            self.streams.until_ns = batch.until_ns
            self.streams.keep_encoded(batch.samples)

    # -- state

    @property
    def state(self) -> RecorderState:
        """Return the current state."""
        if self.running is not None:
            return RecorderState.RECORDING
        return RecorderState.FINALISING if self._finalising else RecorderState.IDLE

    @property
    def finalising(self) -> int:
        """Return how many stopped episodes are not on disk yet."""
        return len(self._finalising)

    def health(self, now_ns: int) -> list[tuple[HealthMonitor, HealthReport]]:
        """Return the state of every stream, in the order of the profile."""
        with self._lock:
            found = self.streams.health(now_ns)
        problems = self.encoders.problems()
        return [
            (monitor, replace(report, health=StreamHealth.NOT_ENCODED, remedy=problem))
            if (problem := problems.get(monitor.config.name)) and report.health in ARRIVES
            else (monitor, report)
            for monitor, report in found
        ]

    def duration_s(self) -> float:
        """Return the duration of the running or last episode by the monotonic clock, s."""
        if self.last is None:
            return 0.0
        return ((self.last.stopped_at or time.monotonic_ns()) - self.last.started_at) / NS_PER_S

    def free_bytes(self) -> int:
        """Return the free bytes of the root's disk, at most 1 s old."""
        now = time.monotonic()
        if now - self._free[0] > 1.0:
            self._free = now, free_bytes(self.store.root)
        return self._free[1]

    @property
    def bytes_per_s(self) -> float:
        """Return the current data rate of all streams together, bytes/s."""
        with self._lock:
            return self.ring.bytes_per_s

    def episodes_left(self) -> int:
        """Return how many more episodes of the usual size fit; -1: unknown.

        The usual size is the mean of the last episodes, or else that of one of maximum length.
        """
        limits = self.settings.disk
        size = self.bytes_per_s * limits.max_episode_s
        if self._sizes:
            size = sum(self._sizes) / len(self._sizes)
        return episodes_left(self.free_bytes(), size, limits)

    def must_stop(self) -> tuple[StopReason | None, str]:
        """Return the reason to stop the running episode now (None: none), and a sentence."""
        recording = self.running
        if recording is None:
            return None, ""
        if recording.problem is not None:
            return StopReason.WRITE_ERROR, str(recording.problem)
        limits = self.settings.disk
        if self.duration_s() > limits.max_episode_s:
            return StopReason.MAX_LENGTH, f"max_episode_s ({limits.max_episode_s:g} s) was reached"
        self._free = (0.0, 0)  # look again
        waiting = recording.queued_bytes + self._waiting_bytes()
        full, warning = running_out(self.free_bytes(), self.bytes_per_s, waiting, limits)
        return StopReason.DISK_FULL if full else None, warning

    def _waiting_bytes(self) -> int:
        """Return the bytes of stopped episodes that still wait for the disk."""
        return sum(recording.queued_bytes for recording in list(self._finalising))

    def warnings(self) -> list[str]:
        """Return problems to solve soon, each with what to do."""
        rival = self.claim.problem() if self.claim is not None else ""
        excess = self.store.trash.excess(self.settings.trash)
        watch = self._shared_memory
        small = self._look_at_shared_memory() if watch.due() else watch.sentences
        forgotten = self.ring.shortage(self.settings.pre_roll_s)
        mine = [rival, excess, *self.streams.lacking, *small, forgotten]
        return list(filter(None, [*mine, *self.encoders.warnings()]))

    def uncounted(self, now_ns: int) -> list[str]:
        """Return the streams whose losses on the way are unknown, because messages have no numbers."""
        return [
            monitor.config.name
            for monitor, report in self.health(now_ns)
            if report.health in ARRIVES and not monitor.channel.numbered
        ]

    def _look_at_shared_memory(self) -> list[str]:
        """Return whose shared memory is too small for what it sends."""
        with self._lock:
            received = self.streams.received()
            recent = [*self.ring.newest(NS_PER_S), *self.encoders.newest()]
        return self._shared_memory.look(received, recent)

    # -- commands

    def start(
        self, assignment: Assignment, force: bool, now_ns: int, pre_roll_s: float = -1.0
    ) -> Answer:
        """Start an episode.

        Args:
            assignment: its task and operator.
            force: start although streams are missing or the episode would be rejected.
            now_ns: its nominal start, robot clock; the pre-roll lies before it.
            pre_roll_s: length of the pre-roll, s, at most the configured one; negative: that one.

        Returns:
            The answer; its value is the ``.partial`` directory.
        """
        if self.running is not None:
            return Answer(False, f"{self.running.id} is being recorded: stop it first")
        if len(self._finalising) >= _MOST_FINALISING:
            return Answer(
                False,
                f"not started: {len(self._finalising)} episodes are still being written: the disk is too slow",
            )
        if math.isnan(pre_roll_s):
            return Answer(False, "not started: pre_roll_s is not a number")
        if now_ns == 0:
            return Answer(False, "not started: use_sim_time is set, and nothing arrives on /clock")
        configured_s = self.settings.pre_roll_s
        pre_roll_s = configured_s if pre_roll_s < 0 else min(pre_roll_s, configured_s)
        from_ns = max(1, now_ns - round(pre_roll_s * NS_PER_S))  # simulated time begins at 0
        answer = self._may_start(assignment.task, force, now_ns, from_ns)
        if not answer.ok:
            return answer
        self._starting_ns = from_ns
        try:
            self._open(assignment, now_ns, from_ns, answer.forced)
        except (BagError, OSError) as error:
            return Answer(False, f"not started: {error}")
        finally:
            self._starting_ns = 0
        return replace(answer, value=self.running.path if self.running else None)

    def _may_start(self, task: str, force: bool, now_ns: int, from_ns: int) -> Answer:
        if self.claim is not None:
            try:
                self.store.make_root()
            except OSError as error:
                return Answer(False, f"not started: {error}")
            if rival := self.claim.problem():
                return Answer(False, f"not started: {rival}")
        reports = [(monitor.config, report) for monitor, report in self.health(now_ns)]
        limits, root = self.settings.disk, self.store.root
        self._free = (0.0, 0)  # look again
        with self._lock:
            waiting = self.ring.since(from_ns).bytes
        disk = self.free_bytes(), self.bytes_per_s, waiting + self._waiting_bytes(), limits, root
        if reached := reserve_reached(*disk):
            return Answer(False, f"not started: {reached}")
        foreseen, small = self._foreseen(task, now_ns), self._look_at_shared_memory()
        answer = judge_start(reports, shortage(*disk), force, foreseen, small)
        if not answer.ok:
            return answer
        return replace(answer, reason="; ".join(filter(None, [answer.reason, *self.warnings()])))

    def _foreseen(self, task: str, now_ns: int) -> list[str]:
        """Return why an episode that starts now is certain to be rejected, by the last messages."""
        if not self.settings.check:
            return []
        with self._lock:
            streams = list(self.streams.streams)
            samples = self.ring.since(now_ns - NS_PER_S).samples
        try:
            from robot_recorder.recorder.sure_failures import foresee

            known = self.settings.tasks.tasks.get(task)
            results = foresee(self._profile, known, streams, samples)
        except Exception:  # a failed forecast must not prevent a recording
            logging.getLogger(__name__).exception("the verdict of an episode cannot be predicted")
            return []
        return [f"{result.stream} {result.sentence}" for result in results]

    def _open(self, assignment: Assignment, now_ns: int, from_ns: int, forced: bool) -> None:
        from robot_recorder.recorder.live_audit import LiveAudit
        from robot_recorder.recorder.recording import EpisodeStart, Recording

        partial = self.store.new_partial(episode_id(self.robot, assignment.task, now_ns))
        id, by = partial.with_suffix("").name, assignment.operator_name
        task = self.settings.tasks.tasks.get(assignment.task)
        label = LabelEvent(now_ns, id, LabelKind.TASK, by=by, **asdict(assignment))
        begin = EpisodeStart(
            id, partial, now_ns, from_ns, time.monotonic_ns(), forced, label, self.clock.followed,
            {
                "robot": self.robot,
                "namespace": self.namespace,
                "profile": self._profile.robot,
                "profile_yaml": self._profile.text,
                **({"task_yaml": task.text} if task else {}),
                **self.encoders.note(),
            },
        )  # fmt: skip
        clock, followed = self.clock, self.clock.followed
        audit = LiveAudit(
            self.streams.streams, self._profile, self._own.frames, from_ns, now_ns,
            lambda: clock.restamp(followed), self._inspector(task),
        )  # fmt: skip
        with self._lock:
            latched = self.streams.latched.before(from_ns)
        recording = Recording(begin, self.store, self._own, audit)
        recording.open(self.settings.new_writer(), latched, self.settings.max_queue_bytes)
        self.clock.hold()
        with self._lock:
            recording.offer(self.ring.since(from_ns), free=True)
            self._fed.append(recording)
            self.running = self.last = recording

    def _inspector(self, task: Task | None) -> Inspector | None:
        from robot_recorder.quality.inspector import Inspector, NullInspector

        try:
            if not self.settings.check:
                return None
            streams = self.streams.streams
            unread = {s.config.name: s.no_values for s in streams if s.no_values}
            decoders = decoders_by_name(streams)
            looker = self.settings.looker
            return Inspector(self._profile, task, looker, decoders, unread=unread)
        except Exception as error:  # a bag can be checked later, but a missed take is lost
            logging.getLogger(__name__).exception(
                "this episode is not checked; run robot-recorder check on it"
            )
            return NullInspector(error)

    def limping(self, now_ns: int) -> list[str]:
        """Return what has gone wrong with the running episode's streams since the last call."""
        if self.running is None:
            return []
        reports = [(monitor.config, report) for monitor, report in self.health(now_ns)]
        return self.running.limping.news(reports, self.running.troubles)

    def stop(self, now_ns: int, reason: StopReason) -> Recording | None:
        """End the running episode at ``now_ns``, robot clock; later samples are not part of it.

        Returns:
            The recording, to be passed to ``finalise``; None: nothing is being recorded.
        """
        recording, self.running = self.running, None
        if recording is not None:
            recording.stop_ns, recording.stopped_at = now_ns, time.monotonic_ns()
            recording.stop_reason = reason
            self._finalising.append(recording)
        return recording

    def finalise(self, recording: Recording, flush: Callable[[], bool]) -> Answer:
        """Turn a stopped recording into an episode on disk.

        Args:
            recording: from ``stop``.
            flush: waits until every sample received up to now has passed ``on_batch``; returns
                False after a timeout.

        Returns:
            The answer; its value is the episode's directory.
        """
        delivered = flush()
        delivered = self.encoders.flush() and delivered
        recording.add_facts(self.encoders.note())  # a process that died may use another encoder
        with self._lock:
            recording.closing = True

        def detach() -> None:
            with self._lock:
                self._fed.remove(recording)
            recording.jumps = self.clock.jumps[recording.jumps_before :]
            self.clock.release()

        try:
            answer = recording.finalise(detach)
        finally:
            self._finalising.remove(recording)
        if not answer.ok:
            return answer
        self.finalised += 1
        self._sizes.append(recording.size_bytes)
        overloaded = "the recorder is overloaded: the last messages of the episode are missing"
        reason = "" if delivered else overloaded
        return Answer(True, reason, answer.value)

    def stop_and_finalise(self, now_ns: int, flush: Callable[[], bool]) -> Answer:
        """Stop the running episode and finalise it."""
        recording = self.stop(now_ns, StopReason.REQUEST)
        return NOTHING if recording is None else self.finalise(recording, flush)

    def discard(self, id: str = "") -> Answer:
        """Move a finished episode to the trash.

        Args:
            id: empty: the last episode.

        Returns:
            The answer; its value is the directory in the trash.
        """
        last, days = self.last, self.settings.trash.days
        if not id and (last is None or last.discarded):
            return Answer(False, "there is no episode to discard: give an episode_id")
        is_last = last is not None and id in ("", last.id)
        if is_last and last is not None and last.discarded:
            return Answer(
                False, f"{last.id} is in the trash already: restore it, or leave it there"
            )
        if is_last and last is not None and not last.finalised:
            return Answer(False, f"{last.id} is not finished yet: stop it, then discard it")
        if is_last and last is not None and last.path.parent.name == QUARANTINE:
            return Answer(False, f"{last.id} is damaged and stays in quarantine: {last.path}")
        try:
            # By its path, because a failed finalisation leaves the name .partial.
            if not is_last and self.store.discarded(id) is not None:
                return Answer(False, f"{id} is in the trash already")
            path = last.path if is_last and last is not None else self.store.find(id)
            target = self.store.discard(path, days)
        except BagError as error:
            return Answer(False, str(error))
        if is_last and last is not None:
            last.path, last.discarded = target, True
        return Answer(True, "", target)

    def restore(self, id: str = "") -> Answer:
        """Move an episode back from the trash.

        Args:
            id: empty: this robot's episode that was discarded last.

        Returns:
            The answer; its value is the episode's directory.
        """
        try:
            path = self.store.restore(id, robot="" if id else self.robot)
        except BagError as error:
            return Answer(False, str(error))
        if self.last is not None and self.last.id == path.name.removesuffix(PARTIAL):
            self.last.path, self.last.discarded = path, False
        return Answer(True, "", path)

    def label(self, event: LabelEvent) -> Answer:
        """Append a label to a running or finished episode, if the rules accept it."""
        tasks, now_ns = self.settings.tasks, self.clock.now_ns()

        def decided(now: LabelledEpisode) -> LabelEvent:
            return decide([event], now, tasks, now_ns)[0]

        try:
            for recording in {*self._finalising, *filter(None, [self.last])}:
                if recording.id == event.episode_id and recording.add_event(decided):
                    return Answer(True)
            path = self.store.find(event.episode_id)
            now, _ = label_finished(self.store, path, lambda _: [event], tasks, now_ns)
        except (BagError, ConfigError) as error:
            return Answer(False, str(error))
        if self.last is not None and self.last.id == event.episode_id:
            self.last.events = list(now.events)  # other processes may have labelled it, too
        return Answer(True)


NOTHING = Answer(False, "nothing is being recorded: call start_episode first")
