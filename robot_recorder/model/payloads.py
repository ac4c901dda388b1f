"""The bytes of many messages, one by one or as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from robot_recorder.model.arrays import Bools, Bytes


class Payloads(Protocol):
    """The bytes of many messages."""

    def __getitem__(self, number: int, /) -> bytes: ...

    def __len__(self) -> int: ...


@runtime_checkable
class Rows(Payloads, Protocol):
    """The same, of which many can be had at once."""

    def rows(self, numbers: npt.NDArray[np.int64], size: int) -> tuple[Bools, Bytes]:
        """Messages as rows.

        Args:
            numbers: int64[n], which.
            size: bytes of each.

        Returns:
            bool[n], which of them are that long; uint8[m, size], these.
        """
        ...

    def cut(
        self, numbers: npt.NDArray[np.int64], size: int, first: int, end: int
    ) -> tuple[Bools, Bytes]:
        """The same, of each only the bytes from ``first`` up to ``end``."""
        ...


class Messages:
    """Bytes of messages in a list, of which those of one size can be had as rows. See Rows."""

    def __init__(self, messages: Sequence[bytes]) -> None:
        self._messages = messages

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, number: int) -> bytes:
        return self._messages[number]

    def rows(self, numbers: npt.NDArray[np.int64], size: int) -> tuple[Bools, Bytes]:
        """See Rows."""
        chosen = self._messages
        if len(numbers) < len(chosen):
            chosen = [chosen[n] for n in numbers.tolist()]
        fits = np.ones(len(chosen), dtype=bool)
        if set(map(len, chosen)) != {size}:
            fits = np.array([len(m) == size for m in chosen], dtype=bool)
            chosen = [m for m in chosen if len(m) == size]
        return fits, np.frombuffer(b"".join(chosen), np.uint8).reshape(-1, size)

    def cut(
        self, numbers: npt.NDArray[np.int64], size: int, first: int, end: int
    ) -> tuple[Bools, Bytes]:
        """See Rows."""
        fits, rows = self.rows(numbers, size)
        return fits, rows[:, first:end]
