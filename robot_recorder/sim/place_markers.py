"""Draws the place around the simulated robot as markers, in the frame of its pelvis.

What stands still is sent once an attempt. What may move is serialized once, and then only patched.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from geometry_msgs.msg import Point, Vector3
from rclpy.node import Node
from rclpy.serialization import serialize_message
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from robot_recorder.model.arrays import Floats, Int64s
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.nodes.runtime import LATCHED
from robot_recorder.sim.cloth import cloths_of

FRAME = "pelvis"
RATE_HZ = 30

_GEOM = mujoco.mjtGeom
_TYPES = {
    _GEOM.mjGEOM_BOX: Marker.CUBE,
    _GEOM.mjGEOM_CYLINDER: Marker.CYLINDER,
    _GEOM.mjGEOM_SPHERE: Marker.SPHERE,
    _GEOM.mjGEOM_ELLIPSOID: Marker.SPHERE,
}
_SEEN_GROUPS = 3  # geometries of the groups below are seen by cameras
_SUNK_M = -0.05  # what is lower has no part in the attempt
_CLOTH_M = 0.0015  # half the thickness of a cloth
_POSE, _HEAD, _STAMP = np.dtype("<f8"), np.dtype("<i4"), np.dtype("<u4")


class PlaceMarkers:
    """The markers of a place, one for each geometry that cameras see, but for the floor.

    The pelvis is taken to be fixed to the world.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        """Find what is drawn of a model.

        Raises:
            ValueError: it has geometries without a marker.
        """
        self._model, self._root = model, model.body(FRAME).id
        geoms = np.array([geom for geom in range(model.ngeom) if self._is_drawn(geom)], np.int64)
        bodies = model.geom_bodyid[geoms]
        posed = model.body_mocapid[model.body_rootid[bodies]] >= 0
        may_move = posed | (model.body_weldid[bodies] != 0)
        self.fixed: Int64s = geoms[~may_move]
        self.movable: Int64s = geoms[may_move]
        self._posed = np.flatnonzero(posed[may_move])
        self._furniture = _Boxes(model, self.fixed)
        self._posed_at = b""  # where they were when `_out` was found out
        self._out = np.ones(len(self._posed), bool)  # of furniture
        self._cloths = [_ClothMarkers(model, name, at) for name, at in cloths_of(model).items()]
        self._drawn = np.zeros(len(self.movable), bool)  # what has been in sight in this attempt
        self._objects: tuple[_Geometries, _ArrayTemplate] | None = None  # of what is drawn

    def _is_drawn(self, geom: int) -> bool:
        model = self._model
        kind = _GEOM(model.geom_type[geom])
        own = model.body_rootid[model.geom_bodyid[geom]] == self._root
        if own or model.geom_group[geom] >= _SEEN_GROUPS or kind == _GEOM.mjGEOM_PLANE:
            return False
        if kind not in _TYPES:
            raise ValueError(f"geom {geom} is a {kind.name}: add it here")
        return True

    def begin(self, data: mujoco.MjData) -> MarkerArray:
        """Return what stands still, in the colours of an attempt that begins, without what was there."""
        self._drawn[:], self._objects = False, None
        poses = _Geometries(self._model, data, self.fixed).poses()
        made = [_placed(self._marker(geom), pose) for geom, pose in zip(self.fixed, poses)]
        return MarkerArray(markers=[Marker(action=Marker.DELETEALL), *made])

    def objects(self, data: mujoco.MjData, stamp_ns: int) -> bytes:
        """Return what may move, where it is: a serialized MarkerArray.

        What is out of sight is deleted from the attempt's markers, or has not been among them yet.
        """
        there = self.there(data)
        if self._objects is None or (there & ~self._drawn).any():
            self._drawn |= there
            geoms = self.movable[self._drawn]
            made = [self._marker(geom) for geom in geoms]
            sides = [side for cloth in self._cloths for side in cloth.sides]
            self._objects = _Geometries(self._model, data, geoms), _ArrayTemplate(made, sides)
        geometries, template = self._objects
        points = [side for cloth in self._cloths for side in cloth.points(data)]
        return template.fill(stamp_ns, geometries.poses(), there[self._drawn], points)

    def there(self, data: mujoco.MjData) -> np.ndarray:
        """Return which movable geometries are above the floor and not inside of furniture, bool[n]."""
        at = data.geom_xpos[self.movable]
        found = at[:, 2] > _SUNK_M
        posed = at[self._posed]
        if self._posed_at != (raw := posed.tobytes()):
            self._posed_at, self._out = raw, ~self._furniture.around(data, posed)
        found[self._posed] &= self._out
        return np.asarray(found)

    def _marker(self, geom: int) -> Marker:
        model, body = self._model, int(self._model.geom_bodyid[geom])
        half, kind = model.geom_size[geom], _GEOM(model.geom_type[geom])
        if kind == _GEOM.mjGEOM_CYLINDER:
            half = half[[0, 0, 1]]
        elif kind == _GEOM.mjGEOM_SPHERE:
            half = half[[0, 0, 0]]
        material = int(model.geom_matid[geom])
        colour = model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
        number = int(geom) - int(model.body_geomadr[body])
        marker = _new_marker(model.body(body).name, number, _TYPES[kind], colour)
        marker.scale = Vector3(**_named("xyz", 2 * half))
        return marker


