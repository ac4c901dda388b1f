"""Shows markers in 3D: on the robot where their frame is one of its links, else each frame by itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import rerun as rr

from robot_recorder.bags.columns import Column, read_columns
from robot_recorder.content.contents import Contents, Topic
from robot_recorder.messages.markers import (
    MARKER,
    MARKER_ARRAY,
    MarkerAction,
    MarkerKind,
    MarkerMessage,
    read_markers,
)
from robot_recorder.model.arrays import Bytes, Floats
from robot_recorder.model.errors import BagError, DecodeError
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import plural
from robot_recorder.view.log import RerunLog, entity, stream_entity
from robot_recorder.view.robot import ROOT

_SOLID = rr.components.FillMode.Solid
_HALF = [[0.5, 0.5, 0.5]]
_TEXT_M = 0.002  # radius of the point that carries a text
_SCALED = {MarkerKind.CUBE, MarkerKind.SPHERE, MarkerKind.CYLINDER, MarkerKind.TRIANGLE_LIST}


@dataclass
class _DrawnMarker:
    """A marker that is drawn.

    Attributes:
        path: of its entity.
        look: everything but its pose, to see whether it changes.
        until_s: when it goes by itself.
    """

    path: str
    look: bytes
    until_s: float


@dataclass
class _Moves:
    """Poses of an entity that are not written yet."""

    times_s: list[float] = field(default_factory=list)
    poses: list[Floats] = field(default_factory=list)
    scales: list[Floats] = field(default_factory=list)
    appears: list[bool] = field(default_factory=list)


class MarkerLog:
    """The log of all markers of a bag, one entity each."""

    def __init__(self, log: RerunLog, links: Collection[str]) -> None:
        """Log to a recording.

        Args:
            log: the recording.
            links: of the robot; markers in other frames are drawn by themselves.
        """
        self._log = log
        self._links = links
        self._shown: dict[str, dict[tuple[str, int], _DrawnMarker]] = defaultdict(dict)  # by topic
        self._moves: dict[str, _Moves] = defaultdict(_Moves)  # by entity
        self._unknown: dict[tuple[str, str], set[tuple[str, int]]] = defaultdict(set)
        self._broken: Counter[str] = Counter()
        self.spaces: dict[str, dict[str, None]] = {}  # entities by frame that is no link

    def read(self, contents: Contents, progress: Callable[[float], None]) -> None:
        """Log the markers of a bag.

        Args:
            contents: of the bag; it reports damage where it is read.
            progress: called with the share done, 0 to 1.
        """
        topics = {t.name: t for t in contents.topics if t.type in (MARKER, MARKER_ARRAY)}
        try:
            for segment in read_columns(contents.episode.path, set(topics)) if topics else ():
                for name in sorted(segment.columns):
                    self.add(topics[name], segment.columns[name], contents.start_ns)
                self._write()
                progress(segment.share)
        except BagError:
            pass  # `contents` has told of it: this is the second time that the bag is read
        for shown in self._shown.values():
            self._expire(shown, contents.last_s)
        self._write()
        self._log.flush()

    def add(self, topic: Topic, column: Column, start_ns: int) -> None:
        """Take the next messages of a topic, by the time at which they were received."""
        times_s = (column.receives - start_ns) / NS_PER_S
        for number, time_s in enumerate(times_s.tolist()):
            try:
                found = read_markers(topic.type, column.payloads[number])
            except DecodeError:
                self._broken[topic.name] += 1
                continue
            shown = self._shown[topic.name]
            self._expire(shown, time_s)
            gone: dict[tuple[str, int], _DrawnMarker] = {}
            for marker in found:
                self._take(topic, marker, time_s, gone)
            for old in gone.values():
                self._hide(old, time_s)

    def _take(
        self,
        topic: Topic,
        marker: MarkerMessage,
        time_s: float,
        gone: dict[tuple[str, int], _DrawnMarker],
    ) -> None:
        """Take a marker; what it deletes is added to `gone`, which it may bring back."""
        shown = self._shown[topic.name]
        if marker.action == MarkerAction.DELETEALL:
            gone |= shown
            shown.clear()
        elif marker.action == MarkerAction.DELETE:
            if marker.key in shown:
                gone[marker.key] = shown.pop(marker.key)
        elif marker.kind in _LOOKS:
            old = shown.get(marker.key) or gone.pop(marker.key, None)
            shown[marker.key] = self._draw(topic, marker, time_s, old)
        else:
            names = {int(kind): kind.name for kind in MarkerKind}
            name = names.get(marker.kind, f"type {marker.kind}")
            self._unknown[topic.name, name].add(marker.key)

    def _draw(
        self, topic: Topic, marker: MarkerMessage, time_s: float, old: _DrawnMarker | None
    ) -> _DrawnMarker:
        kind, path, look = MarkerKind(marker.kind), self._path(topic, marker), _look_of(marker)
        if old is not None and old.path != path:
            self._hide(old, time_s)
            old = None
        if old is None or old.look != look:
            self._log.send(path, np.array([time_s]), _LOOKS[kind](marker))
        moves = self._moves[path]
        moves.times_s.append(time_s)
        moves.poses.append(marker.pose)
        moves.appears.append(old is None)
        moves.scales.append(marker.scale if kind in _SCALED else np.ones(3))
        until_s = time_s + marker.lifetime_s if marker.lifetime_s > 0 else np.inf
        return _DrawnMarker(path, look, until_s)

    def _path(self, topic: Topic, marker: MarkerMessage) -> str:
        namespace, number = marker.key
        parts = (*([namespace] if namespace else []), f"{number} {MarkerKind(marker.kind).name}")
        if marker.frame in self._links:
            return entity(ROOT, marker.frame, topic.stream, *parts)
        of_frame = stream_entity(topic.stream, "markers", marker.frame)
        self.spaces.setdefault(marker.frame, {})[of_frame] = None
        return stream_entity(topic.stream, "markers", marker.frame, *parts)

    def _expire(self, shown: dict[tuple[str, int], _DrawnMarker], time_s: float) -> None:
        for key in [key for key, old in shown.items() if old.until_s <= time_s]:
            old = shown.pop(key)
            self._hide(old, old.until_s)

    def _hide(self, old: _DrawnMarker, time_s: float) -> None:
        self._log.send(old.path, np.array([time_s]), rr.Clear.columns(is_recursive=[False]))

    def _write(self) -> None:
        """Write the poses that have come since the last time, where they change."""
        for path, moves in self._moves.items():
            poses, scales = np.array(moves.poses), np.array(moves.scales)
            turns = poses[:, 3:]
            length = np.linalg.norm(turns, axis=1, keepdims=True)
            turns = np.where(length > 1e-6, turns / np.maximum(length, 1e-6), (0.0, 0.0, 0.0, 1.0))
            whole = np.concatenate([poses[:, :3], turns, scales], axis=1)
            changes = np.any(np.diff(whole, axis=0, prepend=np.nan) != 0, axis=1)
            changes |= moves.appears  # what goes has no pose any more
            columns = rr.Transform3D.columns(
                translation=whole[changes, :3],
                quaternion=whole[changes, 3:7],
                scale=whole[changes, 7:],
            )
            self._log.send(path, np.array(moves.times_s)[changes], columns)
        self._moves.clear()

    @property
    def problems(self) -> list[str]:
        """Return what is not drawn, one sentence each."""
        return [
            f"{topic}: {plural(len(keys), 'marker')} not drawn: {kind} is not supported"
            for (topic, kind), keys in self._unknown.items()
        ] + [
            f"{topic}: {plural(count, 'message')} of markers cannot be decoded"
            for topic, count in self._broken.items()
        ]


def _look_of(marker: MarkerMessage) -> bytes:
    scale = b"" if marker.kind in _SCALED else marker.scale.tobytes()
    parts = (scale, marker.rgba.tobytes(), marker.points.tobytes(), marker.colours.tobytes())
    return b"".join((*parts, marker.text.encode()))


def _colour(marker: MarkerMessage) -> Bytes:
    """Return the marker's own colour, uint8[1, 4]."""
    return _bytes(marker.rgba[None])


