"""The recorder node: services in, episodes and status out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.serialization import serialize_message
from std_srvs.srv import Trigger

from robot_recorder.core.errors import ConfigError
from robot_recorder.core.start_gate import Verdict
from robot_recorder.core.streams import Durability, Qos, Reliability
from robot_recorder.core.topics import BagTopic, OfferedQos
from robot_recorder.installed_types import message_definition, type_hash
from robot_recorder.msg import EpisodeStatus, FrameLayout, Label, Task
from robot_recorder.nodes.conversions import from_label, to_label, to_time
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.runtime import (
    LATCHED,
    episodes_root,
    log_verdict,
    parameter,
    profile_parameter,
    robot_name,
    run,
    tasks_parameter,
)
from robot_recorder.nodes.status import diagnostics_message, status_message
from robot_recorder.srv import DiscardEpisode, StartEpisode, StopEpisode
from robot_recorder.storage.episodes import EpisodeStore
from robot_recorder.storage.recorder import Assignment, Recorder, RecorderState
from robot_recorder.storage.writer import writer_factory

_LABELS = 100  # how many labels may queue up; they arrive by hand
_LATCHED_QOS = Qos(Reliability.RELIABLE, Durability.TRANSIENT_LOCAL)


class RecorderNode(Node):
    """Services ``recorder/*``; publishes ``recorder/status`` (latched) and ``/diagnostics``."""

    def __init__(self, ingest: Ingest) -> None:
        """
        Args:
            ingest: not started yet; may be shared with other nodes of the process.
        """
        super().__init__("recorder")
        self._ingest = ingest
        profile = profile_parameter(self)
        self._tasks = tasks_parameter(self)
        self._assignment = Assignment()
        self._message = ""
        self._last_label = (0, "")
        writer = parameter(self, "writer", "auto", "bag writer: auto, mcap or rosbag2_py")
        queue_mb = parameter(self, "max_queue_mb", 256, "MB that may wait for the disk; then drops")
        labels = self._ingest.subscribe("labeller/labels", "robot_recorder/msg/Label")
        frames = self._ingest.subscribe("synchronizer/frames", "robot_recorder/msg/AlignedFrame")
        for topic, kind in (("labeller/task", Task), ("synchronizer/layout", FrameLayout)):
            self._ingest.subscribe(topic, f"robot_recorder/msg/{kind.__name__}", _LATCHED_QOS)
        label_type = "robot_recorder/msg/Label"
        self._recorder = Recorder(
            robot_name(self, profile),
            profile,
            EpisodeStore(episodes_root(self)),
            writer_factory(writer),
            queue_mb * 1_000_000,
            BagTopic(labels.topic, label_type, (OfferedQos(),), type_hash(label_type), message_definition(label_type)),
            frames.topic,
            lambda event: bytes(serialize_message(to_label(event))),
        )  # fmt: skip
        for stream in profile.streams:
            try:
                channel = self._ingest.subscribe(stream.topic, stream.type, stream.qos)
            except ConfigError as error:
                raise ConfigError(f"stream '{stream.name}': {error}") from error
            self._recorder.watch(channel, stream)
        self._ingest.add_sink(self._recorder.on_batch)
        self._serve()
        left = self._recorder.store.unfinished()
        if left:
            self._say(f"{len(left)} unfinished episodes of an earlier run in {left[0].parent}")
        self._publish_status()

    def _serve(self) -> None:
        self._status = self.create_publisher(EpisodeStatus, "recorder/status", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(Task, "labeller/task", self._on_task, LATCHED)
        self.create_subscription(Label, "labeller/labels", self._on_label, _LABELS)
        self.create_service(StartEpisode, "recorder/start_episode", self._start)
        self.create_service(StopEpisode, "recorder/stop_episode", self._stop)
        self.create_service(DiscardEpisode, "recorder/discard_episode", self._discard)
        self.create_service(Trigger, "recorder/toggle_episode", self._toggle)
        self.create_timer(1.0, self._every_second)

    def close(self) -> None:
        """Finalise the running episode."""
        if self._recorder.state is RecorderState.RECORDING:
            self._end_episode()

    # -- services

    def _start(self, request: Any, response: Any) -> Any:
        verdict = self._begin(request)
        response.success, response.message = verdict.ok, verdict.reason
        if verdict.ok and self._recorder.run is not None:
            response.episode_id = self._recorder.run.id
            response.path = str(self._recorder.run.path)
        return response

    def _begin(self, request: Any) -> Verdict:
        now_ns = time.time_ns()
        assignment = self._assignment
        if request.task:
            try:
                task = self._tasks.find(request.task)
            except ConfigError as error:
                return self._say_verdict(Verdict(False, f"not started: {error}"))
            assignment = replace(assignment, task=task.id, instruction=task.instruction)
        if request.instruction:
            assignment = replace(assignment, instruction=request.instruction)
        if request.operator_name:
            assignment = replace(assignment, operator_name=request.operator_name)
        verdict = self._recorder.start(assignment, request.force, now_ns)
        if verdict.ok and self._recorder.run is not None:
            task_text = f"task {assignment.task}" if assignment.task else "no task set"
            warning = f"; warning: {verdict.reason}" if verdict.reason else ""
            verdict = Verdict(True, f"recording {self._recorder.run.id} ({task_text}){warning}")
        return self._say_verdict(verdict)

    def _stop(self, request: Any, response: Any) -> Any:
        del request
        verdict = self._end_episode()
        response.success, response.message = verdict.ok, verdict.reason
        run_, counts = self._recorder.run, self._recorder.counts
        if run_ is not None:
            response.episode_id, response.path = run_.id, str(run_.path)
            response.duration_s = self._recorder.duration_s()
            response.messages = counts.written.total()
            response.dropped = counts.dropped.total()
            if run_.path.is_dir():
                response.size_bytes = sum(f.stat().st_size for f in run_.path.iterdir())
        return response

    def _end_episode(self) -> Verdict:
        verdict = self._recorder.stop(time.time_ns(), self._ingest.flush)
        if verdict.ok and self._recorder.run is not None:
            counts = self._recorder.counts
            lost = counts.dropped.total()
            warning = f"; warning: {verdict.reason}" if verdict.reason else ""
            verdict = Verdict(
                True,
                f"saved {self._recorder.run.id}: {self._recorder.duration_s():.1f} s, "
                f"{counts.written.total()} messages, "
                + (f"{lost} dropped" if lost else "none dropped")
                + warning,
            )
        return self._say_verdict(verdict)

    def _toggle(self, request: Any, response: Any) -> Any:
        del request
        recording = self._recorder.state is RecorderState.RECORDING
        verdict = self._end_episode() if recording else self._begin(StartEpisode.Request())
        response.success, response.message = verdict.ok, verdict.reason
        return response

    def _discard(self, request: Any, response: Any) -> Any:
        recorder = self._recorder
        if recorder.run is None or request.episode_id not in ("", recorder.run.id):
            verdict = recorder.discard_finished(request.episode_id)
        else:
            if recorder.state is RecorderState.RECORDING:
                self._end_episode()  # a failed end leaves a .partial, which is moved all the same
            verdict = recorder.discard()
        response.success = verdict.ok
        response.episode_id = request.episode_id or (recorder.run.id if recorder.run else "")
        if verdict.ok:
            response.path = verdict.reason
            verdict = Verdict(True, f"{response.episode_id} is in the trash: {response.path}")
        response.message = self._say_verdict(verdict).reason
        return response

    # -- topics

    def _on_task(self, task: Task) -> None:
        self._assignment = Assignment(task.task, task.instruction, task.operator_name)

    def _on_label(self, label: Label) -> None:
        try:
            event = from_label(label)
        except ValueError as error:
            self._say(f"a label for {label.episode_id} was not understood: {error}")
            return
        verdict = self._recorder.label(event)
        if not verdict.ok:
            self._message = f"label not stored: {verdict.reason}"
            self.get_logger().error(self._message)
        self._last_label = (event.stamp_ns, verdict.reason)
        self._publish_status()

    def _every_second(self) -> None:
        error = self._recorder.error
        if error is not None:
            self._end_episode()
        self._publish_status()
        name = self.get_fully_qualified_name()
        array = diagnostics_message(self._recorder, time.time_ns(), name, self._message)
        self._diagnostics.publish(array)

    def _say(self, text: str) -> None:
        self.get_logger().info(text)
        self._message = text

    def _say_verdict(self, verdict: Verdict) -> Verdict:
        self._message = verdict.reason
        log_verdict(self, verdict)
        self._publish_status()
        return verdict

    def _publish_status(self) -> None:
        status = status_message(self._recorder, time.time_ns(), self._message)
        stamp_ns, problem = self._last_label
        status.last_label, status.last_label_problem = to_time(stamp_ns), problem
        self._status.publish(status)


def main() -> int:
    """Entry point of ``ros2 run robot_recorder recorder``."""

    def build() -> tuple[list[Node], list[Any]]:
        ingest = Ingest("recorder_ingest")
        node = RecorderNode(ingest)
        ingest.start()
        return [node], [node, ingest]

    return run(build)
