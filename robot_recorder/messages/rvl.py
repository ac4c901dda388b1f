"""Compress and decompress depth pictures by the RVL codec.

Source: A. D. Wilson, Fast Lossless Depth Image Compression, ISS 2017, and rvl_codec.cpp of
compressed_depth_image_transport. Runs of zeros and of other pixels alternate. Of the others, the
difference to the last one is stored. All numbers are groups of three bits, the lowest first, each led
by a bit that says whether more follow, packed into words of 32 bits from the highest bit down.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robot_recorder.model.errors import DecodeError


def decompressed(data: bytes, count: int) -> npt.NDArray[np.uint16]:
    """Return the pixels of a picture, uint16[count].

    Args:
        data: words of 32 bits, little endian.
        count: number of pixels.

    Raises:
        DecodeError: the data are damaged or too few.
    """
    numbers = _numbers(data)
    pixels = np.zeros(count, dtype=np.uint16)
    spans: list[tuple[int, int, int]] = []  # of pixels other than zero: place, number, count
    at = taken = 0
    while at < count:
        if taken + 1 >= len(numbers):
            raise DecodeError("the RVL picture is truncated")
        zeros, others = int(numbers[taken]), int(numbers[taken + 1])
        at, taken = at + zeros, taken + 2
        wrong = min(zeros, others) < 0 or not zeros + others or at + others > count
        if wrong or taken + others > len(numbers):
            raise DecodeError("the RVL picture is damaged")
        spans.append((at, taken, others))
        at, taken = at + others, taken + others
    if not spans:
        return pixels
    steps = np.concatenate([numbers[first : first + many] for _, first, many in spans])
    values = np.cumsum((steps >> 1) ^ -(steps & 1)).astype(np.uint16)
    done = 0
    for place, _, many in spans:
        pixels[place : place + many] = values[done : done + many]
        done += many
    return pixels


def _numbers(data: bytes) -> npt.NDArray[np.int64]:
    """Return all numbers of variable length, int64[n]; the last ones may be padding."""
    words = np.frombuffer(data, "<u4", len(data) // 4)
    octets = words.astype(">u4").view(np.uint8)
    nibbles = np.stack([octets >> 4, octets & 15], axis=1).ravel()
    ends = np.flatnonzero(nibbles < 8)
    if not len(ends):
        return np.empty(0, dtype=np.int64)
    starts = np.concatenate(([0], ends[:-1] + 1))
    places = np.arange(ends[-1] + 1) - np.repeat(starts, ends - starts + 1)
    parts = (nibbles[: ends[-1] + 1].astype(np.int64) & 7) << (3 * np.minimum(places, 20))
    return np.asarray(np.add.reduceat(parts, starts), dtype=np.int64)


def compressed(pixels: npt.NDArray[np.uint16]) -> bytes:
    """Return a picture as words of 32 bits, little endian.

    Args:
        pixels: uint16, of any shape, row by row.
    """
    flat = pixels.ravel()
    if not len(flat):
        return b""
    lit = flat != 0
    edges = np.flatnonzero(lit[1:] != lit[:-1]) + 1
    lengths = np.diff(edges, prepend=0, append=len(flat))
    if lit[0]:  # runs of zeros come first
        lengths = np.insert(lengths, 0, 0)
    if len(lengths) % 2:
        lengths = np.append(lengths, 0)
    runs = lengths.reshape(-1, 2)
    values = flat[lit].astype(np.int32)
    steps = np.diff(values, prepend=np.int32(0))
    numbers = np.empty(len(values) + runs.size, dtype=np.uint32)
    starts = np.cumsum(runs[:, 1]) - runs[:, 1] + 2 * np.arange(len(runs))
    is_step = np.ones(len(numbers), dtype=bool)
    is_step[starts] = is_step[starts + 1] = False
    numbers[starts], numbers[starts + 1] = runs[:, 0], runs[:, 1]
    numbers[is_step] = (steps << 1) ^ (steps >> 31)
    return _packed(numbers)


def _packed(numbers: npt.NDArray[np.uint32]) -> bytes:
    """Return numbers of variable length, packed into words of 32 bits."""
    lengths = np.ones(len(numbers), dtype=np.uint8)
    longer = np.flatnonzero(numbers > 7)
    rest = numbers[longer] >> np.uint32(3)
    while len(longer):
        lengths[longer] += 1
        more = np.flatnonzero(rest > 7)
        longer, rest = longer[more], rest[more] >> np.uint32(3)
    ends = np.cumsum(lengths, dtype=np.int64)
    nibbles = np.zeros(-(-int(ends[-1]) // 8) * 8, dtype=np.uint8)
    places, left = ends - lengths, numbers
    while len(left):  # the three lowest bits of all numbers, then the next ones of those that go on
        goes_on = left > 7
        nibbles[places] = (left & 7).astype(np.uint8) | goes_on.view(np.uint8) << 3
        more = np.flatnonzero(goes_on)
        places, left = places[more] + 1, left[more] >> np.uint32(3)
    octets = nibbles[0::2] << 4 | nibbles[1::2]
    return octets.view(">u4").astype("<u4").tobytes()
