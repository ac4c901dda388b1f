"""Carry out a shift's requests: one call of a service each, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from robot_recorder.episodes.labelling import look_up
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.errors import BagError
from robot_recorder.msg import QualityReport
from robot_recorder.nodes.conversions import to_time
from robot_recorder.nodes.runtime import LATCHED_ALL, STEADY
from robot_recorder.quality.verdict import Verdict
from robot_recorder.recorder.shift_steps import (
    AssignTask,
    DiscardTake,
    MarkTake,
    NoteTake,
    Reply,
    Request,
    RestoreTake,
    ShiftPlan,
    StartTake,
    StopTake,
)
from robot_recorder.srv import (
    Annotate,
    DiscardEpisode,
    MarkOutcome,
    RestoreEpisode,
    SetTask,
    StartEpisode,
    StopEpisode,
)

_LOOK_S = 0.25
_FIND_S, _FIND_LOOK_S, _SETTLE_S = 2.0, 0.05, 0.3
_PATIENCE_S = 10.0
_FINALISING_S = 120.0  # a slow disk may take long; the answer comes when the episode is complete
_REPORT_S = 0.2  # the quality report is published before the stop is answered


class ShiftCalls:
    """Clients of recorder and labeller."""

    def __init__(self, node: Node, store: EpisodeStore, heard: Callable[[], bool]) -> None:
        """Create the clients.

        Args:
            node: the operator's.
            store: the recorder's episodes.
            heard: returns whether the recorder's status is fresh. A killed node's services seem to
                exist for another 20 s.
        """
        self._node = node
        self._store = store
        self._heard = heard
        self._group = ReentrantCallbackGroup()
        self._clients: dict[Any, Any] = {
            kind: node.create_client(kind, name, callback_group=self._group)
            for kind, name in (
                (StartEpisode, "recorder/start_episode"),
                (StopEpisode, "recorder/stop_episode"),
                (DiscardEpisode, "recorder/discard_episode"),
                (RestoreEpisode, "recorder/restore_episode"),
                (SetTask, "labeller/set_task"),
                (MarkOutcome, "labeller/mark_outcome"),
                (Annotate, "labeller/annotate"),
            )
        }
        self._report: QualityReport | None = None
        self._awaited: Future[None] | None = None
        # All of them: the report of a later episode must not take the place of the awaited one.
        reports: Any = {"qos_profile": LATCHED_ALL, "callback_group": self._group}
        node.create_subscription(QualityReport, "recorder/quality", self._on_report, **reports)

    async def reply(self, request: Request) -> Reply:
        """Carry out a request."""
        if isinstance(request, StopTake):
            return await self._stop()
        if isinstance(request, AssignTask):
            return await self._assign(request.plan)
        kind, message = _message(request, self._store)
        answer = await self._call(kind, message)
        if isinstance(answer, str):
            return Reply(False, answer)
        return Reply(answer.success, answer.message, answer.episode_id)

    async def _assign(self, plan: ShiftPlan) -> Reply:
        request = SetTask.Request(
            task=plan.task, instruction=plan.instruction, operator_name=plan.operator_name
        )
        answer = await self._call(SetTask, request)
        if isinstance(answer, str):
            return Reply(False, answer)
        held = {name: getattr(answer, name) for name in ("task", "instruction", "operator_name")}
        return Reply(answer.success, answer.message, plan=ShiftPlan(**{**vars(plan), **held}))

    async def _stop(self) -> Reply:
        answer = await self._call(StopEpisode, StopEpisode.Request(), _FINALISING_S)
        if isinstance(answer, str):
            return Reply(False, answer)
        id, verdict = answer.episode_id, Verdict(answer.verdict)
        why = stream = ""
        if id and verdict in (Verdict.REVIEW, Verdict.REJECT):
            report = await self._report_of(id)
            if report is not None and report.results:
                why, stream = report.results[0].check, report.results[0].stream
        return Reply(
            answer.success, answer.message, id, verdict, answer.verdict_sentence, why, stream
        )

    async def _report_of(self, id: str) -> QualityReport | None:
        """Return the quality report of an episode; None: it did not come in time."""
        if self._report is None or self._report.episode_id != id:
            self._awaited = Future()
            timer = self._timer(_REPORT_S, self._awaited)
            await self._awaited
            self._node.destroy_timer(timer)
            self._awaited = None
        report = self._report
        return report if report is not None and report.episode_id == id else None

    def _on_report(self, report: QualityReport) -> None:
        self._report = report
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)

    def _timer(self, seconds: float, future: Future[None]) -> Any:
        def over() -> None:
            if not future.done():
                future.set_result(None)

        return self._node.create_timer(seconds, over, callback_group=self._group, clock=STEADY)

    async def _found(self, client: Any) -> bool:
        """Return whether a service exists; one that was just started takes a moment to be found."""
        until_s, new = time.monotonic() + _FIND_S, False
        while not (client.service_is_ready() and self._heard()):
            if time.monotonic() > until_s:
                return False
            new = True
            await self._pause(_FIND_LOOK_S)
        if new:
            # It must find this client, too: an answer to somebody it does not know is lost.
            await self._pause(_SETTLE_S)
        return True

    async def _pause(self, seconds: float) -> None:
        pause: Future[None] = Future()
        timer = self._timer(seconds, pause)
        await pause
        self._node.destroy_timer(timer)

    async def _call(self, kind: Any, request: Any, patience_s: float = _PATIENCE_S) -> Any:
        """Return the service's response, or a sentence that says why it did not come."""
        client = self._clients[kind]
        name = client.srv_name
        if not await self._found(client):
            return f"{name} is not heard: start the recorder in the same namespace"
        ended: Future[Any] = Future()
        looks = round(patience_s / _LOOK_S)

        def end(result: Any) -> None:
            if not ended.done():
                ended.set_result(result)

        def look() -> None:
            nonlocal looks
            looks -= 1
            if not (client.service_is_ready() and self._heard()):
                end(f"the node of {name} ended before it answered: start the recorder again")
            elif not looks:
                end(f"{name} did not answer in {patience_s:g} s")

        called = client.call_async(request)
        called.add_done_callback(lambda done: end(done.result()))
        timer = self._node.create_timer(_LOOK_S, look, callback_group=self._group, clock=STEADY)
        answer = await ended
        self._node.destroy_timer(timer)
        client.remove_pending_request(called)
        return answer


