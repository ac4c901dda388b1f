"""Shows arrays of like values, such as tactile pads, as coloured maps with their sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rerun as rr

from robot_recorder.content.contents import Numbers, Topic
from robot_recorder.content.groups import cell_shape
from robot_recorder.content.thinning import at_most
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.model.value_names import group_values
from robot_recorder.view.curves import grouped
from robot_recorder.view.frames import EpisodeFrames
from robot_recorder.view.log import RerunLog, stream_entity

LEAST_CELLS = 8  # fewest cells of an array without rows and columns that gets a map
_RATE_HZ = 100.0  # of the maps; curves have all samples
# Least range of taxels by unit: with less, a map shows only noise. Unknown for other arrays.
_LEAST_RANGE = {"Pa": 2000.0, "1": 0.05}
_NO_SCALE = ("", "raw")  # units of values that begin anywhere
_NAMES = (220, 220, 220)  # colour
_SPIKES = 99.9  # percentage of the values that the colours cover
_ASPECT = 4.6  # width by height of the view of several pads
_GAP, _LINE = 2, 3  # cells between pads, and above them for their names
_NAME = 0.4  # width of a name, share of the height of the view
_MOST_SLOT, _MOST_LINES = 12, 5  # cells for a name; lines of pads


@dataclass(frozen=True)
class TouchPad:
    """One pad in a map.

    Attributes:
        name: empty: it is the only one.
        columns: indices of its values in the message, row by row.
        shape: rows and columns.
        at: row and column of its first cell in the map.
    """

    name: str
    columns: tuple[int, ...]
    shape: tuple[int, int]
    at: tuple[int, int] = (0, 0)

    def cells(self, values: Floats) -> np.ndarray:
        """Return its cells in some samples, float32[n, rows * cols]; NaN where it has no taxel.

        Args:
            values: float64[n, k], of the stream.
        """
        found = np.full((len(values), self.shape[0] * self.shape[1]), np.nan, dtype=np.float32)
        found[:, : len(self.columns)] = values[:, list(self.columns)]
        return found


@dataclass(frozen=True)
class TouchMap:
    """An array in a stream's values, or several pads side by side.

    Attributes:
        parts: path below that of the stream.
        unit: of the values.
        pads: one for an array.
        taxels: whether it is the pressure of tactile pads.
    """

    parts: tuple[str, ...]
    unit: str
    pads: tuple[TouchPad, ...]
    taxels: bool

    @property
    def columns(self) -> list[int]:
        """Return the indices of all its values in the message."""
        return [column for pad in self.pads for column in pad.columns]

    def sums(self, values: Floats) -> Floats:
        """Return the sum of each pad's cells, float64[n, pads]; NaN are left out."""
        return np.stack([np.nansum(values[:, list(p.columns)], axis=1) for p in self.pads], axis=1)


def touch_maps(topic: Topic, names: Sequence[str]) -> list[TouchMap]:
    """Return the arrays among a stream's values."""
    if topic.sort is Sort.TACTILE:
        groups = [g for g in group_values(names, by_field=False)
                  if g.path.partition("/")[0] == "normal"]  # fmt: skip
        pads = [
            TouchPad(g.path.partition("/")[2], g.columns, _shape(g.items, len(groups)))
            for g in groups
        ]
        return [_arranged(pads, groups[0].unit)] if pads else []
    if topic.sort is not Sort.NUMBERS:
        return []
    return [
        TouchMap(
            group.parts, group.unit,
            (TouchPad("", group.columns, (1, len(group.columns))),), taxels=False,
        )
        for group in grouped(names)
        if len(group.columns) >= LEAST_CELLS and all(label.isdecimal() for label in group.labels)
    ]  # fmt: skip


def _shape(items: tuple[str, ...], pads: int) -> tuple[int, int]:
    """Return rows and columns of a pad; those of cells in a row if the names do not say it."""
    wide = math.ceil(math.sqrt(len(items))) if pads > 1 else len(items)
    return cell_shape(items) or (math.ceil(len(items) / wide), wide)


def _arranged(pads: list[TouchPad], unit: str) -> TouchMap:
    """Put pads side by side, in as many lines as fit a view, with room for their names."""
    if len(pads) == 1:
        return TouchMap(("normal",), unit, tuple(pads), taxels=True)
    slot = 2
    for _ in range(3):  # the larger cells are drawn, the fewer a name is wide
        lines, scale = _lines(pads, slot)
        slot = min(_MOST_SLOT, max(2, math.ceil(_NAME / scale)))
    placed: list[TouchPad] = []
    top = 0
    for line in lines:
        left = 0
        for pad in line:
            wide = max(pad.shape[1], slot)
            inside = left + (wide - pad.shape[1]) // 2
            placed.append(TouchPad(pad.name, pad.columns, pad.shape, (top + _LINE, inside)))
            left += wide + _GAP
        top += max(p.shape[0] for p in line) + _LINE + _GAP
    return TouchMap(("normal",), unit, tuple(placed), taxels=True)


