"""A bag with everything a viewer shows: a described robot, touch, labels, an unknown type."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, dump_events
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from support.bags import HEADER, IMAGE, JOINTS, NS, _padded, _text, angle, joint_state
from support.pictures import compressed
from support.samples import T0, WRENCH, wrench

TACTILE, STRING = "robot_recorder/msg/TactileArray", "std_msgs/msg/String"
CELLS, UNDEFINED = "other_msgs/msg/Cells", "other_msgs/msg/Undefined"
ROWS, COLS = 2, 3
SECONDS = 4.0
DAY = 86_400 * NS

URDF = """<robot name="small">
  <link name="base"><visual><geometry><box size="0.2 0.2 0.1"/></geometry></visual></link>
  <link name="arm"><visual><origin xyz="0.2 0 0" rpy="0 1.5708 0"/>
    <geometry><cylinder radius="0.03" length="0.4"/></geometry></visual></link>
  <link name="hand"><visual><geometry><sphere radius="0.05"/></geometry></visual>
    <visual><geometry><mesh filename="package://nowhere/hand.stl"/></geometry></visual></link>
  <joint name="joint_0" type="revolute"><parent link="base"/><child link="arm"/>
    <origin xyz="0 0 0.1"/><axis xyz="0 0 1"/></joint>
  <joint name="joint_1" type="revolute"><parent link="arm"/><child link="hand"/>
    <origin xyz="0.4 0 0"/><axis xyz="0 1 0"/></joint>
</robot>"""

PROFILE = f"""
robot: small
frame_rate_hz: 20
deadline_ms: 200
streams:
  joints: {{topic: joint_states, type: {JOINTS}, role: observation, rate_hz: 100}}
  commands: {{topic: joint_commands, type: {JOINTS}, role: action, rate_hz: 100}}
  wrench: {{topic: wrist/wrench, type: {WRENCH}, role: observation, rate_hz: 100}}
  palm: {{topic: palm/tactile, type: {TACTILE}, role: observation, rate_hz: 50}}
  camera: {{topic: camera/image/compressed, type: {IMAGE}, role: observation, rate_hz: 20}}
"""


def force(seconds: float) -> float:
    """Return the force along z, N."""
    return 20 + 10 * float(np.sin(seconds))


def pressures(seconds: float) -> np.ndarray:
    """Return float32[6], Pa."""
    return (5000 * (1 + np.sin(seconds + np.arange(ROWS * COLS)))).astype(np.float32)


def cells(seconds: float) -> np.ndarray:
    """Return float64[9] of a type that only the bag defines."""
    return np.cos(seconds + np.arange(9))


def picture(number: int) -> bytes:
    """Return a JPEG that differs for every number."""
    pixels = np.full((24, 32, 3), 3 * number, dtype=np.uint8)
    pixels[:, number % 32] = 255 - pixels[:, number % 32]
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def events() -> list[LabelEvent]:
    """Return a task, an outcome, three annotations (two overlap), and a later outcome."""

    def at(seconds: float) -> int:
        return T0 + round(seconds * NS)

    def annotation(name: str, start: float, end: float) -> LabelEvent:
        return LabelEvent(
            at(3.9),
            "one",
            LabelKind.ANNOTATION,
            "ann",
            name=name,
            start_ns=at(start),
            end_ns=at(end),
        )

    return [
        LabelEvent(
            T0, "one", LabelKind.TASK, "ann", task="lift", instruction="Lift *it*.", operator_name="ann"
        ),
        annotation("reach", 0.5, 2.0),
        annotation("slip", 1.5, 2.5),
        annotation("touch", 3.0, 3.0),
        LabelEvent(at(3.9), "one", LabelKind.OUTCOME, "ann", outcome=Outcome.SUCCESS),
        LabelEvent(
            at(3.9) + 3 * DAY, "one", LabelKind.OUTCOME, "bob", outcome=Outcome.FAILURE, cause="slip",
            previous="success",
        ),
    ]  # fmt: skip


def described_robot(path: Path, own: bool = True) -> Path:
    """Write a bag of four seconds and half a second of pre-roll.

    Args:
        path: of the bag.
        own: as this package records it; else the same topics as a foreign bag without custom_data.
    """
    messages: list[tuple[int, str, bytes]] = [(T0 - NS // 2, "/robot_description", _string(URDF))]
    for number in range(-50, int(SECONDS * 100)):
        at, stamp = number / 100, T0 + number * NS // 100
        positions = float(angle(at)), float(angle(at + 0.4))
        messages.append((stamp, "/joint_states", joint_state(stamp, *positions)))
        messages.append(
            (stamp, "/joint_commands", joint_state(stamp, *(p + 0.01 for p in positions)))
        )
        messages.append((stamp, "/wrist/wrench", wrench(stamp, (0, 0, force(at), 0, 0, 1), "hand")))
        if number % 2 == 0:
            messages.append((stamp, "/palm/tactile", _tactile(stamp, pressures(at))))
            messages.append((stamp, "/cells", b"\0\1\0\0" + cells(at).astype("<f8").tobytes()))
    for number in range(80):
        stamp = T0 + number * NS // 20
        data = compressed(picture(number), "jpeg", stamp)
        messages.append((stamp, "/camera/image/compressed", data[:40] if number == 7 else data))
    messages.append((T0 + NS, "/undefined", bytes(20)))
    facts = {
        "episode_id": "one", "robot": "small", "profile_yaml": PROFILE, "namespace": "/",
        "start_ns": str(T0), "stop_ns": str(T0 + round(3.8 * NS)), "pre_roll_s": "0.5",
        "labels": dump_events(events()), "outcome": "failure",
    }  # fmt: skip
    _write(path, facts if own else {}, messages)
    return path


def _write(path: Path, facts: dict[str, str], messages: list[tuple[int, str, bytes]]) -> None:
    kinds = {
        "/joint_states": (JOINTS, HEADER), "/joint_commands": (JOINTS, HEADER),
        "/wrist/wrench": (WRENCH, HEADER), "/palm/tactile": (TACTILE, HEADER),
        "/camera/image/compressed": (IMAGE, HEADER), "/cells": (CELLS, "float64[9] cells\n"),
        "/undefined": (UNDEFINED, ""), "/robot_description": (STRING, "string data\n"),
    }  # fmt: skip
    writer = McapWriter()
    writer.open(path, facts)
    channels = {}
    for topic, (kind, definition) in kinds.items():
        channels[topic] = Channel(BagTopic(topic, kind, (OfferedQos(),), "", definition))
        writer.add_topic(channels[topic])
    writer.write([Sample(channels[t], d, at, at) for at, t, d in sorted(messages)])
    writer.close()


def _string(text: str) -> bytes:
    return b"\0\1\0\0" + _text(text)


def _tactile(stamp_ns: int, values: np.ndarray) -> bytes:
    body = struct.pack("<iI", *divmod(stamp_ns, NS)) + _text("hand") + b"\0"
    body = _padded(body, 4) + struct.pack("<III", ROWS, COLS, 0)
    body += struct.pack("<I", len(values)) + values.astype("<f4").tobytes() + struct.pack("<I", 0)
    return b"\0\1\0\0" + body
