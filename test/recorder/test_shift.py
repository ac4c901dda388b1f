"""The shift's state machine, against a recorder of a few lines that keeps its own truth.

Holds also: shift_steps.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.labels import Outcome
from robot_recorder.model.shift import COMMANDS
from robot_recorder.quality.verdict import Verdict
from robot_recorder.recorder.shift import Shift, ShiftState
from robot_recorder.recorder.shift_steps import (
    AssignTask,
    DiscardTake,
    MarkTake,
    NoteTake,
    RecorderNews,
    Reply,
    Request,
    RestoreTake,
    ShiftPlan,
    StartTake,
    Steps,
    StopTake,
    Wish,
)


@dataclass
class World:
    """A recorder's truth, and whoever carries out a shift's steps.

    Attributes:
        fails: returns whether the next call fails.
        verdict: of the next take.
        each_s: how long a call takes.
    """

    fails: Callable[[Request], bool] = lambda request: False
    verdict: Verdict = Verdict.ACCEPT
    running: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    trash: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    now_s: float = 100.0
    each_s: float = 0.0
    shift: Shift = field(default_factory=Shift)
    said: list[str] = field(default_factory=list)
    by: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        self.calls.append(type(request).__name__)
        if self.fails(request):
            return Reply(False, "the disk is on fire")
        if isinstance(request, AssignTask):
            return Reply(True, plan=request.plan)
        if isinstance(request, StartTake):
            assert not self.running, "the recorder was asked to start twice"
            self.running = f"take_{len(self.outcomes) + 1}"
            self.outcomes[self.running] = Outcome.UNLABELLED
            return Reply(True, "recording", self.running)
        if isinstance(request, StopTake):
            assert self.running, "the recorder was asked to stop without a take"
            id, self.running = self.running, ""
            return Reply(
                True, "saved", id, self.verdict, f"{self.verdict.text}: because", "gap", "head"
            )
        if isinstance(request, MarkTake):
            assert request.id not in self.trash
            self.outcomes[request.id] = request.outcome
            self.by.append(request.by)
        if isinstance(request, NoteTake):
            notes = self.notes.setdefault(request.id, [])
            notes.remove(request.name) if request.retract else notes.append(request.name)
        if isinstance(request, DiscardTake):
            assert request.id not in self.trash
            self.trash.add(request.id)
            self.running = "" if self.running == request.id else self.running
        if isinstance(request, RestoreTake):
            self.trash.remove(request.id)
        return Reply(True, "done", request.id)

    def drive(self, steps: Steps | None) -> Reply:
        assert steps is not None
        reply = None
        while True:
            try:
                request = steps.send(reply) if reply is not None else next(steps)
            except StopIteration as end:
                result: Reply = end.value
                break
            self.now_s += self.each_s
            self.shift.now_s = self.now_s
            reply = self.answer(request)
        self.said += [event.name for event in self.shift.events]
        self.shift.events.clear()
        return result

    def state(self) -> ShiftState:
        return self.shift.state

    def press(self, command: str, **more: Any) -> Reply:
        self.now_s += 1
        return self.drive(self.shift.command(Wish(command, **more), self.now_s))

    def begin(self, **plan: object) -> Reply:
        return self.drive(self.shift.begin(ShiftPlan(**plan), bool(self.running)))  # type: ignore[arg-type]

    def news(self, **more: object) -> RecorderNews:
        return RecorderNews(bool(self.running), self.running, **more)  # type: ignore[arg-type]

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        if (steps := self.shift.tick(self.now_s)) is not None:
            self.drive(steps)


@pytest.fixture
def world() -> World:
    return World()


def test_two_presses_make_a_take_with_its_outcome(world: World) -> None:
    world.begin(task="lift_box", operator_name="ann", target=2)
    assert world.press("step").ok and world.state() is ShiftState.RECORDING
    assert world.press("step").ok and world.state() is ShiftState.READY
    assert world.outcomes == {"take_1": Outcome.SUCCESS}
    assert world.calls == ["AssignTask", "StartTake", "MarkTake", "StopTake"]
    assert (world.shift.counted, world.shift.taken) == (1, 1)
    assert world.said == ["begin", "start", "stop", "accept", "success", "ready"]


def test_what_follows_a_call_begins_when_it_is_done(world: World) -> None:
    """A slow start, or a busy machine, must not make a success of a second press that came too soon."""
    world.each_s = 1.0
    world.begin()
    world.press("step")
    begun_s = world.now_s
    again = world.drive(world.shift.command(Wish("step"), begun_s + 0.05))
    assert not again.ok and "only just started" in again.message
    late = Wish("step", pressed_s=begun_s - 0.3)  # heard a second after it was pressed
    assert not world.drive(world.shift.command(late, begun_s + 1.0)).ok
    assert world.state() is ShiftState.RECORDING
    assert world.drive(world.shift.command(replace(late, pressed_s=begun_s + 0.9), begun_s + 1)).ok
    assert world.outcomes == {"take_1": Outcome.SUCCESS}


@pytest.mark.parametrize("command", ["success", "failure", "discard", "next", "retry"])
def test_a_press_that_is_heard_late_means_no_take_that_began_after_it(
    world: World, command: str
) -> None:
    world.begin()
    world.press("step")
    world.press("step")
    pressed_s = world.now_s + 0.5
    world.press("step")
    late = world.press(command, pressed_s=pressed_s)
    assert not late.ok and "before this take began" in late.message
    assert world.state() is ShiftState.RECORDING
    assert world.outcomes == {"take_1": Outcome.SUCCESS, "take_2": Outcome.UNLABELLED}
    assert not world.trash
    assert world.press(command, pressed_s=world.now_s + 1).ok


@pytest.mark.parametrize("command", ["step", "success", "failure", "discard", "retry", "undo"])
def test_an_order_that_arrives_late_means_no_take_that_was_not_seen(
    world: World, command: str
) -> None:
    """A page repeats an order until it is answered, and meanwhile somebody else goes on by pedal."""
    world.begin()
    world.press("step")
    assert "another take" in world.press(command, shown="none").message
    assert world.state() is ShiftState.RECORDING and not world.trash
    world.press("step", shown="take_1")
    world.press("step", shown="take_1")
    assert world.outcomes == {"take_1": Outcome.SUCCESS, "take_2": Outcome.UNLABELLED}
    late = world.press(command, shown="take_1")
    assert not late.ok and "another take" in late.message
    assert world.running == "take_2" and not world.trash
    assert world.outcomes == {"take_1": Outcome.SUCCESS, "take_2": Outcome.UNLABELLED}
    assert world.press("success", shown="take_2").ok


def test_a_count_down_and_a_reset_are_as_long_as_they_are_announced(world: World) -> None:
    world.each_s = 1.0
    world.begin(countdown_s=3.0, reset_s=5.0)
    world.press("step")
    world.wait(3.0)
    assert world.state() is ShiftState.RECORDING
    world.press("retry")
    assert world.state() is ShiftState.COUNTDOWN
    assert world.shift.remaining_s(world.now_s) == pytest.approx(3.0)
    world.wait(3.0)
    world.press("success")
    assert world.state() is ShiftState.RESET
    assert world.shift.remaining_s(world.now_s) == pytest.approx(5.0)


def test_a_status_of_before_a_slow_start_does_not_end_the_take(world: World) -> None:
    world.each_s = 3.0
    world.begin()
    world.press("step")
    assert world.shift.observe(RecorderNews(False, ""), world.now_s + 0.5) is None
    assert world.state() is ShiftState.RECORDING


def test_the_shift_stops_at_its_target_and_says_so_once(world: World) -> None:
    world.begin(target=1)
    world.press("step")
    world.press("step")
    assert world.state() is ShiftState.DONE and world.said.count("target") == 1
    assert "target of 1 is reached" in world.press("step").message
    world.press("undo")
    assert world.state() is ShiftState.VERDICT and world.shift.counted == 0


def test_a_rejected_success_does_not_count_and_says_why(world: World) -> None:
    world.begin(target=1)
    world.verdict = Verdict.REJECT
    world.press("next")
    steps = world.shift.command(Wish("success"), world.now_s + 2)
    world.drive(steps)
    assert world.shift.counted == 0 and world.state() is ShiftState.READY
    assert "reject" in world.said


def test_a_take_without_an_outcome_asks_for_it_and_the_next_press_goes_on(world: World) -> None:
    world.begin()
    world.press("next")
    world.press("next")
    assert world.state() is ShiftState.VERDICT
    world.press("failure", cause="slip", by="ann")
    assert world.state() is ShiftState.READY
    assert world.shift.last is not None and world.shift.last.cause == "slip" and world.by == ["ann"]
    world.press("next")
    world.press("next")
    assert world.press("next").ok and len(world.shift.takes) == 3


def test_a_bouncing_step_starts_one_take(world: World) -> None:
    world.begin()
    world.press("step")
    bounce = world.drive(world.shift.command(Wish("step"), world.now_s + 0.1))
    assert not bounce.ok and world.state() is ShiftState.RECORDING
    assert world.calls.count("StopTake") == 0


def test_a_first_press_without_a_shift_begins_the_usual_one() -> None:
    world = World(shift=Shift(ShiftPlan(target=3, station="A1")))
    assert world.press("step").ok
    assert world.shift.plan.station == "A1" and world.state() is ShiftState.RECORDING
    assert not World().press("undo").ok


def test_a_refused_start_leaves_it_ready_and_says_why(world: World) -> None:
    world.begin()
    world.fails = lambda request: isinstance(request, StartTake)
    assert world.press("step").message == "the disk is on fire"
    assert world.state() is ShiftState.READY and world.shift.takes == []
    assert world.said[-1] == "refused"


def test_retry_discards_and_starts_again_and_undo_brings_back(world: World) -> None:
    world.begin()
    world.press("next")
    world.press("retry")
    assert world.trash == {"take_1"} and world.running == "take_2"
    assert world.notes["take_1"] == ["discarded"]
    assert world.press("undo").ok
    assert world.trash == set() and world.notes["take_1"] == []
    assert world.running == "take_2", "undo does not touch the take that runs"


def test_a_warm_up_take_goes_to_the_trash_and_does_not_count(world: World) -> None:
    world.begin(warm_up=1, target=1)
    for _ in range(2):
        world.press("step")
        world.press("step")
    assert world.trash == {"take_1"} and world.notes["take_1"] == ["warm_up"]
    assert world.shift.counted == 1 and world.state() is ShiftState.DONE


def test_a_count_down_starts_by_itself_and_can_be_cancelled(world: World) -> None:
    world.begin(countdown_s=3.0, reset_s=5.0)
    world.press("step")
    assert world.state() is ShiftState.COUNTDOWN and world.shift.remaining_s(world.now_s) == 3
    world.press("discard")
    assert world.state() is ShiftState.READY
    world.press("step")
    world.wait(3.1)
    assert world.state() is ShiftState.RECORDING
    world.press("success")
    assert world.state() is ShiftState.RESET
    world.wait(6)
    assert world.state() is ShiftState.READY


def test_the_longest_take_is_stopped_and_asks_for_its_outcome(world: World) -> None:
    world.begin(max_take_s=10.0)
    world.press("next")
    world.wait(9)
    assert world.state() is ShiftState.RECORDING
    world.wait(2)
    assert world.state() is ShiftState.VERDICT and "longest take" in world.shift.message


def test_pause_holds_until_pressed_again(world: World) -> None:
    world.begin()
    world.press("pause")
    assert not world.press("step").ok and world.running == ""
    world.press("pause")
    assert world.press("step").ok
    assert not world.press("pause").ok and world.running


def test_a_take_that_ends_by_itself_is_finished_with_its_verdict(world: World) -> None:
    world.begin()
    world.press("next")
    id = world.running
    assert world.shift.observe(world.news(), world.now_s) is None
    world.running = ""
    news = RecorderNews(False, id, Verdict.REVIEW, "review: ended by max_episode_s")
    world.drive(world.shift.observe(news, world.now_s + 1))
    assert world.state() is ShiftState.VERDICT
    assert world.shift.last is not None and world.shift.last.verdict is Verdict.REVIEW


def test_a_recorder_that_was_killed_ends_the_take_as_aborted(world: World) -> None:
    world.begin()
    world.press("next")
    world.shift.observe(world.news(), world.now_s)
    world.running = ""
    world.drive(world.shift.observe(RecorderNews(False, ""), world.now_s + 5))
    assert world.said[-1] == "aborted" or "aborted" in world.said
    assert world.state() is ShiftState.VERDICT and "restarted" in world.shift.message


def test_a_status_of_before_the_start_does_not_end_a_take(world: World) -> None:
    world.begin()
    world.press("next")
    assert world.shift.observe(RecorderNews(False, "earlier"), world.now_s + 0.5) is None
    assert world.state() is ShiftState.RECORDING


def test_a_take_that_somebody_else_started_is_part_of_the_shift(world: World) -> None:
    world.begin()
    world.answer(StartTake(ShiftPlan()))
    world.shift.observe(world.news(duration_s=2.0), world.now_s)
    assert world.state() is ShiftState.RECORDING
    assert world.press("success").ok and world.shift.counted == 1


def test_labels_and_discards_of_others_change_what_counts(world: World) -> None:
    world.begin(target=1)
    world.press("step")
    world.press("step")
    assert world.state() is ShiftState.DONE
    world.shift.labelled("take_1", Outcome.FAILURE, "slip", world.now_s)
    assert world.shift.counted == 0 and world.state() is ShiftState.READY
    world.shift.labelled("take_1", Outcome.SUCCESS, "", world.now_s)
    world.shift.moved(set(), world.now_s)
    assert world.shift.counted == 0
    world.shift.moved({"take_1"}, world.now_s)
    assert world.shift.counted == 1 and world.state() is ShiftState.DONE


def test_lost_streams_and_a_low_disk_are_said_once(world: World) -> None:
    world.begin()
    world.said.clear()
    for left in (30, 19, 18, 9, 8, 30):
        world.shift.observe(world.news(bad_streams=("head",), episodes_left=left), world.now_s)
    world.shift.observe(world.news(episodes_left=30), world.now_s)
    assert [e.name for e in world.shift.events] == ["lost", "disk", "disk", "back"]


def test_a_second_command_while_one_is_under_way_is_refused(world: World) -> None:
    world.begin()
    steps = world.shift.command(Wish("step"), world.now_s)
    next(steps)
    assert "wait for its answer" in world.press("step").message
    steps.close()
    assert world.press("step").ok


def test_an_unknown_command_is_refused_by_name(world: World) -> None:
    world.begin()
    assert "next, step" in world.press("explode").message


@given(st.lists(st.tuples(st.sampled_from(COMMANDS), st.integers(0, 9), st.sampled_from(Verdict)), max_size=60),
       st.integers(0, 3), st.integers(0, 3))  # fmt: skip
def test_whatever_is_pressed_and_whatever_fails_it_counts_what_is_on_the_disk(
    presses: list[tuple[str, int, Verdict]], target: int, warm_up: int
) -> None:
    luck = [9]
    world = World(fails=lambda request: luck == [0])
    world.begin(target=target, warm_up=warm_up)
    for command, number, world.verdict in presses:
        luck[:] = [number]
        world.press(command)
        shift = world.shift
        assert (shift.state is ShiftState.RECORDING) == bool(world.running)
        for take in shift.takes:
            assert take.discarded == (take.id in world.trash)
            assert take.outcome is world.outcomes[take.id]
            assert take.finished == (take.id != world.running)
        assert {t.id for t in shift.takes} <= set(world.outcomes)
        if shift.state is ShiftState.DONE:
            assert target and shift.counted >= target
        # A restart at any moment changes nothing but timers.
        plain = json.loads(json.dumps(shift.to_dict()))
        again = Shift.from_dict(plain, world.now_s, shift.usual)
        assert again.to_dict() == {**plain, "state": again.to_dict()["state"]}
        assert (again.counted, again.undo_text) == (shift.counted, shift.undo_text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["plan", "state", "takes", "decisions", "message", "id", "outcome"]), inner),
                    max_leaves=12))  # fmt: skip
def test_a_file_that_is_not_a_shift_is_refused_with_a_known_error(plain: object) -> None:
    try:
        Shift.from_dict(plain, 0.0, ShiftPlan())  # type: ignore[arg-type]
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
