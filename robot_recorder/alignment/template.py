"""Recognise messages with the same layout by their bytes, to decode many of them together."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from robot_recorder.messages.cdr import NumberSpan
from robot_recorder.messages.decoders import Decoded
from robot_recorder.model.arrays import Bools, Bytes, Floats, Places
from robot_recorder.model.payloads import Messages, Rows

try:  # part of the package that is compiled where it can be: a tenth of the cost
    from robot_recorder.alignment._template import Pattern as _Pattern
except ImportError:
    _Pattern = None

# Numbers that the compiled part reads, by numpy's names.
_KINDS = {
    "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f4": "f", "f8": "d",
}  # fmt: skip
_STAMP = slice(4, 12)  # bytes of the header stamp, which differ between messages
_FEW_SHARE = 0.2  # of relevant bytes, below which they are compared one by one


@dataclass(frozen=True)
class Template:
    """A decoded message as a pattern: messages with the same bytes except stamp and numbers match.

    Attributes:
        data: bytes of the message.
        same: bool[bytes], which bytes have to be equal.
        spans: of the numbers.
        factors: float64[k], factors of the values; None: all 1.
        shape: shape of the message, see Layouts.
        places: places of its values among the stream's names.
        absent: number in the bytes that stands for no value; None: no number does.
    """

    data: Bytes
    same: Bools
    spans: tuple[NumberSpan, ...]
    factors: Floats | None
    shape: int
    places: Places
    absent: float | None = None

    @classmethod
    def of(cls, data: bytes, decoded: Decoded, shape: int, places: Places) -> Template:
        """Make a template of a decoded message."""
        same = _all_but_numbers(data, decoded)
        if decoded.fixed is not None:
            same[:] = False
            for start, end in decoded.fixed:
                same[start:end] = True
        whole = np.frombuffer(data, np.uint8)
        return cls(whole, same, decoded.spans, decoded.factors, shape, places, decoded.absent)

    def like(self, messages: list[bytes]) -> bool:
        """Tell whether all of some messages are equal to this one in all relevant bytes."""
        pattern, _ = self._compiled
        if pattern is not None:
            return bool(pattern.alike(messages))
        if set(map(len, messages)) - {len(self.data)}:
            return False
        rows = np.frombuffer(b"".join(messages), np.uint8).reshape(-1, len(self.data))
        return not ((rows ^ self.data) & self._mask).any()

    def one(self, data: bytes) -> Floats | None:
        """Return the values of a message, float64[k]; None: it differs in a relevant byte."""
        pattern, reads = self._compiled
        if reads:
            values: Floats = np.empty(self._width)
            return self._scaled(values) if pattern.read([data], None, values) == b"\1" else None
        if not self.like([data]):
            return None
        return self._scaled(self._numbers(np.frombuffer(data, np.uint8)[np.newaxis])[0])

    def _scaled(self, values: Floats) -> Floats:
        """Return the values that numbers in the bytes stand for; may change them."""
        if self.absent is not None:
            values[values == self.absent] = np.nan
        return values if self.factors is None else values * self.factors

    def alike(self, payloads: Rows, numbers: npt.NDArray[np.int64]) -> Bools:
        """``like`` for each of many messages, bool[n]."""
        there, rows = payloads.rows(numbers, len(self.data))
        there[there] = self._fits(rows)
        return there

    def read(self, payloads: Rows, numbers: npt.NDArray[np.int64]) -> tuple[Bools, Floats]:
        """Return which of some messages match, bool[n], and the values of those, float64[m, k].

        Args:
            payloads: the messages.
            numbers: int64[n], indexes of those to read.
        """
        pattern, reads = self._compiled
        if reads and isinstance(payloads, Messages) and isinstance(payloads.messages, list):
            values = np.empty((len(numbers), self._width))
            fits = np.frombuffer(pattern.read(payloads.messages, numbers, values), np.bool_)
            return fits, self._scaled(values[: np.count_nonzero(fits)])
        there, rows = payloads.rows(numbers, len(self.data))
        fits = self._fits(rows)
        there[there] = fits
        return there, self._scaled(self._numbers(rows if fits.all() else rows[fits]))

    def _numbers(self, rows: Bytes) -> Floats:
        """Return the numbers in rows that match, float64[n, k]."""
        rows = np.ascontiguousarray(rows)
        values = np.empty((len(rows), self._width))
        at = 0
        for start, count, kind, stride in self.spans if len(rows) else ():
            strides = rows.strides[0], stride
            values[:, at : at + count] = np.ndarray((len(rows), count), kind, rows, start, strides)
            at += count
        return values

    def _fits(self, rows: Bytes) -> Bools:
        """Return which rows are equal in all relevant bytes, bool[n], compared by 4 byte words."""
        if len(self._relevant) < _FEW_SHARE * len(self.data):
            return np.asarray((rows[:, self._relevant] == self.data[self._relevant]).all(axis=1))
        if rows.shape[1] % 4 or not rows.flags.c_contiguous:
            return np.asarray((rows[:, self.same] == self.data[self.same]).all(axis=1))
        equal = rows.view(np.uint32) == self.data.view(np.uint32)
        equal |= ~self._whole_words
        single = self._single_bytes
        return np.asarray(equal.all(axis=1) & (rows[:, single] == self.data[single]).all(axis=1))

    @cached_property
    def _mask(self) -> Bytes:
        """Return 255 for each relevant byte, 0 for the others."""
        return self.same.astype(np.uint8) * np.uint8(255)

    @cached_property
    def _width(self) -> int:
        """Number of numbers in a message."""
        return sum(span.length for span in self.spans)

    @cached_property
    def _compiled(self) -> tuple[Any, bool]:
        """Return the compiled part's pattern (None: not installed), and whether it reads the numbers."""
        if _Pattern is None:
            return None, False
        spans = tuple(
            (start, count, stride, _KINDS.get(kind.str[1:], "") if kind.isnative else "")
            for start, count, kind, stride in self.spans
        )
        reads = all(kind for *_, kind in spans) and sys.byteorder == "little"
        return _Pattern(self.data.tobytes(), self._mask.tobytes(), spans if reads else ()), reads

    @cached_property
    def _relevant(self) -> Places:
        """Places of the relevant bytes."""
        return np.flatnonzero(self.same)

    @cached_property
    def _whole_words(self) -> Bools:
        """Which 4 byte words are relevant as a whole."""
        return np.asarray(self.same.reshape(-1, 4).all(axis=1))

    @cached_property
    def _single_bytes(self) -> Places:
        """Places of the relevant bytes in the other words."""
        return np.flatnonzero(self.same & ~np.repeat(self._whole_words, 4))

    def spread(self, rows: Floats, width: int) -> Floats:
        """Return values in the order of the stream's names, NaN for names the message lacks."""
        if len(self.places) == width and self._in_order:
            return rows
        wide = np.full((len(rows), width), np.nan)
        wide[:, self.places] = rows
        return wide

    @cached_property
    def _in_order(self) -> bool:
        return bool((self.places == np.arange(len(self.places))).all())


def _all_but_numbers(data: bytes, decoded: Decoded) -> Bools:
    """Return which bytes matter if all do except stamp, numbers and padding."""
    same = np.ones(len(data), dtype=bool)
    same[_STAMP] = False
    for start, count, kind, _ in decoded.spans:
        same[start : start + count * kind.itemsize] = False
    for start, end in decoded.gaps:
        same[start:end] = False
    return same
