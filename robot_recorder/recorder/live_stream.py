"""A stream as it is recorded: its channel, and how its messages are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from robot_recorder.encoding.encoders import EncodedStream
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.streams import StreamConfig
from robot_recorder.model.topics import Channel


@dataclass(frozen=True, eq=False)
class LiveStream:
    """One stream of the profile; several streams may read one channel.

    Attributes:
        channel: its channel.
        config: its entry in the profile.
        reader: reads its stamps.
        decode: decodes its messages, if that takes the definition of their type; None: it does
            not, or it has no values.
        no_values: why its messages have no values, although they could; empty: they have.
        encoded: what its messages are encoded from; channel and config are those of the encoded
            ones. None: they are recorded as they arrive.
    """

    channel: Channel
    config: StreamConfig
    reader: StampReader
    decode: Callable[[bytes], Decoded] | None = None
    no_values: str = ""
    encoded: EncodedStream | None = None

    @property
    def received(self) -> tuple[Channel, StreamConfig]:
        """Return channel and entry in the profile as its messages arrive."""
        if self.encoded is None:
            return self.channel, self.config
        return self.encoded.source, self.encoded.config


def decoders_by_name(
    streams: Iterable[LiveStream],
) -> Mapping[str, Callable[[bytes], Decoded]]:
    """Return the decoders of the streams that have one, by name."""
    return {s.config.name: s.decode for s in streams if s.decode is not None}
