"""Draws the episode that light robots replay: two arms that lift a box, seen by a camera.

It is a real bag, so that film, curves and checks have something to show. Its size is that of its
pictures: 1.2 MB for eight seconds, unless more is asked for.
"""

from __future__ import annotations

import math
import random
import struct
from pathlib import Path

import cv2
import numpy as np

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.topics import BagTopic, Channel, Sample

START_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01: stamps of the template, moved by every replay
JOINTS = tuple(
    f"{side}_{joint}"
    for side in ("left", "right")
    for joint in ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll",
                  "wrist_pitch", "wrist_yaw")
)  # fmt: skip
PROFILE = """\
robot: light
description: A light robot, which replays an episode
frame_rate_hz: 10
streams:
  joint_states: {topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 50}
  joint_commands: {topic: joint_commands, type: sensor_msgs/msg/JointState, role: action, rate_hz: 50}
  head_camera: {topic: head_camera/compressed, type: sensor_msgs/msg/CompressedImage, role: observation, rate_hz: 10}
"""
_HEADER = """\
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
_TYPES = {
    "sensor_msgs/msg/JointState": "std_msgs/Header header\nstring[] name\nfloat64[] position\n"
    f"float64[] velocity\nfloat64[] effort\n{_HEADER}",
    "sensor_msgs/msg/CompressedImage": f"std_msgs/Header header\nstring format\nuint8[] data\n{_HEADER}",
}
_WIDTH, _HEIGHT = 320, 240
_LEAST_PICTURE = 5_000  # bytes of any of them, at least
_MOST_COMMENT = 65_000  # bytes of one comment of a JPEG


def draw_template(path: Path, seconds: float = 8.0, least_bytes: int = 0) -> Path:
    """Write the bag that light robots replay.

    Args:
        path: of the bag, a directory that does not exist.
        seconds: length.
        least_bytes: pictures get random comments until the bag is as large; 0: none.

    Raises:
        BagError: it cannot be written.
    """
    joints, picture = "sensor_msgs/msg/JointState", "sensor_msgs/msg/CompressedImage"
    kinds = {"joint_states": joints, "joint_commands": joints, "head_camera/compressed": picture}
    channels = {
        name: Channel(BagTopic(f"/{name}", kind, (OfferedQos(),), "", _TYPES[kind]))
        for name, kind in kinds.items()
    }
    samples = []
    for number in range(round(seconds * 50)):
        at_s = number / 50
        for name, late_s in (("joint_states", 0.04), ("joint_commands", 0.0)):
            data = _joint_state(at_s, at_s - late_s, seconds)
            samples.append(_sample(channels[name], data, at_s, 300_000))
    small = sum(len(sample.data) for sample in samples) + round(seconds * 10) * _LEAST_PICTURE
    each = max(0, round((least_bytes - small) / (seconds * 10)))
    for number in range(round(seconds * 10)):
        data = _picture(number / 10, seconds, each)
        samples.append(_sample(channels["head_camera/compressed"], data, number / 10, 9_000_000))
    writer = McapWriter()
    writer.open(path, {"profile": "light", "profile_yaml": PROFILE, "namespace": ""})
    for channel in channels.values():
        writer.add_topic(channel)
    writer.write(sorted(samples, key=lambda sample: sample.receive_ns))
    writer.close()
    return path


def _sample(channel: Channel, data: bytes, at_s: float, late_ns: int) -> Sample:
    at_ns = START_NS + round(at_s * NS_PER_S)
    return Sample(channel, data, at_ns + late_ns, at_ns + late_ns // 2)


def _text(body: bytes, value: str) -> bytes:
    data = value.encode() + b"\0"
    return body + bytes(-len(body) % 4) + struct.pack("<I", len(data)) + data


def _header(at_s: float, frame: str) -> bytes:
    return _text(struct.pack("<iI", *divmod(START_NS + round(at_s * NS_PER_S), NS_PER_S)), frame)


def _numbers(body: bytes, values: list[float]) -> bytes:
    body += bytes(-len(body) % 4) + struct.pack("<I", len(values))
    return body + bytes(-len(body) % 8) + struct.pack(f"<{len(values)}d", *values)


def _joint_state(stamp_s: float, at_s: float, seconds: float) -> bytes:
    """Return the arms' joints; they lift, hold and put down."""
    lift = math.sin(math.pi * min(max(at_s / seconds, 0.0), 1.0))
    rate = math.pi / seconds * math.cos(math.pi * at_s / seconds)
    amounts = [0.2 + 0.9 * ((i * 5) % 7) / 7 for i in range(len(JOINTS))]
    shake = [0.01 * math.sin(9 * at_s + i) for i in range(len(JOINTS))]
    body = _header(stamp_s, "")
    body += bytes(-len(body) % 4) + struct.pack("<I", len(JOINTS))
    for name in JOINTS:
        body = _text(body, name)
    body = _numbers(body, [a * lift + s for a, s in zip(amounts, shake, strict=True)])
    body = _numbers(body, [a * rate for a in amounts])
    body = _numbers(body, [4 * a * lift for a in amounts])
    return b"\0\1\0\0" + body


def _picture(at_s: float, seconds: float, more: int) -> bytes:
    """Return a picture of two grippers and a box, as a CompressedImage."""
    lift = math.sin(math.pi * at_s / seconds)
    image = np.full((_HEIGHT, _WIDTH, 3), (70, 60, 55), np.uint8)
    image[170:] = (90, 120, 150)
    image[::24] += np.uint8(12)
    x, y = 160 + round(40 * math.sin(at_s)), round(165 - 90 * lift)
    cv2.rectangle(image, (x - 34, y - 34), (x + 34, y), (40, 110, 190), -1)
    cv2.rectangle(image, (x - 34, y - 34), (x + 34, y), (20, 60, 110), 2)
    for side in (-1, 1):
        cv2.line(image, (x + side * 38, y - 17), (160 + side * 150, 20), (200, 200, 200), 12)
        cv2.circle(image, (x + side * 40, y - 17), 9, (230, 230, 90), -1)
    cv2.putText(image, f"{at_s:4.1f} s", (6, 20), cv2.FONT_HERSHEY_PLAIN, 1, (255, 255, 255))
    data = _padded(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes(), more)
    body = _text(_header(at_s, "head_camera"), "jpeg")
    body += bytes(-len(body) % 4) + struct.pack("<I", len(data)) + data
    return b"\0\1\0\0" + body


def _padded(jpeg: bytes, more: int) -> bytes:
    """Return a JPEG with comments of random bytes, which every decoder passes over."""
    comments = b""
    for begin in range(0, more, _MOST_COMMENT):
        text = random.Random(begin).randbytes(min(_MOST_COMMENT, more - begin))
        comments += b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text
    return jpeg[:2] + comments + jpeg[2:]
