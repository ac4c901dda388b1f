"""One stream's decoder: bytes to values in one order that only grows, each sample at most once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.alignment.layouts import NO_SHAPE, Layouts
from robot_recorder.alignment.template import Template
from robot_recorder.messages.kinds import Decoded
from robot_recorder.model.arrays import Floats, Places
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.payloads import Payloads, Rows

_TEMPLATES = 8  # layouts that are read many at once


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
        undecodable: looked at, and its bytes do not fit the type.
        mismatched: looked at, and it names more values than are kept of one stream.
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
    """Keeps what it has decoded until told to forget it."""

    def __init__(
        self,
        decode: Callable[[bytes], Decoded] | None,
        quaternions: tuple[int, ...],
        counts: StreamCounts,
        names: tuple[str, ...] | None = None,
        by_name: bool = False,
    ) -> None:
        """
        Args:
            decode: None: the stream has no values.
            quaternions: where unit quaternions begin among the values.
            counts: where failures are counted.
            names: of the first values; None: those of the first message.
            by_name: messages may have different joints, each of which is followed by itself.
        """
        self.decode = decode
        self.quaternions = quaternions
        self.by_name = by_name and decode is not None
        self.layouts = Layouts(names)
        self.seen: Counter[int] = Counter()  # messages by shape, of all that were classified
        self.first_error = ""  # of a message that could not be decoded
        self._counts = counts
        self._templates: list[Template] = []
        self._made = 0  # templates, ever
        self._values: dict[int, tuple[Floats | None, int]] = {}

    @property
    def names(self) -> tuple[str, ...] | None:
        """Of the values, in their order; None: nothing is known yet."""
        return self.layouts.names

    @property
    def width(self) -> int:
        """How many values there are so far."""
        return len(self.layouts.names or ())

    @property
    def notes(self) -> list[str]:
        """What is odd about the messages, one sentence each."""
        return list(dict.fromkeys(self.layouts.notes.values()))

    @property
    def words(self) -> tuple[str, ...]:
        """The same, and which values only some of the messages had."""
        return tuple(self.layouts.words(self.seen))

    def values(self, number: int, payload: Callable[[int], bytes]) -> Floats | None:
        """Values of a sample by its number, in the order of ``names``; None: they can not be had.

        Those that the message does not have are NaN; names that have been added since are left out.
        """
        if number not in self._values:
            self._values[number] = self._read(payload(number))
        return self._values[number][0]

    def shape(self, number: int) -> int:
        """Of a sample that has been asked for; NO_SHAPE: it can not be read."""
        return self._values[number][1]

    def shapes(self, payloads: Payloads) -> Places:
        """intp[n], which values messages have, see Layouts; NO_SHAPE: none that can be read."""
        # A live batch is a list; asking for a protocol costs more than reading it.
        if isinstance(payloads, list) or not isinstance(payloads, Rows):
            found = np.array([self._shape_of(payloads[n]) for n in range(len(payloads))])
        else:
            found = self._shapes_at_once(payloads)
        self.seen.update(found.tolist())
        return found

    def _shape_of(self, payload: bytes) -> int:
        for template in reversed(self._templates):
            if template.like(payload):
                return template.shape
        row, shape = self._read(payload)
        return shape if row is not None and len(row) else NO_SHAPE

    def _shapes_at_once(self, payloads: Rows) -> Places:
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
            while len(left) and self._made == tried:  # a new layout may be that of many
                found[left[0]] = self._shape_of(payloads[int(left[0])])
                left = left[1:]
        return found

    def many(
        self, payloads: Rows, first: int, numbers: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], Floats, Places]:
        """Decode many samples at once, where they are laid out as ones before were.

        Args:
            payloads: where they are.
            first: number of the first one there.
            numbers: which.

        Returns:
            int64[m], the numbers of those that are; float64[m, k], their values; intp[m], their shapes.
        """
        left, parts = numbers, []
        for template in self._templates:
            there, raw = payloads.rows(left - first, len(template.data))
            fits, values = template.read(raw)
            there[there] = fits
            if fits.any():
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
        """Decode messages that are asked for only once.

        Returns:
            int64[m], the numbers of those that name values; float64[m, k], their values; intp[m], their
            shapes.
        """
        left = np.arange(len(payloads), dtype=np.int64)
        parts = []
        while len(left):
            made = self._made
            done, rows, shapes = self.many(payloads, 0, left)
            if len(done):
                parts.append((done, rows, shapes))
                left = left[~np.isin(left, done)] if len(done) < len(left) else left[:0]
            while len(left) and self._made == made:  # a new layout may be that of many
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
        self.seen.update(shapes.tolist())
        return done, rows, shapes

    def keep(self, numbers: npt.NDArray[np.int64], values: Floats, shapes: Places) -> None:
        """Have the values of samples ready when they are asked for."""
        for number, row, shape in zip(numbers.tolist(), values, shapes.tolist()):
            self._values.setdefault(number, (row, shape))

    def failed(self, number: int) -> bool:
        """It was asked for, and could not be had."""
        return number in self._values and self._values[number][0] is None

    def forget_before(self, number: int) -> None:
        """Samples of lower numbers will not be asked for again."""
        while self._values and (first := next(iter(self._values))) < number:
            del self._values[first]

    def forget_others(self, numbers: npt.NDArray[np.int64]) -> None:
        """Only these will be asked for again, and new ones."""
        kept = set(numbers.tolist())
        self._values = {n: found for n, found in self._values.items() if n in kept}

    def _read(self, payload: bytes) -> tuple[Floats | None, int]:
        assert self.decode is not None
        try:
            decoded = self.decode(payload)
        except DecodeError as error:
            self._counts.undecodable += 1
            self.first_error = self.first_error or str(error)
            return None, NO_SHAPE
        order = self.layouts.order(decoded.names)
        if order is None:  # never invent a number, and never take them without end
            self._counts.mismatched += 1
            return None, NO_SHAPE
        shape, places = order
        if decoded.note:
            self.layouts.notes.setdefault(shape, decoded.note)
        if not len(decoded.names):
            return np.empty(0), shape
        if decoded.spans and not any(t.like(payload) for t in self._templates):
            self._templates = self._templates[1 - _TEMPLATES :]
            self._templates.append(Template.of(payload, decoded, shape, places))
            self._made += 1
        row = np.full(self.width, np.nan)
        row[places] = decoded.values
        return row, shape


def widened(rows: Floats, width: int) -> Floats:
    """Rows of a time when fewer names were known, with NaN for those that came since."""
    missing = width - rows.shape[1]
    return rows if missing <= 0 else np.pad(rows, ((0, 0), (0, missing)), constant_values=np.nan)
