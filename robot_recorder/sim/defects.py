"""Puts realistic sensor defects into good episodes, to measure the quality checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from robot_recorder.bags.columns import bag_topics
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.reader import read_messages
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.cdr import CdrReader, header_stamp_ns
from robot_recorder.messages.kinds import KINDS
from robot_recorder.model.check_result import Level
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.model.topics import BagTopic, Channel, Sample

_STALE_FACTS = ("sync", "verdict", "quality", "streams")  # made wrong by a defect
_REMADE = "synchronizer/"

Paint = Callable[[bytes], bytes]

# Streams of the simulated robot, and a time at which it is always reaching for the object.
HEAD, WRIST = "head_camera", "left_wrist_camera"
JOINTS, COMMANDS = "joint_states", "joint_commands"
BEGIN_S = 0.6


@dataclass
class Tape:
    """An episode's messages in memory, to be changed and written as another bag.

    Attributes:
        facts: custom_data.
        start_ns: start of the episode, robot clock.
        messages: time of receipt (ns) and bytes by topic, in order of receipt.
        types: type and definition by topic.
        topics: topic by name of the stream.
    """

    facts: dict[str, str]
    start_ns: int
    messages: dict[str, list[tuple[int, bytes]]]
    types: dict[str, tuple[str, str]]
    topics: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Tape:
        """Read an episode without its frames, which are made again when it is checked."""
        episode = Episode.open(path)
        types = {t: d for t, d in bag_topics(path).items() if _REMADE not in t}
        messages: dict[str, list[tuple[int, bytes]]] = {topic: [] for topic in types}
        for message in read_messages(path, set(types)):
            messages[message.topic].append((message.receive_ns, message.data))
        facts = {k: v for k, v in episode.facts.items() if k not in _STALE_FACTS}
        profile = parse_profile(facts["profile_yaml"], str(path))
        prefix = facts.get("namespace", "/").rstrip("/")
        topics = {s.name: f"{prefix}/{s.topic}" for s in profile.streams}
        return cls(facts, episode.start_ns, messages, types, topics)

    def write(self, path: Path) -> Path:
        """Write the changed episode as a bag and return its path."""
        writer = McapWriter()
        writer.open(path, self.facts)
        samples = []
        for topic, messages in self.messages.items():
            type_name, definition = self.types[topic]
            stamped = type_name in KINDS
            channel = Channel(BagTopic(topic, type_name, (OfferedQos(),), "", definition), stamped)
            writer.add_topic(channel)
            samples += [Sample(channel, data, at, at) for at, data in messages]
        writer.write(sorted(samples, key=lambda sample: sample.receive_ns))
        writer.close()
        return path

    def of(self, stream: str) -> list[tuple[int, bytes]]:
        """Return a stream's messages."""
        return self.messages[self.topics[stream]]

    def set(self, stream: str, messages: list[tuple[int, bytes]]) -> None:
        """Replace a stream's messages."""
        self.messages[self.topics[stream]] = messages

    def seconds(self, stream: str) -> np.ndarray:
        """Return the times of receipt of a stream, float64[n], s since the start."""
        return np.array([(at - self.start_ns) / NS_PER_S for at, _ in self.of(stream)])

    def edit(self, stream: str, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        """Change a stream's values.

        Args:
            stream: its name.
            change: maps float64[n] seconds and float64[n, k] values to new values.
        """
        decode = KINDS[self.types[self.topics[stream]][0]].decode
        assert decode is not None
        messages = self.of(stream)
        decoded = [decode(data) for _, data in messages]
        values = change(self.seconds(stream), np.array([d.values for d in decoded]))
        changed = []
        for (at, data), one, row in zip(messages, decoded, values):
            new, first = bytearray(data), 0
            for start, count, kind, _ in one.spans:
                part = row[first : first + count].astype(kind)
                new[start : start + part.nbytes] = part.tobytes()
                first += count
            changed.append((at, bytes(new)))
        self.set(stream, changed)

    def restamp(self, stream: str, change: Callable[[int, float], int]) -> None:
        """Change a stream's stamps.

        Args:
            stream: its name.
            change: maps a stamp (ns) and its receipt (s since the start) to a new stamp (ns).
        """
        changed = []
        for (at, data), seconds in zip(self.of(stream), self.seconds(stream)):
            sec, nanosec = divmod(change(header_stamp_ns(data), float(seconds)), NS_PER_S)
            stamp = sec.to_bytes(4, "little", signed=True) + nanosec.to_bytes(4, "little")
            changed.append((at, data[:4] + stamp + data[12:]))
        self.set(stream, changed)

    def repaint(self, camera: str, begin_s: float, end_s: float, paint: Paint) -> None:
        """Change a camera's pictures between two times, s since the start."""
        changed = []
        for (at, data), seconds in zip(self.of(camera), self.seconds(camera)):
            changed.append((at, paint(data) if begin_s <= seconds < end_s else data))
        self.set(camera, changed)


def repicture(change: Callable[[np.ndarray], np.ndarray], quality: int = 90) -> Paint:
    """Return a function that changes the picture in a CompressedImage."""

    def paint(data: bytes) -> bytes:
        head, encoded = _split(data)
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        new = cv2.imencode(".jpg", change(picture), [cv2.IMWRITE_JPEG_QUALITY, quality])[
            1
        ].tobytes()
        return head + len(new).to_bytes(4, "little") + new

    return paint


def recode(change: Callable[[bytes], bytes]) -> Paint:
    """Return a function that changes the encoded bytes of a CompressedImage."""

    def paint(data: bytes) -> bytes:
        head, encoded = _split(data)
        new = change(encoded)
        return head + len(new).to_bytes(4, "little") + new

    return paint


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Return what precedes the length of the encoded bytes, and the encoded bytes."""
    reader = CdrReader(data)
    reader.stamp_ns()
    reader.skip_bytes()
    reader.skip_bytes()
    encoded = bytes(reader.raw())
    start = reader.at - len(encoded) - 4
    return data[:start], encoded


@dataclass(frozen=True)
class Defect:
    """One defect at one severity.

    Attributes:
        name, severity: for people.
        check, stream: the check that must find it, and the stream of the finding; empty: the
            episode.
        level: the least level of the finding.
        apply: puts the defect into an episode.
    """

    name: str
    severity: str
    check: str
    stream: str
    level: Level
    apply: Callable[[Tape], None]


def during(seconds: np.ndarray, begin_s: float, length_s: float) -> np.ndarray:
    """Return bool[n]: whether samples are within a span of time."""
    return np.asarray((seconds >= begin_s) & (seconds < begin_s + length_s))


def hold(begin_s: float, length_s: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a change that repeats the reading at the beginning of a span."""

    def change(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
        inside = np.flatnonzero(during(seconds, begin_s, length_s))
        if len(inside):
            values[inside] = values[inside[0]]
        return values

    return change


def shift_stamps(ms: float) -> Callable[[int, float], int]:
    """Return a change that makes stamps later by some ms."""
    return lambda stamp_ns, _: stamp_ns + round(ms * NS_PER_MS)


def lose(tape: Tape, stream: str, share: float) -> None:
    """Remove a share of a stream's messages, and count them as lost like the recorder."""
    messages = tape.of(stream)
    keep = np.random.default_rng(5).random(len(messages)) >= share
    tape.set(stream, [m for m, stays in zip(messages, keep) if stays])
    lost = int((~keep).sum())
    figures = {
        "written": len(messages) - lost,
        "lost": {"dds": lost, "ring": 0, "queue": 0, "writer": 0},
    }
    tape.facts["streams"] = json.dumps({tape.topics[stream]: figures})