class _Geometries:
    """Where some geometries are, in the pelvis."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, geoms: Int64s) -> None:
        self._geoms, self._bodies = geoms, model.geom_bodyid[geoms]
        self._places, self._orientations = data.geom_xpos, data.xquat  # as they will be, too
        self._in_pelvis = _Pelvis(data)
        root = model.body(FRAME).id
        self._turns = _turns(model.body_quat[root], model.geom_quat[geoms])
        self._poses = np.empty((len(geoms), 7))

    def poses(self) -> Floats:
        """Return position (m) and orientation (x, y, z, w), float64[n, 7], until the next call."""
        found = self._poses
        found[:, :3] = self._in_pelvis(self._places[self._geoms])
        found[:, 3:] = (self._turns @ self._orientations[self._bodies][:, :, None])[:, :, 0]
        return found


class _Pelvis:
    """The frame of the pelvis."""

    def __init__(self, data: mujoco.MjData) -> None:
        root = data.body(FRAME)
        self._axes = root.xmat.reshape(3, 3).copy()
        self._at = root.xpos @ self._axes

    def __call__(self, points: Floats) -> Floats:
        """Return points of the world, float64[n, 3] in m, in this frame."""
        return np.asarray(points @ self._axes - self._at)


class _Boxes:
    """The boxes that furniture is made of."""

    def __init__(self, model: mujoco.MjModel, geoms: Int64s) -> None:
        self._geoms = geoms[model.geom_type[geoms] == _GEOM.mjGEOM_BOX]
        self._half = model.geom_size[self._geoms].ravel()

    def around(self, data: mujoco.MjData, points: Floats) -> np.ndarray:
        """Return which points of the world are inside of one, bool[n]; `points`: float64[n, 3], m."""
        axes = data.geom_xmat[self._geoms].reshape(-1, 3, 3)
        middles = (data.geom_xpos[self._geoms, None] @ axes).ravel()
        along = points @ np.moveaxis(axes, 0, 1).reshape(3, -1) - middles
        return (np.abs(along) < self._half).reshape(len(points), -1, 3).all(axis=2).any(axis=1)


class _ClothMarkers:
    """The two sides of a cloth, each a list of triangles between its points."""

    def __init__(self, model: mujoco.MjModel, name: str, bodies: Int64s) -> None:
        self._bodies = bodies.ravel()
        number, (rows, columns) = np.arange(bodies.size).reshape(bodies.shape), bodies.shape
        down, right = np.arange(rows), np.arange(columns)
        # Of each point the next one and the one before, or itself at an edge.
        self._along = (
            number[np.minimum(down + 1, rows - 1)].ravel(),
            number[np.maximum(down - 1, 0)].ravel(),
        )
        self._across = (
            number[:, np.minimum(right + 1, columns - 1)].ravel(),
            number[:, np.maximum(right - 1, 0)].ravel(),
        )
        a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
        self._corners = np.stack([a, b, c, a, c, d], axis=-1).ravel()
        self.sides = []
        for place, side in enumerate(("front", "back")):
            colour = model.skin_rgba[model.skin(f"{name}/{side}").id]
            marker = _new_marker(name, place, Marker.TRIANGLE_LIST, colour)
            marker.scale = Vector3(x=1.0, y=1.0, z=1.0)
            marker.pose.orientation.w = 1.0
            self.sides.append((marker, len(self._corners)))

    def points(self, data: mujoco.MjData) -> list[Floats]:
        """Return the corners of the triangles of both sides, float64[m, 3] each, m, in the pelvis."""
        at = _Pelvis(data)(data.xpos[self._bodies])
        along, across = (at[after] - at[before] for after, before in (self._along, self._across))
        (ax, ay, az), (bx, by, bz) = along.T, across.T
        normal = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)
        normal *= (_CLOTH_M / np.maximum(np.sqrt((normal**2).sum(axis=1)), 1e-12))[:, None]
        return [(at + out)[self._corners] for out in (normal, -normal)]


class _ArrayTemplate:
    """A serialized MarkerArray of which only stamps, poses, presence and points of cloths change."""

    def __init__(self, markers: list[Marker], sides: list[tuple[Marker, int]]) -> None:
        """Serialize an array, and locate what changes.

        Args:
            markers: with a pose.
            sides: of cloths, and how many points each has.
        """
        random = np.random.default_rng(0)  # numbers that do not occur twice
        count = len(markers) + len(sides)
        stamps = random.integers(1 << 20, 1 << 29, (count, 2)).astype(_STAMP)
        poses = random.random((len(markers), 7))
        points = [random.random((number, 3)) for _, number in sides]
        self._heads = np.array([(m.id, m.type, m.action) for m in markers], _HEAD).reshape(-1, 3)
        heads = self._heads.copy()
        heads[:, 0] = random.integers(1 << 20, 1 << 29, len(markers))
        array = MarkerArray(markers=[*markers, *(marker for marker, _ in sides)])
        for marker, (sec, nanosec) in zip(array.markers, stamps.tolist()):
            marker.header.stamp.sec, marker.header.stamp.nanosec = sec, nanosec
        for marker, (number, *_), pose in zip(markers, heads.tolist(), poses):
            marker.id = number
            _placed(marker, pose)
        for (marker, _), corners in zip(sides, points):
            marker.points = [Point(**_named("xyz", corner)) for corner in corners]
        self._data = np.frombuffer(bytearray(serialize_message(array)), np.uint8)
        whole = self._data.tobytes()
        self._stamps = _places(whole, stamps)
        self._at = _places(whole, heads), _places(whole, poses)
        self._points = [_places(whole, corners.reshape(1, -1))[0, 0] for corners in points]
        self._there: bytes | None = None

    def fill(self, stamp_ns: int, poses: Floats, there: np.ndarray, points: list[Floats]) -> bytes:
        """Return the array's bytes.

        Args:
            stamp_ns: of all markers.
            poses: of the markers that have one, float64[n, 7].
            there: which of those are drawn; the others are deleted.
            points: of each side of a cloth, m, float64[m, 3].
        """
        data, (heads, places) = self._data, self._at
        stamp = np.array(divmod(stamp_ns, NS_PER_S), _STAMP)
        data[self._stamps] = stamp.view(np.uint8)
        if self._there != (raw := there.tobytes()):
            self._there = raw
            self._heads[:, 2] = np.where(there, Marker.ADD, Marker.DELETE)
            data[heads] = self._heads.view(np.uint8)
        data[places] = np.ascontiguousarray(poses, _POSE).view(np.uint8)
        for at, corners in zip(self._points, points):
            raw = np.ascontiguousarray(corners, _POSE).view(np.uint8).ravel()
            data[at : at + len(raw)] = raw
        return data.tobytes()


class PlacePublisher:
    """Publishes ``sim/scene``, latched, and ``sim/objects``."""

    def __init__(self, node: Node, model: mujoco.MjModel) -> None:
        self._markers = PlaceMarkers(model)
        self._scene = node.create_publisher(MarkerArray, "sim/scene", LATCHED)
        self._objects: Any = node.create_publisher(MarkerArray, "sim/objects", 10)

    def begin(self, data: mujoco.MjData) -> None:
        """Publish the place as it looks in an attempt, and delete the objects of the one before."""
        self._scene.publish(self._markers.begin(data))
        self._objects.publish(MarkerArray(markers=[Marker(action=Marker.DELETEALL)]))

    def publish(self, data: mujoco.MjData, stamp_ns: int) -> None:
        """Publish where everything is that may move."""
        self._objects.publish(self._markers.objects(data, stamp_ns))


def _new_marker(name: str, number: int, kind: int, colour: np.ndarray) -> Marker:
    marker = Marker(ns=name, id=number, type=kind, action=Marker.ADD, frame_locked=True)
    marker.header.frame_id = FRAME
    marker.color = ColorRGBA(**_named("rgba", colour))
    return marker


def _placed(marker: Marker, pose: Floats) -> Marker:
    marker.pose.position = Point(**_named("xyz", pose[:3]))
    turn = marker.pose.orientation
    turn.x, turn.y, turn.z, turn.w = pose[3:].tolist()
    return marker


def _named(names: str, values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, map(float, values)))


def _turns(root: Floats, geoms: Floats) -> Floats:
    """Return what makes of a body's orientation that of its geometry in the frame of another body.

    Args:
        root: orientation of that other body in the world, float64[4] (w, x, y, z).
        geoms: of each geometry in its body, float64[n, 4].

    Returns:
        float64[n, 4, 4]: from w, x, y, z of the body in the world to x, y, z, w of the geometry.
    """
    w, x, y, z = root * (1, -1, -1, -1)
    back = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    w, x, y, z = geoms.T
    rows = [[w, -x, -y, -z], [x, w, z, -y], [y, -z, w, x], [z, y, -x, w]]
    onwards = np.moveaxis(np.array(rows), -1, 0)
    return np.asarray((back @ onwards)[:, [1, 2, 3, 0]])


def _places(whole: bytes, rows: np.ndarray) -> Int64s:
    """Return where the bytes of each row are in a message, int64[rows, bytes]."""
    found = [whole.find(row.tobytes()) for row in rows]
    assert -1 not in found, "the message has another layout than expected"
    width = rows.shape[1] * rows.itemsize
    return np.array(found, np.int64).reshape(-1, 1) + np.arange(width)
