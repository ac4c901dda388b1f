"""Drives the simulated robot by the poses of a person's hands: `ros2 run robot_recorder teleop`."""

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

from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
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

# Corners of the left palm's workspace in the torso's frame, m; the right one's is its mirror image.
LOW_M, HIGH_M = (0.10, -0.15, 0.78), (0.60, 0.60, 1.35)
_ARMS = np.array(ARM_JOINTS)
_FINGERS = np.array([i for i, name in enumerate(JOINT_NAMES) if "_hand_" in name])
_DRIVEN = np.concatenate([_ARMS, _FINGERS])
_MOST_RAD_S = np.repeat([3.0, 6.0], (len(_ARMS), len(_FINGERS)))  # of the targets published
_AWAY_RAD, _AWAY_S = 0.1, 0.4  # the robot's targets from those published: it does something else
_ROBOT_SILENT_S = 0.5
_STATUS_S = 0.2
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


def hand_limits(side: str, scale: float) -> HandLimits:
    """Return the workspace of a hand."""
    (x0, y0, z0), (x1, y1, z1) = LOW_M, HIGH_M
    if side == "right":
        y0, y1 = -y1, -y0
    return HandLimits((x0, y0, z0), (x1, y1, z1), scale)


class Drive:
    """Both hands without ROS: from what is heard to angles of the arms and fingers.

    Attributes:
        hands: what commands each hand, by side.
        joints: servo targets, float64[43] in rad, as in `JOINT_NAMES`.
        error_m: how far the palms are from where they should be; also 0.1 m for each rad.
    """

    def __init__(self, model: mujoco.MjModel, scale: float = 1.0) -> None:
        """Create it for a robot that stands still.

        Args:
            model: of the robot; used for kinematics only.
            scale: metres of the robot's hand per metre of the person's.
        """
        self._model, self._data, self._ik = model, mujoco.MjData(model), ArmIk(model)
        self.hands = {side: HandCommand(hand_limits(side, scale)) for side in SIDES}
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
                continue
            targets[side] = HandTarget(tuple(pose.position_m), pose.rotation)
            if hand.bend is not None:
                wanted[fingers] = finger_angles(side, hand.bend)
        if not targets:
            return False
        solved, self.error_m = self._ik.follow(targets, self.joints[_ARMS])
        for side in targets:
            wanted[_of(side, _ARMS)] = _of(side, solved)
        most_rad = _MOST_RAD_S * dt_s
        way = np.clip(wanted[_DRIVEN] - self.joints[_DRIVEN], -most_rad, most_rad)
        self.joints[_DRIVEN] += way
        return True


def _of(side: str, both: np.ndarray) -> np.ndarray:
    """Return a side's half of values of both, left first."""
    half = len(both) // 2
    return both[:half] if side == "left" else both[half:]


class TeleopNode(Node):
    """Hears a headset, and publishes joint targets while a hand is driven."""

    def __init__(self) -> None:
        """Prepare the model, and listen."""
        super().__init__("teleop")
        cache = Path(parameter(self, "cache", ".cache/sim", "directory of the prepared 3D model"))
        rate = parameter(self, "rate_hz", 100.0, "joint targets per second")
        scale = parameter(self, "scale", 1.0, "metres of the robot's hand per metre of a person's")
        self._drive = Drive(build_model(cache.expanduser()), scale)
        self._ear = rclpy.create_node("teleop_ear", namespace=self.get_namespace())
        self._commands = Newest(self._ear, "joint_commands", "sensor_msgs/msg/JointState")
        self._robot_s = self._head_s = self._agreed_s = -np.inf
        self._came_ns = dict.fromkeys(SIDES, 0)  # newest pose that no target was published for
        self._latency_ms: deque[float] = deque(maxlen=_LATENCIES)
        self._said, self._said_s = "", -np.inf
        self._targets = self.create_publisher(JointState, "joint_targets", 1)
        self._status = self.create_publisher(String, "teleop/status", 10)
        self.create_subscription(PoseStamped, "teleop/head", self._on_head, _NEWEST)
        for side in SIDES:
            self._listen(side)
        self.create_timer(1.0 / max(rate, 1.0), self._tick, clock=STEADY)

    def close(self) -> None:
        """Stop listening."""
        self._commands.close()
        self._ear.destroy_node()

    def _listen(self, side: str) -> None:
        hand = self._drive.hands[side]

        def on_pose(message: PoseStamped, info: Any) -> None:
            at, turn, stamp = message.pose.position, message.pose.orientation, message.header.stamp
            hand.heard_pose(
                np.array([at.x, at.y, at.z]), np.array([turn.x, turn.y, turn.z, turn.w]),
                stamp.sec * NS_PER_S + stamp.nanosec, time.monotonic(),
            )  # fmt: skip
            self._came_ns[side] = info["received_timestamp"] or time.time_ns()

        def on_buttons(message: Joy) -> None:
            if len(message.axes) >= 2 and message.buttons:
                trigger, grip, *_ = message.axes
                hand.heard_buttons(trigger, grip, message.buttons[0] == 1, time.monotonic())

        listen = self.create_subscription
        listen(PoseStamped, f"teleop/{side}_hand", on_pose, _NEWEST)
        listen(Joy, f"teleop/{side}_controller", on_buttons, _NEWEST)

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
            "latency_ms": {"p50": p50, "p95": p95, "of": len(recent)},
        }
        self._status.publish(String(data=json.dumps(status)))


def main() -> int:
    """Run ``ros2 run robot_recorder teleop``; return the exit code."""

    def build() -> tuple[list[Node], list[TeleopNode]]:
        node = TeleopNode()
        return [node], [node]

    return run(build)
