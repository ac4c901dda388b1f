"""Drives the simulated robot by the poses of a person's hands: `ros2 run robot_recorder teleop`.

The poses come from a headset, or from the links of a motion-capture suit: both go the same way from there on.
"""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from robot_recorder.configuration.find import load_profile
from robot_recorder.messages.installed_types import message_class
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.nodes.checked_services import serve
from robot_recorder.nodes.newest_message import Newest
from robot_recorder.nodes.runtime import STEADY, parameter, run
from robot_recorder.sim.hand_commands import (
    LOST_S,
    Following,
    HandCommand,
    HandLimits,
    HandPose,
)
from robot_recorder.sim.ik import ARM_JOINTS, ArmIk, HandTarget
from robot_recorder.sim.model import JOINT_NAMES, SIDES, build_model
from robot_recorder.sim.suit import SUIT, Suit

# Corners of the left palm's workspace in the torso's frame, m; the right one's is its mirror image.
LOW_M, HIGH_M = (0.10, -0.15, 0.78), (0.60, 0.60, 1.35)
_ARMS = np.array(ARM_JOINTS)
_FINGERS = np.array([i for i, name in enumerate(JOINT_NAMES) if "_hand_" in name])
_DRIVEN = np.concatenate([_ARMS, _FINGERS])
_MOST_RAD_S = np.repeat([3.0, 6.0], (len(_ARMS), len(_FINGERS)))  # of the targets published
_AWAY_RAD, _AWAY_S = 0.1, 0.4  # the robot's targets from those published: it does something else
_ROBOT_SILENT_S = 0.5
_STATUS_S = 0.2
_MEET_M_S, _MEET_RAD_S = 0.15, 0.6  # at which a hand comes to where that of a person in a suit is
_ELBOW_RAD_S = 1.0
# A busy machine leaves poses out: a queue of them would only be late.
_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_LATENCIES = 500  # the last of them make the percentiles
# Left hand, rad: open and closed. Thumb 0 to 2, middle 0 and 1, index 0 and 1, as in JOINT_NAMES.
_OPEN_RAD = np.array([0.0, -0.70, 0.0, -0.05, -0.05, -0.05, -0.05])
_CLOSED_RAD = np.array([0.0, 0.60, 0.80, -1.20, -1.40, -1.20, -1.40])


def finger_angles(side: str, bend: float) -> np.ndarray:
    """Return the joints of a hand, float64[7] in rad, bent from 0 (open) to 1 (closed)."""
    angles = _OPEN_RAD + bend * (_CLOSED_RAD - _OPEN_RAD)
    return angles if side == "left" else -angles


def finger_bend(angles: np.ndarray) -> float:
    """Return how far a hand is bent, 0 to 1, by its index finger; ``angles`` float64[7] in rad."""
    return float(np.clip((abs(angles[5]) - 0.05) / 1.15, 0.0, 1.0))


def hand_limits(side: str, scale: float, meets: bool = False) -> HandLimits:
    """Return the workspace of a hand; one that meets the person's comes to where that is."""
    (x0, y0, z0), (x1, y1, z1) = LOW_M, HIGH_M
    if side == "right":
        y0, y1 = -y1, -y0
    speeds = (_MEET_M_S, _MEET_RAD_S) if meets else (0.0, 0.0)
    return HandLimits((x0, y0, z0), (x1, y1, z1), scale, meet_m_s=speeds[0], meet_rad_s=speeds[1])