def _bytes(colours: Floats) -> Bytes:
    return np.asarray(np.rint(255 * np.clip(colours, 0, 1)), np.uint8)


def _colours(marker: MarkerMessage, each: int = 1) -> Bytes:
    """Return a colour for each group of `each` points, uint8[n, 4]."""
    count = len(marker.points) // each
    if len(marker.colours) == len(marker.points):
        return _bytes(marker.colours[: count * each : each])
    if len(marker.colours) == count:
        return _bytes(marker.colours)
    return np.repeat(_colour(marker), count, axis=0)


def _cube(marker: MarkerMessage) -> rr.ComponentColumnList:
    return rr.Boxes3D.columns(half_sizes=_HALF, colors=_colour(marker), fill_mode=[_SOLID])


def _sphere(marker: MarkerMessage) -> rr.ComponentColumnList:
    return rr.Ellipsoids3D.columns(half_sizes=_HALF, colors=_colour(marker), fill_mode=[_SOLID])


def _cylinder(marker: MarkerMessage) -> rr.ComponentColumnList:
    colour = _colour(marker)
    return rr.Cylinders3D.columns(lengths=[1.0], radii=[0.5], colors=colour, fill_mode=[_SOLID])


def _arrow(marker: MarkerMessage) -> rr.ComponentColumnList:
    """Draw an arrow from the first point to the second, or without points along x."""
    if len(marker.points) >= 2:
        tail, radius = marker.points[0], marker.scale[0] / 2
        along = marker.points[1] - tail
    else:
        tail, along, radius = np.zeros(3), np.array([marker.scale[0], 0, 0]), marker.scale[1] / 2
    return rr.Arrows3D.columns(
        origins=[tail], vectors=[along], radii=[radius], colors=_colour(marker)
    )


