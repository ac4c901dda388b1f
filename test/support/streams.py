"""Streams as the recorder watches them, for channels that a test has made."""

from __future__ import annotations

from robot_recorder.messages.kinds import kind_of
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.streams import StreamConfig
from robot_recorder.model.topics import Channel
from robot_recorder.recorder.live_stream import LiveStream


def live(channel: Channel, stream: StreamConfig) -> LiveStream:
    """Return a stream of a known type."""
    return LiveStream(channel, stream, StampReader(stream, kind_of(stream).has_header))
