"""The console's side of ROS: hears recorder, labeller and operator, and calls their services."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.console.previews import camera_streams
from robot_recorder.console.snapshot import recorder_plain, said_plain, shift_plain, stream_plain
from robot_recorder.model.streams import RobotProfile
from robot_recorder.msg import EpisodeStatus, Said, ShiftStatus, Task
from robot_recorder.nodes.checked_services import message_problem
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED, SILENT_S, spin_once
from robot_recorder.srv import (
    Annotate,
    BeginShift,
    DiscardEpisode,
    MarkOutcome,
    RestoreEpisode,
    ShiftCommand,
)

SERVICES: dict[Any, str] = {
    ShiftCommand: "shift/command",
    BeginShift: "shift/begin",
    MarkOutcome: "labeller/mark_outcome",
    Annotate: "labeller/annotate",
    DiscardEpisode: "recorder/discard_episode",
    RestoreEpisode: "recorder/restore_episode",
}
_FIND_S = 2.0
_PATIENCE_S = 130.0  # a stop waits for the disk


class RobotLink:
    """Spins the console's node in a thread of its own.

    Attributes:
        profile: the robot's.
        tasks: the task registry.
    """

    def __init__(
        self, node: Node, profile: RobotProfile, tasks: TaskRegistry,
        changed: Callable[[], None], said: Callable[[dict[str, Any]], None],
    ) -> None:  # fmt: skip
        """Subscribe and start the thread.

        Args:
            node: the console's.
            profile: the robot's.
            tasks: the task registry.
            changed: called in the thread when something new was heard.
            said: called in the thread with what the operator should hear.
        """
        self.profile, self.tasks = profile, tasks
        self._node = node
        self._changed, self._said = changed, said
        self._status: EpisodeStatus | None = None
        self._heard_s = 0.0
        self._recorder: tuple[dict[str, Any], list[dict[str, Any]]] | None = None
        self._shift: dict[str, Any] | None = None
        self._shift_heard_s = 0.0
        self._cameras = camera_streams(profile).keys()
        self._task = Task()
        subscribe = node.create_subscription
        subscribe(EpisodeStatus, "recorder/status", self._on_status, LATCHED)
        subscribe(ShiftStatus, "shift/status", self._on_shift, LATCHED)
        subscribe(Task, "labeller/task", self._on_task, LATCHED)
        subscribe(Said, "shift/said", lambda message: self._said(said_plain(message)), 50)
        self._clients: dict[Any, Any] = {k: node.create_client(k, n) for k, n in SERVICES.items()}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._closing = False
        self._thread = threading.Thread(target=self._spin, name="link", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._executor.wake()
        self._thread.join()

    def _spin(self) -> None:
        try:
            while not self._closing:
                spin_once(self._executor, self._node)
        except ExternalShutdownException:
            pass

    def _on_status(self, status: EpisodeStatus) -> None:
        try:
            streams = [stream_plain(s, s.name in self._cameras) for s in status.streams]
            self._recorder = recorder_plain(status), streams
        except ValueError as error:
            self._report_unknown(error)
            return
        self._status, self._heard_s = status, time.monotonic()
        self._changed()

    def _on_shift(self, status: ShiftStatus) -> None:
        try:
            self._shift = shift_plain(status)
        except ValueError as error:
            self._report_unknown(error)
            return
        self._shift_heard_s = time.monotonic()
        self._changed()

    def _report_unknown(self, error: ValueError) -> None:
        """Report a status with an unknown value: anybody may publish any."""
        NodeLog(self._node).seldom_warning(f"a status is not understood: {error}")

    def _on_task(self, task: Task) -> None:
        if not message_problem(task):
            self._task = task

    @property
    def status(self) -> EpisodeStatus | None:
        """Return the recorder's newest status; None: it was never heard, or is silent."""
        return self._status if time.monotonic() - self._heard_s <= SILENT_S else None

    @property
    def assignment(self) -> dict[str, str]:
        """Return task and operator that hold for the next episode; empty: not set."""
        return {"task": self._task.task, "operator": self._task.operator_name}

    def snapshot(self) -> dict[str, Any]:
        """Return everything a page draws; a part that was not heard lately is null."""
        status, heard = self._status, self.status is not None
        fresh = time.monotonic() - self._shift_heard_s <= SILENT_S
        recorder, streams = self._recorder or (None, [])
        return {
            "robot": status.robot if status is not None else self.profile.robot,
            "recorder": None if recorder is None else {"heard": heard, **recorder},
            "shift": self._shift if fresh else None,
            "streams": streams,
        }

    def call(self, request: Any, kind: Any) -> Any:
        """Call a service and return its response; for a thread that may wait.

        Returns:
            The response, or a sentence that says why it did not come.
        """
        if problem := message_problem(request):
            return problem
        client = self._clients[kind]
        # One that was just started takes a moment to be found.
        if not client.wait_for_service(_FIND_S):
            return f"{client.srv_name} does not exist: are recorder and operator running?"
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        until = time.monotonic() + _PATIENCE_S
        while not done.wait(0.2):
            if not client.service_is_ready():
                return f"the node of {client.srv_name} ended before it answered: look at the state"
            if time.monotonic() > until:
                return f"{client.srv_name} did not answer in {_PATIENCE_S:g} s"
        return future.result()
