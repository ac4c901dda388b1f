"""Markers are read as ROS writes them, from Foxy on."""

from __future__ import annotations

import numpy as np
import pytest
from support.markers import array, marker

from robot_recorder.messages.markers import MARKER, MARKER_ARRAY, MarkerKind, read_markers
from robot_recorder.model.errors import DecodeError

CUBE = marker(1, 7, at=(1, 2, 3), turn=(0, 0, 1, 0), scale=(0.1, 0.2, 0.3), lifetime_s=1.25)
LINES = marker(
    5, -2, 2, frame="/map", points=[[0, 0, 0], [1, 2, 3]], colours=[[1, 0, 0, 1], [0, 1, 0, 0.5]],
    namespace="",
)  # fmt: skip
TEXT = marker(9, 1, text="grüße", namespace="of things")


@pytest.mark.parametrize("textured", [True, False])
def test_every_field_is_read(textured: bool) -> None:
    cube, lines, text = read_markers(MARKER_ARRAY, array(CUBE, LINES, TEXT, textured=textured))
    assert (cube.frame, cube.key, cube.kind, cube.action) == ("base", ("things", 7), 1, 0)
    assert cube.pose.tolist() == [1, 2, 3, 0, 0, 1, 0] and cube.scale.tolist() == [0.1, 0.2, 0.3]
    assert cube.rgba.tolist() == [1, 0.5, 0, 1] and cube.lifetime_s == 1.25
    assert (lines.frame, lines.key, lines.action) == ("map", ("", -2), 2)
    assert lines.points.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert lines.colours.tolist() == [[1, 0, 0, 1], [0, 1, 0, 0.5]]
    assert text.text == "grüße" and text.kind == MarkerKind.TEXT_VIEW_FACING
    assert cube.points.shape == (0, 3) and cube.colours.shape == (0, 4)
    assert read_markers(MARKER_ARRAY, array(textured=textured)) == []


def test_what_is_cut_short_or_of_another_type_is_an_error() -> None:
    whole = array(CUBE, LINES, TEXT)
    for data in (whole[:-40], whole[:60], whole + bytes(8), b"\0\1\0\0\xff\xff\xff\xff"):
        with pytest.raises(DecodeError):
            read_markers(MARKER_ARRAY, data)


def test_the_messages_of_ros_are_read() -> None:
    pytest.importorskip("rclpy")
    from geometry_msgs.msg import Point
    from rclpy.serialization import serialize_message
    from visualization_msgs.msg import Marker

    for name in MarkerKind.__members__:
        if hasattr(Marker, name):
            assert getattr(Marker, name) == MarkerKind[name]
    message = Marker(ns="a", id=3, type=Marker.POINTS, action=Marker.ADD, text="t")
    message.header.frame_id = "map"
    message.points = [Point(x=1.0, y=2.0, z=3.0), Point(x=4.0)]
    message.color.a = 0.5
    (found,) = read_markers(MARKER, bytes(serialize_message(message)))
    assert (found.frame, found.key, found.kind, found.text) == ("map", ("a", 3), 8, "t")
    assert np.array_equal(found.points, [[1, 2, 3], [4, 0, 0]]) and found.rgba[3] == 0.5
