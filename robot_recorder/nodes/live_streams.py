"""Subscribe to the streams of a profile, and find out how their messages are read."""

from __future__ import annotations

from robot_recorder.messages.installed_types import readable_definition
from robot_recorder.messages.kinds import (
    has_header,
    needs_definition,
    stream_decoder,
    values_problem,
)
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import Policy, StreamConfig
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.recorder.live_stream import LiveStream


def live_stream(ingest: Ingest, stream: StreamConfig) -> LiveStream:
    """Subscribe to a stream's topic.

    Raises:
        ConfigError: its type is not installed, or its mapping or stamp does not fit the type.
    """
    try:
        channel = ingest.subscribe(stream.topic, stream.type, stream.qos)
        definition = readable_definition(stream.type)
        reader = StampReader(stream, has_header(stream.type, definition), definition)
        if stream.policy is Policy.NONE or not needs_definition(stream):
            return LiveStream(channel, stream, reader)
        if problem := values_problem(stream, definition):
            return LiveStream(channel, stream, reader, None, problem)
        return LiveStream(channel, stream, reader, stream_decoder(stream, definition))
    except ConfigError as error:
        prefix = f"stream '{stream.name}': "
        text = str(error)
        raise ConfigError(text if text.startswith(prefix) else prefix + text) from error
