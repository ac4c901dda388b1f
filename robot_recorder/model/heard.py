"""How the messages of a running robot pass from the process that listens to one that reads."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

_HEAD = struct.Struct("<BI")  # what it is, bytes that follow
_MESSAGE = struct.Struct("<Iqq")  # number of the topic, received, sent
_TOPIC, _MESSAGE_KIND, _LISTENING = 1, 2, 3


class HeardMessage(NamedTuple):
    """A message: number of its topic, bytes, when received and sent, ns."""

    topic: int
    data: bytes
    receive_ns: int
    send_ns: int


class FoundTopic(NamedTuple):
    """A topic that was found.

    Attributes:
        number: of the topic, for its messages.
        name: fully qualified.
        type: message type.
        definition: of it, in ros2msg format; empty: unknown.
        latched: whether its publishers keep messages for late subscribers.
        problem: why it is not listened to; empty: it is.
    """

    number: int
    name: str
    type: str
    definition: str
    latched: bool
    problem: str


class Listening(NamedTuple):
    """All topics were found, and are listened to from now on."""


Heard = HeardMessage | FoundTopic | Listening


def packed(heard: Heard) -> bytes:
    """Return the bytes of what was heard."""
    if isinstance(heard, HeardMessage):
        head = _MESSAGE.pack(heard.topic, heard.receive_ns, heard.send_ns)
        return _HEAD.pack(_MESSAGE_KIND, len(head) + len(heard.data)) + head + heard.data
    if isinstance(heard, FoundTopic):
        text = json.dumps(heard._asdict()).encode()
        return _HEAD.pack(_TOPIC, len(text)) + text
    return _HEAD.pack(_LISTENING, 0)


def unpacked(stream: BinaryIO) -> Iterator[Heard]:
    """Yield what was heard, until the stream ends."""
    while len(head := stream.read(_HEAD.size)) == _HEAD.size:
        what, size = _HEAD.unpack(head)
        body = stream.read(size)
        if len(body) < size:
            return
        if what == _MESSAGE_KIND:
            topic, received, sent = _MESSAGE.unpack_from(body)
            yield HeardMessage(topic, body[_MESSAGE.size :], received, sent)
        elif what == _TOPIC:
            found: dict[str, Any] = json.loads(body)
            yield FoundTopic(**found)
        else:
            yield Listening()
