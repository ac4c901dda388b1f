"""Episodes of a small arm with everything a dataset holds, made without ROS, fast.

Joints at 100 Hz with commands, a window of force at 200 Hz, a JPEG camera at 20 Hz that meets the
frames one to one, a slower depth camera, labels and annotations.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.episodes.facts import label_facts
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from support.bags import (
    HEADER,
    IMAGE,
    JOINTS,
    NS,
    _padded,
    _text,
    angle,
    header,
    joint_state,
    wrench,
)
from support.pictures import compressed, compressed_depth
from support.samples import T0, WRENCH

RATE_HZ, WIDTH, HEIGHT = 20, 96, 64
INFO = "sensor_msgs/msg/CameraInfo"
URDF = """<robot name="arm"><link name="base"/><link name="upper"/><link name="hand"/>
<joint name="joint_0" type="revolute"><parent link="base"/><child link="upper"/>
<origin xyz="0 0 0.3"/><axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint>
<joint name="joint_1" type="revolute"><parent link="upper"/><child link="hand"/>
<origin xyz="0.4 0 0"/><axis xyz="0 1 0"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint>
</robot>"""
PROFILE = f"""
robot: arm
frame_rate_hz: {RATE_HZ}
deadline_ms: 200
streams:
  joints: {{topic: joint_states, type: {JOINTS}, role: observation, rate_hz: 100}}
  commands: {{topic: commands, type: {JOINTS}, role: action, rate_hz: 100, of: joints}}
  force: {{topic: wrench, type: {WRENCH}, role: observation, rate_hz: 200, window: true}}
  camera: {{topic: camera/image/compressed, type: {IMAGE}, role: observation, rate_hz: 20}}
  depth: {{topic: depth/image/compressedDepth, type: {IMAGE}, role: observation, rate_hz: 10, tolerance_ms: 60}}
  info: {{topic: camera/camera_info, type: sensor_msgs/msg/CameraInfo, role: context}}
  description: {{topic: robot_description, type: std_msgs/msg/String, role: context}}
"""


@dataclass(frozen=True)
class TakeOptions:
    """What differs between takes.

    Attributes:
        seconds: length.
        idle_s: without motion at both ends.
        gap: (from, to) s without joint messages; empty: none.
        broken: numbers of pictures of which only half is there.
        quality: of JPEG.
        grey: whether the pictures are grey.
    """

    seconds: float = 3.0
    idle_s: float = 0.0
    gap: tuple[float, float] | tuple[()] = ()
    broken: tuple[int, ...] = ()
    quality: int = 90
    grey: bool = False


def moved(at: float, options: TakeOptions, lead_s: float = 0.0) -> tuple[float, float]:
    """Return the joints' positions at a time, rad."""
    end = options.seconds - options.idle_s
    inside = min(max(at + lead_s, options.idle_s), end) if options.idle_s else at + lead_s
    return float(angle(inside)), float(angle(inside + 0.4))


