"""Arrays of like values, as tactile pads give them: coloured maps, and the sum of their values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rerun as rr

from robot_recorder.content.contents import Numbers, Topic
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.model.value_names import split_name
from robot_recorder.view.curves import grouped
from robot_recorder.view.frames import EpisodeFrames
from robot_recorder.view.log import RerunLog, stream_entity, thinned

LEAST_CELLS = 8  # of an array without rows and columns, to be worth a map
_RATE_HZ = 100.0  # of the maps; curves have all
_GRID = re.compile(r"^(\d+),(\d+)\Z")
# Below, a map would show nothing but noise: of taxels by their unit, of other arrays there is no telling.
_LEAST_RANGE = {"Pa": 2000.0, "1": 0.05}
_SPIKES = 99.9  # per cent of the values that the colours span


@dataclass(frozen=True)
class TouchPad:
    """An array of one stream.

    Attributes:
        parts: of its path below the stream's.
        columns: which of the message's values, row by row.
        shape: rows and columns.
        taxels: it is a tactile pad's pressure, which begins at 0.
    """

    parts: tuple[str, ...]
    unit: str
    columns: tuple[int, ...]
    shape: tuple[int, int]
    taxels: bool


def pads(topic: Topic, names: Sequence[str]) -> list[TouchPad]:
    """The arrays among a stream's values."""
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
    """What to call a pad."""
    return topic.stream if pad.taxels else f"{'/'.join(pad.parts)} of {topic.stream}"


def map_entity(stream: str, pad: TouchPad) -> str:
    """Where a pad's map is logged."""
    return stream_entity(stream, *pad.parts, "map")


def total_entity(stream: str, pad: TouchPad) -> str:
    """Where the sum of a pad's values is logged."""
    return stream_entity(stream, *pad.parts, "total")


class TouchLog:
    """Logs arrays as maps, in colours that mean the same all the time."""

    def __init__(self, log: RerunLog, frames: EpisodeFrames) -> None:
        """
        Args:
            frames: of the whole episode: what the colours span.
        """
        self._log = log
        self._frames = frames
        self._pads: dict[tuple[str, tuple[str, ...]], list[TouchPad]] = {}

    def add(self, numbers: Numbers) -> None:
        """Some more samples."""
        stream, key = numbers.topic.stream, (numbers.topic.name, numbers.names)
        if key not in self._pads:
            self._pads[key] = pads(numbers.topic, numbers.names)
            for pad in self._pads[key]:
                self._begin(stream, pad, numbers)
        few = thinned(numbers.times_s, _RATE_HZ)
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
    """The values of the darkest and of the brightest colour."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (100 - _SPIKES, _SPIKES)).tolist()
    if pad.taxels:
        return 0.0, max(high, _LEAST_RANGE.get(pad.unit, 0.0))
    return low, max(high, low + 1e-6 * max(abs(low), 1.0))
