"""Takes of robots as bytes of the real messages: in a bag, or to be published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rclpy.serialization import serialize_message

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.messages.installed_types import message_definition, type_hash
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from support.robot_messages import encode, make
from support.robot_takes import Take, Topic
from support.samples import T0

NS = 1_000_000_000


@dataclass(frozen=True)
class Sent:
    """The messages of one topic.

    Attributes:
        sends: when each is sent, ns.
        receives: when each is received, ns, in order.
        messages: CDR.
    """

    sends: Int64s
    receives: Int64s
    messages: list[bytes]


def send(topic: Topic, start_ns: int, rng: np.random.Generator) -> Sent:
    """Return a topic's messages.

    Args:
        topic: what it sends.
        start_ns: when the take starts, robot clock.
        rng: for the delays.
    """
    count = len(topic.times)
    delays = topic.shortest_s + rng.exponential(topic.jitter_s, count)
    sends = np.maximum.accumulate(_ns(topic.times + delays, start_ns))
    receives = np.maximum.accumulate(sends + _ns(rng.exponential(2e-4, count), 100_000))
    columns: dict[str, np.ndarray] = dict(topic.columns)
    stamps = topic.stamps()
    for path in topic.stamp.split():
        columns[path] = _ns(stamps, start_ns)
    if topic.ticks is not None:
        path, unit = topic.ticks
        whole = np.float64(start_ns / NS) + stamps
        columns[path] = np.floor(whole / unit) % 2**32 if unit < 1 else whole
        if "[]" in path:
            outer = path.split("[]")[0]
            columns[path] = np.repeat(columns[path][:, None], topic.sizes[outer], axis=1)
    return Sent(sends, receives, _messages(topic, columns))


def _ns(seconds: np.ndarray, start_ns: int) -> Int64s:
    return start_ns + np.round(seconds * NS).astype(np.int64)


def _messages(topic: Topic, columns: dict[str, np.ndarray]) -> list[bytes]:
    count = len(topic.times)
    if topic.blobs is not None:
        return _with_blobs(topic, columns)
    if topic.there is None or topic.there.all():
        return encode(topic.type, topic.sizes, topic.fixed, columns, count)
    found: list[bytes] = [b""] * count
    for there in np.unique(topic.there, axis=0):
        rows = np.flatnonzero((topic.there == there).all(axis=1))
        inside = f"{topic.bodies}[]"
        some = {
            path: values[rows][:, there] if path.startswith(inside) else values[rows]
            for path, values in columns.items()
        }
        fixed = {
            path: [v for v, kept in zip(value, there) if kept] if path.startswith(inside) else value
            for path, value in topic.fixed.items()
        }
        sizes = {**topic.sizes, topic.bodies: int(there.sum())}
        for row, data in zip(rows, encode(topic.type, sizes, fixed, some, len(rows))):
            found[row] = data
    return found


def _with_blobs(topic: Topic, columns: dict[str, np.ndarray]) -> list[bytes]:
    """Return messages that end with bytes of any length."""
    assert topic.blobs is not None
    field, blobs = topic.blobs
    found = []
    for number, blob in enumerate(blobs):
        message = make(topic.type, topic.sizes, topic.fixed)
        stamp = int(columns["header.stamp"][number])
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, NS)
        setattr(message, field, blob)
        found.append(serialize_message(message))
    return found


WARM_UP_S = 1.5  # the recorder knows the clocks of devices before an episode starts


def write_take(take: Take, path: Path, start_ns: int = T0) -> Path:
    """Write a take as a bag, as the recorder would.

    Args:
        take: the take.
        path: of the bag.
        start_ns: when the take starts, robot clock; the episode starts ``WARM_UP_S`` later.
    """
    writer = McapWriter()
    span = start_ns + round(WARM_UP_S * NS), start_ns + round(take.seconds * NS)
    writer.open(path, {"start_ns": str(span[0]), "stop_ns": str(span[1])})
    samples = []
    rng = np.random.default_rng(take.seed)
    for name, topic in take.topics.items():
        described = BagTopic(
            f"/{name}", topic.type, (OfferedQos(),), type_hash(topic.type),
            message_definition(topic.type),
        )  # fmt: skip
        channel = Channel(described)
        writer.add_topic(channel)
        sent = send(topic, start_ns, rng)
        samples += [
            Sample(channel, data, receive, at)
            for data, receive, at in zip(
                sent.messages, sent.receives.tolist(), sent.sends.tolist(), strict=True
            )
        ]
    writer.write(sorted(samples, key=lambda s: s.receive_ns))
    writer.close()
    return path
