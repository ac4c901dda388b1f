"""Bags of a robot with joints, commands, forces, touch and a camera, with all values known."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, appended, dump_events
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from support.bags import IMAGE, JOINTS, picture
from support.samples import T0, WRENCH, wrench

NS = 1_000_000_000
TACTILE = "robot_recorder/msg/TactileArray"
SECONDS, SILENT = 6.0, (3.0, 4.0)  # the force sensor is silent in between
HOSTILE = "</script><script>window.pwned = 1</script>\"'&<img src=x onerror=pwned=1>"
EVIL = HOSTILE.encode() + b"\xff\xfe"  # a joint's name that is also invalid UTF-8
JOINT_NAMES = (EVIL, *(f"arm_{i}_joint".encode() for i in range(11)))


def swing(joint: int, at: float) -> float:
    """Return a joint's position, rad; later joints move further."""
    return 0.1 * (joint + 1) * float(np.sin(2 * at))


def force(at: float) -> float:
    """Return the force along z, N."""
    return 10.0 + at


def pressure(at: float) -> np.ndarray:
    """Return the pressure of the cells, row by row, Pa; every 0.5 s one more is touched."""
    return np.where(np.arange(8) <= at / 0.5, 1000.0 * (1 + np.arange(8)), 0.0)


class _Message:
    """A builder of little-endian CDR, field by field."""

    def __init__(self, at: float) -> None:
        self._data = b""
        self.numbers("i", int((T0 + round(at * NS)) // NS)).numbers("I", round(at * NS) % NS)
        self.text(b"")

    def numbers(self, code: str, *values: float) -> _Message:
        self._data += bytes(-len(self._data) % struct.calcsize(code))
        self._data += struct.pack(f"<{len(values)}{code}", *values)
        return self

    def text(self, value: bytes) -> _Message:
        self.numbers("I", len(value) + 1)
        self._data += value + b"\0"
        return self

    def sequence(self, code: str, *values: float) -> _Message:
        self.numbers("I", len(values))
        return self.numbers(code, *values) if values else self

    @property
    def data(self) -> bytes:
        return b"\0\1\0\0" + self._data


def _joints(at: float, *fields: list[float]) -> bytes:
    message = _Message(at).numbers("I", len(JOINT_NAMES))
    for name in JOINT_NAMES:
        message.text(name)
    for values in fields:
        message.sequence("d", *values)
    return message.data


def _touch(at: float) -> bytes:
    message = _Message(at).numbers("B", 0).numbers("I", 2, 4, 0)
    return message.sequence("f", *pressure(at)).sequence("f").data


def full_robot(path: Path, **facts: str) -> Path:
    """Write joints at 100 Hz, force at 200 Hz with a pause, 2 x 4 cells, and a camera.

    Args:
        path: of the bag.
        facts: custom_data.
    """
    topics = {
        "/joint_states": JOINTS, "/joint_commands": JOINTS, "/wrist/wrench": WRENCH,
        "/palm/tactile": TACTILE, "/camera/image/compressed": IMAGE,
    }  # fmt: skip
    messages: list[tuple[float, str, bytes]] = []
    count = range(len(JOINT_NAMES))
    for at in np.arange(0, SECONDS, 0.01).tolist():
        angles = [swing(j, at) for j in count]
        rates = [0.2 * (j + 1) * float(np.cos(2 * at)) for j in count]
        messages.append((at, "/joint_states", _joints(at, angles, rates, [0.5] * len(count))))
        messages.append((at, "/joint_commands", _joints(at, [a + 0.01 for a in angles], [], [])))
    for at in np.arange(0, SECONDS, 0.005).tolist():
        if not SILENT[0] < at < SILENT[1]:
            stamp = T0 + round(at * NS)
            messages.append((at, "/wrist/wrench", wrench(stamp, (0, 0, force(at), 0, 0, 0))))
    for at in np.arange(0, SECONDS, 0.02).tolist():
        messages.append((at, "/palm/tactile", _touch(at)))
    for at in np.arange(0, SECONDS, 0.05).tolist():
        data = picture(T0 + round(at * NS), at)
        messages.append((at, "/camera/image/compressed", data))
    writer = McapWriter()
    writer.open(path, facts)
    channels = {}
    for topic, kind in topics.items():
        described = BagTopic(topic, kind, (OfferedQos(),), "", "std_msgs/Header header\n")
        channels[topic] = Channel(described)
        writer.add_topic(channels[topic])
    samples = [
        Sample(channels[topic], data, T0 + round(at * NS) + 1000, T0 + round(at * NS))
        for at, topic, data in sorted(messages)
    ]
    writer.write(samples)
    writer.close()
    return path


def recorded_facts() -> dict[str, str]:
    """Return custom_data of a rejected episode that was relabelled and annotated."""
    id = "full_20231114T221320_000"
    events: list[LabelEvent] = []
    for event in (
        LabelEvent(T0, id, LabelKind.TASK, "ann", task="lift", instruction=HOSTILE,
                   operator_name="ann"),
        LabelEvent(T0 + 5 * NS, id, LabelKind.OUTCOME, "physics", outcome=Outcome.SUCCESS),
        _annotation(id, "reach", 0.5, 2.0), _annotation(id, HOSTILE, 1.0, 1.0),
        _annotation(id, "mistaken", 2.5, 2.5),
        LabelEvent(T0 + 6 * NS, id, LabelKind.RETRACTION, "bob", name="mistaken",
                   start_ns=T0 + 5 * NS // 2, end_ns=T0 + 5 * NS // 2),
        LabelEvent(T0 + 99 * NS, id, LabelKind.OUTCOME, "bob", outcome=Outcome.FAILURE,
                   cause="slip", note="seen on the video \ud800"),
    ):  # fmt: skip
        events = appended(events, event)
    quality = {
        "verdict": "reject", "sentence": "reject: wrench was silent", "broken": ["blur: no camera"],
        "findings": [{"check": "gap", "stream": "wrench", "level": "fail", "figure": 1000.5,
                      "threshold": 100, "unit": "ms", "sentence": "was silent for 1 s"}],
        "passed": {"rate": {"joints": 0.01}},
    }  # fmt: skip
    known = {
        "topic": "/wrist/wrench", "policy": "linear", "clock": "robot", "clock_events": (),
        "expected_hz": 200, "measured_hz": 166.7, "lost": None, "count": 1001, "skew_p95_ms": 2.25,
        "offset_ms": None, "drift_ppm": None, "fresh": 90, "held": 10,
    }  # fmt: skip
    certificate = Certificate.from_dict(
        {"rate_hz": 30.0, "frames": 100, "complete": 90, "streams": {"wrench": known}}
    )
    places = {"dds": None, "ring": 0, "queue": 7, "writer": 0}
    return {
        "episode_id": id, "robot": "full", "start_ns": str(T0 + NS // 2), "pre_roll_s": "0.5",
        "stop_ns": str(T0 + round(SECONDS * NS)), "labels": dump_events(events).replace("\ud800", "\\ud800"),
        "quality": json.dumps(quality), "sync": json.dumps(certificate.to_dict()),
        "streams": json.dumps({"/wrist/wrench": {"written": 1001, "lost": places}}),
        "profile_yaml": "robot: full\n# " + HOSTILE + "x" * 200 + "\n",
    }  # fmt: skip


def _annotation(id: str, name: str, start: float, end: float) -> LabelEvent:
    start_ns, end_ns = (T0 + round(at * NS) for at in (start, end))
    return LabelEvent(
        end_ns, id, LabelKind.ANNOTATION, "ann", name=name, start_ns=start_ns, end_ns=end_ns
    )
