"""Take the messages of a subscription in batches, without an executor.

The call used is the one that rclpy's own executor makes, unchanged since Humble. Where the package's
compiled part is installed, it does the same at a third of the cost.
"""

from __future__ import annotations

import importlib
import logging
import time
from functools import cache
from typing import Any, NamedTuple, Protocol

from rclpy.subscription import Subscription

from robot_recorder.model.topics import Channel, Sample

_new = tuple.__new__  # as Sample(...), in a third of the time


class Odd(NamedTuple):
    """A taken message that is not the next one of the expected publisher.

    Attributes:
        data: CDR bytes.
        received_ns: when the middleware received it, or when it was taken if the middleware does not say.
        sent_ns: when its publisher sent it, publisher's clock; 0 or less: unknown.
        number: its publisher's number of it; None: the middleware has no numbers.
        publisher: id of its publisher; empty: unknown (rclpy before Kilted).
    """

    data: bytes
    received_ns: int
    sent_ns: int
    number: int | None
    publisher: bytes


class Taker(Protocol):
    """Takes the messages of one subscription."""

    def take(
        self,
        samples: list[Sample],
        publisher: bytes,
        expected: int | None,
        before_ns: int,
        now_ns: int,
        /,
    ) -> tuple[tuple[bytes, int, int, int | None, bytes] | None, int | None, int]:
        """Take messages while they are the next ones of a publisher.

        The middleware may hold a message until an older one is sent again: its receive time is that of
        the message before, if that is later. A time above ``now_ns`` means that the clock was set back.

        Args:
            samples: gets the samples.
            publisher: id of the publisher.
            expected: number of its next message; None: it has no numbers.
            before_ns: receive time of its message before.
            now_ns: current system time.

        Returns:
            The first message that is not such a one, as the fields of ``Odd``, None: there are no more
            messages; then ``expected`` and ``before_ns`` for the next call.

        Raises:
            RuntimeError: the middleware fails.
        """


class PythonTaker:
    """Taker by rclpy."""

    def __init__(
        self, subscription: Subscription[Any], message_type: Any, channel: Channel
    ) -> None:
        """Wrap a raw subscription.

        Args:
            subscription: must outlive it.
            message_type: class of its messages.
            channel: of the samples.
        """
        self._take, self._type, self._channel = (
            subscription.handle.take_message,
            message_type,
            channel,
        )

    def take(
        self,
        samples: list[Sample],
        publisher: bytes,
        expected: int | None,
        before_ns: int,
        now_ns: int,
        /,
    ) -> tuple[Odd | None, int | None, int]:
        """See Taker."""
        channel, take, message_type = self._channel, self._take, self._type
        while (taken := take(message_type, True)) is not None:
            data, info = taken
            received = info["received_timestamp"] or time.time_ns()
            number = info.get("publication_sequence_number")  # since Jazzy
            gid = info.get("publisher_gid")  # since Kilted
            id = b"" if gid is None else gid["data"]
            sent = info["source_timestamp"]
            if id != publisher or number != expected:
                return Odd(data, received, sent, number, id), expected, before_ns
            if received < before_ns <= now_ns:
                received = before_ns
            samples.append(
                _new(Sample, (channel, data, received, sent if sent > 0 else received, publisher))
            )
            before_ns = received
            if expected is not None:
                expected += 1
        return None, expected, before_ns


@cache
def _compiled() -> Any:
    """Return the compiled Taker; None: it is not installed, or cannot be loaded."""
    try:
        return importlib.import_module("robot_recorder.nodes._taker").Taker
    except ModuleNotFoundError:
        return None
    except ImportError as error:  # built for another distribution or Python
        logging.getLogger(__name__).warning(
            "the compiled part cannot be loaded (%s): recording costs more CPU; build the package again",
            error,
        )
        return None


def taker_of(subscription: Subscription[Any], message_type: Any, channel: Channel) -> Taker:
    """Return the fastest taker of a raw subscription, which must outlive it."""
    compiled = _compiled()
    if compiled is None:
        return PythonTaker(subscription, message_type, channel)
    handle = subscription.handle
    return compiled(handle, handle.pointer, channel, Sample)  # type: ignore[no-any-return]
