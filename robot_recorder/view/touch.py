"""Shows arrays of like values, such as tactile pads, as coloured maps with their sum."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rerun as rr

from robot_recorder.content.contents import Numbers, Topic
from robot_recorder.content.thinning import at_most
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.model.value_names import split_name
from robot_recorder.view.curves import grouped
from robot_recorder.view.frames import EpisodeFrames
from robot_recorder.view.log import RerunLog, stream_entity

LEAST_CELLS = 8  # fewest cells of an array without rows and columns that gets a map
_RATE_HZ = 100.0  # of the maps; curves have all samples
_GRID = re.compile(r"^(\d+),(\d+)\Z")
# Least range of taxels by unit: with less, a map shows only noise. Unknown for other arrays.
_LEAST_RANGE = {"Pa": 2000.0, "1": 0.05}
_SPIKES = 99.9  # percentage of the values that the colours cover


@dataclass(frozen=True)
class TouchPad:
    """An array in a stream's values.

    Attributes:
        parts: path below that of the stream.
        unit: of the values.
        columns: indices of the values in the message, row by row.
        shape: rows and columns.
        taxels: whether it is the pressure of a tactile pad, which begins at 0.
    """

    parts: tuple[str, ...]
    unit: str
    columns: tuple[int, ...]
    shape: tuple[int, int]
    taxels: bool


def pads(topic: Topic, names: Sequence[str]) -> list[TouchPad]:
    """Return the arrays among a stream's values."""
    if topic.sort is Sort.TACTILE:
        normal = [i for i, name in enumerate(names) if name.startswith("normal/")]
        if not normal:
            return []
        unit = split_name(names[normal[0]])[1]
        cells = [_GRID.match(split_name(names[i])[0].rpartition("/")[2]) for i in normal]
        shape = 1, len(normal)
        if all(cells):
            rows, cols = (1 + max(int(c[axis]) for c in cells if c) for axis in (1, 2))
            shape = (rows, cols) if rows * cols == len(normal) else shape
        return [TouchPad(("normal",), unit, tuple(normal), shape, taxels=True)]
    if topic.sort is not Sort.NUMBERS:
        return []
    return [
        TouchPad(group.parts, group.unit, group.columns, (1, len(group.columns)), taxels=False)
        for group in grouped(names)
        if len(group.columns) >= LEAST_CELLS and all(label.isdecimal() for label in group.labels)
    ]


def pad_name(topic: Topic, pad: TouchPad) -> str:
    """Return a pad's name for people."""
    return topic.stream if pad.taxels else f"{'/'.join(pad.parts)} of {topic.stream}"


def map_entity(stream: str, pad: TouchPad) -> str:
    """Return the entity path of a pad's map."""
    return stream_entity(stream, *pad.parts, "map")


def total_entity(stream: str, pad: TouchPad) -> str:
    """Return the entity path of the sum of a pad's values."""
    return stream_entity(stream, *pad.parts, "total")


class TouchLog:
    """The log of arrays as maps whose colours mean the same throughout."""

    def __init__(self, log: RerunLog, frames: EpisodeFrames) -> None:
        """Log to a recording.

        Args:
            log: the recording.
            frames: of the whole episode; they give the range of the colours.
        """
        self._log = log
        self._frames = frames
        self._pads: dict[tuple[str, tuple[str, ...]], list[TouchPad]] = {}

    def add(self, numbers: Numbers) -> None:
        """Log the next samples."""
        stream, key = numbers.topic.stream, (numbers.topic.name, numbers.names)
        if key not in self._pads:
            self._pads[key] = pads(numbers.topic, numbers.names)
            for pad in self._pads[key]:
                self._begin(stream, pad, numbers)
        few = at_most(numbers.times_s, _RATE_HZ)
        for pad in self._pads[key]:
            values = numbers.values[:, list(pad.columns)]
            totals = rr.Scalars.columns(scalars=values.sum(axis=1))
            self._log.send(total_entity(stream, pad), numbers.times_s, totals)
            cells = np.ascontiguousarray(values[few], dtype=np.float32)
            maps = rr.DepthImage.columns(buffer=cells.view(np.uint8))
            self._log.send(map_entity(stream, pad), numbers.times_s[few], maps)

    def _begin(self, stream: str, pad: TouchPad, numbers: Numbers) -> None:
        whole = self._frames.values(stream, numbers.names)
        values = (numbers.values if whole is None else whole)[:, list(pad.columns)]
        rows, cols = pad.shape
        self._log.once(
            map_entity(stream, pad),
            rr.DepthImage.from_fields(
                format=rr.components.ImageFormat(
                    width=cols, height=rows, channel_datatype=rr.ChannelDatatype.F32
                ),
                colormap=rr.components.Colormap.Viridis,
                depth_range=_span(pad, values),
                magnification_filter=rr.components.MagnificationFilter.Nearest,
            ),
        )
        self._log.once(
            total_entity(stream, pad),
            rr.SeriesLines(names=pad_name(numbers.topic, pad), widths=1.5),
        )


def _span(pad: TouchPad, values: Floats) -> tuple[float, float]:
    """Return the values of the darkest and the brightest colour."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (100 - _SPIKES, _SPIKES)).tolist()
    if pad.taxels:
        return 0.0, max(high, _LEAST_RANGE.get(pad.unit, 0.0))
    return low, max(high, low + 1e-6 * max(abs(low), 1.0))
