"""Convert shapes to markers, and send only the changed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point as PointMessage
from geometry_msgs.msg import Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from robot_recorder.rviz.shapes import Arrow, Ball, Cells, Colour, Key, Lines, Point, Shape
from robot_recorder.rviz.text import BLANK, drawable

_ALL_AFTER = 20  # arrays until all markers are sent again, for late viewers and before they expire


class Markers:
    """Makes marker arrays from the difference between the current and the previous shapes."""

    def __init__(self, lifetime_s: int) -> None:
        """Start without markers.

        Args:
            lifetime_s: time after which viewers drop a marker that is not sent again, s; 0: never.
        """
        self._lifetime_s = lifetime_s
        self._sent: dict[Key, Shape] = {}
        self._left = 0

    def array(self, shapes: Sequence[Shape], everything: bool = False) -> MarkerArray:
        """Return the markers that update viewers to these shapes; empty: nothing has changed.

        Args:
            shapes: all current shapes.
            everything: send unchanged shapes, too.
        """
        self._left -= 1
        everything = everything or self._left <= 0
        if everything:
            self._left = _ALL_AFTER
        now = {shape.key: shape for shape in shapes}
        gone = [key for key in self._sent if key not in now]
        changed = [s for key, s in now.items() if everything or self._sent.get(key) != s]
        self._sent = now
        markers = [_named(key, action=Marker.DELETE) for key in gone]
        return MarkerArray(markers=markers + [self._marker(shape) for shape in changed])

    def nothing(self) -> MarkerArray:
        """Return an array that deletes all markers."""
        self._sent = {}
        return MarkerArray(markers=[Marker(action=Marker.DELETEALL)])

    def _marker(self, shape: Shape) -> Marker:
        # No timestamp and frame_locked: drawn where the frame is at that moment.
        marker = _named(shape.key, action=Marker.ADD, frame_locked=True)
        marker.header.frame_id = shape.frame
        marker.lifetime = Duration(sec=self._lifetime_s)
        marker.pose.orientation.w = 1.0
        if isinstance(shape, Cells):
            marker.type = Marker.CUBE_LIST
            marker.scale = Vector3(x=shape.size[0], y=shape.size[1], z=shape.size[2])
            marker.points = [_point(centre) for centre in shape.centres]
            marker.colors = [_colour(colour) for colour in shape.colours]
            marker.color.a = 1.0
            return marker
        if isinstance(shape, Lines):
            marker.type = Marker.LINE_LIST
            marker.scale.x = shape.thickness
            marker.points = [_point(end) for end in shape.ends]
            marker.colors = [_colour(colour) for colour in shape.colours for _ in range(2)]
            marker.color.a = 1.0
            return marker
        marker.color = _colour(shape.colour)
        if isinstance(shape, Ball):
            marker.type = Marker.SPHERE
            marker.pose.position = _point(shape.at)
            marker.scale = Vector3(x=shape.size, y=shape.size, z=shape.size)
        elif isinstance(shape, Arrow):
            marker.type = Marker.ARROW
            marker.points = [_point(shape.tail), _point(shape.head)]
            thick = shape.thickness  # diameter of the shaft, of the head, length of the head
            marker.scale = Vector3(x=thick, y=2.2 * thick, z=2.5 * thick)
        else:
            marker.type = Marker.TEXT_VIEW_FACING
            marker.pose.position = _point(shape.at)
            marker.scale = Vector3(x=BLANK * shape.height, z=shape.height)
            marker.text = drawable(shape.text)
        return marker


def _named(key: Key, **fields: Any) -> Marker:
    return Marker(ns=key.kind, id=key.number, **fields)


def _point(at: Point) -> PointMessage:
    return PointMessage(x=at[0], y=at[1], z=at[2])


def _colour(colour: Colour) -> ColorRGBA:
    return ColorRGBA(r=colour[0], g=colour[1], b=colour[2], a=colour[3])
