"""The messages of one topic, from a running robot or a bag, and what they tell about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from robot_recorder.bags.columns import read_columns
from robot_recorder.messages.cdr import CdrReader, header_stamps
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.kinds import KINDS, Sort, has_header, sort_of, stream_decoder
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S, Role, StreamConfig
from robot_recorder.model.value_names import joint_of
from robot_recorder.offline.guess import PLAIN_ARRAYS, TopicSummary
from robot_recorder.offline.guess_joints import unit_of_angles
from robot_recorder.offline.guess_mapping import GuessedType, guess_type
from robot_recorder.offline.guess_stamp import GuessedStamp, clock_slope
from robot_recorder.offline.profile_draft import written

_SAMPLES = 400  # messages that mappings are guessed from
_PER_SEGMENT = 80  # of a bag
_OWN_CLOCK_NS = 500 * NS_PER_MS  # stamps farther from the receipt are of another clock


@dataclass
class HeardTopic:
    """A topic and some of its messages.

    Attributes:
        name: fully qualified.
        type: message type.
        definition: of it, in ros2msg format; empty: unknown.
        messages: some of its messages, CDR, in order of receipt.
        receives: when those were received, ns.
        sends: when DDS says that those were sent, ns.
        count: number of all its messages so far.
        problem: why it cannot be listened to; empty: it can.
        latched: whether its publishers keep messages for late subscribers.
    """

    name: str
    type: str
    definition: str = ""
    messages: list[bytes] = field(default_factory=list)
    receives: list[int] = field(default_factory=list)
    sends: list[int] = field(default_factory=list)
    count: int = 0
    problem: str = ""
    latched: bool = False

    @property
    def has_header(self) -> bool:
        """Return whether its messages begin with a header."""
        return has_header(self.type, self.definition)

    def stamps(self) -> Int64s:
        """Return the header stamps of the messages, int64[n], ns; 0: none."""
        if not self.has_header or not self.messages:
            return np.zeros(len(self.messages), dtype=np.int64)
        return header_stamps(self.messages)

    def samples(self) -> tuple[list[bytes], Int64s]:
        """Return some messages spread over all, and when they were received, ns."""
        step = max(1, -(-len(self.messages) // _SAMPLES))
        receives = np.array(self.receives[::step], dtype=np.int64)
        return self.messages[::step], receives


def summary_of(topic: HeardTopic) -> TopicSummary:
    """Return what is known about a topic of a running robot, all of whose messages were kept."""
    receives = np.array(topic.receives, dtype=np.int64)
    stamps = topic.stamps()
    times, disorder_ns = receives, 0
    if len(stamps) and stamps.all():
        times = stamps
        disorder_ns = int((np.maximum.accumulate(stamps) - stamps).max())
    found = TopicSummary(
        topic.name, topic.type, topic.count, np.sort(times), disorder_ns, problem=topic.problem
    )
    return described(found, topic)


def described(summary: TopicSummary, topic: HeardTopic) -> TopicSummary:
    """Return a summary with what the messages of a topic seem to be."""
    messages, receives = topic.samples()
    stamps = topic.stamps()
    guessed: GuessedType | None = None
    other_time: GuessedStamp | None = None
    if topic.type not in KINDS and messages:
        guessed = guess_type(topic.type, topic.definition, messages, receives, topic.name)
        if len(stamps) and stamps.all():  # a header is the first choice
            other_time = guessed.stamp
            guessed = replace(guessed, stamp=None)
    elif topic.type in PLAIN_ARRAYS and messages:
        guessed = _by_topic(topic, messages, receives)
    unit, joints, numbers = _about_values(topic, messages)
    return replace(
        summary,
        guessed=guessed,
        unit=unit,
        joints=joints,
        numbers=numbers,
        stamps=_stamp_remark(topic, stamps, guessed, other_time),
        device=_is_other_clock(stamps, np.array(topic.receives, dtype=np.int64)),
    )


def _by_topic(topic: HeardTopic, messages: list[bytes], receives: Int64s) -> GuessedType | None:
    """Return what a plain array is by the name of its topic; None: plain numbers."""
    guessed = guess_type(topic.type, topic.definition, messages, receives, topic.name)
    kept = tuple(guess for guess in guessed.streams if guess.meaning != "numbers")
    return GuessedType(kept) if kept else None


def _stamp_remark(
    topic: HeardTopic, stamps: Int64s, guessed: GuessedType | None, other: GuessedStamp | None
) -> str:
    """Return what is unusual about header stamps, or which other time the messages have."""
    if other is not None:
        field = other.rule["field"]
        return f"{field} is a time, too: if that is when it was measured, add stamp: {written(other.rule)}"
    if topic.has_header and len(stamps) and not stamps.any() and not (guessed and guessed.stamp):
        return "its header stamps are always 0: the DDS source stamp is used, or else the receipt"
    return ""


def _is_other_clock(stamps: Int64s, receives: Int64s) -> bool:
    """Return whether header stamps rise as fast as the robot's clock, but far from it."""
    if not len(stamps) or not stamps.all() or len(stamps) != len(receives):
        return False
    far = abs(float(np.median(receives - stamps))) > _OWN_CLOCK_NS
    return far and clock_slope(stamps.astype(np.float64), receives, 1.0) is not None


