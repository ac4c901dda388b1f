"""Samples by channel, and as columns."""

from __future__ import annotations

from operator import itemgetter

import numpy as np

from robot_recorder.model.arrays import Int64s
from robot_recorder.model.topics import Channel, Sample, by_receipt

try:  # part of the package that is compiled where it can be: a fifth of the cost
    from robot_recorder.model._samples import by_channel as _by_channel
    from robot_recorder.model._samples import columns as _columns
except ImportError:
    _by_channel = _columns = None

_DATA, _SENT = itemgetter(1), itemgetter(3)  # fields of a Sample


def columns(samples: list[Sample]) -> tuple[list[bytes], Int64s, Int64s]:
    """Return messages, and times of receipt and of sending of samples, int64[n], ns."""
    if _columns is not None:
        messages, received, sent = _columns(samples)
        return messages, np.frombuffer(received, np.int64), np.frombuffer(sent, np.int64)
    count = len(samples)
    received, sent = (np.fromiter(map(of, samples), np.int64, count) for of in (by_receipt, _SENT))
    return list(map(_DATA, samples)), received, sent


def by_channel(samples: list[Sample]) -> dict[Channel, list[Sample]]:
    """Return the samples of each channel, in the order of the first of each."""
    found: dict[Channel, list[Sample]] = {}
    if _by_channel is not None:
        found = _by_channel(samples)
        return found
    for sample in samples:
        channel = sample[0]
        if channel in found:
            found[channel].append(sample)
        else:
            found[channel] = [sample]
    return found
