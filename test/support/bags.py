"""Bags of a small robot with known motion, made without ROS."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from support import samples
from support.samples import T0, WRENCH

NS = 1_000_000_000
JOINTS = "sensor_msgs/msg/JointState"
IMAGE = "sensor_msgs/msg/CompressedImage"
HEADER = "std_msgs/Header header\n"

PROFILE = """
robot: small
frame_rate_hz: 20
deadline_ms: 200
streams:
  joints: {topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}
  wrench: {topic: wrist/wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 100}
  camera: {topic: camera/image/compressed, type: sensor_msgs/msg/CompressedImage, role: observation, rate_hz: 20}
"""


def angle(seconds: np.ndarray | float) -> np.ndarray:
    """Return the joint's position, rad: a swing that never repeats exactly."""
    return 0.5 * np.sin(2.1 * seconds) + 0.3 * np.sin(3.7 * np.asarray(seconds) + 1)


def _text(value: str) -> bytes:
    data = value.encode() + b"\0"
    return struct.pack("<I", len(data)) + data


def _padded(data: bytes, size: int) -> bytes:
    return data + bytes(-len(data) % size)


def header(stamp_ns: int) -> bytes:
    return struct.pack("<iI", *divmod(stamp_ns, NS)) + _text("")


def joint_state(stamp_ns: int, *angles: float) -> bytes:
    """Return a JointState with positions only."""
    body = _padded(header(stamp_ns), 4) + struct.pack("<I", len(angles))
    for i in range(len(angles)):
        body = _padded(body, 4) + _text(f"joint_{i}")
    body = _padded(_padded(body, 4) + struct.pack("<I", len(angles)), 8)
    return b"\0\1\0\0" + body + struct.pack(f"<{len(angles)}d", *angles) + bytes(8)


def wrench(stamp_ns: int, force: float) -> bytes:
    """Return a WrenchStamped with a force along z."""
    return samples.wrench(stamp_ns, (0, 0, force, 0, 0, 0))


@cache
def _scene() -> np.ndarray:
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (240, 480), dtype=np.uint8), (0, 0), 4)
    return cv2.normalize(scene, np.empty_like(scene), 0, 255, cv2.NORM_MINMAX)


def picture(stamp_ns: int, seconds: float) -> bytes:
    """Return a CompressedImage of a textured scene, seen by a camera on the joint."""
    shift = np.array([[1, 0, -120 - 40 * angle(seconds)], [0, 1, 0]], dtype=np.float64)
    image = cv2.warpAffine(_scene(), shift, (240, 240), flags=cv2.INTER_LINEAR)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    body = _padded(_padded(header(stamp_ns), 4) + _text("jpeg"), 4)
    return b"\0\1\0\0" + body + struct.pack("<I", len(data)) + data


def small_robot(
    path: Path, seconds: float = 10.0, camera_late_s: float = 0.0, prefix: str = "/",
    camera: str = "camera", **facts: str,
) -> Path:  # fmt: skip
    """Write a bag with joints and force at 100 Hz and a camera at 20 Hz.

    Args:
        path: of the bag.
        seconds: length.
        camera_late_s: delay from a picture's exposure to its stamp.
        prefix: of all topics.
        camera: prefix of the camera's topics.
        facts: custom_data.
    """
    messages: list[tuple[int, str, bytes]] = []
    rng = np.random.default_rng(1)
    for i in range(int(seconds * 100)):
        at = i / 100 + float(rng.uniform(0, 1e-3))
        stamp = T0 + round(at * NS)
        a, b = float(angle(at)), float(angle(at + 0.4))
        messages.append((stamp + 400_000, f"{prefix}joint_states", joint_state(stamp, a, b)))
        messages.append((stamp + 900_000, f"{prefix}wrist/wrench", wrench(stamp, 10 * b)))
    for i in range(int(seconds * 20)):
        at = i / 20 + 0.013
        stamp = T0 + round((at + camera_late_s) * NS)
        data = picture(stamp, at)
        messages.append((stamp + 8_000_000, f"{prefix}{camera}/image/compressed", data))
    types = {"joint_states": JOINTS, "wrist/wrench": WRENCH}
    writer = McapWriter()
    writer.open(path, facts)
    channels = {}
    for topic in sorted({m[1] for m in messages}):
        kind = types.get(topic.removeprefix(prefix), IMAGE)
        channels[topic] = Channel(BagTopic(topic, kind, (OfferedQos(),), "", HEADER))
        writer.add_topic(channels[topic])
    writer.write([Sample(channels[t], d, at, at) for at, t, d in sorted(messages)])
    writer.close()
    return path
