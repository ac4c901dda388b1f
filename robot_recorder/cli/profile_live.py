"""What is heard of the streams of a profile, and a profile guessed from what is heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_recorder.cli.profile_rows import CheckedStream, described_values
from robot_recorder.messages.stamps import stamp_text
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.mapping import StampSource
from robot_recorder.model.streams import NS_PER_S, SourceClockKind
from robot_recorder.model.value_names import split_name
from robot_recorder.offline.guess import Guess, guess_profile
from robot_recorder.offline.heard_topic import HeardTopic, rate_of, summary_of

_SHOWN = 4  # values
_LEAST_STAMPS, _MOST_SHARED = 10, 0.5  # messages, and share of them with a stamp of their own


@dataclass(frozen=True)
class HeardStream:
    """What was heard of a stream.

    Attributes:
        name: of the stream.
        required: whether an episode needs it.
        count: number of messages.
        rate_hz: measured, Hz.
        values: what its values are; empty: no message could be read.
        stamp: where its timestamps came from; empty: unknown.
        now: a few values of the last message, for people.
        latest: values of the last message by name.
        silence: why there are no messages, and what to do; empty: there are.
        coarse: why its stamps cannot tell its messages apart, and what to do; empty: they can.
    """

    name: str
    required: bool
    count: int
    rate_hz: float
    values: str = ""
    stamp: str = ""
    now: str = ""
    latest: Mapping[str, float] | None = None
    silence: str = ""
    coarse: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "messages": self.count, "measured_hz": round(self.rate_hz, 3) if self.count > 1 else None,
            "now": None if self.latest is None else dict(self.latest),
        }  # fmt: skip


def heard_streams(
    rows: Sequence[CheckedStream], topics: Mapping[str, HeardTopic], namespace: str
) -> list[HeardStream]:
    """Return what was heard of each stream.

    Args:
        rows: the streams.
        topics: what was heard, by topic.
        namespace: of relative topics.
    """
    found = []
    for row in rows:
        name = row.stream.topic
        space = f"/{namespace.strip('/')}" if namespace.strip("/") else ""
        topic = topics.get(name if name.startswith("/") else f"{space}/{name}")
        found.append(_heard(row, topic, f"{space}/{name.lstrip('/')}"))
    return found


def _heard(row: CheckedStream, topic: HeardTopic | None, name: str) -> HeardStream:
    stream = row.stream
    if topic is None or not topic.count:
        why = f"nobody publishes {name}" if topic is None else (
            topic.problem or f"{name} has a publisher, and no message came")  # fmt: skip
        text = f"silent: {why}; start its driver, or correct 'topic'"
        return HeardStream(stream.name, stream.required, 0, 0.0, silence=text)
    if topic.type != stream.type:
        text = f"silent: {name} is published as {topic.type}, not {stream.type}: correct 'type'"
        return HeardStream(stream.name, stream.required, 0, 0.0, silence=text)
    values, now, latest = "", "", None
    if row.decode is not None:
        try:
            decoded = row.decode(topic.messages[-1])
        except DecodeError as error:
            now = f"cannot be read: {error}"
        else:
            values = described_values(stream, decoded.names)
            now = shown_values(decoded.names, decoded.values) or decoded.note
            latest = dict(zip(decoded.names, decoded.values.tolist()))
    stamp, coarse = _stamp(row, topic)
    return HeardStream(stream.name, stream.required, topic.count, rate_of(topic), values,
                       stamp, now, latest, coarse=coarse)  # fmt: skip


def _stamp(row: CheckedStream, topic: HeardTopic) -> tuple[str, str]:
    """Return where the stamps of the messages came from, and whether they are too coarse."""
    if row.reader is None:
        return "", ""
    sends, receives = (np.array(times, dtype=np.int64) for times in (topic.sends, topic.receives))
    row.reader.used.clear()
    stamps = row.reader.read(topic.messages, sends, receives)
    device = row.stream.clock is SourceClockKind.DEVICE
    text = stamp_text(row.reader.text, row.reader.used) + (" (device clock)" if device else "")
    of_field = row.stream.stamp.source is StampSource.FIELD
    return text, _coarse(stamps, receives) if of_field else ""


def _coarse(stamps: Int64s, receives: Int64s) -> str:
    """Return what is wrong with stamps of a field that many messages have in common."""
    different = len(np.unique(stamps))
    if len(stamps) < _LEAST_STAMPS or different > _MOST_SHARED * len(stamps):
        return ""
    span_s = float(receives[-1] - receives[0]) / NS_PER_S
    return (
        f"its stamp field has {different} values in {len(stamps)} messages ({span_s:.1f} s): too "
        "coarse to tell samples apart, and a start would be refused; name a finer field, or remove "
        "'stamp'"
    )


def shown_values(names: Sequence[str], values: np.ndarray, most: int = _SHOWN) -> str:
    """Return the first values with short names, for people."""
    parts = [f"{split_name(name)[0].rpartition('/')[2]} {value:.4g}"
             for name, value in zip(names[:most], values[:most].tolist())]  # fmt: skip
    more = f", ... ({len(names)} values)" if len(names) > most else ""
    return ", ".join(parts) + more


def guess_of_topics(topics: Sequence[HeardTopic], seconds: float, namespace: str) -> Guess:
    """Guess a profile from what was heard.

    Args:
        topics: with their messages.
        seconds: how long they were listened to.
        namespace: of the robot; empty: none.

    Raises:
        ConfigError: no topic looks like a sensor.
    """
    robot = namespace.strip("/").replace("/", "_") or "my_robot"
    summaries = [summary_of(topic) for topic in topics]
    heard = [topic.receives for topic in topics if topic.receives]
    if heard:  # not the time before publishers and subscriptions found each other
        span_ns = max(times[-1] for times in heard) - min(times[0] for times in heard)
        seconds = min(seconds, max(span_ns / NS_PER_S, 0.1))
    return guess_profile(robot, summaries, seconds, "a running robot", f"/{namespace.strip('/')}")
