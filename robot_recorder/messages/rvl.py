"""Decompress depth pictures of the RVL codec.

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
