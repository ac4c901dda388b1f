"""Estimate the clocks of devices from the first seconds of a bag, so that these seconds are aligned, too.

A live run has to wait until it has heard a device for a second; in a bag that second is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from robot_recorder.bags.columns import Segment
from robot_recorder.clocks.clock_model import BUCKET_NS, ClockEstimate, ClockModel
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import NS_PER_S

_ENOUGH_NS = 3 * NS_PER_S  # of each stream: its clock's offset is known well enough


def first_clocks(
    segments: Iterator[Segment], streams: Iterable[tuple[str, str, StampReader]]
) -> Mapping[str, ClockEstimate]:
    """Return the first estimate of each device's clock, by stream name.

    Args:
        segments: the bag, read from its beginning; at most its first seconds are used.
        streams: name, topic and reader of stamps of the streams with a device clock.
    """
    wanted = list(streams)
    found: dict[str, tuple[list[Int64s], list[Int64s]]] = {name: ([], []) for name, *_ in wanted}
    for segment in segments if wanted else ():
        for name, topic, reader in wanted:
            column = segment.columns.get(topic)
            if column is None:
                continue
            stamps, receives = found[name]
            begin_ns = int(receives[0][0]) if receives else int(column.receives[0])
            end = int(np.searchsorted(column.receives, begin_ns + _ENOUGH_NS))
            part = column.part(0, end)
            if end:
                read = reader.read(part.payloads, part.sends, part.receives, part.headers)
                stamps.append(read)
                receives.append(part.receives)
        spans = [int(r[-1][-1] - r[0][0]) if r else 0 for _, r in found.values()]
        if min(spans) >= _ENOUGH_NS - BUCKET_NS or segment.until_ns > _latest(found):
            break
    estimates = {name: _estimate(*parts) for name, parts in found.items()}
    return {name: estimate for name, estimate in estimates.items() if estimate is not None}


def _latest(found: dict[str, tuple[list[Int64s], list[Int64s]]]) -> int:
    """Return the time until which messages are of use, ns; never before any came."""
    firsts = [int(receives[0][0]) for _, receives in found.values() if receives]
    return max(firsts) + 2 * _ENOUGH_NS if firsts else 1 << 62


def _estimate(stamps: list[Int64s], receives: list[Int64s]) -> ClockEstimate | None:
    if not stamps:
        return None
    every, received = np.concatenate(stamps), np.concatenate(receives)
    known = every != 0
    model = ClockModel(True)
    model.push(every[known], np.maximum.accumulate(received[known]))
    model.end()
    return model.estimate
