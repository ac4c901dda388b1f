"""Subscribe to the streams of a profile, and find out how their messages are read."""

from __future__ import annotations

from dataclasses import replace

from robot_recorder.encoding.encoders import EncodedStream
from robot_recorder.messages.encoded import VIDEO_DEFINITION, recorded_stream, recorded_topic
from robot_recorder.messages.installed_types import (
    message_definition,
    readable_definition,
    type_hash,
)
from robot_recorder.messages.kinds import (
    has_header,
    needs_definition,
    stream_decoder,
    values_problem,
)
from robot_recorder.messages.stamps import StampReader
from robot_recorder.messages.video_messages import VIDEO
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import Policy, StreamConfig
from robot_recorder.model.topics import BagTopic, Channel
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


def recorded_live_stream(ingest: Ingest, stream: StreamConfig) -> LiveStream:
    """Subscribe to a stream's topic, and return the stream as it is recorded.

    Raises:
        ConfigError: as ``live_stream``.
    """
    received = live_stream(ingest, stream)
    if stream.encode is None:
        return received
    config = recorded_stream(stream)
    topic = BagTopic(
        recorded_topic(received.channel.topic, stream.encode.codec),
        config.type,
        type_hash=type_hash(config.type),
        definition=message_definition(config.type) or _definition(config.type),
    )
    encoded = EncodedStream(stream, received.channel, Channel(topic))
    reader = StampReader(config, True, topic.definition)
    return replace(received, channel=encoded.channel, config=config, reader=reader, encoded=encoded)


def _definition(type_name: str) -> str:
    """Return the definition of a type that need not be installed to be recorded."""
    return VIDEO_DEFINITION if type_name == VIDEO else ""
