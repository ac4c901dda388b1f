"""Measure the motion that each stream sees: changes of its values, or optical flow of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from robot_recorder.clocks.source_clock import SourceClock
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.kinds import Sort, decoder_of, kind_of
from robot_recorder.messages.video_messages import VIDEO_TYPES, video_packet
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.streams import NS_PER_MS, StreamConfig
from robot_recorder.offline.plan import Plan
from robot_recorder.quality.grey_pictures import grey_picture
from robot_recorder.quality.video_decoder import VideoDecoder

_LEAST_SPAN_NS = 20 * NS_PER_MS  # changes over shorter spans are noise
_PICTURE, _CELLS = (160, 120), (8, 6)  # image size for the flow, px, and its grid of cells
_LONG = 3  # median periods; changes over longer gaps are left out


@dataclass(frozen=True)
class Activity:
    """Values and changes of one stream.

    Attributes:
        times: int64[n], corrected stamps, ns, rising.
        levels: float64[n, k], values; empty for images.
        starts, ends: int64[m], beginning and end of each time span, ns.
        steps: float64[m, l], changes over each span.
    """

    times: np.ndarray
    levels: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    steps: np.ndarray

    @property
    def period_ns(self) -> float:
        """Median period, ns."""
        return float(np.median(np.diff(self.times)))


def activities(episode: Episode, plan: Plan) -> dict[str, Activity]:
    """Return the activity of each stream by name, leaving out streams in which nothing changes.

    Raises:
        BagError: the bag cannot be read.
    """
    streams = {plan.topics[s.name]: s for s in plan.aligned}
    clocks = {
        s.name: SourceClock(
            s, seed.clock if (seed := plan.seeds.get(s.name)) else None, plan.restamp
        )
        for s in plan.aligned
    }
    readers = {s.name: _reader(s, plan) for s in plan.aligned}
    times: dict[str, list[int]] = {}
    rows: dict[str, list[Any]] = {}
    for segment in plan.read(episode.path, set(streams)):
        for topic, column in segment.columns.items():
            stream = streams[topic]
            read = readers[stream.name]
            if read is None:
                continue
            stamps = plan.stamps(stream.name, column)
            receives = np.maximum.accumulate(column.receives)
            corrected, known = clocks[stream.name].correct(stamps, receives)
            mine, values = times.setdefault(stream.name, []), rows.setdefault(stream.name, [])
            for number in range(len(known)):
                at = int(corrected[number])
                skipped = not known[number] or (mine and at <= mine[-1])
                if skipped and not isinstance(read, _VideoReader):
                    continue
                try:
                    row = read(column.payloads[number])
                except (DecodeError, IndexError):
                    continue
                if skipped:
                    continue
                if not values or len(row) == len(values[0]):
                    mine.append(at)
                    values.append(row)
    found = {}
    for name, values in rows.items():
        activity = _activity(np.array(times[name], dtype=np.int64), values)
        if activity is not None:
            found[name] = activity
    return found


def _reader(stream: StreamConfig, plan: Plan) -> Callable[[bytes], np.ndarray] | None:
    """Return a function from message bytes to values or a small image; None: no such function."""
    if stream.type in VIDEO_TYPES:
        return _VideoReader(stream.type)
    if kind_of(stream).sort is Sort.IMAGE:
        return partial(_picture, stream.type)
    decode = decoder_of(stream, plan.decoders)
    if decode is None:
        return None
    telling: dict[tuple[str, ...], list[int]] = {}

    def read(data: bytes) -> np.ndarray:
        decoded = decode(data)
        if decoded.names not in telling:
            telling[decoded.names] = _telling(decoded.names)
        return np.nan_to_num(decoded.values[telling[decoded.names]])

    return read


def _telling(names: tuple[str, ...]) -> list[int]:
    """Return the places of positions, forces, normals or angular velocities, or else all places."""
    for start in ("position/", "force/", "normal/", "angular_velocity/"):
        found = [i for i, name in enumerate(names) if name.startswith(start)]
        if found:
            return found
    return list(range(len(names)))


def _picture(type_name: str, data: bytes) -> np.ndarray:
    grey = grey_picture(type_name, data).grey
    return cv2.resize(grey, _PICTURE, interpolation=cv2.INTER_AREA)


class _VideoReader:
    """Decodes the packets of a video, of which it must get every one."""

    def __init__(self, type_name: str) -> None:
        self._type_name = type_name
        self._decoder = VideoDecoder()
        self._count = 0

    def __call__(self, data: bytes) -> np.ndarray:
        """Return the small picture of a packet.

        Raises:
            DecodeError: it cannot be decoded, or its picture is complete only some packets later.
        """
        self._count += 1
        frames = dict(self._decoder.decode(video_packet(self._type_name, data), self._count))
        if self._count not in frames:
            raise DecodeError("the picture is not complete yet")
        grey = frames[self._count].brightness()
        return cv2.resize(grey, _PICTURE, interpolation=cv2.INTER_AREA)


def _activity(times: np.ndarray, rows: list[Any]) -> Activity | None:
    if len(times) < 3:
        return None
    if rows[0].ndim == 2:
        levels = np.empty((len(times), 0))
        grid, steps = times, np.array([_flow(a, b) for a, b in pairwise(rows)])
    else:
        levels = np.array(rows)
        if not levels.shape[1]:
            return None
        grid = times
        if np.median(np.diff(times)) < _LEAST_SPAN_NS:
            slots = np.unique((times - times[0]) // _LEAST_SPAN_NS)  # no slots where it was silent
            grid = times[0] + slots * _LEAST_SPAN_NS
        place, own = (grid - times[0]).astype(np.float64), (times - times[0]).astype(np.float64)
        steps = np.diff(np.stack([np.interp(place, own, c) for c in levels.T], axis=1), axis=0)
    spans = np.diff(grid)
    whole = spans < _LONG * np.median(spans)
    if not np.abs(steps[whole]).sum() > 0:
        return None
    return Activity(times, levels, grid[:-1][whole], grid[1:][whole], steps[whole])


def _flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the mean optical flow in each cell, px."""
    flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 4, 21, 3, 7, 1.5, 0)  # type: ignore[call-overload]
    cells = cv2.resize(flow, _CELLS, interpolation=cv2.INTER_AREA)
    return np.asarray(cells, dtype=np.float64).ravel()
