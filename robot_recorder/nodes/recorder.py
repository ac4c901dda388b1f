"""The recorder node: starts and stops episodes by service, publishes its status."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from robot_recorder.messages.kinds import Sort, kind_of
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.ids import PARTIAL
from robot_recorder.msg import EpisodeStatus, Label, Task
from robot_recorder.nodes import heap
from robot_recorder.nodes.checked_services import make_visible, serve
from robot_recorder.nodes.conversions import from_label, requested_assignment, to_ns, to_time
from robot_recorder.nodes.finaliser import Finaliser
from robot_recorder.nodes.housekeeping import Housekeeping
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.quality_topic import QualityTopic
from robot_recorder.nodes.runtime import (
    LATCHED,
    LATCHED_ALL,
    STEADY,
    log_answer,
)
from robot_recorder.nodes.status import diagnostics_message, fill_stop, status_message
from robot_recorder.recorder.recorder import NOTHING, Assignment, Recorder, RecorderState
from robot_recorder.recorder.stop_reason import StopReason
from robot_recorder.srv import DiscardEpisode, RestoreEpisode, StartEpisode, StopEpisode

if TYPE_CHECKING:  # off unless it is wanted
    from robot_recorder.nodes.idle_compression import IdleCompression

_CATCH_UP_S = 1.0  # wait at most for what came before a start; it takes a hundredth
_WATCH_S = 0.5
_STATUS_TICKS = 2  # a status each second, which judges the streams together with every second watch
_PREPARE_S = 1.0  # after the start, when the services answer and the streams are heard
_GIVE_BACK_S = 20.0  # costs some milliseconds


class RecorderNode(Node):
    """Serves ``recorder/*``; publishes ``recorder/status`` (latched) and ``/diagnostics``.

    ``nodes/record.py`` builds the parts, then calls ``start``.
    """

    def __init__(self) -> None:
        """Create the node; its parameters are declared by ``nodes/record.py``."""
        super().__init__("recorder")
        self._assignment = Assignment()
        self._message = ""
        self._last_label = (0, "")
        self._ticks = 0
        self.compress = False  # whether finished episodes are compressed while nothing is recorded

    def start(self, recorder: Recorder, ingest: Ingest, quality: QualityTopic) -> None:
        """Start the services, topics and timers.

        Args:
            recorder: the recorder to control.
            ingest: feeds the recorder; not started yet.
            quality: publishes quality reports.
        """
        self._recorder, self._ingest, self._quality = recorder, ingest, quality
        self._finaliser = Finaliser(
            recorder, ingest.flush, self._report, quality.publish, self._wake
        )
        self._housekeeping = Housekeeping(recorder.store, recorder.settings.trash, self._say)
        self._compression = self._idle_compression() if self.compress else None
        self._preparing = threading.Thread(target=self._prepare, name="prepare", daemon=True)
        self._serve()
        self._publish_status()

    def _idle_compression(self) -> IdleCompression:
        from robot_recorder.nodes.idle_compression import IdleCompression

        recorder = self._recorder
        return IdleCompression(
            recorder.store, lambda: recorder.state is RecorderState.IDLE, self._say
        )

    def _serve(self) -> None:
        self._status = self.create_publisher(EpisodeStatus, "recorder/status", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # All of them: an invalid one must not take the place of a valid one that is not read yet.
        self.create_subscription(Task, "labeller/task", self._on_task, LATCHED_ALL)
        self.create_subscription(Label, "labeller/labels", self._on_label, 100)
        # Stopping waits for the disk; starting must not wait for that.
        meanwhile = ReentrantCallbackGroup()
        for kind, name, callback in (
            (StartEpisode, "start_episode", self._start),
            (StopEpisode, "stop_episode", self._stop),
            (DiscardEpisode, "discard_episode", self._discard),
            (RestoreEpisode, "restore_episode", self._restore),
            (Trigger, "toggle_episode", self._toggle),
        ):
            serve(self, kind, f"recorder/{name}", callback, callback_group=meanwhile)
        self.create_timer(_WATCH_S, self._every_half_second, clock=STEADY)
        self.create_timer(_GIVE_BACK_S, heap.give_back, clock=STEADY)
        self._soon = self.create_timer(_PREPARE_S, self._prepare_once, clock=STEADY)

    def close(self) -> None:
        """Finalise all episodes and stop the background threads."""
        recording = self._recorder.stop(self._ingest.clock.now_ns(), StopReason.SHUTDOWN)
        if recording is not None:
            self._finaliser.finalise(recording)
        self._finaliser.close()
        self._recorder.encoders.close()
        self._housekeeping.close()
        if self._preparing.is_alive():
            self._preparing.join()
        if self._compression is not None:
            self._compression.close()
        self._quality.close()
        if self._recorder.claim is not None:
            self._recorder.claim.release()

    def _wake(self) -> None:
        if self.executor is not None:
            self.executor.wake()

    # -- services

    def _start(self, request: Any, response: Any) -> Any:
        answer = self._begin(request)
        response.success, response.message = answer.ok, answer.reason
        if answer.value is not None:
            response.episode_id = answer.value.name.removesuffix(PARTIAL)
            response.path = str(answer.value)
        return response

    def _begin(self, request: Any) -> Answer:
        clock = self._ingest.clock
        clock.hold()  # the clock must not jump between the start time and the opened bag
        try:
            now_ns = clock.now_ns()
            # What came before the start is known then: how streams do, and the newest latched messages.
            self._ingest.catch_up(_CATCH_UP_S)
            return self._begin_at(request, now_ns)
        finally:
            clock.release()

    def _begin_at(self, request: Any, now_ns: int) -> Answer:
        try:
            assignment = requested_assignment(
                request, self._assignment, self._recorder.settings.tasks
            )
        except ConfigError as error:
            return self._report(Answer(False, f"not started: {error}"))
        answer = self._recorder.start(assignment, request.force, now_ns, request.pre_roll_s)
        if answer.value is not None:
            task_text = f"task {assignment.task}" if assignment.task else "no task set"
            warning = f"; warning: {answer.reason}" if answer.reason else ""
            uncounted = ", ".join(self._recorder.uncounted(now_ns))
            unknown = f"; losses on the way are unknown: {uncounted}" if uncounted else ""
            name = answer.value.name.removesuffix(PARTIAL)
            sentence = f"recording {name} ({task_text}){unknown}{warning}"
            answer = Answer(True, sentence, answer.value)
        return self._report(answer)

    async def _stop(self, request: Any, response: Any) -> Any:
        del request
        recording = self._recorder.stop(self._ingest.clock.now_ns(), StopReason.REQUEST)
        answer = NOTHING if recording is None else await self._finaliser.finalise(recording)
        response.success, response.message = answer.ok, answer.reason
        if recording is not None:
            fill_stop(response, recording)
        return response

    async def _toggle(self, request: Any, response: Any) -> Any:
        del request
        recording = self._recorder.stop(self._ingest.clock.now_ns(), StopReason.REQUEST)
        if recording is None:
            answer = self._begin(StartEpisode.Request())
        else:
            answer = await self._finaliser.finalise(recording)
        response.success, response.message = answer.ok, answer.reason
        return response

    async def _discard(self, request: Any, response: Any) -> Any:
        recorder, id = self._recorder, request.episode_id
        if recorder.running is not None and id in ("", recorder.running.id):
            recording = recorder.stop(self._ingest.clock.now_ns(), StopReason.REQUEST)
            assert recording is not None
            # Also after a failed finalisation there is a directory to move.
            await self._finaliser.finalise(recording)
            id = recording.id
        else:
            await self._finaliser.pending(id or (recorder.last.id if recorder.last else ""))
        answer = recorder.discard(id)
        response.episode_id = id or (recorder.last.id if recorder.last is not None else "")
        done = "is in the trash"
        if answer.value and (moment := recorder.store.trash.moment(answer.value)):
            done += f" and can be restored at least until {moment.until}"
        return self._moved(response, answer, done)

    def _restore(self, request: Any, response: Any) -> Any:
        answer = self._recorder.restore(request.episode_id)
        response.episode_id = answer.value.name if answer.value else request.episode_id
        return self._moved(response, answer, "is restored")

    def _moved(self, response: Any, answer: Answer, done: str) -> Any:
        response.success = answer.ok
        if answer.ok:
            response.path = str(answer.value)
            answer = Answer(True, f"{response.episode_id} {done}: {response.path}")
        response.message = self._report(answer).reason
        return response

    # -- topics

    def _on_task(self, task: Task) -> None:
        try:
            self._assignment = requested_assignment(
                task, Assignment(), self._recorder.settings.tasks
            )
        except ConfigError as error:
            self._message = f"labeller/task rejected, the previous task remains set: {error}"
            NodeLog(self).seldom_warning(self._message)

    def _on_label(self, label: Label) -> None:
        try:
            answer = self._recorder.label(from_label(label))
        except ValueError as error:
            answer = Answer(False, str(error))
        except Exception as error:  # the labeller waits for an answer
            NodeLog(self).failure("a label failed")
            answer = Answer(False, f"{type(error).__name__}: {error}")
        if not answer.ok:
            self._message = f"label not stored: {answer.reason}"
            NodeLog(self).seldom_warning(self._message)
        self._last_label = (to_ns(label.header.stamp), answer.reason)
        self._publish_status()

    # -- timers

    def _every_half_second(self) -> None:
        self._ticks += 1
        try:
            self._watch()
        finally:
            if self._ticks % _STATUS_TICKS == 0:
                self._every_second()

    def _watch(self) -> None:
        """Report streams that limp; stop an episode that cannot continue."""
        for sentence in self._recorder.limping(self._ingest.clock.now_ns()):
            NodeLog(self).warning(sentence)
            self._message = sentence
        reason, text = self._recorder.must_stop()
        if reason is not None:
            recording = self._recorder.stop(self._ingest.clock.now_ns(), reason)
            assert recording is not None
            NodeLog(self).error(f"stopping {recording.id}: {text}")
            self._finaliser.finalise(recording)
        elif text and text != self._message:
            self._message = text
            NodeLog(self).seldom_warning(text)

    def _prepare_once(self) -> None:
        self.destroy_timer(self._soon)
        self._preparing.start()

    def _prepare(self) -> None:
        """Load what the first episode needs and this node did not need to answer and to listen."""
        self._recorder.prepare()
        kinds = [kind_of(stream.config) for stream in self._recorder.streams.streams]
        if self._recorder.settings.check and any(kind.sort is Sort.IMAGE for kind in kinds):
            self._quality.pictures.warm_up()

    def _every_second(self) -> None:
        self._publish_status()
        if not self._diagnostics.get_subscription_count():
            return
        now_ns, name = self._ingest.clock.now_ns(), self.get_fully_qualified_name()
        diagnostics = diagnostics_message(self._recorder, now_ns, name, self._message)
        self._diagnostics.publish(make_visible(diagnostics))

    def _say(self, text: str) -> None:
        NodeLog(self).info(text)
        self._message = text

    def _report(self, answer: Answer) -> Answer:
        self._message = answer.reason
        log_answer(self, answer)
        self._publish_status()
        return answer

    def _publish_status(self) -> None:
        status = status_message(self._recorder, self._ingest.clock.now_ns(), self._message)
        status.recovered, status.quarantined = self._housekeeping.counts()
        stamp_ns, problem = self._last_label
        status.last_label, status.last_label_problem = to_time(stamp_ns), problem
        self._status.publish(make_visible(status))
