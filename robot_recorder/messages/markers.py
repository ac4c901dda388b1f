"""Read visualization_msgs/Marker and MarkerArray: shapes to draw in 3D.

Source of the format: the comments in visualization_msgs/msg/Marker.msg, of Foxy and of later ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from robot_recorder.messages.cdr import CdrReader
from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import DecodeError

MARKER, MARKER_ARRAY = "visualization_msgs/msg/Marker", "visualization_msgs/msg/MarkerArray"
_LEAST_BYTES = 150  # of a marker
_PADDING = 4


class MarkerKind(IntEnum):
    """The field ``type`` of a marker."""

    ARROW = 0
    CUBE = 1
    SPHERE = 2
    CYLINDER = 3
    LINE_STRIP = 4
    LINE_LIST = 5
    CUBE_LIST = 6
    SPHERE_LIST = 7
    POINTS = 8
    TEXT_VIEW_FACING = 9
    MESH_RESOURCE = 10
    TRIANGLE_LIST = 11
    ARROW_STRIP = 12


class MarkerAction(IntEnum):
    """The field ``action`` of a marker."""

    ADD = 0
    DELETE = 2
    DELETEALL = 3


@dataclass(frozen=True)
class MarkerMessage:
    """One marker.

    Attributes:
        frame: that it is in.
        key: namespace and id, which name it within its topic.
        kind, action: numbers, also of kinds and actions that are unknown here.
        pose: float64[7], position (m) and orientation (x, y, z, w).
        scale: float64[3], m; what it means depends on the kind.
        rgba: float64[4], 0 to 1.
        lifetime_s: time after which it goes; 0: never.
        points: float64[n, 3], m, in the marker's own frame.
        colours: float64[n, 4] of each point, or empty.
        text: of a text.
    """

    frame: str
    key: tuple[str, int]
    kind: int
    action: int
    pose: Floats
    scale: Floats
    rgba: Floats
    lifetime_s: float
    points: Floats
    colours: Floats
    text: str


def read_markers(type_name: str, data: bytes) -> list[MarkerMessage]:
    """Read a message.

    Args:
        type_name: `MARKER` or `MARKER_ARRAY`.
        data: CDR.

    Raises:
        DecodeError: it is truncated, or of another type.
    """
    try:
        return _read(type_name, data, textured=True)
    except DecodeError:
        return _read(type_name, data, textured=False)


def _read(type_name: str, data: bytes, textured: bool) -> list[MarkerMessage]:
    """Read a message, of Foxy and before if not `textured`."""
    reader = CdrReader(data)
    count = reader.u32() if type_name == MARKER_ARRAY else 1
    if count * _LEAST_BYTES > len(data):
        raise DecodeError(f"{count} markers do not fit into {len(data)} bytes")
    found = [_marker(reader, textured) for _ in range(count)]
    if len(data) - reader.at >= _PADDING:
        raise DecodeError(f"{len(data) - reader.at} bytes are left behind the last marker")
    return found


def _marker(reader: CdrReader, textured: bool) -> MarkerMessage:
    reader.stamp_ns()
    frame, namespace = reader.text(), reader.text()
    number, kind, action = reader.numbers("i4", 3).tolist()
    pose, scale, rgba = reader.doubles(7), reader.doubles(3), reader.floats(4)
    sec, nanosec = reader.numbers("i4", 1), reader.u32()
    reader.u8()  # frame_locked
    points = reader.doubles(3 * reader.u32()).reshape(-1, 3)
    colours = _floats(reader, 4).reshape(-1, 4)
    if textured:
        reader.skip_bytes()  # texture_resource
        reader.stamp_ns()
        for _ in range(3):  # frame, format and data of texture
            reader.skip_bytes()
        _floats(reader, 2)  # uv_coordinates
    text = reader.text()
    for _ in range(3 if textured else 1):  # mesh_resource; name and data of mesh_file
        reader.skip_bytes()
    reader.u8()  # mesh_use_embedded_materials
    lifetime_s = int(sec[0]) + nanosec / 1e9
    return MarkerMessage(
        frame.strip("/"), (namespace, number), kind, action, pose, scale, rgba, lifetime_s,
        points, colours, text,
    )  # fmt: skip


def _floats(reader: CdrReader, each: int) -> Floats:
    count = reader.u32()
    return reader.floats(each * count) if count else reader.doubles(0)
