"""The labeller node: what is demonstrated, by whom, and how it went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from robot_recorder.core.errors import BagError, ConfigError
from robot_recorder.core.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.core.start_gate import Verdict
from robot_recorder.core.streams import NS_PER_S
from robot_recorder.core.yaml_source import did_you_mean
from robot_recorder.msg import EpisodeStatus, Label, Task
from robot_recorder.nodes.conversions import requested_assignment, to_label, to_ns, to_time
from robot_recorder.nodes.runtime import (
    LATCHED,
    LATCHED_ALL,
    STEADY,
    log_verdict,
    parameter,
    run,
    tasks_parameter,
)
from robot_recorder.srv import Annotate, MarkOutcome, SetTask
from robot_recorder.storage.episodes import Episode
from robot_recorder.storage.recorder import Assignment
from robot_recorder.storage.store import EpisodeStore


class LabellerNode(Node):
    """Services ``labeller/*``; publishes ``labeller/labels`` and, latched, ``labeller/task``.

    Labels travel to the recorder, which writes them: into the bag while the episode runs, and into
    the episode's metadata.
    """

    def __init__(self) -> None:
        super().__init__("labeller")
        self._tasks = tasks_parameter(self)
        self._status: EpisodeStatus | None = None
        self._behind_ns = self._last_stamp_ns = 0
        self._unconfirmed: dict[int, Future[str]] = {}
        operator = parameter(self, "operator", "", "who drives the robot, until set_task says")
        self._labels = self.create_publisher(Label, "labeller/labels", 100)
        self._task = self.create_publisher(Task, "labeller/task", LATCHED)
        # A label's answer waits for the recorder's word; a group of its own lets that word in meanwhile.
        self._meanwhile = ReentrantCallbackGroup()
        self.create_subscription(
            EpisodeStatus,
            "recorder/status",
            self._on_status,
            LATCHED_ALL,
            callback_group=self._meanwhile,
        )
        self.create_service(SetTask, "labeller/set_task", self._set_task)
        self.create_service(MarkOutcome, "labeller/mark_outcome", self._mark)
        self.create_service(Annotate, "labeller/annotate", self._annotate)
        self.create_service(Trigger, "labeller/mark_success", self._mark_success)
        self.create_service(Trigger, "labeller/mark_failure", self._mark_failure)
        task = parameter(self, "task", "", "task of the next episodes, until set_task says")
        asked = SetTask.Request(task=task, operator_name=operator)
        self._assignment = requested_assignment(asked, Assignment(), self._tasks)
        self._publish_task()

    def _now_ns(self) -> int:
        """Robot clock, as the recorder's status tells it where it differs from the node's."""
        return int(self.get_clock().now().nanoseconds) + self._behind_ns

    def _stamp_ns(self) -> int:
        """For an event; never the same twice, as its confirmation is known by it."""
        self._last_stamp_ns = max(self._now_ns(), self._last_stamp_ns + 1)
        return self._last_stamp_ns

    def _on_status(self, status: EpisodeStatus) -> None:
        self._status = status
        behind_ns = to_ns(status.header.stamp) - int(self.get_clock().now().nanoseconds)
        # Only while the wall clock was set during an episode; the rest is the message's way.
        self._behind_ns = behind_ns if abs(behind_ns) > 2 * NS_PER_S else 0
        confirmed = self._unconfirmed.get(to_ns(status.last_label))
        if confirmed is not None and not confirmed.done():
            confirmed.set_result(status.last_label_problem)

    def _publish_task(self) -> None:
        now = self._assignment
        self._task.publish(
            Task(
                header=Header(stamp=to_time(self._now_ns())),
                task=now.task,
                instruction=now.instruction,
                operator_name=now.operator_name,
            )
        )

    def _set_task(self, request: Any, response: Any) -> Any:
        response.success, response.message = False, ""
        try:
            self._assignment = requested_assignment(request, self._assignment, self._tasks)
            self._publish_task()
            response.success = True
            response.message = f"next episodes: {self._assignment.task or 'no task'}"
        except ConfigError as error:
            response.message = str(error)
            self.get_logger().warning(response.message)
        response.task = self._assignment.task
        response.instruction = self._assignment.instruction
        response.operator_name = self._assignment.operator_name
        return response

    async def _mark_success(self, request: Any, response: Any) -> Any:
        del request
        return await self._mark(MarkOutcome.Request(outcome=int(Outcome.SUCCESS)), response)

    async def _mark_failure(self, request: Any, response: Any) -> Any:
        del request
        return await self._mark(MarkOutcome.Request(outcome=int(Outcome.FAILURE)), response)

    async def _mark(self, request: Any, response: Any) -> Any:
        target = self._target(request.episode_id)
        if isinstance(target, Verdict):
            return self._answer(response, target)
        verdict = self._check_outcome(request, target)
        if verdict.ok:
            event = LabelEvent(
                self._stamp_ns(), target.id, LabelKind.OUTCOME,
                by=request.by or self._assignment.operator_name, note=request.note,
                previous=target.outcome.text, outcome=Outcome(request.outcome), cause=request.cause,
            )  # fmt: skip
            cause = f" ({request.cause})" if request.cause else ""
            done = f"{target.id} marked as {event.outcome.text}{cause}"
            verdict = await self._store(event, done)
        if isinstance(response, MarkOutcome.Response):
            response.episode_id, response.previous = target.id, target.outcome.text
        return self._answer(response, verdict)

    async def _store(self, event: LabelEvent, done: str) -> Verdict:
        """Publish a label and wait until the recorder says that it is stored."""
        confirmed: Future[str] = Future()
        self._unconfirmed[event.stamp_ns] = confirmed

        def give_up() -> None:
            if not confirmed.done():
                confirmed.set_result(
                    "the recorder did not confirm the label within 3 s: is it running?"
                )

        timer = self.create_timer(3.0, give_up, callback_group=self._meanwhile, clock=STEADY)
        self._labels.publish(to_label(event))
        problem = await confirmed
        self.destroy_timer(timer)
        self._unconfirmed.pop(event.stamp_ns, None)
        return Verdict(not problem, problem or done)

    def _check_outcome(self, request: Any, target: _Target) -> Verdict:
        if request.outcome not in tuple(Outcome):
            return Verdict(False, f"outcome {request.outcome} is not 0, 1 or 2")
        task = self._tasks.tasks.get(target.task)
        causes = task.failure_causes if task else ()
        if request.cause and request.outcome != Outcome.FAILURE:
            return Verdict(False, "only a failure has a cause: leave cause empty or mark a failure")
        if request.cause and causes and request.cause not in causes:
            hint = did_you_mean(request.cause, causes)
            return Verdict(
                False, f"'{request.cause}' is not a failure cause of {target.task}; {hint}"
            )
        return Verdict(True)

    async def _annotate(self, request: Any, response: Any) -> Any:
        target = self._target(request.episode_id)
        if isinstance(target, Verdict):
            return self._answer(response, target)
        now_ns = self._stamp_ns()
        start_ns = to_ns(request.start) or now_ns
        end_ns = to_ns(request.end) or start_ns
        if not request.name:
            return self._answer(
                response, Verdict(False, "an annotation needs a name, such as grasp")
            )
        if end_ns < start_ns:
            return self._answer(response, Verdict(False, "the annotation ends before it starts"))
        event = LabelEvent(
            now_ns, target.id, LabelKind.ANNOTATION,
            by=request.by or self._assignment.operator_name, note=request.note,
            name=request.name, start_ns=start_ns, end_ns=end_ns,
        )  # fmt: skip
        response.episode_id = target.id
        return self._answer(
            response, await self._store(event, f"{request.name} noted in {target.id}")
        )

    def _answer(self, response: Any, verdict: Verdict) -> Any:
        response.success, response.message = verdict.ok, verdict.reason
        log_verdict(self, verdict)
        return response

    def _target(self, episode_id: str) -> _Target | Verdict:
        """The episode a label is meant for, or why there is none."""
        status = self._status
        if status is None or self._labels.get_subscription_count() == 0:
            return Verdict(False, "no recorder is listening: start it in the same namespace")
        if episode_id in ("", status.episode_id):
            if not status.episode_id:
                return Verdict(
                    False, "there is no episode yet: start one, or name one by episode_id"
                )
            return _Target(status.episode_id, status.task, Outcome(status.outcome))
        try:
            episode = Episode.open(EpisodeStore(Path(status.root)).find(episode_id))
        except BagError as error:
            if any(p.stem == episode_id for p in EpisodeStore(Path(status.root)).unfinished()):
                return _Target(episode_id, "", Outcome.UNLABELLED)  # being finalised
            return Verdict(False, str(error))
        return _Target(episode.id, episode.labels.task, episode.labels.outcome)


class _Target:
    def __init__(self, id: str, task: str, outcome: Outcome) -> None:
        self.id, self.task, self.outcome = id, task, outcome


def main() -> int:
    """Entry point of ``ros2 run robot_recorder labeller``."""

    def build() -> tuple[list[Node], list[Any]]:
        node = LabellerNode()
        return [node], []

    return run(build)
