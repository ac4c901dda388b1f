"""The operator node: a shift, its buttons and what is heard, through the recorder's services."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from math import nan
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from robot_recorder.configuration.buttons import ButtonCommand
from robot_recorder.configuration.find import load_buttons, load_words
from robot_recorder.episodes.locks import HeldError, Lock
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.ids import PARTIAL
from robot_recorder.model.labels import LabelEvent, LabelKind
from robot_recorder.model.shift import COMMANDS
from robot_recorder.model.streams import StreamHealth
from robot_recorder.msg import EpisodeStatus, Label, Said, ShiftStatus
from robot_recorder.nodes.buttons import Buttons
from robot_recorder.nodes.checked_services import make_visible, serve
from robot_recorder.nodes.conversions import from_label, to_ns, to_time
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import (
    LATCHED,
    LATCHED_ALL,
    SILENT_S,
    STEADY,
    episodes_root,
    parameter,
    profile_parameter,
    robot_name,
    run,
    tasks_parameter,
)
from robot_recorder.nodes.shift_calls import ShiftCalls
from robot_recorder.nodes.speaker import Speaker
from robot_recorder.quality.verdict import Verdict
from robot_recorder.recorder.shift import Shift, ShiftState
from robot_recorder.recorder.shift_file import ShiftFile
from robot_recorder.recorder.shift_steps import (
    Event,
    RecorderNews,
    Reply,
    ShiftPlan,
    Steps,
    Wish,
)
from robot_recorder.srv import BeginShift, ShiftCommand

_TICK_S = 0.05
_STANDSTILL_S = 1.0
_LOOK_S = 2.0  # between two looks at which episodes are on the disk
_KEYS = 100  # answers that are kept for calls that are made again
_BAD = (
    StreamHealth.STALE, StreamHealth.NEVER, StreamHealth.WRONG_TYPE, StreamHealth.UNHEARD,
    StreamHealth.STILL, StreamHealth.NOT_ENCODED,
)  # fmt: skip


class OperatorNode(Node):
    """Serves ``shift/*`` and ``start_record``, ``stop_record``, ``cancel_record``; says what happens."""

    def __init__(self) -> None:
        """Create the node and go on with the shift of before a restart.

        Raises:
            ConfigError: a parameter is invalid, or another operator node serves this robot.
        """
        super().__init__("operator")
        self._tasks = tasks_parameter(self)
        robot, root = robot_name(self, profile_parameter(self)), episodes_root(self)
        self._store = EpisodeStore(root)
        self._lock = self._claim(robot)
        usual = self._usual_plan()
        language = parameter(self, "language", "en", "of what is said: en, zh or de")
        self._words = load_words(language)
        self._speaker = self._new_speaker(language)
        self._file = ShiftFile(root, robot)
        self._answers: OrderedDict[str, list[Any]] = OrderedDict()
        self._shift = self._restored(usual)
        self._status: EpisodeStatus | None = None
        self._heard_s: float | None = None
        self._lost = False
        self._unconfirmed: OrderedDict[int, LabelEvent] = OrderedDict()  # by stamp
        self._looked_s, self._ticked_s = 0.0, time.monotonic()
        self._published_s = 0.0
        self._under_way: dict[str, Future[Reply]] = {}
        self._serve()
        bindings = parameter(
            self, "buttons", "", "bindings: a file, or the name of one in config/buttons"
        )
        self._buttons = Buttons(self, load_buttons(bindings), self._pressed) if bindings else None
        self._publish()

    def _claim(self, robot: str) -> Lock | None:
        try:
            self._store.make_root()
            return Lock(self._store.root, f".operator_{robot}", wait_s=0)
        except HeldError as error:
            raise ConfigError(
                f"another operator node serves {robot} in {self._store.root}: {error}; stop it, or give this one a "
                "namespace of its own"
            ) from error
        except OSError as error:
            NodeLog(self).warning(
                f"the shift will not survive a restart: {self._store.root}: {error}"
            )
            return None

    def _usual_plan(self) -> ShiftPlan:
        texts: dict[str, tuple[Any, str]] = {
            "station": ("", "where the robot is"),
            "target": (0, "takes of a shift that begins by a button; 0: no end"),
            "warm_up": (0, "first takes for practice, which go to the trash"),
            "countdown_s": (0.0, "s from the press to the start of a take"),
            "max_take_s": (0.0, "s; a longer take is stopped; 0: unlimited"),
            "reset_s": (0.0, "s for setting the scene up after a take"),
        }
        return ShiftPlan(**{name: parameter(self, name, *rest) for name, rest in texts.items()})

    def _new_speaker(self, language: str) -> Speaker:
        tones = parameter(self, "tones", True, "play tones on this machine")
        speech = parameter(self, "speech", False, "speak on this machine, with espeak-ng")
        quiet = parameter(self, "quiet", "", "events that are not heard, such as start,stop")
        unheard = frozenset(quiet.replace(",", " ").split())
        unknown = unheard - self._words.say.keys()
        if unknown:
            known = ", ".join(self._words.say)
            raise ConfigError(
                f"parameter 'quiet' names {', '.join(sorted(unknown))}: give some of {known}"
            )
        return Speaker(language, tones, speech, unheard, NodeLog(self))

    def _restored(self, usual: ShiftPlan) -> Shift:
        plain = self._file.load()
        if plain is None:
            return Shift(usual)
        try:
            shift = Shift.from_dict(plain["shift"], time.monotonic(), usual)
            self._answers.update((str(key), list(answer)) for key, answer in plain["answers"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._file.reject(f"{type(error).__name__}: {error}")
            return Shift(usual)
        NodeLog(self).info(f"the shift goes on: {len(shift.takes)} takes, {shift.counted} count")
        return shift

    def _serve(self) -> None:
        meanwhile = ReentrantCallbackGroup()  # a command waits for answers of the recorder
        self._calls = ShiftCalls(self, self._store, self._recorder_heard)
        self._statuses = self.create_publisher(ShiftStatus, "shift/status", LATCHED)
        self._said = self.create_publisher(Said, "shift/said", 50)
        for kind, topic, callback, qos in (
            (EpisodeStatus, "recorder/status", self._on_status, LATCHED_ALL),
            (Label, "labeller/labels", self._on_label, 100),
        ):
            self.create_subscription(kind, topic, callback, qos, callback_group=meanwhile)
        serve(self, BeginShift, "shift/begin", self._begin, callback_group=meanwhile)
        serve(self, ShiftCommand, "shift/command", self._command, callback_group=meanwhile)
        triggers = {f"shift/{name}": self._trigger(name) for name in COMMANDS}
        triggers["start_record"] = self._record_trigger("next", wanted=False)
        triggers["stop_record"] = self._record_trigger("next", wanted=True)
        triggers["cancel_record"] = self._record_trigger("discard", wanted=True)
        for name, callback in triggers.items():
            serve(self, Trigger, name, callback, callback_group=meanwhile)
        self.create_timer(_TICK_S, self._tick, callback_group=meanwhile, clock=STEADY)

    def close(self) -> None:
        """Save the shift and stop the speaker."""
        self._save()
        if self._buttons is not None:
            self._buttons.close()
        self._speaker.close()
        if self._lock is not None:
            self._lock.release()

    # -- commands

    async def _begin(self, request: Any, response: Any) -> Any:
        try:
            plan = self._plan(request)
        except ConfigError as error:
            response.success, response.message = False, str(error)
            return response
        recording = self._status is not None and self._status.state == EpisodeStatus.STATE_RECORDING
        reply = await self._once(
            "begin", request, lambda: self._shift.begin(plan, recording, request.by)
        )
        response.success, response.message = reply.ok, reply.message
        return response

    def _plan(self, request: Any) -> ShiftPlan:
        """Return the plan that a request asks for.

        Raises:
            ConfigError: a number is out of range, or the task is unknown.
        """
        target = request.target
        if target < 0:
            target = (self._tasks.find(request.task).target if request.task else None) or 0
        for name in ("countdown_s", "max_take_s", "reset_s"):
            if getattr(request, name) < 0:
                raise ConfigError(f"{name} is {getattr(request, name):g}: give at least 0")
        return ShiftPlan(
            request.task, request.instruction, request.operator_name, request.station, target,
            request.warm_up, request.countdown_s, request.max_take_s, request.reset_s,
        )  # fmt: skip

    async def _command(self, request: Any, response: Any) -> Any:
        wish = Wish(request.command, request.by, request.cause, request.note, shown=request.shown)
        reply = await self._once(
            request.command, request, lambda: self._shift.command(wish, time.monotonic())
        )
        response.success, response.message, response.episode_id = reply.ok, reply.message, reply.id
        response.state = int(self._shift.state)
        return response

    def _trigger(self, name: str) -> Any:
        async def called(request: Any, response: Any) -> Any:
            del request
            reply = await self._drive(self._shift.command(Wish(name), time.monotonic()))
            response.success, response.message = reply.ok, reply.message
            return response

        return called

    def _record_trigger(self, name: str, wanted: bool) -> Any:
        """Return a callback that gives a command only while a take is, or is not, recorded."""
        called = self._trigger(name)

        async def checked(request: Any, response: Any) -> Any:
            recording = self._shift.state is ShiftState.RECORDING
            if recording is wanted:
                return await called(request, response)
            response.success = False
            response.message = (
                "a take is being recorded already" if recording else "no take is being recorded"
            )
            return response

        return checked

    def _pressed(self, button: ButtonCommand, at_s: float) -> None:
        """Carry out what a button is bound to."""
        wish = Wish(button.command, cause=button.cause, pressed_s=at_s)
        self._in_background(self._shift.command(wish, time.monotonic()))

    def _in_background(self, steps: Steps) -> None:
        assert self.executor is not None
        self.executor.create_task(self._drive, steps)

    async def _once(self, what: str, request: Any, steps: Any) -> Reply:
        """Carry out steps unless the same call, with its key, did, or does so."""
        key = f"{request.key} {what} {request.by}" if request.key else ""
        if key in self._answers:
            ok, message, id = self._answers[key]
            return Reply(ok, message, id)
        if key in self._under_way:
            shared: Reply | None = await self._under_way[key]
            assert shared is not None
            return shared
        if not key:
            return await self._drive(steps())
        future = self._under_way[key] = Future()
        reply = Reply(False, "the command failed: see the log of the operator node")
        try:
            reply = await self._drive(steps(), key)
        finally:
            del self._under_way[key]
            future.set_result(reply)
        return reply

    async def _drive(self, steps: Steps, key: str = "") -> Reply:
        """Carry out steps: make each call, and say and publish what follows from it.

        Args:
            steps: what to do.
            key: that the answer is kept under; empty: it is not.
        """
        reply: Any = None
        while True:
            try:
                request = steps.send(reply)
            except StopIteration as end:
                result: Reply = end.value
                break
            self._tell()
            reply = await self._calls.reply(request)
            self._shift.now_s = time.monotonic()
        if key:
            self._answers[key] = [result.ok, result.message, result.id]
            while len(self._answers) > _KEYS:
                self._answers.popitem(last=False)
        self._publish()
        NodeLog(self).info(result.message) if result.ok else NodeLog(self).warning(result.message)
        return result

    # -- what is heard

    def _on_status(self, status: EpisodeStatus) -> None:
        try:
            verdict = Verdict(status.verdict)
        except ValueError as error:
            NodeLog(self).seldom_warning(f"recorder/status is not understood: {error}")
            return
        self._status, self._heard_s = status, time.monotonic()
        if self._lost:
            self._lost = False
            self._shift.events.append(Event("recorder_back"))
        bad = tuple(s.name for s in status.streams if s.required and s.health in _BAD)
        news = RecorderNews(
            status.state == EpisodeStatus.STATE_RECORDING, status.episode_id, verdict,
            status.verdict_sentence, status.error, status.duration_s, bad,
            None if status.episodes_left < 0 else status.episodes_left,
        )  # fmt: skip
        self._confirm(status)
        before = self._shift.state
        steps = self._shift.observe(news, time.monotonic())
        if steps is not None:
            self._in_background(steps)
        elif before is not self._shift.state or self._shift.events:
            self._publish()

    def _recorder_heard(self) -> bool:
        return self._heard_s is not None and time.monotonic() - self._heard_s <= SILENT_S

    def _on_label(self, label: Label) -> None:
        """Keep a label until the recorder has stored or refused it: anybody may publish one."""
        try:
            event = from_label(label)
        except ValueError:
            return  # the recorder refuses it, too, and says why
        if event.kind is LabelKind.OUTCOME:
            self._unconfirmed[event.stamp_ns] = event
            while len(self._unconfirmed) > _KEYS:
                self._unconfirmed.popitem(last=False)
            if self._status is not None:
                self._confirm(self._status)

    def _confirm(self, status: EpisodeStatus) -> None:
        """Take in the outcome that the recorder handled last."""
        event = self._unconfirmed.pop(to_ns(status.last_label), None)
        if event is not None and not status.last_label_problem:
            now_s = time.monotonic()
            self._shift.labelled(event.episode_id, event.outcome, event.cause, now_s)
            self._publish()

    def _tick(self) -> None:
        now_s = time.monotonic()
        stood_s, self._ticked_s = now_s - self._ticked_s, now_s
        if self._heard_s is not None and stood_s > _STANDSTILL_S:
            # It was this process that did not hear.
            self._heard_s = min(self._heard_s + stood_s, now_s)
        silent = self._heard_s is not None and not self._recorder_heard()
        if silent and not self._lost and self._shift.state is not ShiftState.IDLE:
            self._lost = True
            self._shift.events.append(Event("recorder_lost"))
            self._publish()
        if now_s - self._looked_s > _LOOK_S:
            self._looked_s = now_s
            self._look_at_disk(now_s)
        state, steps = self._shift.state, self._shift.tick(now_s)
        if steps is not None:
            self._in_background(steps)
        elif self._shift.state is not state or now_s - self._published_s > 1.0:
            self._publish()

    def _look_at_disk(self, now_s: float) -> None:
        """Tell the shift which episodes are still there: others may discard and restore them."""
        if self._shift.state is ShiftState.IDLE or not self._shift.takes:
            return
        try:
            names = os.listdir(self._store.root)
        except OSError as error:
            NodeLog(self).seldom_warning(f"discarded takes may count: {self._store.root}: {error}")
            return
        self._shift.moved({name.removesuffix(PARTIAL) for name in names}, now_s)

    # -- what is told

    def _publish(self) -> None:
        """Say what is to be said, publish the state, save it."""
        self._tell()
        self._save()

    def _tell(self) -> None:
        """Say what is to be said, and publish the state."""
        events, self._shift.events = self._shift.events, []
        for event in events:
            self._say(event)
        now_s = self._published_s = time.monotonic()
        self._statuses.publish(make_visible(self._status_message(now_s)))

    def _say(self, event: Event) -> None:
        text = self._words.sentence(event.name, event.values)
        stamp = self.get_clock().now().to_msg()
        message = Said(
            header=Header(stamp=stamp), event=event.name, language=self._words.language, text=text,
            names=list(event.values), values=list(event.values.values()),
        )  # fmt: skip
        self._said.publish(make_visible(message))
        self._speaker.say(event.name, text)

    def _save(self) -> None:
        if self._lock is None:
            return
        before = self._file.problem
        plain = {"shift": self._shift.to_dict(), "answers": list(self._answers.items())}
        self._file.save(plain)
        if self._file.problem and self._file.problem != before:
            NodeLog(self).error(self._file.problem)

    def _status_message(self, now_s: float) -> ShiftStatus:
        shift, plan = self._shift, self._shift.plan
        remaining_s = shift.remaining_s(now_s)
        task = self._tasks.tasks.get(plan.task)
        status = ShiftStatus(
            header=Header(stamp=to_time(int(self.get_clock().now().nanoseconds))),
            state=int(shift.state), recorder=self._recorder_heard(), task=plan.task, instruction=plan.instruction,
            operator_name=plan.operator_name, station=plan.station, target=plan.target,
            counted=shift.counted, taken=shift.taken, warm_up=shift.warm_up_left,
            remaining_s=nan if remaining_s is None else remaining_s, undo=shift.undo_text,
            failure_causes=list(task.failure_causes) if task is not None else [],
            message=self._file.problem or shift.message,
        )  # fmt: skip
        decision = shift.undoable
        if decision is not None:
            status.undo_take, status.undo_restores = shift.number(decision.id), decision.discarded
            status.undo_outcome = int(decision.outcome)
        take = shift.last
        if take is not None:
            status.episode_id, status.outcome = take.id, int(take.outcome)
            status.cause, status.verdict = take.cause, int(take.verdict)
            status.verdict_sentence = take.sentence
        return status


def main() -> int:
    """Run ``ros2 run robot_recorder operator``; return the exit code."""

    def build() -> tuple[list[Node], list[Any]]:
        node = OperatorNode()
        return [node], [node]

    return run(build)