class Drive:
    """Both hands without ROS: from what is heard to angles of the arms and fingers.

    Attributes:
        hands: what commands each hand, by side.
        joints: servo targets, float64[43] in rad, as in `JOINT_NAMES`.
        error_m: how far the palms are from where they should be; also 0.1 m for each rad.
        elbows: directions from the shoulders to the elbows of the person, float64[3], by side; without one
            the elbow is where it is convenient.
    """

    def __init__(self, model: mujoco.MjModel, scale: float = 1.0, meets: bool = False) -> None:
        """Create it for a robot that stands still.

        Args:
            model: of the robot; used for kinematics only.
            scale: metres of the robot's hand per metre of the person's.
            meets: whether the hands come to where the person's are, in the robot's frame.
        """
        self._model, self._data, self._ik = model, mujoco.MjData(model), ArmIk(model)
        self.hands = {side: HandCommand(hand_limits(side, scale, meets)) for side in SIDES}
        self.elbows: dict[str, np.ndarray] = {}
        self._elbows: dict[str, np.ndarray] = {}  # those that are commanded
        self._sites = {side: model.site(f"{side}_palm").id for side in SIDES}
        self.joints = np.zeros(len(JOINT_NAMES))
        self.error_m = 0.0
        self._at_s = -np.inf

    @property
    def moves(self) -> bool:
        """Return whether a hand follows, or has not come to rest."""
        return any(hand.moves for hand in self.hands.values())

    def palms(self) -> dict[str, HandPose]:
        """Return the poses of the palms at the servo targets, in the torso's frame at waist zero."""
        data = self._data
        data.qpos[_ARMS] = self.joints[_ARMS]
        mujoco.mj_kinematics(self._model, data)
        return {
            side: HandPose(data.site_xpos[site].copy(), data.site_xmat[site].reshape(3, 3).copy())
            for side, site in self._sites.items()
        }

    def advance(self, now_s: float) -> bool:
        """Move the servo targets on; return whether there is something to be told to the robot.

        Args:
            now_s: monotonic.
        """
        dt_s = min(max(now_s - self._at_s, 0.0), 0.05)
        self._at_s = now_s
        palms, targets, wanted = self.palms(), {}, self.joints.copy()
        for side, hand in self.hands.items():
            fingers = _of(side, _FINGERS)
            pose = hand.advance(palms[side], finger_bend(self.joints[fingers]), now_s)
            if not hand.moves:
                self._elbows.pop(side, None)
                continue
            elbow = self._elbow(side, dt_s)
            targets[side] = HandTarget(tuple(pose.position_m), pose.rotation, elbow=elbow)
            if hand.bend is not None:
                wanted[fingers] = finger_angles(side, hand.bend)
        if not targets:
            return False
        solved, self.error_m = self._ik.follow(targets, self.joints[_ARMS])
        for side in targets:
            wanted[_of(side, _ARMS)] = _of(side, solved)
        most_rad = _MOST_RAD_S * dt_s
        way = wanted[_DRIVEN] - self.joints[_DRIVEN]
        # An arm turns all its joints by the same share, or it would leave the way that is clear.
        for joints in np.split(np.arange(len(_ARMS)), len(SIDES)):
            way[joints] *= min(1.0, most_rad[0] / max(float(np.abs(way[joints]).max()), 1e-9))
        before = self.joints[_ARMS]
        self.joints[_DRIVEN] += np.clip(way, -most_rad, most_rad)
        self.joints[_ARMS] = self._ik.kept(before, self.joints[_ARMS])
        return True

    def _elbow(self, side: str, dt_s: float) -> tuple[float, float, float] | None:
        """Turn the direction of an elbow from the robot's own towards the person's; None: none is wanted."""
        wanted = self.elbows.get(side)
        if wanted is None:
            return None
        wanted = wanted / max(float(np.linalg.norm(wanted)), 1e-9)
        if side not in self._elbows:
            data = self._data
            arm = [data.body(f"{side}_{link}_link").xpos for link in ("shoulder_roll", "elbow")]
            self._elbows[side] = (arm[1] - arm[0]) / np.linalg.norm(arm[1] - arm[0])
        way = wanted - self._elbows[side]
        length = float(np.linalg.norm(way))
        now = self._elbows[side] + way * min(1.0, _ELBOW_RAD_S * dt_s / max(length, 1e-9))
        self._elbows[side] = now / max(float(np.linalg.norm(now)), 1e-9)
        x, y, z = self._elbows[side].tolist()
        return x, y, z


