"""The labeller node: sets the task and operator, marks outcomes and annotates episodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from robot_recorder.episodes.label_rules import to_be_annotated
from robot_recorder.episodes.labelling import LabelledEpisode, decide, look_up
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import TAKE, LabelEvent, LabelKind, Outcome, outcome_text
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.msg import EpisodeStatus, Label, Task
from robot_recorder.nodes.checked_services import serve
from robot_recorder.nodes.conversions import requested_assignment, to_label, to_ns, to_time
from robot_recorder.nodes.label_target import LabelTarget, find_target
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import (
    LATCHED,
    LATCHED_ALL,
    STEADY,
    log_answer,
    parameter,
    tasks_parameter,
)
from robot_recorder.recorder.recorder import Assignment
from robot_recorder.srv import Annotate, MarkOutcome, SetTask

_LOOKS, _LOOK_S = 12, 0.25  # for a confirmation: of a process that stood still, one look is lost
_HEARD = Duration(seconds=0.5)  # a new task takes milliseconds; longer must not delay labels


class LabellerNode(Node):
    """Serves ``labeller/*``; publishes ``labeller/labels`` and, latched, ``labeller/task``.

    The recorder receives the labels and writes them into the metadata of the episode and, while it
    is running, into its bag.
    """

    def __init__(self) -> None:
        """Create the node.

        Raises:
            ConfigError: a parameter is invalid.
        """
        super().__init__("labeller")
        self._tasks = tasks_parameter(self)
        self._status: EpisodeStatus | None = None
        self._behind_ns = self._last_stamp_ns = 0
        self._unconfirmed: dict[int, Future[str]] = {}
        operator = parameter(
            self, "operator", "", "who drives the robot, until set_task changes it"
        )
        self._labels = self.create_publisher(Label, "labeller/labels", 100)
        self._task = self.create_publisher(Task, "labeller/task", LATCHED)
        # A label waits for the recorder's confirmation, which needs another callback group.
        self._meanwhile = ReentrantCallbackGroup()
        self.create_subscription(
            EpisodeStatus,
            "recorder/status",
            self._on_status,
            LATCHED_ALL,
            callback_group=self._meanwhile,
        )
        # What holds now: of those that wait while this process is busy, the oldest comes first above.
        self.create_subscription(
            EpisodeStatus,
            "recorder/status",
            self._on_newest,
            LATCHED,
            callback_group=self._meanwhile,
        )
        serve(self, SetTask, "labeller/set_task", self._set_task)
        serve(self, MarkOutcome, "labeller/mark_outcome", self._mark)
        serve(self, Annotate, "labeller/annotate", self._annotate)
        serve(self, Trigger, "labeller/mark_success", self._mark_success)
        serve(self, Trigger, "labeller/mark_failure", self._mark_failure)
        task = parameter(self, "task", "", "task of the next episodes, until set_task changes it")
        asked = SetTask.Request(task=task, operator_name=operator)
        self._assignment = requested_assignment(asked, Assignment(), self._tasks)
        self._publish_task()

    def _now_ns(self) -> int:
        """Return the time of the robot clock, ns; corrected if the recorder's clock differs."""
        return int(self.get_clock().now().nanoseconds) + self._behind_ns

    def _stamp_ns(self) -> int:
        """Return a unique timestamp for an event; the confirmation refers to it."""
        self._last_stamp_ns = max(self._now_ns(), self._last_stamp_ns + 1)
        return self._last_stamp_ns

    def _on_newest(self, status: EpisodeStatus) -> None:
        self._status = status
        behind_ns = to_ns(status.header.stamp) - int(self.get_clock().now().nanoseconds)
        # Differs only if the wall clock was set during an episode; less is the message's delay.
        self._behind_ns = behind_ns if abs(behind_ns) > 2 * NS_PER_S else 0

    def _on_status(self, status: EpisodeStatus) -> None:
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

    def _heard(self) -> bool:
        """Wait until the recorder has the task, so that an episode that starts next has it, too."""
        publisher = self._task
        return bool(publisher.get_subscription_count() and publisher.wait_for_all_acked(_HEARD))

    def _set_task(self, request: Any, response: Any) -> Any:
        response.success, response.message = False, ""
        try:
            self._assignment = requested_assignment(request, self._assignment, self._tasks)
            self._publish_task()
            response.success = True
            response.message = f"next episodes: {self._assignment.task or 'no task'}"
            if not self._heard():
                response.message += "; no recorder has heard of it yet"
        except ConfigError as error:
            response.message = str(error)
            NodeLog(self).warning(response.message)
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
        if isinstance(target, Answer):
            return self._answer(response, target)
        now = target.now
        previous = now.labels.outcome_text
        event = self._admitted(self._outcome(request, now), now)
        answer = event if isinstance(event, Answer) else Answer(True)
        if isinstance(event, LabelEvent):
            answer, now = await self._store(event, now)
            previous = next((e.previous for e in now.events if _stored(e, event)), previous)
            if answer.ok:
                marked = f"{target} marked as {outcome_text(event.outcome, event.cause)}"
                missing = to_be_annotated(now.labels, now.task(self._tasks))
                answer = Answer(True, f"{marked} (was {previous}){missing}")
        if isinstance(response, MarkOutcome.Response):
            response.episode_id, response.previous = now.id, previous
        return self._answer(response, answer)

    async def _annotate(self, request: Any, response: Any) -> Any:
        target = self._target(request.episode_id)
        if isinstance(target, Answer):
            return self._answer(response, target)
        now = target.now
        response.episode_id = now.id
        event = self._admitted(self._annotation(request, now), now)
        if isinstance(event, Answer):
            return self._answer(response, event)
        answer, now = await self._store(event, now)
        if answer.ok:
            what = f"{event.name} at {now.span.text(event.start_ns, event.end_ns)}"
            done = "withdrawn from" if request.retract else "noted in"
            answer = Answer(True, f"{what} {done} {target}")
        return self._answer(response, answer)

    def _outcome(self, request: Any, now: LabelledEpisode) -> LabelEvent | Answer:
        if request.outcome not in tuple(Outcome):
            return Answer(False, f"outcome {request.outcome} is not 0, 1 or 2")
        return LabelEvent(
            self._stamp_ns(), now.id, LabelKind.OUTCOME, by=self._who(request, now),
            note=request.note, outcome=Outcome(request.outcome), cause=request.cause,
        )  # fmt: skip

    def _annotation(self, request: Any, now: LabelledEpisode) -> LabelEvent | Answer:
        if request.outcome not in tuple(Outcome):
            return Answer(False, f"outcome {request.outcome} is not 0, 1 or 2")
        stamp_ns, start_ns = self._stamp_ns(), to_ns(request.start)
        kind = LabelKind.RETRACTION if request.retract else LabelKind.ANNOTATION
        if not request.retract:
            start_ns = start_ns or stamp_ns
        event = LabelEvent(
            stamp_ns, now.id, kind, by=self._who(request, now), note=request.note,
            name=request.name, start_ns=start_ns, end_ns=to_ns(request.end) or start_ns,
        )  # fmt: skip
        if request.retract or request.name != TAKE:
            return event
        return replace(
            self._of_take(event, request, now),
            outcome=Outcome(request.outcome),
            cause=request.cause,
        )

    def _of_take(self, event: LabelEvent, request: Any, now: LabelledEpisode) -> LabelEvent:
        """Add the task of a take: the one asked for; or else, of a running episode, the one set last."""
        if request.task or now.span.to_ns is not None:
            return replace(event, task=request.task)
        own = self._assignment
        return replace(
            event, task=own.task, instruction=own.instruction, operator_name=own.operator_name
        )

    def _admitted(self, asked: LabelEvent | Answer, now: LabelledEpisode) -> LabelEvent | Answer:
        """Return the event that the recorder will store, or why it will reject it."""
        if isinstance(asked, Answer):
            return asked
        try:
            return decide([asked], now, self._tasks, self._now_ns())[0]
        except ConfigError as error:
            return Answer(False, str(error))

    def _who(self, request: Any, now: LabelledEpisode) -> str:
        operator = self._assignment.operator_name or now.labels.operator_name
        return str(request.by or operator or "unknown")

    async def _store(
        self, event: LabelEvent, now: LabelledEpisode
    ) -> tuple[Answer, LabelledEpisode]:
        """Publish a label and wait until the recorder confirms that it is stored.

        Returns:
            Whether it is stored; and the episode afterwards, or as before if it cannot be read.
        """
        confirmed: Future[str] = Future()
        self._unconfirmed[event.stamp_ns] = confirmed

        looks = iter(range(_LOOKS))

        def look() -> None:
            if next(looks, None) is None and not confirmed.done():
                confirmed.set_result(
                    f"the recorder did not confirm the label within {_LOOKS * _LOOK_S:g} s: is it running?"
                )

        timer = self.create_timer(_LOOK_S, look, callback_group=self._meanwhile, clock=STEADY)
        self._labels.publish(to_label(event))
        problem = await confirmed
        self.destroy_timer(timer)
        self._unconfirmed.pop(event.stamp_ns, None)
        try:
            assert self._status is not None
            now = look_up(EpisodeStore(Path(self._status.root)), now.id)
        except BagError:  # on another machine: use what was known before
            pass
        return Answer(not problem, problem or ""), now

    def _answer(self, response: Any, answer: Answer) -> Any:
        response.success, response.message = answer.ok, answer.reason
        log_answer(self, answer)
        return response

    def _target(self, episode_id: str) -> LabelTarget | Answer:
        """Return the episode a label is meant for, or why there is none."""
        if self._status is None or self._labels.get_subscription_count() == 0:
            return Answer(False, "no recorder is running: start it in the same namespace")
        return find_target(self._status, episode_id)


def _stored(one: LabelEvent, asked: LabelEvent) -> bool:
    """Return whether an event of a log is the one asked for, which is stamped after all before it."""
    same = replace(one, stamp_ns=asked.stamp_ns, previous=asked.previous) == asked
    return same and one.stamp_ns >= asked.stamp_ns