def _points(marker: MarkerMessage) -> rr.ComponentColumnList:
    count = len(marker.points)
    radii, colours = np.full(count, marker.scale[0] / 2), _colours(marker)
    columns = rr.Points3D.columns(positions=marker.points, radii=radii, colors=colours)
    return columns.partition([count])


def _cubes(marker: MarkerMessage) -> rr.ComponentColumnList:
    count = len(marker.points)
    half = np.tile(marker.scale / 2, (count, 1))
    columns = rr.Boxes3D.columns(
        centers=marker.points, half_sizes=half, colors=_colours(marker), fill_mode=[_SOLID] * count
    )
    return columns.partition([count])


def _lines(marker: MarkerMessage) -> rr.ComponentColumnList:
    """Draw lines that each have the colour of their first end."""
    whole = marker.points[: len(marker.points) // 2 * 2]
    if marker.kind == MarkerKind.LINE_STRIP:
        ends = np.stack([marker.points[:-1], marker.points[1:]], axis=1)
        colours = _colours(marker)[:-1]
    else:
        ends, colours = whole.reshape(-1, 2, 3), _colours(marker, 2)
    radii = np.full(len(ends), marker.scale[0] / 2)
    columns = rr.LineStrips3D.columns(strips=list(ends), radii=radii, colors=colours)
    return columns.partition([len(ends)])


def _triangles(marker: MarkerMessage) -> rr.ComponentColumnList:
    corners = marker.points[: len(marker.points) // 3 * 3].reshape(-1, 3, 3)
    out = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    out = out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
    count = 3 * len(corners)
    columns = rr.Mesh3D.columns(
        vertex_positions=corners.reshape(-1, 3),
        vertex_normals=np.repeat(out, 3, axis=0),
        vertex_colors=np.repeat(_colours(marker, 3), 3, axis=0),
    )
    return columns.partition([count])


def _text(marker: MarkerMessage) -> rr.ComponentColumnList:
    return rr.Points3D.columns(
        positions=[[0.0, 0.0, 0.0]], radii=[_TEXT_M], colors=_colour(marker),
        labels=[marker.text], show_labels=[True],
    )  # fmt: skip


_LOOKS: dict[int, Callable[[MarkerMessage], rr.ComponentColumnList]] = {
    MarkerKind.ARROW: _arrow,
    MarkerKind.CUBE: _cube,
    MarkerKind.SPHERE: _sphere,
    MarkerKind.CYLINDER: _cylinder,
    MarkerKind.LINE_STRIP: _lines,
    MarkerKind.LINE_LIST: _lines,
    MarkerKind.CUBE_LIST: _cubes,
    MarkerKind.SPHERE_LIST: _points,
    MarkerKind.POINTS: _points,
    MarkerKind.TEXT_VIEW_FACING: _text,
    MarkerKind.TRIANGLE_LIST: _triangles,
}
