"""Decode one stream's messages to values in one growing order, each sample at most once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.alignment.layouts import NO_SHAPE, Layouts
from robot_recorder.alignment.template import Template
from robot_recorder.messages.decoders import Decoded
from robot_recorder.model.arrays import Floats, Places
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.payloads import Payloads, Rows
from robot_recorder.model.value_names import quaternion_starts

_TEMPLATES = 8  # layouts whose messages are decoded in batches


@dataclass
class StreamCounts:
    """Number of samples of one stream pushed into the aligner, by what became of them.

    ``received = used + superseded + duplicate + ahead + no_clock + overflow`` plus unused ones
    still kept. ``late``, ``out_of_order``, ``tickless``, ``undecodable`` and ``mismatched`` overlap
    with these.

    Attributes:
        received: all samples.
        used: chosen for a frame, or part of a window.
        superseded: not chosen by any tick, because other samples were better.
        duplicate: with the stamp of an earlier sample.
        ahead: stamped more than a second after its receive time (with a device's clock: 20 ms).
        no_clock: received before the device's clock was estimated.
        overflow: dropped because too many samples waited for a tick.
        late: received after the frame that its stamp belongs to was emitted.
        out_of_order: stamped before an earlier sample.
        tickless: of a reference stream, received after its own deadline, so that it makes no frame.
        undecodable: decoding failed because the bytes do not fit the type.
        mismatched: decoded, but with more names than a stream may have.
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


class Decoder:
    """Decoder of one stream, which keeps decoded values until told to forget them."""

    def __init__(
        self,
        decode: Callable[[bytes], Decoded] | None,
        counts: StreamCounts,
        names: tuple[str, ...] | None = None,
        by_name: bool = False,
    ) -> None:
        """
        Args:
            decode: decodes one message; None: the stream has no values.
            counts: counts failures.
            names: names of the first values; None: as in the first message.
            by_name: whether messages may name different joints.
        """
        self.decode = decode
        self.by_name = by_name and decode is not None
        self.layouts = Layouts(names)
        self.seen: Counter[int] = Counter()  # classified messages by shape
        self.first_error = ""  # why the first undecodable message could not be decoded
        self._counts = counts
        self._templates: list[Template] = []
        self._made = 0  # templates made so far, including those dropped
        self._values: dict[int, tuple[Floats | None, int]] = {}

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the values, in their order; None: not known yet."""
        return self.layouts.names

    @property
    def quaternions(self) -> tuple[int, ...]:
        """Places where unit quaternions begin among the values."""
        return quaternion_starts(self.layouts.names or ())

    @property
    def width(self) -> int:
        """Number of values known so far."""
        return len(self.layouts.names or ())

    @property
    def notes(self) -> list[str]:
        """Sentences about what is unusual in the messages."""
        return list(dict.fromkeys(self.layouts.notes.values()))

    @property
    def words(self) -> tuple[str, ...]:
        """Sentences about what is unusual, including values that only some messages have."""
        return tuple(self.layouts.words(self.seen))

    def values(self, number: int, payload: Callable[[int], bytes]) -> Floats | None:
        """Return a sample's values in the order of ``names``; None: undecodable.

        Values that the message does not have are NaN. Names added since it was decoded are left
        out.

        Args:
            number: of the sample.
            payload: returns a sample's bytes by its number.
        """
        found = self._values.get(number)
        if found is None:
            found = self._values[number] = self._one(payload(number))
        return found[0]

    def _one(self, payload: bytes) -> tuple[Floats | None, int]:
        """Return a message's values and its shape, by a template if one matches."""
        for template in reversed(self._templates):
            row = template.one(payload)
            if row is not None:
                return template.spread(row[np.newaxis], self.width)[0], template.shape
        return self._read(payload)

    def shape(self, number: int) -> int:
        """Return the shape of a sample that has been decoded; NO_SHAPE: undecodable."""
        return self._values[number][1]

    def shapes(self, payloads: Payloads) -> Places:
        """Return the shape of each message, intp[n], see Layouts; NO_SHAPE: no readable values."""
        # A live batch is a list, which is decoded faster than checked for the protocol.
        if isinstance(payloads, list):
            found = self._shapes_of(payloads)
        elif not isinstance(payloads, Rows):
            found = self._shapes_of([payloads[n] for n in range(len(payloads))])
        else:
            found = self._shapes_at_once(payloads)
        self._count(found)
        return found

    def _count(self, shapes: Places) -> None:
        """Count classified messages."""
        if len(shapes) and (shapes == shapes[0]).all():
            self.seen[int(shapes[0])] += len(shapes)
        else:
            self.seen.update(shapes.tolist())

    def _shapes_of(self, messages: list[bytes]) -> Places:
        """Return the shapes of some messages; they usually match the newest template."""
        if self._templates and self._templates[-1].like(messages):
            return np.full(len(messages), self._templates[-1].shape, dtype=np.intp)
        return np.array([self._shape_of(message) for message in messages])

    def _shape_of(self, payload: bytes) -> int:
        """Return the shape of a message, without decoding it if a template matches."""
        for template in reversed(self._templates):
            if template.like([payload]):
                return template.shape
        row, shape = self._read(payload)
        return shape if row is not None and len(row) else NO_SHAPE

    def _shapes_at_once(self, payloads: Rows) -> Places:
        """Return the shapes of many messages."""
        found = np.full(len(payloads), NO_SHAPE, dtype=np.intp)
        left = np.arange(len(payloads), dtype=np.int64)
        tried = 0
        while len(left):
            fresh = self._templates[len(self._templates) - min(self._made - tried, _TEMPLATES) :]
            tried = self._made
            for template in fresh:
                fits = template.alike(payloads, left)
                found[left[fits]] = template.shape
                left = left[~fits]
            while len(left) and self._made == tried:  # until a new template may match many
                found[left[0]] = self._shape_of(payloads[int(left[0])])
                left = left[1:]
        return found

    def many(
        self, payloads: Rows, first: int, numbers: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], Floats, Places]:
        """Decode those of many samples that match a known template.

        Args:
            payloads: message bytes.
            first: sample number of the first message in ``payloads``.
            numbers: int64[n], samples to decode.

        Returns:
            Of the m samples decoded: numbers, int64[m]; values, float64[m, k]; shapes, intp[m].
        """
        left, parts = numbers, []
        for template in self._templates:
            there, values = template.read(payloads, left - first)
            if len(values):
                shapes = np.full(len(values), template.shape, dtype=np.intp)
                parts.append((left[there], template.spread(values, self.width), shapes))
                left = left[~there]
            if not len(left):
                break
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return numbers[:0], np.empty((0, self.width)), np.empty(0, dtype=np.intp)
        done, rows, shapes = (np.concatenate(column) for column in zip(*parts))
        order = np.argsort(done)
        return done[order], rows[order], shapes[order]

    def all(self, payloads: Rows) -> tuple[npt.NDArray[np.int64], Floats, Places]:
        """Decode all messages, without keeping their values.

        Returns:
            Of the m messages with values: indices, int64[m]; values, float64[m, k]; shapes,
                intp[m].
        """
        left = np.arange(len(payloads), dtype=np.int64)
        parts = []
        while len(left):
            made = self._made
            done, rows, shapes = self.many(payloads, 0, left)
            if len(done):
                parts.append((done, rows, shapes))
                left = left[~np.isin(left, done)] if len(done) < len(left) else left[:0]
            while len(left) and self._made == made:  # until a new template may match many
                row, shape = self._read(payloads[int(left[0])])
                if row is not None and len(row):
                    parts.append((left[:1], row[np.newaxis], np.array([shape], dtype=np.intp)))
                elif row is not None:
                    self.seen[shape] += 1
                left = left[1:]
        if len(parts) == 1 and parts[0][1].shape[1] == self.width:
            done, rows, shapes = parts[0]
        elif not parts:
            return left, np.empty((0, self.width)), np.empty(0, dtype=np.intp)
        else:
            done = np.concatenate([p[0] for p in parts])
            rows = np.concatenate([widened(p[1], self.width) for p in parts])
            shapes = np.concatenate([p[2] for p in parts])
            order = np.argsort(done)
            done, rows, shapes = done[order], rows[order], shapes[order]
        self._count(shapes)
        return done, rows, shapes

    def keep(self, numbers: npt.NDArray[np.int64], values: Floats, shapes: Places) -> None:
        """Store decoded values of samples for later calls of ``values``."""
        for number, row, shape in zip(numbers.tolist(), values, shapes.tolist()):
            self._values.setdefault(number, (row, shape))

    def failed(self, number: int) -> bool:
        """Tell whether a sample turned out to be undecodable."""
        return number in self._values and self._values[number][0] is None

    def forget_before(self, number: int) -> None:
        """Forget the values of samples with lower numbers."""
        while self._values and (first := next(iter(self._values))) < number:
            del self._values[first]

    def forget_others(self, numbers: npt.NDArray[np.int64]) -> None:
        """Forget the values of all samples except these."""
        kept = set(numbers.tolist())
        self._values = {n: found for n, found in self._values.items() if n in kept}

    def _read(self, payload: bytes) -> tuple[Floats | None, int]:
        """Decode one message to values, None if undecodable, and its shape."""
        assert self.decode is not None
        try:
            decoded = self.decode(payload)
        except DecodeError as error:
            self._counts.undecodable += 1
            self.first_error = self.first_error or str(error)
            return None, NO_SHAPE
        order = self.layouts.order(decoded.names)
        if order is None:  # too many names: an endless number of them would fill the memory
            self._counts.mismatched += 1
            return None, NO_SHAPE
        shape, places = order
        if decoded.note:
            self.layouts.notes.setdefault(shape, decoded.note)
        if not len(decoded.names):
            return np.empty(0), shape
        if decoded.spans and not any(t.like([payload]) for t in self._templates):
            self._templates = self._templates[1 - _TEMPLATES :]
            self._templates.append(Template.of(payload, decoded, shape, places))
            self._made += 1
        row = np.full(self.width, np.nan)
        row[places] = decoded.values
        return row, shape


def widened(rows: Floats, width: int) -> Floats:
    """Pad rows that were decoded when fewer names were known with NaN."""
    missing = width - rows.shape[1]
    return rows if missing <= 0 else np.pad(rows, ((0, 0), (0, missing)), constant_values=np.nan)
