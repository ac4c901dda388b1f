"""Publishes what the operator's headset, hand controllers and motion-capture suit measure.

Each device stamps with a clock of its own, whose offset and drift are in ``config/sim_g1.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, Transform
from rclpy.node import Node
from sensor_msgs.msg import MultiDOFJointState

from robot_recorder.messages.urdf import quaternions
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.sim.delivery import Delivery, Timing
from robot_recorder.sim.human import LINKS, Pose, Stance, body
from robot_recorder.sim.model import SIDES
from robot_recorder.sim.teleoperator import LEAD_STEPS, Teleoperator
from robot_recorder.sim.templates import MessageTemplate, markers

VR_HZ, MOCAP_HZ = 72, 60
FRAME = "operator"  # origin on the floor where the operator stands, x ahead, y left, z up
_STEP_NS = 2 * NS_PER_MS
_NOISE_SHARES = np.repeat([1.0, 1.5], (3, 4))  # of quaternions, half of 3 rad a metre
_Output = tuple[MessageTemplate, Callable[[bytes], None]]


class WornDevices:
    """The devices that the operator wears."""

    def __init__(
        self,
        node: Node,
        operator: Teleoperator,
        timings: dict[str, Timing],
        delivery: Delivery,
        began_ns: int,
    ) -> None:
        """Create the publishers.

        Args:
            node: publishes.
            operator: whose poses are measured.
            timings: of ``vr`` and ``mocap``; the noise is that of positions, m.
            delivery: delays the messages.
            began_ns: when the clocks were off by their offsets only, robot clock.
        """
        self.worn = True  # whether the headset and its controllers are worn; else they lie still
        self._operator, self._delivery = operator, delivery
        self._vr, self._mocap = (timings.get(name, Timing()) for name in ("vr", "mocap"))
        self._began_ns = began_ns
        self._random = np.random.default_rng(6)
        self._lying: dict[str, Pose] | None = None
        self._poses = {
            part: self._pose_output(node, f"vr/{part}")
            for part in ("head", *(f"{side}_hand" for side in SIDES))
        }
        self._body = self._body_output(node)

    @staticmethod
    def _pose_output(node: Node, topic: str) -> _Output:
        message, numbers = PoseStamped(), markers(6, 7)
        message.header.frame_id = FRAME
        place, turn = message.pose.position, message.pose.orientation
        place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w = numbers.tolist()
        publish: Any = node.create_publisher(PoseStamped, topic, 50).publish
        return MessageTemplate(message, {"pose": numbers}), publish

    @staticmethod
    def _body_output(node: Node) -> _Output:
        message, numbers = MultiDOFJointState(joint_names=list(LINKS)), markers(7, 7 * len(LINKS))
        message.header.frame_id = FRAME
        for row in numbers.reshape(-1, 7).tolist():
            each = Transform()
            place, turn = each.translation, each.rotation
            place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w = row
            message.transforms.append(each)
        publish: Any = node.create_publisher(MultiDOFJointState, "mocap/body", 50).publish
        return MessageTemplate(message, {"poses": numbers}), publish

    def publish(self, at_ns: int, now_ns: int, later_command: Callable[[int], np.ndarray]) -> None:
        """Publish the poses that are due at a step of the simulation.

        Args:
            at_ns: simulated time, a multiple of the step.
            now_ns: the same on the robot's clock.
            later_command: returns servo targets some steps later, as `Robot.later_command`.
        """
        vr, mocap = (at_ns % (NS_PER_S // hz) < _STEP_NS for hz in (VR_HZ, MOCAP_HZ))
        if not vr and not mocap:
            return
        stance = self._operator.stance(at_ns / NS_PER_S, later_command(LEAD_STEPS))
        if vr:
            self._publish_vr(now_ns, stance)
        if mocap:
            links = list(body(stance).values())
            self._send(self._body, now_ns, self._mocap, poses=self._measured(links, self._mocap))

    def _publish_vr(self, now_ns: int, stance: Stance) -> None:
        hands = {f"{side}_hand": pose for side, pose in stance.hands.items()}
        poses = {"head": stance.head_pose, **hands}
        if self.worn:
            self._lying = None
        elif self._lying is None:
            self._lying = poses
        shown = self._lying or poses
        for part, row in zip(shown, self._measured(list(shown.values()), self._vr)):
            self._send(self._poses[part], now_ns, self._vr, pose=row)

    def _measured(self, poses: list[Pose], timing: Timing) -> np.ndarray:
        """Return positions (m) and quaternions (x, y, z, w) with noise, float64[n, 7]."""
        rows = self._random.standard_normal((len(poses), 7)) * (timing.noise * _NOISE_SHARES)
        rows[:, :3] += [pose.place for pose in poses]
        rows[:, 3:] += quaternions(np.array([pose.turn for pose in poses]))
        rows[:, 3:] /= np.sqrt((rows[:, 3:] ** 2).sum(axis=1, keepdims=True))
        return rows

    def _send(self, output: _Output, now_ns: int, timing: Timing, **values: np.ndarray) -> None:
        template, publish = output
        data = template.fill(timing.stamp_ns(now_ns, self._began_ns), **values)
        self._delivery.send(publish, data, now_ns, timing)
