"""Read sensor_msgs/PointCloud2: its points, and the numbers that describe a cloud.

Source of the format: the comments in sensor_msgs/msg/PointCloud2.msg and PointField.msg.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.messages.cdr import CdrReader
from robot_recorder.messages.decoders import Decoded
from robot_recorder.model.arrays import Bytes, Floats
from robot_recorder.model.errors import DecodeError

MOST_SAMPLED = 20_000  # points that the extent is taken from
_KINDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_FIELD_BYTES = 13  # of a description, at least
_AXES = ("x", "y", "z")
_COLOURS, _BRIGHTNESS = ("rgb", "rgba"), ("intensity", "i", "reflectivity")
NAMES = ("count (1)", *(f"{end}/{axis} (m)" for end in ("min", "max") for axis in _AXES))


@dataclass(frozen=True)
class PointCloud:
    """One cloud.

    Attributes:
        frame: that the points are in.
        height, width: rows, and points in a row.
        fields: numpy type and offset of the known fields by name.
        step, row_step: bytes from one point, and from one row, to the next.
        data: the points.
    """

    frame: str
    height: int
    width: int
    fields: dict[str, tuple[np.dtype, int]]
    step: int
    row_step: int
    data: memoryview

    @property
    def count(self) -> int:
        """Return the number of points, valid or not."""
        return self.height * self.width

    def places(self, most: int) -> npt.NDArray[np.int64]:
        """Return at most so many evenly spread numbers of points, int64[n]."""
        return np.arange(0, self.count, max(1, -(-self.count // most)), dtype=np.int64)

    def values(self, name: str, places: npt.NDArray[np.int64]) -> np.ndarray:
        """Return a field of some points, in its own type.

        Args:
            name: of the field.
            places: int64[n], numbers of points.
        """
        kind, offset = self.fields[name]
        if not self.count:
            return np.empty(0, kind)
        shape, strides = (self.height, self.width), (self.row_step, self.step)
        whole: np.ndarray = np.ndarray(shape, kind, self.data, offset, strides)
        if len(places) == self.count:
            return whole.reshape(-1)
        return np.asarray(whole[places // self.width, places % self.width])

    def positions(self, places: npt.NDArray[np.int64]) -> Floats:
        """Return x, y and z of some points, float64[n, 3], m; NaN for fields that are missing."""
        found = np.full((len(places), 3), np.nan)
        for column, axis in enumerate(_AXES):
            if axis in self.fields:
                found[:, column] = self.values(axis, places)
        return found

    def colours(self, places: npt.NDArray[np.int64]) -> Bytes | None:
        """Return red, green and blue of some points, uint8[n, 3].

        Without colours, their intensity as grey, from the darkest to the brightest point; None:
        they have neither.
        """
        for name in _COLOURS:
            if name in self.fields and self.fields[name][0].itemsize == 4:
                kind = self.fields[name][0]
                bits = np.dtype("u4").newbyteorder(kind.byteorder)  # colours may be sent as a float
                packed = np.ascontiguousarray(self.values(name, places)).view(bits)
                parts = [(packed >> shift) & 255 for shift in (16, 8, 0)]
                return np.stack(parts, axis=1).astype(np.uint8)
        for name in _BRIGHTNESS:
            if name in self.fields:
                return _greys(self.values(name, places).astype(np.float64))
        return None


def _greys(values: Floats) -> Bytes:
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (1, 99)) if len(known) else (0.0, 0.0)
    share = np.nan_to_num((values - low) / max(high - low, 1e-9), posinf=1.0, neginf=0.0)
    grey = (60 + 195 * np.clip(share, 0, 1)).astype(np.uint8)
    return np.repeat(grey[:, None], 3, axis=1)


def read_point_cloud(data: bytes) -> PointCloud:
    """Read a message, without copying its points.

    Raises:
        DecodeError: it is not a PointCloud2, or its points do not fit into it.
    """
    reader = CdrReader(data)
    reader.stamp_ns()
    frame, height, width, count = reader.text(), reader.u32(), reader.u32(), reader.u32()
    if count * _FIELD_BYTES > len(data):
        raise DecodeError(f"{count} fields of points do not fit into {len(data)} bytes")
    described = [(reader.text(), reader.u32(), reader.u8(), reader.u32()) for _ in range(count)]
    order = ">" if reader.u8() else "<"
    step, row_step = reader.u32(), reader.u32()
    points = reader.raw()
    row_step = row_step if height > 1 else step * width
    needed = (height - 1) * row_step + width * step if height and width else 0
    if needed > len(points) or (height * width and not step):
        raise DecodeError(f"{height} x {width} points do not fit into {len(points)} bytes")
    fields = {}
    for name, offset, kind, _ in described:
        if kind in _KINDS and offset + np.dtype(_KINDS[kind]).itemsize <= step:
            fields[name] = np.dtype(order + _KINDS[kind]), offset
    return PointCloud(frame, height, width, fields, step, row_step, points)


def decode_point_cloud(data: bytes) -> Decoded:
    """Decode a PointCloud2: the number of its points, and their extent in m.

    The extent is that of points whose x, y and z are finite. Of clouds above 20,000 points only so
    many are looked at, evenly spread, so that a single outlier may be missed.

    Raises:
        DecodeError: it is not a PointCloud2.
    """
    cloud = read_point_cloud(data)
    positions = cloud.positions(cloud.places(MOST_SAMPLED))
    positions = positions[np.isfinite(positions).all(axis=1)]
    extent = np.full((2, 3), np.nan)
    if len(positions):
        extent[:] = positions.min(axis=0), positions.max(axis=0)
    return Decoded(NAMES, np.concatenate(([float(cloud.count)], extent.ravel())))
