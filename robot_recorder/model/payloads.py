"""Access to the bytes of many messages, one by one or as rows of an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from robot_recorder.model.arrays import Bools, Bytes


class Payloads(Protocol):
    """The bytes of many messages, by index."""

    def __getitem__(self, number: int, /) -> bytes: ...

    def __len__(self) -> int: ...


@runtime_checkable
class Rows(Payloads, Protocol):
    """The bytes of many messages, which can also be read as rows of an array."""

    def rows(self, numbers: npt.NDArray[np.int64], size: int) -> tuple[Bools, Bytes]:
        """Return messages of one size as rows.

        Args:
            numbers: int64[n], indexes of the messages, rising.
            size: size of a message, bytes.

        Returns:
            bool[n], which messages have that size; uint8[m, size], those messages.
        """
        ...


class Messages:
    """Messages in a list, readable as rows.

    Attributes:
        messages: as given.
    """

    def __init__(self, messages: Sequence[bytes]) -> None:
        """Wrap a list of messages."""
        self.messages = messages

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, number: int) -> bytes:
        return self.messages[number]

    def rows(self, numbers: npt.NDArray[np.int64], size: int) -> tuple[Bools, Bytes]:
        """Return messages of one size as rows; copies them."""
        chosen = self.messages
        if len(numbers) < len(chosen):
            chosen = [chosen[n] for n in numbers.tolist()]
        fits = np.ones(len(chosen), dtype=bool)
        if set(map(len, chosen)) != {size}:
            fits = np.array([len(m) == size for m in chosen], dtype=bool)
            chosen = [m for m in chosen if len(m) == size]
        return fits, np.frombuffer(b"".join(chosen), np.uint8).reshape(-1, size)
