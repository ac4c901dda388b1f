"""A bag of two arms with equal joint names and leaders, and one topic with touch and poses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from support.bags import HEADER, JOINTS, NS
from support.samples import T0, joint_state

SECONDS, RATE_HZ, LATE_S = 4.0, 50, 0.06
JOINT_NAMES = ("waist", "elbow", "spare")  # the last one never moves
HAND = "own_msgs/msg/Hand"
PROFILE = f"""
robot: two_arms
frame_rate_hz: 20
streams:
  left_arm: {{topic: left/states, type: {JOINTS}, role: observation, rate_hz: {RATE_HZ}}}
  right_arm: {{topic: right/states, type: {JOINTS}, role: observation, rate_hz: {RATE_HZ}}}
  touch:
    topic: hand
    type: {HAND}
    role: observation
    rate_hz: {RATE_HZ}
    as: tactile
    map: {{pads: {{tip: {{normal: tip, shape: [2, 2]}}, palm: {{normal: palm, shape: [2, 3]}}}}}}
  bodies:
    topic: hand
    role: observation
    rate_hz: {RATE_HZ}
    as: poses
    map: {{names: [hand, head], pose: "poses[]"}}
  right_leader: {{topic: right/leader, type: {JOINTS}, role: action, rate_hz: {RATE_HZ}, of: right_arm}}
  left_leader: {{topic: left/leader, type: {JOINTS}, role: action, rate_hz: {RATE_HZ}, of: left_arm}}
"""
_DEFINITION = "float64[4] tip\nfloat64[6] palm\ngeometry_msgs/Pose[2] poses\n"


def angles(seconds: float, side: int) -> list[float]:
    """Return the joints of an arm, rad; 1: left, -1: right."""
    return [side * float(np.sin(2 * seconds)), float(np.cos(seconds)), 0.25]


def cells(seconds: float) -> np.ndarray:
    """Return the cells of tip and palm: the tip is pressed from 1 s to 3 s, the palm never."""
    pressed = 1.0 < seconds < 3.0
    return np.array([*(1000 + 200 * pressed * np.arange(4)), *np.full(6, 1000.0)])


def place(seconds: float) -> list[float]:
    """Return x, y and z of the hand, m."""
    return [0.3 + 0.1 * float(np.sin(seconds)), 0.0, 0.8]


def two_arms(path: Path, **facts: str) -> Path:
    """Write the bag; the head never moves."""
    topics = {f"/{side}/{what}": (JOINTS, HEADER) for side in ("left", "right") for what in ("states", "leader")}  # fmt: skip
    writer = McapWriter()
    stop = {"start_ns": str(T0), "stop_ns": str(T0 + round(SECONDS * NS))}
    writer.open(path, {"profile_yaml": PROFILE, "namespace": "/", **stop, **facts})
    channels = {
        name: Channel(BagTopic(name, kind, (OfferedQos(),), "", text))
        for name, (kind, text) in {**topics, "/hand": (HAND, _DEFINITION)}.items()
    }
    samples = []
    for channel in channels.values():
        writer.add_topic(channel)
    for number in range(int(SECONDS * RATE_HZ)):
        at, stamp = number / RATE_HZ, T0 + number * NS // RATE_HZ
        for side, sign in (("left", 1), ("right", -1)):
            for what, late_s in (("states", LATE_S), ("leader", 0.0)):
                data = joint_state(stamp, JOINT_NAMES, angles(at - late_s, sign))
                samples.append(Sample(channels[f"/{side}/{what}"], data, stamp, stamp))
        poses = [*place(at), 0, 0, 0, 1, 0, 0, 1.5, 0, 0, 0, 1]
        data = b"\0\1\0\0" + np.array([*cells(at), *poses], dtype="<f8").tobytes()
        samples.append(Sample(channels["/hand"], data, stamp, stamp))
    writer.write(samples)
    writer.close()
    return path