def _of(side: str, both: np.ndarray) -> np.ndarray:
    """Return a side's half of values of both, left first."""
    half = len(both) // 2
    return both[:half] if side == "left" else both[half:]


class TeleopNode(Node):
    """Hears a headset or a suit, and publishes joint targets while a hand is driven."""

    def __init__(self) -> None:
        """Prepare the model, and listen."""
        super().__init__("teleop")
        cache = Path(parameter(self, "cache", ".cache/sim", "directory of the prepared 3D model"))
        rate = parameter(self, "rate_hz", 100.0, "joint targets per second")
        scale = parameter(self, "scale", 1.0, "metres of the robot's hand per metre of a person's")
        source = parameter(self, "source", "headset", "what is worn: headset, or suit")
        profile = parameter(
            self, "profile", "g1_suit", "robot profile whose stream 'suit' has the links"
        )
        if source not in ("headset", SUIT):
            raise ConfigError(f"source '{source}' is unknown: it is 'headset' or 'suit'")
        worn = source == SUIT
        model = build_model(cache.expanduser())
        self._drive = Drive(model, 1.0 if worn else scale, worn)
        self._suit = Suit(load_profile(profile), model, scale) if worn else None
        self._ear = rclpy.create_node(
            "teleop_ear", namespace=self.get_namespace(), start_parameter_services=False
        )
        self._commands = Newest(self._ear, "joint_commands", "sensor_msgs/msg/JointState")
        self._robot_s = self._head_s = self._agreed_s = -np.inf
        self._bends: dict[str, float | None] = {}  # of the fingers in gloves
        self._came_ns = dict.fromkeys(SIDES, 0)  # newest pose that no target was published for
        self._latency_ms: deque[float] = deque(maxlen=_LATENCIES)
        self._said, self._said_s = "", -np.inf
        self._targets = self.create_publisher(JointState, "joint_targets", 1)
        self._status = self.create_publisher(String, "teleop/status", 10)
        if self._suit is not None:
            self._listen_to_suit(self._suit)
        else:
            self.create_subscription(PoseStamped, "teleop/head", self._on_head, _NEWEST)
            for side in SIDES:
                self._listen_to_hand(side)
        for side in SIDES:
            self._listen_to_buttons(side)
        self.create_timer(1.0 / max(rate, 1.0), self._tick, clock=STEADY)

    def close(self) -> None:
        """Stop listening."""
        self._commands.close()
        self._ear.destroy_node()

    def _listen_to_hand(self, side: str) -> None:
        hand = self._drive.hands[side]

        def on_pose(message: PoseStamped, info: Any) -> None:
            at, turn, stamp = message.pose.position, message.pose.orientation, message.header.stamp
            hand.heard_pose(
                np.array([at.x, at.y, at.z]), np.array([turn.x, turn.y, turn.z, turn.w]),
                stamp.sec * NS_PER_S + stamp.nanosec, time.monotonic(),
            )  # fmt: skip
            self._came_ns[side] = info["received_timestamp"] or time.time_ns()

        self.create_subscription(PoseStamped, f"teleop/{side}_hand", on_pose, _NEWEST)

    def _listen_to_suit(self, suit: Suit) -> None:
        def on_links(data: bytes, info: Any) -> None:
            stamp_ns, wishes = suit.heard(data, info["source_timestamp"])
            for side, wish in wishes.items():
                self._drive.hands[side].heard_wish(wish.palm, stamp_ns, time.monotonic())
                self._drive.elbows[side] = wish.elbow
                self._bends[side] = wish.bend
                self._came_ns[side] = info["received_timestamp"] or time.time_ns()

        self.create_subscription(
            message_class(suit.stream.type), suit.stream.topic, on_links, _NEWEST, raw=True
        )
        serve(self, Trigger, "teleop/calibrate", self._on_calibrate)

    def _on_calibrate(self, _: Any, answer: Any) -> Any:
        assert self._suit is not None
        self._suit.retargeting.forget()
        self._give_up(Following.REFUSED)
        answer.success, answer.message = True, self._suit.retargeting.why
        return answer

    def _listen_to_buttons(self, side: str) -> None:
        hand = self._drive.hands[side]

        def on_buttons(message: Joy) -> None:
            if len(message.axes) >= 2 and message.buttons:
                trigger, grip, *_ = message.axes
                bend = self._bends.get(side)  # gloves know better than a trigger
                hand.heard_buttons(
                    trigger if bend is None else bend, grip, message.buttons[0] == 1,
                    time.monotonic(),
                )  # fmt: skip

        self.create_subscription(Joy, f"teleop/{side}_controller", on_buttons, _NEWEST)

    def _on_head(self, _: PoseStamped) -> None:
        self._head_s = time.monotonic()

    def _tick(self) -> None:
        now_s, drive = time.monotonic(), self._drive
        self._hear_robot(now_s)
        if np.isfinite(self._head_s) and now_s - self._head_s > LOST_S:  # nobody wears the headset
            self._give_up(Following.LOST)
        if now_s - self._robot_s > _ROBOT_SILENT_S:
            self._give_up(Following.REFUSED)
        if drive.advance(now_s):
            self._publish()
        self._say(now_s)

    def _hear_robot(self, now_s: float) -> None:
        """Take the robot's servo targets: while nothing is driven, everything begins at them."""
        for data in self._commands.take():
            message = deserialize_message(data, JointState)
            angles = dict(zip(message.name, message.position))
            if not angles.keys() >= set(JOINT_NAMES):
                continue
            self._robot_s = now_s
            heard = np.array([angles[name] for name in JOINT_NAMES])
            if not self._drive.moves:
                self._drive.joints = heard
            away_rad = np.abs(heard - self._drive.joints)[_ARMS].max()
            if away_rad < _AWAY_RAD:
                self._agreed_s = now_s
            elif now_s - self._agreed_s > _AWAY_S:
                self._give_up(Following.REFUSED)

    def _give_up(self, why: Following) -> None:
        for hand in self._drive.hands.values():
            hand.give_up(why)

    def _publish(self) -> None:
        message = JointState(
            name=[JOINT_NAMES[i] for i in _DRIVEN], position=self._drive.joints[_DRIVEN].tolist()
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._targets.publish(message)
        for side, came_ns in self._came_ns.items():
            if came_ns and self._drive.hands[side].following is Following.FOLLOWS:
                self._latency_ms.append((time.time_ns() - came_ns) / NS_PER_MS)
            self._came_ns[side] = 0

    def _say(self, now_s: float) -> None:
        """Publish the status when it changes, and now and then."""
        hands = self._drive.hands
        states = {side: hand.following.value for side, hand in hands.items()}
        changed = json.dumps(states) != self._said
        if not changed and now_s - self._said_s < _STATUS_S:
            return
        self._said, self._said_s = json.dumps(states), now_s
        recent = np.array(self._latency_ms)
        p50, p95 = np.percentile(recent, [50, 95]).round(2) if len(recent) else (None, None)
        status = {
            "hands": states,
            "robot": now_s - self._robot_s <= _ROBOT_SILENT_S,
            "error_m": round(self._drive.error_m, 4) if self._drive.moves else None,
            "calibration": self._suit.retargeting.why if self._suit is not None else "",
            "latency_ms": {"p50": p50, "p95": p95, "of": len(recent)},
        }
        self._status.publish(String(data=json.dumps(status)))


def main() -> int:
    """Run ``ros2 run robot_recorder teleop``; return the exit code."""

    def build() -> tuple[list[Node], list[TeleopNode]]:
        node = TeleopNode()
        return [node], [node]

    return run(build)
