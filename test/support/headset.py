"""A scripted headset: two hands with controllers, its own drifting clock, jitter and drop-outs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String

from support.robot import RecorderClient

SIDES = ("left", "right")
HANDS = {"left": np.array([0.4, 0.2, 1.2]), "right": np.array([0.4, -0.2, 1.2])}
# How hands that begin at home lift the box and set it down again: what, s, and m ahead, outwards, up.
LIFT_BOX = (
    ("over", 1.2, (0.085, -0.03, 0.03)),
    ("down", 1.2, (0.0, 0.0, -0.125)),
    ("squeeze", 1.0, (0.0, -0.125, 0.0)),
    ("lift", 1.5, (0.0, 0.0, 0.16)),
    ("hold", 1.5, (0.0, 0.0, 0.0)),
    ("lower", 1.6, (0.0, 0.0, -0.158)),
    ("release", 1.0, (0.0, 0.11, 0.0)),
    ("up", 1.0, (-0.05, 0.02, 0.12)),
)
FRAME_S = 1 / 72
OFFSET_NS, DRIFT = 5_000_000_000_000, 1.002


class Headset(RecorderClient):
    """Publishes what a headset does, and hears what becomes of it.

    Attributes:
        hands: position of each hand, float64[3] in m, x ahead, y left, z up.
        trigger, grip, held: of both controllers.
        tracked: hands whose poses are published.
        status: the newest teleop/status.
        joints: newest joint angles by name, rad.
        commands: newest servo targets by name, rad.
        due_s: when the next frame is taken, monotonic.
    """

    def __init__(self, jitter_s: float = 0.006) -> None:
        super().__init__("headset")
        self.hands = {side: at.copy() for side, at in HANDS.items()}
        self.trigger, self.grip, self.held = 0.0, 0.0, True
        self.tracked = {"head", *SIDES}
        self.teleop: dict[str, Any] = {}
        self.joints: dict[str, float] = {}
        self.commands: dict[str, float] = {}
        self._jitter_s, self._random = jitter_s, np.random.default_rng(1)
        create, qos = self.node.create_publisher, qos_profile_sensor_data
        self._poses = {
            name: create(PoseStamped, f"teleop/{topic}", qos)
            for name, topic in (
                ("head", "head"), ("left", "left_hand"), ("right", "right_hand")
            )
        }  # fmt: skip
        self._joys = {side: create(Joy, f"teleop/{side}_controller", qos) for side in SIDES}
        listen = self.node.create_subscription
        listen(String, "teleop/status", self._on_status_of_teleop, 10)
        listen(JointState, "joint_states", self._on_joints, qos_profile_sensor_data)
        listen(JointState, "joint_commands", self._on_commands, qos_profile_sensor_data)
        self._began_s = self.due_s = time.monotonic()

    def _on_status_of_teleop(self, message: String) -> None:
        self.teleop = json.loads(message.data)

    def _on_joints(self, message: JointState) -> None:
        self.joints = dict(zip(message.name, message.position))

    def _on_commands(self, message: JointState) -> None:
        self.commands = dict(zip(message.name, message.position))

    def frame(self) -> None:
        """Publish one frame, some ms late."""
        stamp_ns = OFFSET_NS + round((self.due_s - self._began_s) * DRIFT * 1e9)
        late_s = min(abs(self._random.normal(0, self._jitter_s)), 0.02) if self._jitter_s else 0.0
        self.spin_until(self.due_s + late_s)
        self.publish_poses(stamp_ns)
        for publisher in self._joys.values():
            axes = [self.trigger, self.grip]
            buttons = Joy(axes=axes, buttons=[int(self.held), 0, 0])
            buttons.header.stamp.sec, buttons.header.stamp.nanosec = divmod(stamp_ns, 10**9)
            publisher.publish(buttons)
        self.due_s = max(self.due_s + FRAME_S, time.monotonic() - 0.02)

    def publish_poses(self, stamp_ns: int) -> None:
        """Publish where head and hands are."""
        for name in self.tracked:
            message = PoseStamped()
            message.header.frame_id = "operator"
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
            at = message.pose.position
            sway = 0.01 * np.sin(self.due_s)  # nobody is ever still
            at.x, at.y, at.z = self.hands.get(name, np.array([sway, 0.0, 1.6])).tolist()
            self._poses[name].publish(message)

    def spin_until(self, end_s: float) -> None:
        """Hear what comes until a monotonic time."""
        while (left_s := end_s - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left_s)

    def wear(self, seconds: float) -> None:
        """Hold still."""
        for _ in range(round(seconds / FRAME_S)):
            self.frame()

    def until(self, what: str, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        """Hold still until a condition holds."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited for {what}; teleop: {self.teleop}"
            self.frame()

    def says(self, state: str) -> bool:
        """Return whether both hands are in a state."""
        return bool(self.teleop) and set(self.teleop["hands"].values()) == {state}

    def clutch(self) -> None:
        """Release the grips and press them again."""
        self.grip = 0.0
        self.until("the grip's release", lambda: self.says("released"))
        self.grip = 1.0
        self.until("the clutch", lambda: self.says("follows"))

    def move(self, ways: dict[str, tuple[float, float, float]], seconds: float) -> None:
        """Move hands, slowly at first and at the end."""
        began, frames = dict(self.hands), max(1, round(seconds / FRAME_S))
        for n in range(1, frames + 1):
            u = n / frames
            share = u**3 * (10 - 15 * u + 6 * u**2)
            for side, way in ways.items():
                self.hands[side] = began[side] + share * np.array(way)
            self.frame()