def shown(number: int, seed: int = 0) -> np.ndarray:
    """Return a picture of the camera, uint8[HEIGHT, WIDTH, 3], blue, green, red."""
    rng = np.random.default_rng(seed)
    grey = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8), (0, 0), 3)
    grey = np.asarray(cv2.normalize(grey, np.empty_like(grey), 40, 200, cv2.NORM_MINMAX))
    tint = np.linspace(-20, 20, WIDTH)[None, :, None] * np.array([1.0, 0.2, -1.0])
    scene = (grey[..., None] + tint).astype(np.uint8)
    left = 4 + 2 * number % (WIDTH - 24)
    scene[HEIGHT // 3 : HEIGHT // 2, left : left + 16] = (190, 205, 235)
    return scene


def distances(number: int) -> np.ndarray:
    """Return a picture of the depth camera, uint16[HEIGHT, WIDTH], mm; 0: unknown."""
    rows = 500 + 20 * np.arange(HEIGHT)[:, None] + 3 * np.arange(WIDTH) + 5 * number
    found = rows.astype(np.uint16)
    found[:4, :4] = 0
    return found


def take(
    root: Path,
    number: int = 0,
    options: TakeOptions = TakeOptions(),
    task: str = "lift",
    outcome: Outcome = Outcome.SUCCESS,
    verdict: str = "accept",
    operator: str = "ann",
    cause: str = "",
    **facts: str,
) -> Path:
    """Write an episode.

    Args:
        root: folder of the episodes.
        number: of the take: another start, pictures and motion.
        facts: further custom_data.
    """
    start = T0 + number * 60 * NS
    messages = _numbers(start, options) + _seen(start, options, number)
    path = root / f"arm_{number:03d}_{task}"
    writer = McapWriter()
    events = [
        LabelEvent(start, path.name, LabelKind.TASK, task=task, instruction=f"Please {task} it.",
                   operator_name=operator),
        LabelEvent(start, path.name, LabelKind.ANNOTATION, name="grasp",
                   start_ns=start + NS // 2, end_ns=start + NS),
        LabelEvent(start, path.name, LabelKind.OUTCOME, outcome=outcome, cause=cause),
    ]  # fmt: skip
    bad = verdict not in ("accept", "")
    found = [{"check": "rate", "level": "fail", "figure": 1.0}] if bad else []
    report = {"verdict": verdict, "sentence": verdict, "reasons": ["rate"] * bad, "findings": found}
    writer.open(path, {
        "episode_id": path.name, "robot": "arm", "start_ns": str(start), "namespace": "",
        "stop_ns": str(start + round(options.seconds * NS)), "profile_yaml": PROFILE,
        "robot_recorder": "0.1", "verdict": verdict, "quality": json.dumps(report),
        **label_facts(events), **facts,
    })  # fmt: skip
    types = {"/joint_states": JOINTS, "/commands": JOINTS, "/wrench": WRENCH,
             "/robot_description": "std_msgs/msg/String", "/camera/camera_info": INFO}  # fmt: skip
    channels = {}
    for topic in sorted({m[1] for m in messages}):
        channels[topic] = Channel(
            BagTopic(topic, types.get(topic, IMAGE), (OfferedQos(),), "", _definition(topic))
        )
        writer.add_topic(channels[topic])
    writer.write([Sample(channels[t], d, at, at) for at, t, d in sorted(messages)])
    writer.close()
    return path


def _definition(topic: str) -> str:
    return "string data\n" if topic == "/robot_description" else HEADER


def camera_info(stamp: int, width: int, height: int) -> bytes:
    """Return a CameraInfo whose optical axis meets the middle of the picture."""
    body = _padded(header(stamp), 4) + struct.pack("<II", height, width) + _text("plumb_bob")
    body = _padded(_padded(body, 4) + struct.pack("<I", 5), 8) + struct.pack("<5d", 0.1, 0, 0, 0, 0)
    k = (80.0, 0, (width - 1) / 2, 0, 80.0, (height - 1) / 2, 0, 0, 1)
    body += struct.pack("<9d9d12d", *k, *np.eye(3).ravel(), *np.eye(3, 4).ravel())
    return b"\0\1\0\0" + body + struct.pack("<IIIIII?", 0, 0, 0, 0, 0, 0, False)


def _numbers(start: int, options: TakeOptions) -> list[tuple[int, str, bytes]]:
    data = URDF.encode() + b"\0"
    text = b"\0\1\0\0" + len(data).to_bytes(4, "little") + data
    found = [
        (start, "/robot_description", text),
        (start, "/camera/camera_info", camera_info(start, WIDTH, HEIGHT)),
    ]
    rng = np.random.default_rng(start % 2**32)
    for i in range(round(options.seconds * 100)):
        at = i / 100
        stamp = start + round((at + float(rng.uniform(0, 1e-3))) * NS)
        if not (options.gap and options.gap[0] <= at < options.gap[1]):
            found.append(
                (stamp + 400_000, "/joint_states", joint_state(stamp, *moved(at, options)))
            )
        found.append((stamp + 300_000, "/commands", joint_state(stamp, *moved(at, options, 0.05))))
        for half in (0, NS // 200):
            force = 10 * float(angle(at + half / NS))
            found.append((stamp + half + 900_000, "/wrench", wrench(stamp + half, force)))
    return found


def _seen(start: int, options: TakeOptions, seed: int) -> list[tuple[int, str, bytes]]:
    found = []
    for i in range(round(options.seconds * RATE_HZ)):
        stamp = start + round((i / RATE_HZ + 0.004) * NS)
        picture = shown(i, seed)
        picture = picture[..., 1] if options.grey else picture
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, options.quality])[
            1
        ].tobytes()
        data = data[: len(data) // 2] if i in options.broken else data
        found.append(
            (stamp + 8_000_000, "/camera/image/compressed", compressed(data, "jpeg", stamp))
        )
        if i % 2 == 0:
            depth = compressed_depth(distances(i), stamp_ns=stamp)
            found.append((stamp + 9_000_000, "/depth/image/compressedDepth", depth))
    return found
