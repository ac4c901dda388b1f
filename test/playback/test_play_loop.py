"""Playback with a simulated clock: no message is skipped, repeated or late."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import BagError
from robot_recorder.playback.play_loop import Performance, Request
from robot_recorder.playback.timeline import Message

MS = 1_000_000
T0 = 1_700_000_000_000_000_000


class Stream:
    """A ``ReadAhead`` without a thread; sometimes the next message is not read yet."""

    def __init__(
        self, found: list[Message], problem: BagError | None, slow: Iterator[bool]
    ) -> None:
        self._found, self._problem, self._slow = list(found), problem, slow
        self.ended = False
        self.problem: BagError | None = None

    def head(self) -> Message | None:
        if next(self._slow, False):
            return None
        if not self._found:
            self.ended, self.problem = True, self._problem
        return self._found[0] if self._found else None

    def pop(self) -> None:
        self._found.pop(0)

    def close(self) -> None:
        self._found.clear()


class Stage:
    """A performance of messages at given ms, with requests at given times and a simulated clock."""

    def __init__(self, at_ms: list[int], slow: list[bool] = [], problem=None, **options) -> None:  # noqa: B006
        self.sent = [Message(T0 + at * MS, "/a", b"%d" % i) for i, at in enumerate(at_ms)]
        self.now = 77
        self.heard: list[tuple[int, Message]] = []
        self.script: list[tuple[int, str]] = []
        self.answers: list[tuple[str, Answer]] = []
        self.asked: list[Request] = []
        self.publish_takes = 0
        self.ticks: list[tuple[int, int]] = []
        slowness = iter(slow)
        start = T0 + options.pop("start_ms", 0) * MS

        def read(from_ns: int) -> Any:  # like ReadAhead
            return Stream([m for m in self.sent if m.at_ns >= from_ns], problem, slowness)

        span = T0, start, self.sent[-1].at_ns
        self.performance = Performance(read, self._publish, span, pace=self, **options)

    def _publish(self, message: Message) -> None:
        self.heard.append((self.now, message))
        self.now += self.publish_takes

    def now_ns(self) -> int:
        return self.now

    def put(self, request: Request) -> None:
        self.asked.append(request)

    def wait(self, until_ns: int | None) -> Request | None:
        if self.asked:
            return self.asked.pop(0)
        at = self.script[0][0] if self.script else None
        assert until_ns is not None or at is not None, "it would wait without end"
        if at is not None and (until_ns is None or at <= max(until_ns, self.now)):
            self.now = max(self.now, at)
            return self._asked_for(self.script.pop(0)[1])
        assert until_ns is not None
        self.now = max(self.now, until_ns)
        return None

    def _asked_for(self, name: str) -> Request:
        action = (
            getattr(self.performance, name)
            if name != "back"
            else partial(self.performance.back, 0.02)
        )
        answer: Future[Answer] = Future()
        answer.add_done_callback(lambda done: self.answers.append((name, done.result())))
        return Request(action, answer)

    def play(self, *script: tuple[int, str]) -> list[bytes]:
        self.script = sorted((77 + at * MS, name) for at, name in script)
        self.performance.run()
        return [m.data for _, m in self.heard]

    @property
    def heard_ms(self) -> list[float]:
        return [round((at - 77) / MS, 3) for at, _ in self.heard]


bags = st.lists(st.integers(0, 300), min_size=1, max_size=40).map(sorted)
presses = st.lists(
    st.tuples(
        st.integers(0, 400), st.sampled_from(["toggle_paused", "play_next", "faster", "slower"])
    ),
    max_size=12,
)


@settings(deadline=None)
@given(bags, presses, st.lists(st.booleans(), max_size=30), st.integers(0, 3 * MS), st.booleans())
def test_no_message_is_skipped_or_repeated_whatever_is_pressed(
    bag, pressed, slow, takes, paused
) -> None:
    stage = Stage(bag, slow, paused=paused)
    stage.publish_takes = takes
    pauses = sum(name == "toggle_paused" for _, name in pressed) + paused
    end = [(10_000, "toggle_paused")] if pauses % 2 else []  # or it would stay paused without end
    assert stage.play(*pressed, *end) == [m.data for m in stage.sent]
    assert stage.performance.published == len(bag)


@settings(deadline=None)
@given(bags, presses, st.integers(2, 4))
def test_a_loop_plays_all_messages_each_time(bag, pressed, passes) -> None:
    keys = [(at, name) for at, name in pressed if name != "toggle_paused"]
    stage = Stage(bag, loop=True)
    last = passes * (max(bag[-1], 100) + 5) * 3
    found = stage.play(*keys, (last, "end"))
    whole = [m.data for m in stage.sent]
    assert len(found) > len(whole)
    for at in range(0, len(found), len(whole)):
        assert found[at : at + len(whole)] == whole[: len(found) - at]


@settings(deadline=None)
@given(bags, st.floats(0.1, 10))
def test_messages_are_published_when_they_are_due(bag, rate) -> None:
    stage = Stage(bag, rate=rate)
    stage.play()
    assert stage.heard_ms == pytest.approx([at / rate for at in bag], abs=0.002)
    assert stage.performance.errors.max_ms < 0.001


def test_pause_step_and_resume() -> None:
    stage = Stage([0, 10, 20, 30, 40])
    stage.play(
        (5, "play_next"), (15, "toggle_paused"), (500, "play_next"), (600, "play_next"),
        (700, "toggle_paused"),
    )  # fmt: skip
    assert stage.heard_ms == [0, 10, 500, 600, 710]
    assert [(name, v.ok, v.reason) for name, v in stage.answers] == [
        ("play_next", False, "it is playing: pause first"),
        ("toggle_paused", True, "paused at 0.015 s"),
        ("play_next", True, "/a at 0.020 s"),
        ("play_next", True, "/a at 0.030 s"),
        ("toggle_paused", True, "playing from 0.030 s"),
    ]
    assert stage.performance.errors.count == 3, "steps have no timing error"


def test_back_goes_back_by_seconds_but_not_before_the_start() -> None:
    stage = Stage([0, 10, 20, 30, 40])
    assert stage.play((35, "back")) == [b"0", b"1", b"2", b"3", b"2", b"3", b"4"]
    assert stage.heard_ms == [0, 10, 20, 30, 40, 50, 60]
    assert stage.answers[0][1].reason == "back at 0.015 s"
    stage = Stage([0, 10, 20, 30, 40], start_ms=10)
    assert stage.play((15, "back")) == [b"1", b"2", b"1", b"2", b"3", b"4"], "not before the start"


def test_a_slow_publisher_drops_nothing_and_measures_its_delay() -> None:
    stage = Stage(list(range(100)))
    stage.publish_takes = 5 * MS
    assert len(stage.play((20, "toggle_paused"), (1000, "toggle_paused"))) == 100
    assert stage.performance.errors.max_ms == pytest.approx(99 * 4 + 5, abs=6)
    assert stage.heard_ms[3] < 25 and stage.heard_ms[4] >= 1000, (
        "it can pause while messages are overdue"
    )


def test_time_in_which_the_process_was_stopped_is_not_caught_up() -> None:
    stage = Stage([0, 10, 20, 30])
    publish = stage._publish

    def stops(message: Message) -> None:
        publish(message)
        stage.now += 1000 * MS * (message.data == b"1")

    stage.performance._publish_message = stops
    stage.play((1009, "go_on"))
    assert stage.heard_ms == [0, 10, 1010, 1020]


def test_playback_waits_for_slow_reading() -> None:
    stage = Stage([0, 10, 20], slow=[True] * 50)
    stage.play()
    first = stage.heard_ms[0]
    assert first > 40 and stage.heard_ms == [first, first + 10, first + 20]
    assert stage.performance.errors.max_ms == 0


def test_damage_ends_playback_even_in_a_loop() -> None:
    stage = Stage([0, 10, 20], problem=BagError("bag is damaged near byte 5"), loop=True)
    assert len(stage.play()) == 3
    assert stage.performance.problem == "bag is damaged near byte 5; played up to 0.0 s"


def test_the_clock_ticks_while_paused_and_never_passes_a_message() -> None:
    stage = Stage([0, 10, 50, 60])
    stage.performance.on_tick(lambda at: stage.ticks.append((stage.now - 77, at - T0)), 200)
    stage.play((22, "toggle_paused"), (102, "toggle_paused"))
    assert [(round(now / MS), round(at / MS)) for now, at in stage.ticks[:6]] == [
        (0, 0), (5, 5), (10, 10), (15, 15), (20, 20), (25, 22),
    ]  # fmt: skip
    paused = [at for now, at in stage.ticks if 22 * MS < now <= 102 * MS]
    assert paused == [22 * MS] * 16
    published = {at: now - 77 for now, (at, *_) in stage.heard}
    for now, at in stage.ticks:
        assert all(published[m.at_ns] <= now for m in stage.sent if m.at_ns < at + T0)


def test_the_clock_waits_for_messages_that_are_not_read_yet() -> None:
    stage = Stage([0, 10, 20, 30], slow=[False] * 12 + [True] * 40)
    stage.performance.on_tick(lambda at: stage.ticks.append((stage.now - 77, at - T0)), 1000)
    stage.play()
    assert stage.heard_ms[1] > 20, "it was late"
    times = dict(zip((m.at_ns for m in stage.sent), stage.heard_ms))
    for now, at in stage.ticks:
        assert all(times[m.at_ns] * MS <= now + 1000 for m in stage.sent if m.at_ns < at + T0)


def test_a_cancelled_request_is_not_executed() -> None:
    stage = Stage([0, 10])
    assert stage.performance.ask(stage.performance.end).cancel()
    assert len(stage.play()) == 2


def test_a_request_after_the_end_is_answered() -> None:
    stage = Stage([0])
    stage.play()
    late = stage.performance.ask(stage.performance.toggle_paused)
    stage = Stage([0, 10])
    asked = stage.performance.ask(stage.performance.end)
    too_late = stage.performance.ask(stage.performance.toggle_paused)
    assert stage.play() in ([], [b"0"])
    assert asked.result(0).ok and too_late.result(0) == Answer(False, "it has ended")
    assert not late.done()


def test_it_can_pause_at_the_last_message_and_go_back() -> None:
    stage = Stage([0, 10, 20], paused=True)
    steps = [(at, "play_next") for at in (1, 2, 3, 4)]
    heard = stage.play(*steps, (5, "back"), (6, "play_next"), (7, "end"))
    assert heard == [b"0", b"1", b"2", b"0"]
    assert [v.ok for name, v in stage.answers if name == "play_next"] == [
        True,
        True,
        True,
        False,
        True,
    ]


def test_earlier_latched_messages_are_published_even_while_paused() -> None:
    stage = Stage([0, 1, 50, 60], paused=True)
    for number in (0, 1):
        stage.sent[number] = stage.sent[number]._replace(at_ns=T0, latched=True)
    stage.performance._stream = stage.performance._read(0)
    assert stage.play((5, "play_next"), (9, "end")) == [b"0", b"1", b"2"]
    assert stage.heard_ms == [0, 0, 5]


@pytest.mark.parametrize("off_ms", [-5000, 10**9])
def test_a_bag_with_wrong_times_in_its_metadata_is_played_at_once(off_ms: int) -> None:
    stage = Stage([0, 10, 20])
    stage.sent = [m._replace(at_ns=m.at_ns + off_ms * MS) for m in stage.sent]
    read = stage.performance._read
    stage.performance._stream = read(0)
    assert stage.play() == [b"0", b"1", b"2"] and stage.heard_ms == [0, 10, 20]


def test_after_sleep_of_the_machine_it_continues_where_it_was() -> None:
    stage = Stage([0, 10, 20, 30, 40])
    wait = stage.wait

    def asleep(until_ns: int | None) -> Request | None:
        answer = wait(until_ns)
        if len(stage.heard) == 2 and stage.now < 5000 * MS:
            stage.now += 5000 * MS
        return answer

    stage.wait = asleep  # type: ignore[method-assign]
    assert stage.play() == [b"0", b"1", b"2", b"3", b"4"]
    assert np.allclose(np.diff(stage.heard_ms)[2:], 10, atol=1)
