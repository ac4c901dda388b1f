"""A person in a motion-capture suit drives the robot's arms.

Holds also: suit.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.serialization import serialize_message
from support.headset import DRIFT, LIFT_BOX, OFFSET_NS
from support.real_time import in_real_time
from support.robot import process
from support.suit import SIDES, SIGNS, SUIT_HZ, Wearer, WornSuit

from robot_recorder.configuration.find import load_profile
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.errors import ConfigError
from robot_recorder.sim.hand_commands import Following, HandPose, rotation_vector
from robot_recorder.sim.ik import hand_rotation
from robot_recorder.sim.model import JOINT_NAMES
from robot_recorder.sim.retarget import STILL_FRAMES, Retargeted, Retargeting, arms_of
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.suit import Suit
from robot_recorder.sim.tasks import draw
from robot_recorder.sim.teleop import Drive

STEP_S = 0.002
_TURNS = {side: hand_rotation(side, 0.0, 0.3) for side in SIDES}


def palm(side: str, x: float, outwards: float, z: float) -> HandPose:
    return HandPose(np.array([x, SIGNS[side] * outwards, z]), _TURNS[side])


class Driven:
    """A robot whose arms a wearer drives, message by message, in simulated time."""

    def __init__(self, robot: Robot, model: mujoco.MjModel, wearer: Wearer) -> None:
        self.robot, self.wearer, self.arms = robot, wearer, arms_of(model)
        self.suit = Suit(load_profile("g1_suit"), model)
        self.drive = Drive(model, meets=True)
        self.drive.joints = robot.joint_command
        self.now_s, self.grip, self.trigger = 100.0, 0.0, 0.0
        self.sends = True
        self.goals = dict(self.drive.palms())  # of the palms, as the person wants them
        self._due_s = self.now_s
        self._random = np.random.default_rng(0)

    def wait(self, seconds: float, each: Callable[[float], None] | None = None) -> None:
        """Let time pass; `each` may move the person, told the share that has passed."""
        steps = round(seconds / STEP_S)
        for step in range(steps):
            self.now_s += STEP_S
            if self.now_s >= self._due_s:
                if each is not None:
                    each((step + 1) / steps)
                self._frame()
                self._due_s += 1 / SUIT_HZ + abs(self._random.normal(0, 0.004))  # jitter
            if step % 5 == 0 and self.drive.advance(self.now_s):
                self.robot.follow(self.drive.joints)
            self.robot.step()

    def _frame(self) -> None:
        stamp_ns = OFFSET_NS + round(self.now_s * DRIFT * 1e9)
        wishes: dict[str, Retargeted] = {}
        if self.sends:
            stamp_ns, wishes = self.suit.heard(self.wearer.bytes(stamp_ns), 0)
        for side, hand in self.drive.hands.items():
            bend = self.trigger
            if side in wishes:
                wish = wishes[side]
                hand.heard_wish(wish.palm, stamp_ns, self.now_s)
                self.drive.elbows[side] = wish.elbow
                bend = bend if wish.bend is None else wish.bend
            hand.heard_buttons(bend, self.grip, True, self.now_s)

    def calibrate(self) -> None:
        """Stand, and then hold the hands where the robot's are."""
        self.wait(1.0)
        assert self.suit.retargeting.why == ""
        for side, pose in self.drive.palms().items():
            self.wearer.reach(side, pose, self.arms[side])
        self.wait(0.3)

    def clutch(self) -> None:
        for self.grip in (0.0, 1.0):
            self.wait(0.1)
        assert self.states() == {Following.FOLLOWS}

    def states(self) -> set[Following]:
        return {hand.following for hand in self.drive.hands.values()}

    def go(self, to: dict[str, HandPose], seconds: float) -> None:
        """Move the person's hands so that the robot's should go to poses in straight lines."""
        begin = dict(self.goals)
        self.goals |= to

        def each(share: float) -> None:
            part = share**3 * (10 - 15 * share + 6 * share**2)
            for side, goal in to.items():
                at = begin[side].position_m + part * (goal.position_m - begin[side].position_m)
                self.wearer.reach(side, HandPose(at, goal.rotation), self.arms[side])

        self.wait(seconds, each)


@pytest.fixture
def driven(robot: Robot, model: mujoco.MjModel) -> Driven:
    robot.reset(draw("lift_box", 0))
    found = Driven(robot, model, Wearer())
    found.calibrate()
    return found


# -- what is learned of a person


