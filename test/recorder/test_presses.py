"""One button's ups and downs become presses, long presses and double presses."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.configuration.buttons import ButtonCommand, Gestures, PressTiming
from robot_recorder.recorder.presses import Presses

STEP, FAIL, DROP = ButtonCommand("step"), ButtonCommand("failure"), ButtonCommand("discard")
ONLY_PRESS = Gestures(STEP)
WITH_LONG = Gestures(STEP, long=FAIL)
WITH_DOUBLE = Gestures(STEP, double=DROP)
ALL = Gestures(STEP, FAIL, DROP)
EVERY = (ONLY_PRESS, WITH_LONG, WITH_DOUBLE, ALL)
BOUNCE_S = PressTiming().bounce_s


class Finger:
    """Presses a button, and calls it when it wants to be called.

    Attributes:
        said: what it said and when.
    """

    def __init__(self, gestures: Gestures, reliable: bool = True) -> None:
        self.presses = Presses(gestures, reliable)
        self.said: list[tuple[float, str]] = []

    def until(self, now_s: float) -> Finger:
        while (due_s := self.presses.due_s()) is not None and due_s <= now_s:
            found = self.presses.pass_time(due_s)
            self.said += [(round(due_s, 3), one.command) for one in found]
            after_s = self.presses.due_s()
            assert after_s is None or after_s > due_s, "it must not ask for the same moment again"
        return self

    def see(self, down: bool, now_s: float) -> Finger:
        self.until(now_s)
        found = self.presses.see(down, now_s)
        self.said += [(round(now_s, 3), one.command) for one in found]
        return self

    def press(self, at_s: float, held_s: float = 0.1) -> Finger:
        return self.see(True, at_s).see(False, at_s + held_s)

    @property
    def commands(self) -> list[str]:
        return [command for _, command in self.said]


def test_a_button_that_knows_only_press_says_it_the_moment_it_goes_down() -> None:
    assert Finger(ONLY_PRESS).see(True, 1.0).said == [(1.0, "step")]


def test_a_button_that_also_knows_long_says_press_on_release() -> None:
    assert Finger(WITH_LONG).press(1.0, 0.2).until(9).said == [(1.2, "step")]


def test_a_long_press_is_said_while_the_button_is_still_held_and_only_once() -> None:
    finger = Finger(WITH_LONG).see(True, 1.0).until(60)
    assert finger.said == [(1.8, "failure")]
    assert finger.see(False, 61).until(70).commands == ["failure"]


def test_only_a_button_that_knows_double_waits_for_a_second_press() -> None:
    assert Finger(WITH_DOUBLE).press(1.0, 0.1).until(9).said == [(1.4, "step")]
    assert Finger(WITH_DOUBLE).press(1.0).press(1.25).until(9).said == [(1.25, "discard")]
    assert Finger(WITH_DOUBLE).press(1.0).press(1.6).until(9).commands == ["step", "step"]


def test_a_held_button_that_knows_double_says_press_before_it_is_released() -> None:
    assert Finger(WITH_DOUBLE).see(True, 1.0).until(60).said == [(1.3, "step")]


def test_three_gestures_of_one_button_are_told_apart() -> None:
    finger = Finger(ALL).press(1.0).until(2).press(3.0, 1.0).until(5).press(6).press(6.2).until(9)
    assert finger.commands == ["step", "failure", "discard"]


def test_a_gesture_that_says_nothing_stays_silent() -> None:
    assert Finger(Gestures(long=FAIL)).press(1.0).until(9).said == []
    assert Finger(Gestures(double=DROP)).press(1.0).until(9).said == []
    assert Finger(Gestures(long=FAIL)).see(True, 1.0).until(9).commands == ["failure"]


@pytest.mark.parametrize("gestures", EVERY)
def test_a_button_that_is_down_when_first_seen_says_nothing_until_it_was_up(
    gestures: Gestures,
) -> None:
    finger = Finger(gestures, reliable=False)
    for number in range(100):
        finger.see(True, number / 20)
    assert finger.see(False, 5.0).until(6).said == []
    assert finger.press(7.0).until(9).commands == ["step"]


@pytest.mark.parametrize("gestures", EVERY)
@given(
    changes=st.lists(st.floats(0.0005, BOUNCE_S * 0.9), max_size=6),
    reliable=st.booleans(),
)
def test_however_a_button_bounces_it_is_one_press(
    gestures: Gestures, changes: list[float], reliable: bool
) -> None:
    finger, at_s = Finger(gestures, reliable).see(False, 0.0), 1.0
    for down in (True, False):
        for number, pause_s in enumerate([0.0, *changes, *changes]):
            at_s += pause_s
            finger.see(down ^ (number % 2 == 1), at_s)
        at_s += BOUNCE_S * 1.1
    finger.until(at_s + 5)
    assert finger.commands == ["step"]


@pytest.mark.parametrize("gestures", EVERY)
@given(rate_hz=st.floats(2, 100), held_s=st.floats(3, 30), reliable=st.booleans())
def test_a_button_held_for_ever_says_one_thing(
    gestures: Gestures, rate_hz: float, held_s: float, reliable: bool
) -> None:
    finger = Finger(gestures, reliable).see(False, 0.0)
    for number in range(int(held_s * rate_hz)):
        finger.see(True, 1.0 + number / rate_hz)
    finger.until(1.0 + held_s)
    assert finger.commands == ["failure" if gestures.long else "step"]


@pytest.mark.parametrize("gestures", EVERY)
@given(
    pauses=st.lists(
        st.tuples(st.floats(BOUNCE_S * 1.1, 0.25), st.floats(0.5, 3.0)), min_size=1, max_size=10
    )
)
def test_separate_presses_are_as_many_as_were_made(
    gestures: Gestures, pauses: list[tuple[float, float]]
) -> None:
    finger, at_s = Finger(gestures), 1.0
    for held_s, pause_s in pauses:
        finger.press(at_s, held_s)
        at_s += held_s + pause_s
    assert finger.until(at_s + 1).commands == ["step"] * len(pauses)


@given(
    steps=st.lists(st.tuples(st.booleans(), st.floats(0, 2)), max_size=40), which=st.integers(0, 3)
)
def test_no_sequence_says_more_than_once_a_press(
    steps: list[tuple[bool, float]], which: int
) -> None:
    finger, at_s, states = Finger(EVERY[which], reliable=False), 0.0, []
    for down, pause_s in steps:
        at_s += pause_s
        finger.see(down, at_s)
        states.append(down)
    presses = sum(b and not a for a, b in pairwise(states))
    assert len(finger.until(at_s + 9).said) <= presses
    assert finger.presses.due_s() is None


def test_a_long_press_of_a_topic_needs_a_message_that_still_says_down() -> None:
    vanished = Finger(WITH_LONG, reliable=False).see(False, 0).see(True, 1.0).see(True, 1.05)
    assert vanished.until(60).said == [] and vanished.presses.due_s() is None
    repeated = Finger(WITH_LONG, reliable=False).see(False, 0)
    for number in range(40):
        repeated.see(True, 1.0 + number / 20)
    assert repeated.said == [(1.8, "failure")]


def test_a_long_press_of_a_publisher_that_does_not_repeat_is_said_on_release() -> None:
    finger = Finger(WITH_LONG, reliable=False).see(False, 0).see(True, 1.0).see(False, 2.0)
    assert finger.said == [(2.0, "failure")]


def test_a_publisher_that_comes_back_after_a_silence_does_not_end_a_long_press() -> None:
    for back in (True, False):
        finger = Finger(WITH_LONG, reliable=False).see(False, 0)
        finger.see(True, 1.0).see(True, 1.05).see(True, 1.1)
        assert finger.see(back, 4.0).see(back, 4.05).see(False, 4.5).said == []
        assert finger.press(6.0).commands == ["step"]
    slept = Finger(WITH_LONG, reliable=False).see(False, 0).see(True, 1.0).see(False, 600)
    assert slept.said == []


def test_a_source_that_is_forgotten_says_nothing_afterwards() -> None:
    finger = Finger(ALL).see(True, 1.0)
    finger.presses.forget()
    assert finger.until(60).said == []
    assert finger.press(61).until(62).commands == ["step"]


def test_taps_without_a_length_are_presses_and_bounce_too() -> None:
    presses = Presses(WITH_DOUBLE, reliable=True)
    assert presses.tap(1.0) == presses.tap(1.01) == presses.tap(1.04) == []
    assert presses.pass_time(1.5) == [STEP]
    assert presses.tap(3.0) + presses.tap(3.2) == [DROP]
    quick = Presses(ONLY_PRESS, reliable=True)
    assert [quick.tap(at_s) for at_s in (1.0, 1.02, 1.2)] == [[STEP], [], [STEP]]


def test_timing_is_that_of_the_gestures() -> None:
    slow = Gestures(STEP, FAIL, DROP, PressTiming(0.2, 2.0, 1.0))
    assert Finger(slow).press(1.0, 1.5).until(9).commands == ["step"]
    assert Finger(slow).see(True, 1.0).until(9).said == [(3.0, "failure")]
    assert Finger(slow).press(1.0, 0.3).press(2.2).until(9).commands == ["discard"]
    assert Finger(slow).press(1.0, 0.1).press(1.15, 0.1).until(9).commands == ["step"]
