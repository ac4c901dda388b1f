"""The content of the overlay for a running robot, from recorder and labeller."""

from __future__ import annotations

import time
from collections import deque

from rclpy.node import Node
from std_msgs.msg import String

from robot_recorder.model.errors import DecodeError
from robot_recorder.model.labels import LabelEvent, Outcome, fold
from robot_recorder.model.marks import marks_of
from robot_recorder.model.streams import RobotProfile, StreamHealth
from robot_recorder.msg import EpisodeStatus, Label, Task
from robot_recorder.nodes.checked_services import message_problem
from robot_recorder.nodes.conversions import from_label, to_ns
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED, SILENT_S
from robot_recorder.quality.verdict import Verdict
from robot_recorder.rviz.overlay import Situation, State
from robot_recorder.rviz.placement import Placement, placement
from robot_recorder.rviz.scene import sensors

_STATES = {
    EpisodeStatus.STATE_IDLE: State.IDLE,
    EpisodeStatus.STATE_RECORDING: State.RECORDING,
    EpisodeStatus.STATE_FINALISING: State.FINALISING,
}
_WORDS = {
    StreamHealth.STALE: "silent",
    StreamHealth.NEVER: "missing",
    StreamHealth.UNHEARD: "incompatible QoS",
    StreamHealth.NOT_ENCODED: "not encoded",
}
_LABELS = 500  # kept, for the running episode and some before


class Live:
    """The source for a running robot; its time is the steady clock."""

    lifetime_s = 2

    def __init__(self, node: Node, profile: RobotProfile) -> None:
        """Subscribe to recorder, labeller and robot description."""
        self.streams = sensors(profile)
        self.placement: Placement | None = None
        self._node = node
        self._status: EpisodeStatus | None = None
        self._heard_s = 0.0
        self._task = Task()
        self._labels: deque[LabelEvent] = deque(maxlen=_LABELS)
        subscribe = node.create_subscription
        subscribe(EpisodeStatus, "recorder/status", self._on_status, LATCHED)
        subscribe(Task, "labeller/task", self._on_task, LATCHED)
        subscribe(Label, "labeller/labels", self._on_label, 50)
        subscribe(String, "robot_description", self._on_description, LATCHED)

    def listen(self, watched: bool) -> None:
        """Do nothing: these topics are slow enough to be read all the time."""

    def now_s(self) -> float:
        """Return the time of the steady clock, s."""
        return time.monotonic()

    def situation(self) -> Situation:
        """Return the content of the overlay."""
        status = self._status
        if status is None or self.now_s() - self._heard_s > SILENT_S:
            return Situation(State.WAITING)
        state = _STATES.get(status.state, State.IDLE)
        recording = state is State.RECORDING
        labels = fold(e for e in self._labels if e.episode_id == status.episode_id)
        outcome = Outcome(status.outcome)
        trouble = [(s.name, StreamHealth(s.health)) for s in status.streams if s.health]
        duration_s = status.duration_s if status.episode_id else None
        return Situation(
            state,
            task=status.task if recording else self._task.task,
            instruction=status.instruction if recording else self._task.instruction,
            operator=status.operator_name if recording else self._task.operator_name,
            at_s=status.duration_s + self.now_s() - self._heard_s if recording else None,
            duration_s=None if recording else duration_s,
            outcome=outcome,
            cause=labels.cause if labels.outcome is outcome else "",
            verdict=Verdict(status.verdict),
            sentence=status.verdict_sentence,
            marks=marks_of(labels, to_ns(status.start)),
            trouble=tuple(
                f"{name} {_WORDS.get(health, health.name.lower().replace('_', ' '))}"
                for name, health in trouble
            ),
            streams=len(status.streams),
        )

    def _on_status(self, status: EpisodeStatus) -> None:
        self._status, self._heard_s = status, time.monotonic()

    def _on_task(self, task: Task) -> None:
        if not message_problem(task):  # the recorder rejects it, too, and reports the reason
            self._task = task

    def _on_label(self, label: Label) -> None:
        try:
            self._labels.append(from_label(label))
        except ValueError:
            pass  # the recorder rejects it, too, and reports the reason

    def _on_description(self, description: String) -> None:
        try:
            self.placement = placement(description.data)
        except DecodeError as error:
            NodeLog(self._node).warning(f"the overlay is at its default place: {error}")
