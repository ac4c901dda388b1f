"""One stream's decoder inside the aligner: bytes to values in one order, each sample at most once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from robot_recorder.core.arrays import Bools, Bytes, Floats, Places
from robot_recorder.core.decoding import Decoded
from robot_recorder.core.errors import DecodeError

_STAMP = slice(4, 12)  # of a message that begins with a header: differs in every one


@dataclass
class StreamCounts:
    """What became of every sample pushed into the aligner.

    ``received = used + superseded + duplicate + ahead + no_clock + overflow`` plus what is still kept.
    ``late``, ``out_of_order``, ``tickless``, ``undecodable`` and ``mismatched`` say more about some of these.

    Attributes:
        used: chosen for a frame, or part of a window.
        superseded: no tick wanted it; another sample was nearer.
        duplicate: the same stamp as an earlier one.
        ahead: stamped more than a second after its own receipt (with a device's clock: 20 ms).
        no_clock: of a device whose clock is not known yet.
        overflow: dropped because too many waited for a tick.
        late: arrived after the frame that its stamp belongs to had left.
        out_of_order: stamped before one that had arrived earlier.
        tickless: of a reference stream, received after the deadline of its own tick: no frame is made of it.
        undecodable: chosen, and its bytes could not be read.
        mismatched: chosen, and it has other value names than the stream's first one.
    """

    received: int = 0
    used: int = 0
    superseded: int = 0
    duplicate: int = 0
    ahead: int = 0
    no_clock: int = 0
    overflow: int = 0
    late: int = 0
    out_of_order: int = 0
    tickless: int = 0
    undecodable: int = 0
    mismatched: int = 0


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


@dataclass(frozen=True)
class _Template:
    """A decoded message: another one with the same bytes beside its stamp and numbers has the same layout."""

    data: Bytes
    same: Bools  # which bytes have to be
    spans: tuple[tuple[int, int, np.dtype], ...]

    @classmethod
    def of(cls, data: bytes, decoded: Decoded) -> _Template:
        same = np.ones(len(data), dtype=bool)
        same[_STAMP] = False
        for start, count, kind in decoded.spans:
            same[start : start + count * kind.itemsize] = False
        for start, end in decoded.gaps:
            same[start:end] = False
        return cls(np.frombuffer(data, np.uint8), same, decoded.spans)

    def read(self, rows: Bytes) -> tuple[Bools, Floats]:
        """Which rows have the layout, and the numbers of these."""
        fits = self._fits(rows)
        rows = rows if fits.all() else rows[fits]
        parts = [
            np.ascontiguousarray(rows[:, start : start + count * kind.itemsize])
            .view(kind)
            .astype(np.float64, copy=False)
            for start, count, kind in self.spans
        ]
        return fits, parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _fits(self, rows: Bytes) -> Bools:
        """bool[n], equal in every byte that matters; words of four at once where all of a word does."""
        if rows.shape[1] % 4 or not rows.flags.c_contiguous:
            return np.asarray((rows[:, self.same] == self.data[self.same]).all(axis=1))
        equal = rows.view(np.uint32) == self.data.view(np.uint32)
        equal |= ~self._whole_words
        single = self._single_bytes
        return np.asarray(equal.all(axis=1) & (rows[:, single] == self.data[single]).all(axis=1))

    @cached_property
    def _whole_words(self) -> Bools:
        """Which words of four bytes matter altogether."""
        return np.asarray(self.same.reshape(-1, 4).all(axis=1))

    @cached_property
    def _single_bytes(self) -> Places:
        """Which bytes of the other words do."""
        return np.flatnonzero(self.same & ~np.repeat(self._whole_words, 4))


class Decoder:
    """Keeps what it has decoded until told to forget it."""

    def __init__(
        self,
        decode: Callable[[bytes], Decoded] | None,
        quaternions: tuple[int, ...],
        counts: StreamCounts,
        names: tuple[str, ...] | None = None,
    ) -> None:
        """
        Args:
            decode: None: the stream has no values.
            quaternions: where unit quaternions begin among the values.
            counts: where failures are counted.
            names: of the values; None: those of the first sample.
        """
        self.decode = decode
        self.quaternions = quaternions
        self.names = names
        self.first_error = ""  # of a message that could not be decoded
        self._counts = counts
        self._template: _Template | None = None
        self._values: dict[int, Floats | None] = {}
        self._orders: dict[tuple[str, ...], npt.NDArray[np.intp] | None] = {}

    def values(self, number: int, payload: Callable[[int], bytes]) -> Floats | None:
        """Values of a sample by its number, in the order of ``names``; None: they can not be had."""
        if number not in self._values:
            self._values[number] = self._read(payload(number))
        return self._values[number]

    def many(
        self, payloads: Rows, first: int, numbers: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], Floats]:
        """Decode many samples at once, where they are laid out as the first one was.

        Args:
            payloads: where they are.
            first: number of the first one there.
            numbers: which.

        Returns:
            int64[m], the numbers of those that are; float64[m, k], their values.
        """
        template = self._template
        if template is None:
            return numbers[:0], np.empty((0, 0))
        there, rows = payloads.rows(numbers - first, len(template.data))
        fits, values = template.read(rows)
        return numbers[there][fits], values

    def all(self, payloads: Rows) -> tuple[npt.NDArray[np.int64], Floats]:
        """Decode messages that are asked for only once, and forget them.

        Returns:
            int64[m], the numbers of those that can be had; float64[m, k], their values.
        """
        numbers = np.arange(len(payloads), dtype=np.int64)
        if not self.names:  # the first one with numbers says how the others look
            for number in numbers.tolist():
                self.names = None
                values = self.values(number, payloads.__getitem__)
                if values is not None and len(values):
                    break
            self._forget_others()
        done, rows = self.many(payloads, 0, numbers)
        if len(done) < len(numbers):
            self.keep(done, rows)
            one_by_one = [self.values(n, payloads.__getitem__) for n in numbers.tolist()]
            done = np.array([n for n, v in enumerate(one_by_one) if v is not None], dtype=np.int64)
            rows = np.array([v for v in one_by_one if v is not None])
        self.forget_before(2**62)
        return done, rows

    def _forget_others(self) -> None:
        """What has been decoded and is laid out otherwise than ``names`` say is of no use."""
        for number, values in self._values.items():
            if values is not None and len(values) != len(self.names or ()):
                self._values[number] = None
                self._counts.mismatched += bool(
                    len(values)
                )  # a driver that is not up yet says nothing

    def keep(self, numbers: npt.NDArray[np.int64], values: Floats) -> None:
        """Have the values of samples ready when they are asked for."""
        for number, row in zip(numbers.tolist(), values):
            self._values.setdefault(number, row)

    def failed(self, number: int) -> bool:
        """It was asked for, and could not be had."""
        return number in self._values and self._values[number] is None

    def forget_before(self, number: int) -> None:
        """Samples of lower numbers will not be asked for again."""
        while self._values and (first := next(iter(self._values))) < number:
            del self._values[first]

    def _read(self, payload: bytes) -> Floats | None:
        assert self.decode is not None
        try:
            decoded = self.decode(payload)
        except DecodeError as error:
            self._counts.undecodable += 1
            self.first_error = self.first_error or str(error)
            return None
        if self.names is None:
            self.names = decoded.names
        if decoded.names is self.names or decoded.names == self.names:
            if decoded.spans and self._template is None:
                self._template = _Template.of(payload, decoded)
            return decoded.values
        if decoded.names not in self._orders:
            self._orders[decoded.names] = self._order(decoded.names)
        order = self._orders[decoded.names]
        if order is None:
            # Other joints than the layout has, as when two drivers share a topic: never invent a number.
            self._counts.mismatched += 1
            return None
        return decoded.values[order]

    def _order(self, names: tuple[str, ...]) -> npt.NDArray[np.intp] | None:
        assert self.names is not None
        if len(self._orders) > 64:  # a fuzzer must not fill the memory
            self._orders.clear()
        if sorted(names) != sorted(self.names):
            return None
        place = {name: i for i, name in enumerate(names)}
        return np.array([place[name] for name in self.names], dtype=np.intp)
