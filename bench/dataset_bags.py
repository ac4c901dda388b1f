"""Episodes for the measuring of exports: a two-armed robot with two cameras, made without ROS."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample

NS, T0 = 1_000_000_000, 1_700_000_000_000_000_000
JOINTS, RATE_HZ, WIDTH, HEIGHT = 28, 30, 640, 480
JOINT_STATE, WRENCH = "sensor_msgs/msg/JointState", "geometry_msgs/msg/WrenchStamped"
TOUCH, IMAGE = "std_msgs/msg/Float32MultiArray", "sensor_msgs/msg/CompressedImage"
CAMERAS = ("head", "wrist")
PROFILE = f"""
robot: bench
frame_rate_hz: {RATE_HZ}
deadline_ms: 200
streams:
  joints: {{topic: joint_states, type: {JOINT_STATE}, role: observation, rate_hz: 200}}
  commands: {{topic: commands, type: {JOINT_STATE}, role: action, rate_hz: 100, of: joints}}
  left_wrench: {{topic: left/wrench, type: {WRENCH}, role: observation, rate_hz: 500, window: true}}
  right_wrench: {{topic: right/wrench, type: {WRENCH}, role: observation, rate_hz: 500}}
  head: {{topic: head/compressed, type: {IMAGE}, role: observation, rate_hz: {RATE_HZ}}}
  wrist: {{topic: wrist/compressed, type: {IMAGE}, role: observation, rate_hz: {RATE_HZ}}}
"""
_HEADER = "std_msgs/Header header\n"


def episode(root: Path, number: int, seconds: float, label: str = "Pick it up.") -> Path:
    """Write an episode, streamed so that an hour of it fits into memory."""
    start = T0 + number * 7200 * NS
    path = root / f"bench_{number:04d}"
    writer = McapWriter()
    writer.open(path, {
        "episode_id": path.name, "robot": "bench", "namespace": "", "profile_yaml": PROFILE,
        "start_ns": str(start), "stop_ns": str(start + round(seconds * NS)), "task": "pick",
        "instruction": label, "outcome": "success", "robot_recorder": "bench",
    })  # fmt: skip
    types = {"/joint_states": JOINT_STATE, "/commands": JOINT_STATE, "/left/wrench": WRENCH,
             "/right/wrench": WRENCH, "/head/compressed": IMAGE, "/wrist/compressed": IMAGE}  # fmt: skip
    channels = {}
    for topic, kind in types.items():
        channels[topic] = Channel(BagTopic(topic, kind, (OfferedQos(),), "", _HEADER))
        writer.add_topic(channels[topic])
    pictures = [_pictures(number, camera) for camera in range(len(CAMERAS))]
    for second in range(int(np.ceil(seconds))):
        messages = _second(start, second, min(seconds, second + 1), pictures)
        writer.write([Sample(channels[t], d, at, at) for at, t, d in sorted(messages)])
    writer.close()
    return path


def _second(
    start: int, second: int, end_s: float, pictures: list[list[bytes]]
) -> list[tuple[int, str, bytes]]:
    found: list[tuple[int, str, bytes]] = []
    rng = np.random.default_rng(second)
    for topic, rate, late in (("/joint_states", 200, 0.0), ("/commands", 100, 0.05)):
        for at in np.arange(second, end_s, 1 / rate):
            stamp = start + round((at + float(rng.uniform(0, 3e-4))) * NS)
            found.append((stamp + 400_000, topic, _joints(stamp, at + late)))
    for side, topic in enumerate(("/left/wrench", "/right/wrench")):
        for at in np.arange(second, end_s, 1 / 500):
            stamp = start + round(at * NS)
            force = np.sin(np.arange(6) + 3 * at + side) * 20
            found.append((stamp + 300_000, topic, b"\0\1\0\0" + _head(stamp, 8) + force.tobytes()))
    for camera, topic in enumerate(("/head/compressed", "/wrist/compressed")):
        for at in np.arange(second, end_s, 1 / RATE_HZ):
            stamp = start + round((at + 0.002) * NS)
            data = pictures[camera][round(at * RATE_HZ) % len(pictures[camera])]
            text = _head(stamp, 4) + struct.pack("<I", 5) + b"jpeg\0" + bytes(3)
            message = b"\0\1\0\0" + text + struct.pack("<I", len(data)) + data
            found.append((stamp + 8_000_000, topic, message))
    return found


def _head(stamp: int, size: int) -> bytes:
    head = struct.pack("<iII", *divmod(stamp, NS), 1) + b"\0"
    return head + bytes(-len(head) % size)


def _joints(stamp: int, at: float) -> bytes:
    body = _head(stamp, 4) + struct.pack("<I", JOINTS)
    for i in range(JOINTS):
        name = f"joint_{i:02d}".encode() + b"\0"
        body += struct.pack("<I", len(name)) + name + bytes(-len(name) % 4)
    for scale in (1.0, 2.0, 5.0):
        body += struct.pack("<I", JOINTS)
        body += bytes(-len(body) % 8) + (scale * np.sin(0.3 * np.arange(JOINTS) + at)).tobytes()
    return b"\0\1\0\0" + body


def _pictures(number: int, camera: int) -> list[bytes]:
    """Return two seconds of a moving scene with the grain of a real sensor, as JPEG of quality 90."""
    rng = np.random.default_rng(10 * number + camera)
    noise = rng.integers(0, 255, (HEIGHT + 80, WIDTH + 160), dtype=np.uint8)
    scene = cv2.GaussianBlur(noise, (0, 0), 9)
    scene = np.asarray(cv2.normalize(scene, np.empty_like(scene), 30, 220, cv2.NORM_MINMAX))
    tint = np.linspace(-25, 25, WIDTH)[None, :, None] * np.array([1.0, 0.3, -1.0])
    found = []
    for i in range(2 * RATE_HZ):
        left, top = round(80 + 70 * np.sin(i / 9.5)), round(40 + 35 * np.cos(i / 9.5))
        part = scene[top : top + HEIGHT, left : left + WIDTH, None] + tint
        grain = rng.normal(0, 1.5, (HEIGHT, WIDTH, 1))
        picture = np.clip(part + grain, 0, 255).astype(np.uint8)
        found.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    return found
