"""Bags made of given messages, as another recorder might leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from support.bags import HEADER, JOINTS, NS, joint_state
from support.samples import T0

Messages = Iterable[tuple[int, bytes]]  # log time, ns, and bytes


def bag(
    path: Path,
    topics: Mapping[str, tuple[str, Messages]],
    definition: str | Mapping[str, str] = HEADER,
    **facts: str,
) -> Path:
    """Write a bag.

    Args:
        path: of the bag.
        topics: type and messages by topic.
        definition: of the types; or by type.
        facts: custom_data.
    """
    writer = McapWriter()
    writer.open(path, facts)
    samples = []
    for name, (kind, messages) in topics.items():
        text = definition if isinstance(definition, str) else definition.get(kind, HEADER)
        channel = Channel(BagTopic(name, kind, (OfferedQos(),), "", text))
        writer.add_topic(channel)
        samples += [Sample(channel, data, at, at) for at, data in messages]
    writer.write(sorted(samples, key=lambda s: s.receive_ns))
    writer.close()
    return path


def swings(
    which: float, late_s: float = 0.0, seconds: float = 4.0, hz: float = 100.0
) -> tuple[str, list[tuple[int, bytes]]]:
    """Return JointStates of a moving arm with six joints, as a topic of ``bag``.

    Args:
        which: each number gives another motion.
        late_s: delay of the motion.
        seconds: length.
        hz: rate.
    """
    messages = []
    for at in np.arange(0, seconds, 1 / hz).tolist():
        angles = [float(np.sin((1 + which) * (at - late_s) + 0.5 * i)) for i in range(6)]
        stamp = T0 + round(at * NS)
        messages.append((stamp + 300_000, joint_state(stamp, *angles)))
    return JOINTS, messages
