"""A hand of the robot follows a person's only while it may, and never too far or too fast."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.sim.hand_commands import (
    LOST_S,
    Following,
    HandCommand,
    HandLimits,
    HandPose,
    rotation_of,
    rotation_vector,
)

LIMITS = HandLimits((0.1, -0.2, 0.8), (0.6, 0.6, 1.3))
HOME = HandPose(np.array([0.3, 0.2, 1.0]), rotation_of(np.array([0.1, 0.3, -0.2])))
STRAIGHT = np.array([0.0, 0.0, 0.0, 1.0])
FRAME_S, TICK_S = 1 / 72, 0.01
# The headset's clock: off by years, and much too fast.
OFFSET_NS, DRIFT = 7_000_000_000_000_000, 1.01


def quaternion(vector: np.ndarray) -> np.ndarray:
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle else vector
    return np.array([*(axis * math.sin(angle / 2)), math.cos(angle / 2)])


@dataclass
class Person:
    """A hand with a controller, at a time."""

    position_m: np.ndarray
    turn: np.ndarray
    trigger: float = 0.0
    grip: float = 1.0
    held: bool = True


class Session:
    """A hand command with a headset whose frames come at 72 Hz, looked at 100 times a second."""

    def __init__(self, limits: HandLimits = LIMITS, jitter_s: float = 0.0, seed: int = 0) -> None:
        self.command = HandCommand(limits)
        self.now_s = 100.0
        self.person = Person(np.array([0.4, 0.1, 1.3]), np.zeros(3))
        self.hand, self.bend = HOME, 0.0
        self.frame_s = self.now_s
        self.tracked, self.stamped, self.connected = True, True, True
        self.stamp_ns = OFFSET_NS
        self._jitter_s, self._random = jitter_s, np.random.default_rng(seed)
        self._under_way: list[tuple[float, np.ndarray, np.ndarray, int]] = []
        self.path: list[HandPose] = []

    def tick(self) -> HandPose:
        """Let a hundredth of a second pass."""
        self.now_s += TICK_S
        while self.frame_s <= self.now_s:
            self._frame()
            self.frame_s += FRAME_S
        while self._under_way and self._under_way[0][0] <= self.now_s:
            _, at, turn, stamp = self._under_way.pop(0)
            self.command.heard_pose(at, turn, stamp, self.now_s)
        self.hand = self.command.advance(self.hand, self.bend, self.now_s)
        self.bend = self.command.bend if self.command.bend is not None else self.bend
        self.path.append(self.hand)
        return self.hand

    def _frame(self) -> None:
        if self.stamped:
            self.stamp_ns = OFFSET_NS + round((self.frame_s - 100.0) * DRIFT * 1e9)
        if self.tracked:
            due = self.frame_s + abs(self._random.normal(0, self._jitter_s))
            due = max(due, self._under_way[-1][0] if self._under_way else due)
            person = self.person
            self._under_way.append(
                (due, person.position_m.copy(), quaternion(person.turn), self.stamp_ns)
            )
        if self.connected:
            p = self.person
            self.command.heard_buttons(p.trigger, p.grip, p.held, self.now_s)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.tick()

    def clutch(self) -> Session:
        """Release the grip, and press it again."""
        self.person.grip = 0.0
        self.wait(0.1)
        self.person.grip = 1.0
        self.wait(0.1)
        assert self.command.following is Following.FOLLOWS
        return self

    def move(self, way: tuple[float, float, float], seconds: float = 0.5) -> None:
        """Move the hand at a steady speed."""
        began, ticks = self.person.position_m, round(seconds / TICK_S)
        for n in range(1, ticks + 1):
            self.person.position_m = began + np.array(way) * n / ticks
            self.tick()


@pytest.fixture
def session() -> Session:
    return Session()


def moved(session: Session) -> np.ndarray:
    return session.hand.position_m - HOME.position_m


@pytest.mark.parametrize("jitter_s", [0.0, 0.012])
def test_the_hand_moves_as_the_persons_does_whatever_their_clock_says(jitter_s: float) -> None:
    session = Session(jitter_s=jitter_s).clutch()
    session.person.turn = np.array([0.0, 0.2, 0.1])
    session.move((0.1, -0.05, 0.08))
    session.wait(0.5)
    assert moved(session) == pytest.approx([0.1, -0.05, 0.08], abs=1e-3)
    turned = session.hand.rotation @ HOME.rotation.T
    assert rotation_vector(turned) == pytest.approx([0.0, 0.2, 0.1], abs=1e-3)
    assert session.command.following is Following.FOLLOWS


def test_scale_makes_a_persons_motion_smaller() -> None:
    session = Session(HandLimits(LIMITS.low_m, LIMITS.high_m, scale=0.5)).clutch()
    session.move((0.1, 0.0, 0.0))
    session.wait(0.5)
    assert moved(session) == pytest.approx([0.05, 0, 0], abs=1e-3)


def test_a_clutch_moves_the_persons_hand_and_not_the_robots(session: Session) -> None:
    session.clutch().move((0.1, 0.0, 0.0))
    session.wait(0.5)
    before = session.hand
    session.person.grip = 0.0
    session.move((-0.3, 0.2, -0.4))
    session.wait(0.3)
    session.person.grip = 1.0
    session.wait(0.3)
    assert session.command.following is Following.FOLLOWS
    assert session.hand.position_m == pytest.approx(before.position_m, abs=1e-3)
    session.move((0.0, 0.1, 0.0))
    session.wait(0.5)
    assert moved(session) == pytest.approx([0.1, 0.1, 0.0], abs=2e-3)


def test_nothing_moves_without_the_dead_man_button(session: Session) -> None:
    session.person.held = False
    session.person.grip = 0.0
    session.wait(0.1)
    session.person.grip = session.person.trigger = 1.0
    session.move((0.2, 0.0, 0.0))
    assert session.command.following is Following.NOT_HELD
    assert not session.command.moves and session.command.bend is None


@pytest.mark.parametrize("how", ["dead_man", "grip", "lost", "stamps", "buttons"])
def test_whatever_ends_it_the_hand_stops_softly_and_soon(session: Session, how: str) -> None:
    session.clutch().move((0.2, 0.0, 0.0), 0.5)
    person = session.person
    speed = np.linalg.norm(session.path[-1].position_m - session.path[-11].position_m) / 0.1
    assert speed == pytest.approx(0.4, abs=0.05)
    if how == "dead_man":
        person.held = False
    elif how == "grip":
        person.grip = 0.0
    elif how == "lost":
        session.tracked = False
    elif how == "stamps":
        session.stamped = False
    else:
        session.connected = False
    begin = len(session.path)
    session.move((0.24, 0.0, 0.0), 0.6)
    places = [pose.position_m for pose in session.path[begin - 3 :]]
    speeds = np.diff(places, n=1, axis=0) / TICK_S
    assert not session.command.moves
    braking = np.linalg.norm(np.diff(speeds, axis=0), axis=1).max()
    assert braking < LIMITS.most_m_s2 * TICK_S * 1.01, "no step in the speed"
    late_s = LOST_S if how == "buttons" else 0.0
    assert moved(session)[0] < 0.2 + 0.4 * (late_s + 0.05), "it does not run on"


@pytest.mark.parametrize(
    "how, why", [("lost", Following.LOST), ("stamps", Following.LOST), ("jump", Following.JUMPED)]
)
def test_after_a_loss_of_tracking_the_grip_must_be_released_first(
    session: Session, how: str, why: Following
) -> None:
    session.clutch()
    if how == "jump":
        session.person.position_m = session.person.position_m + [0.6, 0, 0]
        session.wait(0.05)
    else:
        session.tracked, session.stamped = how != "lost", how != "stamps"
        session.wait(0.4)
    session.tracked = session.stamped = True
    session.wait(0.3)
    assert session.command.following is why
    session.move((0.1, 0.0, 0.0))
    assert moved(session) == pytest.approx(np.zeros(3), abs=1e-3)
    session.clutch().move((0.0, 0.05, 0.0))
    session.wait(0.5)
    assert moved(session) == pytest.approx([0, 0.05, 0], abs=1e-3)


def test_short_gaps_and_overtaken_frames_do_not_stop_it(session: Session) -> None:
    session.clutch()
    session.tracked = False
    session.wait(0.1)
    session.tracked = True
    session.wait(0.05)
    session.command.heard_pose(np.zeros(3), STRAIGHT, session.stamp_ns - 30_000_000, session.now_s)
    session.wait(0.05)
    assert session.command.following is Following.FOLLOWS
    assert moved(session) == pytest.approx(np.zeros(3), abs=1e-3)


def test_a_clock_that_begins_anew_is_a_loss_of_tracking(session: Session) -> None:
    session.clutch()
    session.command.heard_pose(session.person.position_m, STRAIGHT, 5, session.now_s)
    session.tick()
    assert session.command.following is Following.LOST


def test_a_grip_that_is_down_when_it_is_first_heard_or_heard_again_says_nothing(
    session: Session,
) -> None:
    found = []
    session.wait(0.5)
    found.append(session.command.following)
    session.clutch()
    for session.connected in (False, True):
        session.wait(0.3)
        found.append(session.command.following)
    session.command.heard_buttons(0.0, 0.0, True, session.now_s)
    session.clutch()
    found.append(session.command.following)
    silent = Following.SILENT  # still why, as long as the grip is not released
    assert found == [Following.PRESSED_BEFORE, silent, silent, Following.FOLLOWS]


def test_numbers_that_are_no_pose_count_as_silence(session: Session) -> None:
    session.clutch()
    session.tracked = False
    for number in range(30):
        stamp = session.stamp_ns + 10_000_000 * (number + 1)
        session.command.heard_pose(np.array([np.nan, 0, 0]), STRAIGHT, stamp, session.now_s)
        session.command.heard_pose(np.zeros(3), np.zeros(4), stamp, session.now_s)
        session.command.heard_buttons(math.nan, 1.0, True, session.now_s)
        session.tick()
    assert session.command.following is Following.LOST
    assert np.isfinite(session.hand.position_m).all()


def test_the_robot_may_give_up(session: Session) -> None:
    session.clutch()
    session.command.give_up(Following.REFUSED)
    session.wait(0.3)
    assert session.command.following is Following.REFUSED and not session.command.moves
    session.clutch()


def test_the_trigger_takes_the_fingers_over_where_they_are(session: Session) -> None:
    session.bend = 0.7
    session.clutch()
    assert session.command.bend is None, "a free trigger does not open a hand that holds something"
    session.person.trigger = 0.5
    session.wait(0.1)
    assert session.command.bend is None
    session.person.trigger = 1.0
    session.wait(0.3)
    assert session.command.bend == pytest.approx(1.0)
    session.person.trigger = 0.0
    session.wait(0.03)
    assert 0.85 < (session.command.bend or 0) < 1.0, "as fast as fingers may move"
    session.wait(0.5)
    assert session.command.bend == pytest.approx(0.0)


ACTS = st.sampled_from(
    ["move", "jump", "grip", "held", "tracked", "connected", "stamped", "trigger", "turn", "wait"]
)
NUMBERS = st.floats(-1, 1)


@given(st.lists(st.tuples(ACTS, NUMBERS, NUMBERS, NUMBERS), max_size=25), st.integers(0, 9))
def test_whatever_happens_it_is_never_outside_its_limits_and_never_too_fast(
    acts: list[tuple[str, float, float, float]], seed: int
) -> None:
    session = Session(jitter_s=0.01, seed=seed).clutch()
    person = session.person
    for act, x, y, z in acts:
        if act == "move":
            session.move((x / 2, y / 2, z / 2), 0.2)
        elif act == "jump":
            person.position_m = np.array([x, y, z]) * 3
        elif act == "turn":
            person.turn = np.array([x, y, z]) * 3
        elif act in ("grip", "trigger"):
            setattr(person, act, (x + 1) / 2)
        elif act == "held":
            person.held = x > 0
        elif act != "wait":
            setattr(session, act, x > 0)
        session.wait(0.08)
    places = np.array([pose.position_m for pose in session.path])
    assert (places >= np.array(LIMITS.low_m) - 1e-9).all()
    assert (places <= np.array(LIMITS.high_m) + 1e-9).all()
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert steps.max() <= LIMITS.most_m_s * TICK_S * 1.001
    for one, other in zip(session.path, session.path[1:]):
        turn = np.linalg.norm(rotation_vector(other.rotation @ one.rotation.T))
        assert turn <= LIMITS.most_rad_s * TICK_S * 1.001
        assert other.rotation @ other.rotation.T == pytest.approx(np.eye(3), abs=1e-6)


@given(st.lists(NUMBERS, min_size=3, max_size=3))
def test_rotations_and_their_vectors_are_the_same(numbers: list[float]) -> None:
    vector = np.array(numbers) * 1.8  # less than half a turn
    assert rotation_vector(rotation_of(vector)) == pytest.approx(vector, abs=1e-6)


def test_half_a_turn_has_a_vector() -> None:
    for axis in np.eye(3):
        found = rotation_vector(rotation_of(axis * math.pi))
        assert np.abs(found) == pytest.approx(np.abs(axis * math.pi), abs=1e-6)
