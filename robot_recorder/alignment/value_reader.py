"""Read the values of chosen samples; replace an undecodable sample by the next best one."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

import numpy as np

from robot_recorder.alignment.interpolation import blend, interpolate
from robot_recorder.alignment.sample_buffer import SampleBuffer
from robot_recorder.alignment.sample_choice import (
    INTERPOLATED,
    MISSING,
    SampleChoice,
    around,
    choose_one,
    needed,
)
from robot_recorder.alignment.stream_decoder import Decoder
from robot_recorder.model.arrays import Floats, Int64s, Places
from robot_recorder.model.payloads import Messages, Payloads, Rows
from robot_recorder.model.streams import StreamConfig

_MANY = 4  # more samples than this are decoded together


class ValueReader:
    """Reader of the values of one stream."""

    def __init__(self, config: StreamConfig, decoder: Decoder, kept: SampleBuffer) -> None:
        """
        Args:
            config: the stream's profile entry.
            decoder: decodes the stream's messages.
            kept: the samples that choices refer to.
        """
        self._config = config
        self._decoder = decoder
        self._kept = kept
        self._payloads: list[tuple[int, Payloads]] = []  # with the number of the first sample

    def add(self, first: int, payloads: Payloads) -> None:
        """Add the bytes of the next samples.

        Args:
            first: number of the first sample.
            payloads: message bytes.
        """
        if self._decoder.decode is not None:
            rows = Messages(payloads) if isinstance(payloads, list) else payloads
            self._payloads.append((first, rows))

    def forget_before(self, number: int) -> None:
        """Forget samples with lower numbers, except those in the same batch as ``number``."""
        while len(self._payloads) > 1 and self._payloads[1][0] <= number:
            del self._payloads[0]
        self._decoder.forget_before(number)

    def forget_others(self, numbers: Int64s) -> None:
        """Forget all samples except these, int64[n], rising, and those in the same batches."""
        firsts = numbers.searchsorted([first for first, _ in self._payloads]).tolist()
        self._payloads = [
            (first, payloads)
            for (first, payloads), at in zip(self._payloads, firsts)
            if at < len(numbers) and numbers[at] < first + len(payloads)
        ]
        self._decoder.forget_others(numbers)

    def read(self, place: int) -> Floats | None:
        """Return a sample's values by its place in the buffer; None: undecodable."""
        return self._decoder.values(int(self._kept.numbers[place]), self._payload)

    def shape(self, place: int) -> int:
        """Return the shape of a sample that has been read, see Layouts."""
        return self._decoder.shape(int(self._kept.numbers[place]))

    def table(self, rows: list[Floats]) -> Floats:
        """Stack samples' values, float64[n, k], with NaN for values that a sample lacks."""
        width = self._decoder.width
        if rows and all(len(row) == width for row in rows):
            return np.array(rows)
        values = np.full((len(rows), width), np.nan)
        for row, found in zip(values, rows):
            row[: len(found)] = found
        return values

    def prepare(self, places: Places) -> None:
        """Decode samples together that will be read one by one, which is faster."""
        numbers = np.unique(self._kept.numbers[places])
        if len(numbers) > _MANY:
            for found in self._found(numbers):
                self._decoder.keep(*found)

    def values(self, ticks: Int64s, available: Places, choice: SampleChoice) -> Floats:
        """Return the values of n ticks, float64[n, k], NaN when MISSING.

        Args:
            ticks: int64[n], ns.
            available: intp[n], how many samples each tick may choose from.
            choice: chosen samples; changed where a sample is undecodable.
        """
        count = len(ticks)
        if self._decoder.decode is None:
            return np.empty((count, 0))
        if count > _MANY and (whole := self._at_once(ticks, choice)) is not None:
            return whole
        pairs = [
            self._pair(row, tick, choice, int(available[row]))
            for row, tick in enumerate(ticks.tolist())
        ]
        values = np.full((count, self._decoder.width), np.nan)
        rows = [row for row, (first, _) in enumerate(pairs) if first is not None]
        if rows:
            values[rows] = self.table([first for first, _ in pairs if first is not None])
        rows = [row for row, (_, second) in enumerate(pairs) if second is not None]
        if rows:
            second = self.table([second for _, second in pairs if second is not None])
            values[rows] = self._between(ticks, choice, np.array(rows), values[rows], second)
        return values

    def _between(
        self, ticks: Int64s, choice: SampleChoice, rows: Places, first: Floats, second: Floats
    ) -> Floats:
        """Interpolate the values of some ticks between two samples."""
        stamps = self._kept.stamps
        t0, t1 = stamps[choice.first[rows]], stamps[choice.second[rows]]
        shares = (ticks[rows] - t0) / (t1 - t0)
        return interpolate(first, second, shares, self._decoder.quaternions)

    def _pair(
        self, row: int, tick_ns: int, choice: SampleChoice, available: int
    ) -> tuple[Floats | None, Floats | None]:
        """Return the values of the chosen sample, and of the one to interpolate with."""
        while (status := choice.status[row]) != MISSING:
            first = self.read(choice.first[row])
            if status != INTERPOLATED:
                if first is not None:
                    return first, None
            else:
                second = self.read(choice.second[row])
                if first is not None and second is not None:
                    return first, second
            self._choose_again(row, tick_ns, available, choice)
        return None, None

    def _choose_again(self, row: int, tick_ns: int, available: int, choice: SampleChoice) -> None:
        """Choose again for one tick, without the samples that are undecodable."""
        stamps = self._kept.stamps
        near = stamps[:available] >= tick_ns - self._config.tolerance_ns
        places = [
            place
            for place in np.flatnonzero(near).tolist()
            if not self._decoder.failed(int(self._kept.numbers[place]))
        ]
        before, after = around(stamps, tick_ns, np.array(places, dtype=np.intp))
        choice.status[row], choice.first[row], choice.second[row] = choose_one(
            self._config, stamps, tick_ns, before, after
        )

    def _at_once(self, ticks: Int64s, choice: SampleChoice) -> Floats | None:
        """Return values if all samples match known templates; None: they do not."""
        kept = self._kept
        numbers, places, shares = needed(kept.numbers, kept.stamps, ticks, choice)
        there = places[0][places[0] >= 0]
        # The first tick's sample is read first: its values begin the order of all.
        if not len(there) or self._decoder.values(int(numbers[there[0]]), self._payload) is None:
            return None
        found = self._found(numbers)
        if sum(len(n) for n, _, _ in found) < len(numbers):
            for part in found:
                self._decoder.keep(*part)
            return None
        rows = found[0][1] if len(found) == 1 else np.concatenate([v for _, v, _ in found])
        return blend(rows, places, shares, self._decoder.quaternions)

    def _found(self, numbers: Int64s) -> list[tuple[Int64s, Floats, Places]]:
        """Decode the samples that match a template: numbers, values and shapes, by batch."""
        starts = [first for first, _ in self._payloads]
        cuts = [0, *np.searchsorted(numbers, starts[1:]).tolist(), len(numbers)]
        return [
            self._decoder.many(payloads, first, numbers[start:end])
            for (first, payloads), start, end in zip(self._payloads, cuts, cuts[1:])
            if start < end and isinstance(payloads, (Messages, Rows))
        ]

    def _payload(self, number: int) -> bytes:
        """Return the bytes of a sample by its number."""
        at = bisect_right(self._payloads, number, key=itemgetter(0)) - 1
        first, payloads = self._payloads[at]
        return payloads[number - first]