@pytest.mark.parametrize("pose", ["hang", "stretch"])
def test_both_poses_of_calibration_lead_to_the_same_hands(model, pose: str) -> None:
    """Wherever the person stands, whatever the frames of the links."""
    wearer, arms = Wearer(yaw_rad=-2.5), arms_of(model)
    retargeting = Retargeting(arms)
    getattr(wearer, pose)()
    for _ in range(STILL_FRAMES):
        links = wearer.links()
        retargeting.wishes(list(links), list(links.values()))
    assert retargeting.why == ""
    for side in SIDES:
        wearer.reach(side, palm(side, 0.33, 0.2, 1.0), arms[side])
    wearer.curl, wearer.yaw_rad, wearer.place_m = 0.5, 1.0, (-3.0, 0.5)  # walked away and turned
    links = wearer.links()
    wishes = retargeting.wishes(list(links), list(links.values()))
    for side, wish in wishes.items():
        wanted = palm(side, 0.33, 0.2, 1.0)
        assert wish.palm.position_m == pytest.approx(wanted.position_m, abs=0.004)
        turned = rotation_vector(wish.palm.rotation @ wanted.rotation.T)
        assert np.linalg.norm(turned) < 0.02
        assert wish.bend == pytest.approx(0.5, abs=0.03)
        assert wish.elbow[2] < 0 < SIGNS[side] * wish.elbow[1], "elbows hang, outwards"
    assert set(wishes) == set(SIDES)


def test_a_person_who_moves_or_stands_otherwise_is_told_what_to_do(model) -> None:
    wearer, retargeting = Wearer(), Retargeting(arms_of(model))

    def hear(frames: int = STILL_FRAMES) -> str:
        for _ in range(frames):
            links = wearer.links()
            assert not retargeting.why or not retargeting.wishes(list(links), list(links.values()))
        return retargeting.why

    for side in SIDES:
        wearer.reach(side, palm(side, 0.33, 0.2, 1.0), arms_of(model)[side])
    assert hear() == "stand with arms hanging or stretched out sideways"
    wearer.hang()
    hear(5)
    wearer.place_m = (1.3, -1.9)
    assert hear(1) == "stand still"
    wearer.lost = {"right_forearm"}
    assert hear(5) == "the suit has no right_forearm"
    wearer.lost = set()
    hear(STILL_FRAMES - 2)
    retargeting.forget()
    wearer.stretch()
    assert retargeting.why == "stand with arms hanging or stretched out sideways"


def test_a_profile_without_a_suit_cannot_drive(model) -> None:
    with pytest.raises(ConfigError, match="no stream 'suit'"):
        Suit(load_profile("g1_teleop"), model)


def test_a_suit_of_another_make_is_read_by_its_profile(model) -> None:
    """Xsens MVN: a message type of its own, a header for each link, and a prefix of all names."""
    from support.robot_messages import message_class

    profile = parse_profile(
        "robot: r\nframe_rate_hz: 30\nstreams:\n"
        "  suit: {topic: links, type: xsens_mvn_msgs/msg/LinkStateArray, role: action, as: poses, rate_hz: 60,\n"
        "         map: {each: 'states[]', name: header.frame_id, pose: pose},\n"
        "         stamp: {field: 'states[0].header.stamp'}}\n", "xsens"
    )  # fmt: skip
    suit, wearer = Suit(profile, model), Wearer()
    for number in range(STILL_FRAMES):
        at = 1_000_000_000 + number * 16_000_000
        body = wearer.message(at)
        message = message_class("xsens_mvn_msgs/msg/LinkStateArray")()
        for name, link in zip(body.joint_names, body.transforms):
            state = message_class("xsens_mvn_msgs/msg/LinkState")()
            words = {"chest": "t8", **{f"{side}_index_proximal": f"{side}_toe" for side in SIDES}}
            state.header.stamp = body.header.stamp
            state.header.frame_id = f"skeleton_{words.get(name, name)}"
            place, turn = state.pose.position, state.pose.orientation
            place.x, place.y, place.z = link.translation.x, link.translation.y, link.translation.z
            turn.x, turn.y, turn.z, turn.w = (getattr(link.rotation, axis) for axis in "xyzw")
            message.states.append(state)
        stamp_ns, wishes = suit.heard(bytes(serialize_message(message)), 0)
    assert set(wishes) == set(SIDES) and suit.retargeting.why == ""
    assert wishes["left"].bend is None, "it has no gloves"
    assert stamp_ns == at


# -- the robot is driven


def test_palms_reach_points_and_follow_a_circle(driven: Driven) -> None:
    driven.clutch()
    for x, out, z in ((0.32, 0.24, 1.05), (0.28, 0.16, 0.90)):
        driven.go({side: palm(side, x, out, z) for side in SIDES}, 1.5)
        driven.wait(1.2)
        for side, pose in driven.drive.palms().items():
            assert np.linalg.norm(pose.position_m - driven.goals[side].position_m) < 0.02
            turned = rotation_vector(pose.rotation @ driven.goals[side].rotation.T)
            assert np.linalg.norm(turned) < 0.1
    away = []

    def circle(share: float) -> None:
        x, z = 0.06 * np.sin(2 * np.pi * share), 0.06 * (1 - np.cos(2 * np.pi * share))
        for side in SIDES:
            wanted = palm(side, 0.28 + x, 0.16, 0.90 + z)
            driven.wearer.reach(side, wanted, driven.arms[side])
            away.append(driven.drive.palms()[side].position_m - wanted.position_m)

    driven.wait(4.0, circle)
    assert np.linalg.norm(away, axis=1).max() < 0.03, "0.1 m/s, and filtered"
    assert driven.states() == {Following.FOLLOWS}