def _about_values(
    topic: HeardTopic, messages: list[bytes]
) -> tuple[tuple[str, str], tuple[str, ...], int]:
    """Return suspected unit and names of a known type's joints, and the size of a plain array."""
    found: list[np.ndarray] = []
    joints: tuple[str, ...] = ()
    sizes = set()
    decode = _joint_decoder(topic)
    for data in messages:
        try:
            if decode is not None:
                decoded = decode(data)
                wanted = [n.startswith("position/") for n in decoded.names]
                found.append(decoded.values[np.array(wanted, dtype=bool)])
                joints = joints or tuple(dict.fromkeys(map(joint_of, decoded.names)))
            elif topic.type in PLAIN_ARRAYS:
                sizes.add(_array_size(data))
        except DecodeError:
            continue
    values = (
        np.array(found) if len({len(row) for row in found}) == 1 else np.concatenate([*found, []])
    )
    unit = unit_of_angles(values) if found else ("", "")
    return unit, joints, sizes.pop() if len(sizes) == 1 else 0


def _joint_decoder(topic: HeardTopic) -> Callable[[bytes], Decoded] | None:
    """Return the decoder of a known type with joints; None: it has none."""
    if sort_of(topic.type) is not Sort.JOINTS:
        return None
    try:
        return stream_decoder(
            StreamConfig("s", topic.name, topic.type, Role.OBSERVATION), topic.definition
        )
    except ConfigError:
        return None


def _array_size(data: bytes) -> int:
    """Return the number of values of a MultiArray of floats without dimensions or with them."""
    reader = CdrReader(data)
    for _ in range(reader.u32()):
        reader.skip_bytes()
        reader.u32(), reader.u32()
    reader.u32()
    return reader.u32()


def topics_of_bag(path: Path, topics: Mapping[str, tuple[str, str]]) -> dict[str, HeardTopic]:
    """Return topics of a bag with some of their messages, those that mappings are guessed from.

    Args:
        path: of the bag.
        topics: type and definition by topic.

    Raises:
        BagError: the bag cannot be read.
    """
    found = {name: HeardTopic(name, *about) for name, about in topics.items()}
    wanted = {
        n for n, (kind, _) in topics.items() if sort_of(kind) not in (Sort.IMAGE, Sort.POINTS)
    }
    for segment in read_columns(path, wanted):
        for name, column in segment.columns.items():
            topic = found[name]
            topic.count += len(column.receives)
            chosen = range(0, len(column.receives), max(1, len(column.receives) // _PER_SEGMENT))
            topic.messages += [column.payloads[n] for n in chosen]
            topic.receives += [int(column.receives[n]) for n in chosen]
            topic.sends += [int(column.sends[n]) for n in chosen]
            if len(topic.messages) > 8 * _SAMPLES:
                for kept in (topic.messages, topic.receives, topic.sends):
                    del kept[1::2]
    return found


def rate_of(topic: HeardTopic) -> float:
    """Return the rate of the kept messages by their receipt, Hz; 0: unknown."""
    if len(topic.receives) < 2:
        return 0.0
    span_s = (topic.receives[-1] - topic.receives[0]) / NS_PER_S
    return (len(topic.receives) - 1) / span_s if span_s > 0 else 0.0
