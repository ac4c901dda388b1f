"""A scripted person in a motion-capture suit with gloves, somewhere in a room, whose links have frames of their own."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Transform
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import MultiDOFJointState

from robot_recorder.sim.hand_commands import HandPose, quaternion_of, rotation_of
from robot_recorder.sim.human import (
    FOREARM_M,
    SHOULDER_M,
    STANDING_M,
    UPPER_ARM_M,
    WAIST_M,
    Pose,
    Stance,
    body,
)
from robot_recorder.sim.model import PALM_CENTRE_M
from robot_recorder.sim.retarget import ArmOfRobot
from support.headset import Headset

SIDES = ("left", "right")
SIGNS = {"left": 1.0, "right": -1.0}
SUIT_HZ = 60


class Wearer:
    """A person whose hands go where a test puts them.

    Attributes:
        hands: pose of each wrist in the person's frame: x ahead, y left, origin on the floor.
        place_m, yaw_rad: where the person stands in the room, and faces.
        curl: of the fingers, 0 (flat) to 1 (fist).
        lost: links that the suit does not know.
        frozen: links that it sends as they were.
    """

    def __init__(self, place_m: tuple[float, float] = (1.3, -2.0), yaw_rad: float = 0.7) -> None:
        self.place_m, self.yaw_rad, self.curl = place_m, yaw_rad, 0.0
        self.lost: set[str] = set()
        self.frozen: set[str] = set()
        self._random = np.random.default_rng(4)
        self._frames: dict[str, np.ndarray] = {}
        self._sent: dict[str, HandPose] = {}
        self.hang()

    def hang(self) -> None:
        """Let the arms hang, palms to the thighs."""
        self._stand(np.array([0.0, 0.0, -0.54]), np.array([0.0, 0.0, -1.0]))

    def stretch(self) -> None:
        """Stretch the arms out sideways, palms down."""
        self._stand(np.array([0.0, 0.54, 0.0]), np.array([0.0, 1.0, 0.0]))

    def _stand(self, way: np.ndarray, fingers: np.ndarray) -> None:
        thumb = np.array([1.0, 0.0, 0.0])
        self.hands = {}
        for side in SIDES:
            mirror = np.array([1.0, SIGNS[side], 1.0])
            x = fingers * mirror
            axes = np.stack([x, np.cross(thumb, x), thumb], axis=1)
            self.hands[side] = Pose(self.shoulder_m(side) + way * mirror, axes)

    @staticmethod
    def shoulder_m(side: str) -> np.ndarray:
        return np.array([0, 0, STANDING_M]) + WAIST_M + SHOULDER_M * (1, SIGNS[side], 1)

    def reach(self, side: str, palm: HandPose, robot: ArmOfRobot) -> None:
        """Hold a hand where the robot's palm shall be, as somebody does who knows the robot."""
        x, y, z = PALM_CENTRE_M
        wrist_m = palm.position_m - palm.rotation @ np.array([x, -SIGNS[side] * y, z])
        way = (wrist_m - robot.shoulder_m) * (UPPER_ARM_M + FOREARM_M) / robot.reach_m
        self.hands[side] = Pose(self.shoulder_m(side) + way, palm.rotation)

    def links(self) -> dict[str, HandPose]:
        """Return what the suit measures."""
        pelvis = Pose(np.array([0.0, 0.0, STANDING_M]), np.eye(3))
        found = body(Stance(pelvis, np.eye(3), np.eye(3), self.hands))
        for side in SIDES:
            bend = rotation_of(np.array([0.0, 0.0, -SIGNS[side] * 1.4 * self.curl]))
            hand = self.hands[side]
            found[f"{side}_index_proximal"] = Pose(
                hand.point(np.array([0.09, 0, 0.03])), hand.turn @ bend
            )
        room, sent = rotation_of(np.array([0.0, 0.0, self.yaw_rad])), {}
        for name, pose in found.items():
            frame = self._frames.setdefault(name, rotation_of(self._random.uniform(-1.2, 1.2, 3)))
            noise_m, noise_rad = self._random.normal(0, 3e-4, 3), self._random.normal(0, 1e-3, 3)
            at = room @ pose.place + (*self.place_m, 0.0) + noise_m
            if name not in self.frozen or name not in self._sent:
                self._sent[name] = HandPose(at, room @ pose.turn @ frame @ rotation_of(noise_rad))
            if name not in self.lost:
                sent[name] = self._sent[name]
        return sent

    def message(self, stamp_ns: int) -> MultiDOFJointState:
        """Return the links as a suit's software publishes them."""
        links = self.links()
        message = MultiDOFJointState(joint_names=list(links))
        message.header.frame_id = "room"
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        for pose in links.values():
            each = Transform()
            at, turn = each.translation, each.rotation
            at.x, at.y, at.z = pose.position_m.tolist()
            turn.x, turn.y, turn.z, turn.w = quaternion_of(pose.rotation).tolist()
            message.transforms.append(each)
        return message

    def bytes(self, stamp_ns: int) -> bytes:
        """Return the same as bytes of the middleware."""
        return bytes(serialize_message(self.message(stamp_ns)))


class WornSuit(Headset):
    """A suit that is published instead of a headset; its wearer has pedals as buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.wearer = Wearer()
        self._body = self.node.create_publisher(
            MultiDOFJointState, "suit/body", qos_profile_sensor_data
        )

    def publish_poses(self, stamp_ns: int) -> None:
        self._body.publish(self.wearer.message(stamp_ns))