def test_a_box_is_lifted_and_set_down_by_links_alone(driven: Driven) -> None:
    driven.clutch()
    home = driven.drive.palms()
    for driven.wearer.curl in (1.0, 0.0):
        driven.wait(0.6)
    for _, seconds, (x, out, z) in LIFT_BOX:
        ways = {side: np.array([x, SIGNS[side] * out, z]) for side in SIDES}
        driven.go(
            {
                side: HandPose(driven.goals[side].position_m + way, home[side].rotation)
                for side, way in ways.items()
            },
            seconds,
        )
    driven.wait(1.0)
    outcome = driven.robot.outcome()
    assert outcome.success, outcome.detail


@pytest.mark.parametrize("how", ["silent", "lost", "frozen"])
def test_a_suit_that_is_lost_stops_the_hands_softly(driven: Driven, how: str) -> None:
    driven.clutch()
    driven.wait(1.0)
    began = driven.drive.palms()["left"].position_m
    path: list[np.ndarray] = []

    def move(share: float) -> None:
        if share > 0.5:
            driven.sends = how != "silent"
            getattr(driven.wearer, "frozen" if how == "frozen" else "lost").update(
                {"left_hand", "right_hand"} if how != "silent" else set()
            )
        at = began + np.array([0.0, 0.0, 0.3]) * share
        driven.wearer.reach("left", HandPose(at, _TURNS["left"]), driven.arms["left"])
        path.append(driven.drive.palms()["left"].position_m)

    driven.wait(1.5, move)
    assert driven.drive.hands["left"].following is Following.LOST
    ways = np.diff(path, axis=0)
    assert np.linalg.norm(np.diff(ways, axis=0), axis=1).max() < 0.01, "no step in the speed"
    assert np.linalg.norm(ways[-20:]) < 1e-9, "it stands"
    driven.sends, driven.wearer.lost, driven.wearer.frozen = True, set(), set()
    driven.wait(0.5)
    assert driven.drive.hands["left"].following is Following.LOST, "until the grip is released"
    driven.clutch()


def test_the_robot_comes_slowly_to_where_the_person_is(driven: Driven) -> None:
    """And only while the buttons are held."""
    for side in SIDES:
        driven.wearer.reach(side, palm(side, 0.33, 0.25, 1.1), driven.arms[side])
    began = driven.drive.palms()["left"].position_m
    driven.wait(0.5)
    assert driven.drive.palms()["left"].position_m == pytest.approx(began)
    driven.clutch()
    path: list[np.ndarray] = []
    driven.wait(2.5, lambda _: path.append(driven.drive.palms()["left"].position_m))
    assert path[-1] == pytest.approx(palm("left", 0.33, 0.25, 1.1).position_m, abs=0.02)
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 0.15 * 0.03 + 0.003


# -- real nodes


@pytest.fixture(scope="module")
def suit(model_cache: Path) -> Iterator[WornSuit]:
    """A suit whose clock drifts, a robot, and teleop."""
    with (
        WornSuit() as suit,
        process("sim_robot", cache=model_cache, cameras="none"),
        process("teleop", cache=model_cache, source="suit"),
    ):
        suit.wait("the robot", lambda: bool(suit.commands and suit.joints), 90)
        suit.until("teleop", lambda: bool(suit.teleop.get("robot")), 90)
        yield suit


@in_real_time
def test_the_node_follows_a_suit_until_its_links_are_gone(suit: WornSuit, model) -> None:
    suit.until("the calibration", lambda: suit.teleop["calibration"] == "")
    drive, arms = Drive(model), arms_of(model)
    drive.joints = np.array([suit.commands[name] for name in JOINT_NAMES])
    home = drive.palms()
    for side in SIDES:
        suit.wearer.reach(side, home[side], arms[side])
    suit.wear(0.3)
    suit.clutch()
    goals = {side: palm(side, 0.32, 0.24, 1.05) for side in SIDES}
    frames = 90
    for n in range(frames):
        for side, goal in goals.items():
            at = home[side].position_m + (goal.position_m - home[side].position_m) * n / frames
            suit.wearer.reach(side, HandPose(at, goal.rotation), arms[side])
        suit.frame()
    suit.wear(1.5)
    drive.joints = np.array([suit.joints[name] for name in JOINT_NAMES])
    for side, pose in drive.palms().items():
        assert pose.position_m == pytest.approx(goals[side].position_m, abs=0.02)
    suit.wearer.lost = {"left_hand"}
    suit.until("the loss", lambda: suit.teleop["hands"]["left"] == "lost")
    assert suit.teleop["hands"]["right"] == "follows"
