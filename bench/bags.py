"""Writes a bag of the humanoid load without waiting for real time."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
from load import humanoid_load
from processes import TYPES
from rclpy.serialization import serialize_message

from robot_recorder.bags.writer import writer_factory
from robot_recorder.messages.installed_types import message_definition, type_hash
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample

NS = 1_000_000_000
T0 = 1_700_000_000 * NS


def humanoid_bag(path: Path, seconds: float) -> int:
    """Write what the load of load.py would send in this time; return the number of messages."""
    shutil.rmtree(path, ignore_errors=True)
    rng = np.random.default_rng(0)
    writer = writer_factory("mcap")()
    writer.open(path, {})
    events, templates, channels = [], {}, {}
    for stream in humanoid_load():
        topic, kind = f"/{stream.topic}", TYPES[stream.make.__name__]
        templates[topic] = bytearray(serialize_message(stream.make()))
        channels[topic] = Channel(
            BagTopic(topic, kind, (OfferedQos(),), type_hash(kind), message_definition(kind)),
        )
        writer.add_topic(channels[topic])
        at = np.arange(int(seconds * stream.rate_hz)) / stream.rate_hz * 1e9
        at = at + rng.integers(0, round(1e9 / stream.rate_hz)) + rng.uniform(0, 1e5, len(at))
        # Messages of one publisher keep their order.
        received = np.maximum.accumulate(at + 5e5 + rng.exponential(2e5, len(at)))
        events += [(round(r), round(a), topic) for a, r in zip(at.tolist(), received.tolist())]
    events.sort()
    for first in range(0, len(events), 2000):
        batch = []
        for received, stamped, topic in events[first : first + 2000]:
            struct.pack_into("<iI", templates[topic], 4, *divmod(T0 + stamped, NS))
            batch.append(
                Sample(channels[topic], bytes(templates[topic]), T0 + received, T0 + received)
            )
        writer.write(batch)
    writer.close()
    return len(events)
