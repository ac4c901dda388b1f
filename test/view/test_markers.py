"""Markers of any bag are drawn where their messages say, as long as they say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rerun")
from support.described import URDF
from support.made import bag, swings
from support.markers import MARKER_ARRAY, array, marker
from support.recordings import Recorded, view
from support.samples import T0

from robot_recorder.messages.markers import MarkerAction, MarkerKind
from robot_recorder.view.markers import _LOOKS

STRING = "std_msgs/msg/String"
SECOND = 10**9
ON_ROBOT, BY_ITSELF = "/robot/hand/shapes/things", "/streams/shapes/markers/map/things"


def text(value: str) -> bytes:
    raw = value.encode() + b"\0"
    return b"\0\1\0\0" + len(raw).to_bytes(4, "little") + raw


def shapes(path: Path, *messages: tuple[float, bytes], robot: bool = True) -> Recorded:
    """Record marker arrays, at times in s, and a robot for four seconds, and show them."""
    topics = {
        "/shapes": (MARKER_ARRAY, [(T0 + round(at * SECOND), data) for at, data in messages]),
        "/joint_states": swings(0.0),
    }
    if robot:
        topics["/robot_description"] = (STRING, [(T0, text(URDF))])
    return view(bag(path / "bag", topics), path / "a.rrd")


def box(at_x: float, action: int = 0, **more: Any) -> bytes:
    return array(marker(1, 4, action, (at_x, 0, 0), scale=(0.1, 0.2, 0.3), **more))


def gone(found: Recorded, path: str) -> np.ndarray:
    """Return when an entity is cleared, s."""
    return found.rows(path, "Clear:is_recursive")[0]


def test_a_cube_moves_with_its_link_and_goes(tmp_path: Path) -> None:
    found = shapes(
        tmp_path,
        (0.5, box(1, frame="hand")),
        (1.0, box(1, frame="hand")),
        (1.5, box(2, frame="hand")),
        (2.5, box(0, MarkerAction.DELETE, frame="hand")),
        (3.0, box(2, frame="hand")),
        (3.5, array(marker(1, action=MarkerAction.DELETEALL))),
    )
    path = f"{ON_ROBOT}/4\\ CUBE"
    times, places = found.rows(path, "Transform3D:translation")
    assert times == pytest.approx([0.5, 1.5, 3.0]), "only where it moves"
    assert [place[0][0] for place in places] == [1, 2, 2], "written again after it was gone"
    _, scales = found.rows(path, "Transform3D:scale")
    assert scales[0][0] == pytest.approx([0.1, 0.2, 0.3])
    assert found.rows(path, "Boxes3D:half_sizes")[0] == pytest.approx([0.5, 3.0])
    assert gone(found, path) == pytest.approx([2.5, 3.5])
    _, colours = found.rows(path, "Boxes3D:colors")
    assert colours[0] == [0xFF8000FF]
    assert not any("marker" in note for note in found.viewed.notes)


def test_markers_with_a_lifetime_go_by_themselves(tmp_path: Path) -> None:
    found = shapes(
        tmp_path,
        (0.0, box(1, frame="hand", lifetime_s=0.5)),
        (0.4, box(1, frame="hand", lifetime_s=0.5)),
        (2.0, box(1, frame="hand", lifetime_s=0.5)),
        (3.9, array()),
    )
    path = f"{ON_ROBOT}/4\\ CUBE"
    assert found.rows(path, "Boxes3D:half_sizes")[0] == pytest.approx([0.0, 2.0])
    assert gone(found, path) == pytest.approx([0.9, 2.5])


def test_what_is_deleted_and_added_again_at_once_stays(tmp_path: Path) -> None:
    """As some draw: everything anew in every message."""
    clear = marker(0, 99, MarkerAction.DELETEALL)
    found = shapes(
        tmp_path,
        (0.5, array(clear, marker(1, 0, frame="hand"), marker(1, 1, frame="hand"))),
        (1.0, array(clear, marker(1, 0, frame="hand"))),
        (1.5, array(clear, marker(1, 0, frame="hand"))),
    )
    stays, goes = (f"{ON_ROBOT}/{n}\\ CUBE" for n in (0, 1))
    assert found.rows(stays, "Boxes3D:half_sizes")[0] == pytest.approx([0.5])
    assert not len(gone(found, stays)) and gone(found, goes) == pytest.approx([1.0])


def test_a_marker_may_become_another_one(tmp_path: Path) -> None:
    found = shapes(
        tmp_path,
        (0.5, array(marker(1, frame="hand"))),
        (1.0, array(marker(2, frame="hand", turn=(0, 0, 0, 0)))),
        (2.0, array(marker(2, frame="map"))),
    )
    assert gone(found, f"{ON_ROBOT}/0\\ CUBE") == pytest.approx([1.0])
    path = f"{ON_ROBOT}/0\\ SPHERE"
    assert found.rows(path, "Ellipsoids3D:half_sizes")[0] == pytest.approx([1.0])
    assert gone(found, path) == pytest.approx([2.0])
    _, turns = found.rows(path, "Transform3D:quaternion")
    assert turns[0][0] == [0, 0, 0, 1], "that of a marker without orientation"
    assert f"{BY_ITSELF}/0\\ SPHERE" in found.entities(), "not a link of the robot"


POINTS = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0], [1, 2, 0]]
RED, BLUE = [1, 0, 0, 1], [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("kind", "component", "wanted"),
    [
        (MarkerKind.ARROW, "Arrows3D:vectors", [[1, 0, 0]]),
        (MarkerKind.CYLINDER, "Cylinders3D:lengths", [1]),
        (MarkerKind.LINE_STRIP, "LineStrips3D:strips", list(pairwise(POINTS))),
        (MarkerKind.LINE_LIST, "LineStrips3D:strips", list(zip(POINTS[::2], POINTS[1::2]))),
        (MarkerKind.CUBE_LIST, "Boxes3D:centers", POINTS),
        (MarkerKind.SPHERE_LIST, "Points3D:positions", POINTS),
        (MarkerKind.POINTS, "Points3D:positions", POINTS),
        (MarkerKind.TRIANGLE_LIST, "Mesh3D:vertex_positions", POINTS),
        (MarkerKind.TEXT_VIEW_FACING, "Points3D:labels", ["said"]),
    ],
)
def test_every_kind_has_its_points_and_colours(
    kind: MarkerKind, component: str, wanted: list, tmp_path: Path
) -> None:
    one = marker(
        kind, points=POINTS, colours=[RED, BLUE] * 3, frame="map", scale=(0.2, 0.3, 0.4),
        text="said",
    )  # fmt: skip
    found = shapes(tmp_path, (0.5, array(one)))
    path = f"{BY_ITSELF}/0\\ {kind.name}"
    _, values = found.rows(path, component)
    if component.startswith("Points3D:labels"):
        assert values == [wanted]
    else:
        assert np.array(values[0]) == pytest.approx(np.array(wanted))
    if kind in (MarkerKind.POINTS, MarkerKind.CUBE_LIST):
        _, colours = found.rows(path, f"{component.partition(':')[0]}:colors")
        assert colours[0] == [0xFF0000FF, 0x0000FFFF] * 3


def test_what_is_not_drawn_is_said(tmp_path: Path) -> None:
    meshes = [marker(MarkerKind.MESH_RESOURCE, n) for n in range(3)]
    found = shapes(
        tmp_path,
        (0.5, array(*meshes)),
        (1.0, array(*meshes[:1], marker(77, 9))),
        (1.5, array(*meshes)[:-60]),
    )
    assert [note for note in found.viewed.notes if "/shapes" in note] == [
        "/shapes: 3 markers not drawn: MESH_RESOURCE is not supported",
        "/shapes: 1 marker not drawn: type 77 is not supported",
        "/shapes: 1 message of markers cannot be decoded",
    ]


def test_a_bag_without_a_robot_shows_markers_in_their_frame(tmp_path: Path) -> None:
    found = shapes(tmp_path, (0.5, array(marker(1, frame="map"))), robot=False)
    assert f"{BY_ITSELF}/0\\ CUBE" in found.entities()


def test_only_these_kinds_are_not_drawn() -> None:
    missing = {kind for kind in MarkerKind if kind not in _LOOKS}
    assert missing == {MarkerKind.MESH_RESOURCE, MarkerKind.ARROW_STRIP}
