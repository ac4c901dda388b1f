"""A shift: what one operator does with takes, from the first press to the target. Pure, without ROS.

A command is carried out by a generator (``Steps``): it yields requests to the recorder's services, is sent
a ``Reply`` to each, and returns the answer to the operator. So the order of the calls is written as
it happens, and nothing here waits. Times are s of a monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from enum import IntEnum
from typing import Any

from robot_recorder.model.labels import Outcome, outcome_text
from robot_recorder.model.shift import COMMANDS
from robot_recorder.quality.verdict import Verdict
from robot_recorder.recorder.shift_steps import (
    NO_PLAN,
    NONE_SHOWN,
    AssignTask,
    Decision,
    DiscardTake,
    Event,
    MarkTake,
    NoteTake,
    RecorderNews,
    Reply,
    RestoreTake,
    ShiftPlan,
    StartTake,
    Steps,
    StopTake,
    Take,
    Wish,
)
from robot_recorder.recorder.start_gate import in_brief

_BOUNCE_S = 0.5  # a take cannot be finished by `step` sooner: it was meant to start one
_SURE_S = 2.0  # a status that is older than a take's start cannot arrive this long after it
_LOW_EPISODES = (
    20  # that fit on the disk, below which the operator is told; again at every half of it
)


class ShiftState(IntEnum):
    """State of a shift; values as ShiftStatus.STATE_*."""

    IDLE = 0
    READY = 1
    COUNTDOWN = 2
    RECORDING = 3
    VERDICT = 4
    RESET = 5
    PAUSED = 6
    DONE = 7


class Shift:
    """The state machine. One thread uses it; ``command`` and ``tick`` return steps to be carried out.

    Attributes:
        usual: plan of a shift that begins by the first press of a button.
        plan: what is to be done.
        state: where it is.
        takes: oldest first.
        message: the last event, one sentence.
        events: to be said, oldest first; whoever says them takes them out.
        now_s: current time, s of the monotonic clock. Whoever carries out steps sets it before each reply:
            what follows a call begins when it is done.
    """

    def __init__(self, usual: ShiftPlan = NO_PLAN) -> None:
        """Create it idle.

        Args:
            usual: plan of a shift that begins by the first press of a button.
        """
        self.usual = usual
        self.plan = NO_PLAN
        self.state = ShiftState.IDLE
        self.takes: list[Take] = []
        self.message = "no shift: begin one"
        self.events: list[Event] = []
        self.now_s = 0.0
        self._decisions: list[Decision] = []
        self._busy = ""
        self._until_s = math.inf  # of count-down and reset
        self._started_s = 0.0
        self._seen = False  # the recorder's status has shown the running take
        self._bad: tuple[str, ...] = ()
        self._told_left: int | None = None

    # -- what there is

    @property
    def last(self) -> Take | None:
        """Return the take that is recorded, or the last one."""
        return self.takes[-1] if self.takes else None

    @property
    def counted(self) -> int:
        """Return the number of takes that count towards the target."""
        return sum(take.counts for take in self.takes)

    @property
    def taken(self) -> int:
        """Return the number of takes that are finished and kept."""
        return sum(take.finished and not take.discarded for take in self.takes)

    @property
    def warm_up_left(self) -> int:
        """Return the number of takes for practice that are still to come."""
        return max(0, self.plan.warm_up - sum(take.warm_up for take in self.takes))

    def remaining_s(self, now_s: float) -> float | None:
        """Return the time until count-down, reset or the longest take is over; None: no timer runs."""
        if self.state is ShiftState.RECORDING and self.plan.max_take_s:
            return max(0.0, self._started_s + self.plan.max_take_s - now_s)
        return max(0.0, self._until_s - now_s) if math.isfinite(self._until_s) else None

    @property
    def undo_text(self) -> str:
        """Return what ``undo`` would take back; empty: nothing."""
        decision = self.undoable
        if decision is None:
            return ""
        if decision.discarded:
            return f"restore take {self.number(decision.id)} from the trash"
        before = outcome_text(decision.outcome, decision.cause)
        return f"take {self.number(decision.id)} back to {before}"

    @property
    def undoable(self) -> Decision | None:
        """Return the decision that ``undo`` would take back; None: nothing."""
        return self._decisions[-1] if self._decisions else None

    def number(self, id: str) -> int:
        """Return the number of a take, from 1; 0: it belongs to another shift."""
        return next((n for n, take in enumerate(self.takes, 1) if take.id == id), 0)

    def _take(self, id: str) -> Take | None:
        return next((take for take in reversed(self.takes) if take.id == id), None)

    # -- commands

    def begin(self, plan: ShiftPlan, recording: bool, by: str = "") -> Steps:
        """Begin a shift.

        Args:
            plan: what is to be done.
            recording: whether an episode is being recorded.
            by: who says so.
        """
        if self.state is not ShiftState.IDLE:
            return self._refuse(
                f"a shift of {self.plan.operator_name or 'nobody'} is going on: end it first"
            )
        if recording:
            return self._refuse("an episode is being recorded: stop it first")
        return self._alone("begin", self._begin(plan, by))

    def command(self, wish: Wish, now_s: float) -> Steps:
        """Return the steps of a command."""
        self.now_s = now_s
        if wish.command not in COMMANDS:
            return self._refuse(
                f"unknown command '{wish.command}': give one of {', '.join(COMMANDS)}"
            )
        early = wish.pressed_s is not None and wish.pressed_s < self._started_s
        if early and self.state is ShiftState.RECORDING and wish.command not in ("step", "undo"):
            return self._refuse("it was pressed before this take began")
        newest = self.last.id if self.last is not None else NONE_SHOWN
        if wish.shown and wish.shown != newest and self.state is not ShiftState.IDLE:
            return self._refuse("another take has begun since: look, and press again")
        steps: Steps = getattr(self, f"_{wish.command}")(wish)
        if self.state is ShiftState.IDLE:
            steps.close()
            if wish.command not in ("next", "step"):
                return self._refuse("no shift is going on: begin one")
            steps = self._begin_and_go(wish)
        return self._alone(wish.command, steps)

    def tick(self, now_s: float) -> Steps | None:
        """Return the steps that a timer asks for now; None: nothing is due."""
        if self._busy:
            return None
        self.now_s = now_s
        if self.state is ShiftState.RECORDING:
            limit_s = self.plan.max_take_s
            if limit_s and now_s >= self._started_s + limit_s:
                return self._alone("stop", self._stop(f"the longest take, {limit_s:g} s, is over"))
        elif now_s >= self._until_s:
            if self.state is ShiftState.COUNTDOWN:
                return self._alone("start", self._start())
            self._settle(after_reset=True)
        return None

    def _alone(self, name: str, steps: Steps) -> Steps:
        """Carry out steps unless others are on their way; what they return becomes the message."""
        if self._busy:
            steps.close()
            return (
                yield from self._refuse(f"{self._busy} is still on its way: wait for its answer")
            )
        self._busy = name
        try:
            reply = yield from steps
        finally:
            self._busy = ""
        if reply.message:
            self.message = reply.message
        return reply

    def _refuse(self, why: str) -> Steps:
        self._say("refused", why=why)
        return Reply(False, why)
        yield  # makes it a generator

    def _say(self, name: str, **values: object) -> None:
        self.events.append(Event(name, {key: str(value) for key, value in values.items()}))

    def _begin(self, plan: ShiftPlan, by: str) -> Steps:
        reply = yield AssignTask(plan)
        if not reply.ok:
            return (yield from self._refuse(reply.message))
        self.plan = plan = reply.plan or plan
        self.takes, self._decisions = [], []
        self.state = ShiftState.READY
        self._say("begin", task=plan.task, target=plan.target)
        wanted = f"{plan.target} takes" if plan.target else "takes without an end"
        return Reply(
            True,
            f"shift of {by or plan.operator_name or 'nobody'}: {wanted} of {plan.task or 'no task'}",
        )

    def _begin_and_go(self, wish: Wish) -> Steps:
        """Begin the usual shift with its first take, for those who have a button and nothing else."""
        reply = yield from self._begin(self.usual, wish.by)
        return (yield from self._ready_go()) if reply.ok else reply

    def _next(self, wish: Wish) -> Steps:
        if self.state is ShiftState.RECORDING:
            return (yield from self._stop())
        if self.state is ShiftState.DONE:
            why = f"the target of {self.plan.target} is reached: end the shift, or begin one with more"
            return (yield from self._refuse(why))
        if self.state is ShiftState.PAUSED:
            return (yield from self._refuse("the shift is paused: press pause to go on"))
        if self.state is ShiftState.COUNTDOWN:
            return (yield from self._refuse("the take is about to start"))
        return (yield from self._ready_go())

    def _step(self, wish: Wish) -> Steps:
        if self.state is not ShiftState.RECORDING:
            return (yield from self._next(wish))
        pressed_s = self.now_s if wish.pressed_s is None else wish.pressed_s
        if pressed_s - self._started_s < _BOUNCE_S:
            return Reply(False, "the take has only just started: the press is ignored")
        return (yield from self._success(wish))

    def _ready_go(self) -> Steps:
        if self.plan.countdown_s > 0:
            self.state, self._until_s = ShiftState.COUNTDOWN, self.now_s + self.plan.countdown_s
            self._say("countdown", seconds=f"{self.plan.countdown_s:g}")
            return Reply(True, f"the take starts in {self.plan.countdown_s:g} s")
        return (yield from self._start())

    def _start(self) -> Steps:
        reply = yield StartTake(self.plan)
        if not reply.ok:
            self._settle(quiet=True)
            self._say("refused", why=in_brief(reply.message))
            return Reply(False, reply.message)
        self._began(reply.id)
        return Reply(True, reply.message, reply.id)

    def _began(self, id: str, duration_s: float = 0.0) -> None:
        self.takes.append(Take(id, warm_up=self.warm_up_left > 0))
        self.state, self._until_s = ShiftState.RECORDING, math.inf
        self._started_s, self._seen = self.now_s - duration_s, False
        self._say("start", number=len(self.takes))

    def _stop(self, why: str = "") -> Steps:
        take = self.takes[-1]
        reply = yield StopTake()
        if not reply.ok and not reply.id:
            return (yield from self._refuse(reply.message))  # it goes on, or its status will say so
        self._say("stop")
        yield from self._finish(take, reply)
        return Reply(reply.ok, f"{why}: {reply.message}" if why else reply.message, take.id)

    def _finish(self, take: Take, reply: Reply) -> Steps:
        """Keep what is known of a take that has ended, and say it."""
        take.finished, take.verdict, take.sentence = True, reply.verdict, reply.sentence
        if reply.ok:
            values = {} if reply.verdict in (Verdict.ACCEPT, Verdict.UNKNOWN) else {
                "why": reply.why or reply.sentence, "stream": reply.stream}  # fmt: skip
            self._say(reply.verdict.text, **values)
        else:
            self._say("aborted", why=reply.message)
        self._say_outcome(take)
        if take.warm_up:
            yield from self._throw_away(take, "warm_up", "")
        self._settle()
        return reply

    def _settle(self, after_reset: bool = False, quiet: bool = False) -> None:
        """Go to the state that follows from the takes, when nothing is being recorded."""
        self._until_s = math.inf
        last = self.last
        before = self.state
        if self.plan.target and self.counted >= self.plan.target:
            self.state = ShiftState.DONE
            if before is not ShiftState.DONE:
                self._say("target", target=self.plan.target)
        elif (
            last is not None
            and not last.discarded
            and last.outcome is Outcome.UNLABELLED
            and not after_reset
        ):
            self.state = ShiftState.VERDICT
        elif self.plan.reset_s > 0 and before in (ShiftState.RECORDING, ShiftState.VERDICT):
            self.state, self._until_s = ShiftState.RESET, self.now_s + self.plan.reset_s
            self._say("reset", seconds=f"{self.plan.reset_s:g}")
        else:
            self.state = ShiftState.READY
            if not quiet:
                self._say("ready")

    def _success(self, wish: Wish) -> Steps:
        return (yield from self._outcome(Outcome.SUCCESS, wish))

    def _failure(self, wish: Wish) -> Steps:
        return (yield from self._outcome(Outcome.FAILURE, wish))

    def _outcome(self, outcome: Outcome, wish: Wish) -> Steps:
        take = self.last
        if take is None or self.state is ShiftState.COUNTDOWN:
            return (yield from self._refuse("there is no take to mark yet"))
        if take.discarded:
            return (yield from self._refuse("the last take is in the trash: undo brings it back"))
        before, cause = take.outcome, take.cause
        marked = yield MarkTake(take.id, outcome, wish.cause, wish.note, wish.by)
        if not marked.ok:
            return (yield from self._refuse(marked.message))
        take.outcome, take.cause = outcome, wish.cause
        self._decisions.append(Decision(take.id, False, before, cause))
        if not take.finished:
            stopped = yield from self._stop()
            return Reply(
                stopped.ok, f"{outcome_text(outcome, wish.cause)}; {stopped.message}", take.id
            )
        self._say_outcome(take)
        self._settled()
        return Reply(True, marked.message, take.id)

    def _say_outcome(self, take: Take) -> None:
        if take.outcome is Outcome.SUCCESS:
            self._say("success", counted=self.counted, target=self.plan.target)
        elif take.outcome is Outcome.FAILURE:
            self._say("failure", cause=take.cause)

    def _settled(self) -> None:
        """Adapt the state after a change of earlier takes; what runs goes on."""
        running = (ShiftState.RECORDING, ShiftState.COUNTDOWN, ShiftState.RESET, ShiftState.PAUSED)
        if self.state not in running:
            self._settle(quiet=True)

    def _discard(self, wish: Wish) -> Steps:
        if self.state is ShiftState.COUNTDOWN:
            self._settle()
            return Reply(True, "the count-down is cancelled")
        take = self.last
        if take is None or take.discarded:
            why = (
                "there is no take to discard"
                if take is None
                else "the last take is in the trash already"
            )
            return (yield from self._refuse(why))
        reply = yield from self._throw_away(take, "discarded", wish.by)
        if reply.ok:
            self._settle() if self.state is ShiftState.RECORDING else self._settled()
        return reply

    def _throw_away(self, take: Take, name: str, by: str) -> Steps:
        """Move a take to the trash; an annotation of the name says who did, and why."""
        noted = yield NoteTake(take.id, name, by)
        reply = yield DiscardTake(take.id)
        if not reply.ok:
            if noted.ok:
                yield NoteTake(take.id, name, by, retract=True)
            return (yield from self._refuse(reply.message))
        take.discarded = take.finished = True
        self._decisions.append(Decision(take.id, True, note=name if noted.ok else ""))
        self._say("discard")
        return Reply(True, reply.message, take.id)

    def _retry(self, wish: Wish) -> Steps:
        if self.state in (ShiftState.PAUSED, ShiftState.COUNTDOWN):
            return (yield from self._next(wish))  # which says why not
        take = self.last
        if take is not None and not take.discarded:
            reply = yield from self._throw_away(take, "discarded", wish.by)
            if not reply.ok:
                return reply
            self._settle(quiet=True)
        return (yield from self._ready_go())

    def _pause(self, wish: Wish) -> Steps:
        if self.state is ShiftState.RECORDING:
            return (yield from self._refuse("a take is being recorded: finish or discard it first"))
        if self.state is ShiftState.PAUSED:
            self._say("resume")
            self._settle(quiet=True)
            return Reply(True, "the shift goes on")
        self.state, self._until_s = ShiftState.PAUSED, math.inf
        self._say("pause")
        return Reply(True, "the shift is paused")

    def _undo(self, wish: Wish) -> Steps:
        if not self._decisions:
            return (yield from self._refuse("there is nothing to undo"))
        decision, text = self._decisions[-1], self.undo_text
        take = self._take(decision.id)
        assert take is not None
        if decision.discarded:
            reply = yield RestoreTake(decision.id)
            if reply.ok and decision.note:
                yield NoteTake(decision.id, decision.note, wish.by, retract=True)
        else:
            reply = yield MarkTake(decision.id, decision.outcome, decision.cause, "undone", wish.by)
        if not reply.ok:
            return (yield from self._refuse(reply.message))
        self._decisions.pop()
        if decision.discarded:
            take.discarded = False
        else:
            take.outcome, take.cause = decision.outcome, decision.cause
        self._say("restore" if decision.discarded else "undone")
        self._settled()
        return Reply(True, f"undone: {text}", decision.id)

    def _end(self, wish: Wish) -> Steps:
        if self.state is ShiftState.RECORDING:
            return (yield from self._refuse("a take is being recorded: finish or discard it first"))
        counted, taken = self.counted, self.taken
        self.state, self._until_s = ShiftState.IDLE, math.inf
        self._say("end", counted=counted)
        return Reply(True, f"the shift is over: {taken} takes kept, {counted} count")

    # -- what is heard

    def observe(self, news: RecorderNews, now_s: float) -> Steps | None:
        """Take in the recorder's status.

        Returns:
            The steps that follow when a take was begun or ended by somebody else; None: nothing.
        """
        if self.state is ShiftState.IDLE:
            return None
        self.now_s = now_s
        self._watch_streams(news)
        self._watch_disk(news)
        if self._busy:
            return None
        if self.state is not ShiftState.RECORDING:
            if news.recording and self._take(news.id) is None:
                self._began(news.id, news.duration_s)
                self.message = f"{news.id} was started by somebody else and is part of the shift"
            return None
        take = self.takes[-1]
        if news.recording and news.id == take.id:
            self._seen = True
            return None
        if not self._seen and now_s - self._started_s < _SURE_S:
            return None  # a status of before the take
        return self._alone("stop", self._ended(take, news))

    def _ended(self, take: Take, news: RecorderNews) -> Steps:
        """Finish a take that was stopped by the recorder itself or by somebody else."""
        if news.id == take.id:
            reply = Reply(not news.error, news.error, take.id, news.verdict, news.sentence)
        else:
            why = "the recorder was restarted while this take was recorded: it recovers what is on the disk"
            reply = Reply(False, why, take.id)
        yield from self._finish(take, reply)
        return Reply(reply.ok, reply.message or f"{take.id} was stopped: {news.sentence}", take.id)

    def _watch_streams(self, news: RecorderNews) -> None:
        for name in news.bad_streams:
            if name not in self._bad:
                self._say("lost", stream=name)
        for name in self._bad:
            if name not in news.bad_streams:
                self._say("back", stream=name)
        self._bad = news.bad_streams

    def _watch_disk(self, news: RecorderNews) -> None:
        left, told = news.episodes_left, self._told_left
        if left is None or left >= _LOW_EPISODES:
            self._told_left = None
        elif told is None or left <= told // 2:
            self._told_left = left
            self._say("disk", left=left)

    def labelled(self, id: str, outcome: Outcome, cause: str, now_s: float) -> None:
        """Take in an outcome that somebody else gave to a take."""
        self.now_s = now_s
        take = self._take(id)
        if take is None or self._busy or (take.outcome, take.cause) == (outcome, cause):
            return
        take.outcome, take.cause = outcome, cause
        if take.finished:
            self._settled()

    def moved(self, kept: Collection[str], now_s: float) -> None:
        """Take in which episodes are on the disk: others may discard and restore takes, too.

        Args:
            kept: ids of all episodes that are not in the trash.
            now_s: current time.
        """
        self.now_s, changed = now_s, False
        for take in self.takes if not self._busy else ():
            if take.finished and take.discarded == (take.id in kept):
                take.discarded, changed = take.id not in kept, True
        if changed:
            self._settled()

    # -- across a restart

    def to_dict(self) -> dict[str, Any]:
        """Return everything that must survive, as plain values for JSON."""
        return {
            "plan": asdict(self.plan),
            "state": self.state.name.lower(),
            "takes": [{**asdict(t), "outcome": t.outcome.text, "verdict": t.verdict.text} for t in self.takes],
            "decisions": [{**asdict(d), "outcome": d.outcome.text} for d in self._decisions],
            "message": self.message,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], now_s: float, usual: ShiftPlan) -> Shift:
        """Restore a shift. A count-down is cancelled, a running take is looked up in the next status.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: it is not from ``to_dict``.
        """
        shift = cls(usual)
        shift.plan = ShiftPlan(**_known(ShiftPlan, plain["plan"]))
        for entry in plain["takes"]:
            known = _known(Take, entry)
            known["outcome"] = Outcome[known["outcome"].upper()]
            known["verdict"] = Verdict[known["verdict"].upper()]
            shift.takes.append(Take(**known))
        for entry in plain["decisions"]:
            known = _known(Decision, entry)
            known["outcome"] = Outcome[known["outcome"].upper()]
            shift._decisions.append(Decision(**known))
        shift.message = str(plain["message"])
        shift.state = ShiftState[plain["state"].upper()]
        shift.now_s = shift._started_s = now_s
        if shift.state in (ShiftState.COUNTDOWN, ShiftState.RESET):
            shift._settle(after_reset=True, quiet=True)
        return shift


def _known(kind: type, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that a dataclass knows, so that a newer file opens."""
    names = {f.name for f in fields(kind)}
    return {key: value for key, value in plain.items() if key in names}