def annotate_whole(
    store: EpisodeStore, id: str, name: str, by: str, retract: bool = False, note: str = ""
) -> Any:
    """Return the request that annotates an episode as a whole, or this moment of a running one.

    Args:
        store: it is kept in.
        id: of the episode.
        name: of the annotation.
        by: who says so.
        retract: whether the last annotation of the name is withdrawn instead.
        note: why.
    """
    request = Annotate.Request(name=name, episode_id=id, by=by, retract=retract, note=note)
    if not retract:
        try:
            span = look_up(store, id).span
        except BagError:  # the labeller says what is wrong with it
            return request
        if span.to_ns is not None:
            request.start, request.end = to_time(span.start_ns), to_time(span.to_ns)
    return request


def _message(request: Request, store: EpisodeStore) -> tuple[Any, Any]:
    """Return the service and its request."""
    if isinstance(request, StartTake):
        plan = request.plan
        return StartEpisode, StartEpisode.Request(
            task=plan.task, instruction=plan.instruction, operator_name=plan.operator_name
        )
    if isinstance(request, MarkTake):
        return MarkOutcome, MarkOutcome.Request(
            outcome=int(request.outcome), episode_id=request.id, cause=request.cause,
            note=request.note, by=request.by,
        )  # fmt: skip
    if isinstance(request, NoteTake):
        return Annotate, annotate_whole(
            store, request.id, request.name, request.by, request.retract
        )
    if isinstance(request, DiscardTake):
        return DiscardEpisode, DiscardEpisode.Request(episode_id=request.id)
    if isinstance(request, RestoreTake):
        return RestoreEpisode, RestoreEpisode.Request(episode_id=request.id)
    raise TypeError(f"{type(request).__name__} is not called by itself")