def _lines(pads: list[TouchPad], slot: int) -> tuple[list[list[TouchPad]], float]:
    """Split pads into lines so that they are as large as possible.

    Args:
        pads: in their order.
        slot: least width of a pad with its name, cells.

    Returns:
        The lines, and the size of a cell as a share of the height of the view.
    """
    best: tuple[list[list[TouchPad]], float] = [pads], 0.0
    for count in range(1, min(len(pads), _MOST_LINES) + 1):
        size = math.ceil(len(pads) / count)
        lines = [pads[n : n + size] for n in range(0, len(pads), size)]
        wide = max(sum(max(p.shape[1], slot) + _GAP for p in line) for line in lines)
        tall = sum(max(p.shape[0] for p in line) + _LINE + _GAP for line in lines)
        scale = min(_ASPECT / wide, 1 / tall)
        if scale > best[1]:
            best = lines, scale
    return best


def map_name(topic: Topic, found: TouchMap) -> str:
    """Return a map's name for people."""
    unit = f", {found.unit}" if found.unit not in ("", "1") else ""
    own = topic.stream if found.taxels else f"{topic.stream}: {'/'.join(found.parts)}"
    return own + unit


def map_entity(stream: str, found: TouchMap, pad: TouchPad | None = None) -> str:
    """Return the entity path of a map, or of one of its several pads."""
    own = [pad.name] if pad is not None and pad.name else []
    return stream_entity(stream, *found.parts, "map", *own)


def names_entity(stream: str, found: TouchMap) -> str:
    """Return the entity path of the names in a map of several pads."""
    return stream_entity(stream, *found.parts, "map", "pad_names")


def total_entity(stream: str, found: TouchMap) -> str:
    """Return the entity path of the sums of a map's pads."""
    return stream_entity(stream, *found.parts, "total")


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
        self._maps: dict[tuple[str, tuple[str, ...]], list[TouchMap]] = {}

    def add(self, numbers: Numbers) -> None:
        """Log the next samples."""
        stream, key = numbers.topic.stream, (numbers.topic.stream, numbers.names)
        if key not in self._maps:
            self._maps[key] = touch_maps(numbers.topic, numbers.names)
            for found in self._maps[key]:
                self._begin(found, numbers)
        few = at_most(numbers.times_s, _RATE_HZ)
        for found in self._maps[key]:
            sums = rr.Scalars.columns(scalars=found.sums(numbers.values).ravel())
            if len(found.pads) > 1:
                sums = sums.partition(np.full(len(numbers.values), len(found.pads)))
            self._log.send(total_entity(stream, found), numbers.times_s, sums)
            for pad in found.pads:
                cells = np.ascontiguousarray(pad.cells(numbers.values[few]))
                maps = rr.DepthImage.columns(buffer=cells.view(np.uint8))
                self._log.send(map_entity(stream, found, pad), numbers.times_s[few], maps)

    def _begin(self, found: TouchMap, numbers: Numbers) -> None:
        stream = numbers.topic.stream
        whole = self._frames.values(stream, numbers.names)
        values = (numbers.values if whole is None else whole)[:, found.columns]
        span = _span(found, values)
        for pad in found.pads:
            rows, cols = pad.shape
            image = rr.DepthImage.from_fields(
                format=rr.components.ImageFormat(
                    width=cols, height=rows, channel_datatype=rr.ChannelDatatype.F32
                ),
                colormap=rr.components.Colormap.Viridis,
                depth_range=span,
                magnification_filter=rr.components.MagnificationFilter.Nearest,
            )
            self._log.once(map_entity(stream, found, pad), image)
            if len(found.pads) > 1:
                top, left = pad.at
                moved = rr.Transform3D(translation=(left, top, 0))
                self._log.once(map_entity(stream, found, pad), moved)
        if len(found.pads) > 1:
            places = [(p.at[1] + p.shape[1] / 2, p.at[0] - _LINE / 2) for p in found.pads]
            names = rr.Points2D(
                places, radii=0.0, colors=[_NAMES], labels=[p.name for p in found.pads],
                show_labels=True,
            )  # fmt: skip
            self._log.once(names_entity(stream, found), names)
        labels = [p.name or map_name(numbers.topic, found) for p in found.pads]
        self._log.once(total_entity(stream, found), rr.SeriesLines(names=labels, widths=1.5))


def _span(found: TouchMap, values: Floats) -> tuple[float, float]:
    """Return the values of the darkest and the brightest colour."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (100 - _SPIKES, _SPIKES)).tolist()
    if found.taxels and found.unit not in _NO_SCALE:
        return 0.0, max(high, _LEAST_RANGE.get(found.unit, 0.0), 1e-9)
    return low, max(high, low + 1e-6 * max(abs(low), 1.0))
