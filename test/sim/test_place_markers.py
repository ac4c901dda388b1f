"""The markers of a place stand where its geometries are, in their colours, and only what is in sight."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.serialization import deserialize_message
from visualization_msgs.msg import Marker, MarkerArray

from robot_recorder.messages.urdf import parse_urdf
from robot_recorder.sim.cloth import cloths_of
from robot_recorder.sim.description import robot_description
from robot_recorder.sim.model import JOINT_NAMES, PLACES, build_model
from robot_recorder.sim.place_markers import FRAME, PlaceMarkers
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.script import Script
from robot_recorder.sim.tasks import draw, tasks_of

_SIZES = {  # of a marker, from half sizes of a geometry
    mujoco.mjtGeom.mjGEOM_BOX: (Marker.CUBE, (0, 1, 2)),
    mujoco.mjtGeom.mjGEOM_CYLINDER: (Marker.CYLINDER, (0, 0, 1)),
    mujoco.mjtGeom.mjGEOM_SPHERE: (Marker.SPHERE, (0, 0, 0)),
}


class Idle:
    """An operator who does nothing, so that nothing is planned."""

    def begin(self, scenario: object, qpos: np.ndarray) -> None: ...

    def look(self, qpos: np.ndarray) -> None: ...

    def ready(self) -> bool:
        return True

    def answer(self) -> tuple[Script, str]:
        return Script(np.zeros((1, len(JOINT_NAMES))), ((0, "idle"),)), ""

    def close(self) -> None: ...


@pytest.fixture
def robot(model: mujoco.MjModel) -> Robot:
    return Robot(model, Idle())


def read(data: bytes) -> list[Marker]:
    return list(deserialize_message(data, MarkerArray).markers)


def shown(robot: Robot, markers: PlaceMarkers) -> list[Marker]:
    """Return what is drawn of a robot's place."""
    both = [*markers.begin(robot.data).markers[1:], *read(markers.objects(robot.data, 7))]
    return [marker for marker in both if marker.action == Marker.ADD]


def geom_of(model: mujoco.MjModel, marker: Marker) -> int:
    return int(model.body_geomadr[model.body(marker.ns).id]) + marker.id


def values(message: object, names: str) -> list[float]:
    return [getattr(message, name) for name in names]


def check_place(model: mujoco.MjModel, data: mujoco.MjData, marker: Marker) -> None:
    """Compare a marker with its geometry in the world."""
    geom, root = geom_of(model, marker), model.body(FRAME).id
    axes = data.xmat[root].reshape(3, 3)
    at = data.xpos[root] + axes @ values(marker.pose.position, "xyz")
    assert at == pytest.approx(data.geom_xpos[geom], abs=1e-9), marker.ns
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, np.array(values(marker.pose.orientation, "wxyz")))
    same = axes @ turn.reshape(3, 3)
    assert same == pytest.approx(data.geom_xmat[geom].reshape(3, 3), abs=1e-9), marker.ns
    kind, order = _SIZES[mujoco.mjtGeom(model.geom_type[geom])]
    assert marker.type == kind and marker.header.frame_id == FRAME and marker.frame_locked
    wanted = 2 * model.geom_size[geom][list(order)]
    assert values(marker.scale, "xyz") == pytest.approx(wanted), marker.ns


@pytest.mark.parametrize("place", PLACES)
def test_markers_stand_where_the_geometries_are(place: str, model_cache: Path) -> None:
    """Also after things have moved, and whatever the task."""
    model = build_model(model_cache, place)
    robot, markers = Robot(model, Idle()), PlaceMarkers(model)
    robot.reset(draw(tasks_of(place)[-1], 3))
    at_first = shown(robot, markers)
    for marker in at_first:
        if marker.type != Marker.TRIANGLE_LIST:
            check_place(model, robot.data, marker)
    robot.begin()
    for _ in range(50):
        robot.step()
    data = robot.data
    data.qvel[:] = 0.3
    mujoco.mj_step(model, data)
    mujoco.mj_forward(model, data)
    later = read(markers.objects(data, 5_000_000_009))
    for marker in later:
        assert (marker.header.stamp.sec, marker.header.stamp.nanosec) == (5, 9)
        if marker.type != Marker.TRIANGLE_LIST:
            check_place(model, data, marker)
    names = [(marker.ns, marker.id) for marker in at_first]
    assert len(names) == len(set(names)), "each has a name of its own"


@pytest.mark.parametrize("place", PLACES)
def test_only_what_is_in_sight_is_drawn(place: str, model_cache: Path) -> None:
    """Things of other tasks, clutter that is away, and the robot itself are not."""
    model = build_model(model_cache, place)
    robot, markers = Robot(model, Idle()), PlaceMarkers(model)
    for task in tasks_of(place):
        scenario = draw(task, 1)
        robot.reset(scenario)
        drawn = {marker.ns for marker in shown(robot, markers)}
        assert scenario.poses.keys() | scenario.cloths.keys() <= drawn
        free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        assert {model.joint(j).name for j in free} & drawn == scenario.poses.keys() & {
            model.joint(j).name for j in free
        }
        height = {name: robot.data.body(name).xpos[2] for name in drawn if "/" in name}
        assert min(height.values(), default=1.0) > 0, "clutter that is away"
        robots = {model.body(n).name for n in range(model.nbody) if model.body_rootid[n] == 1}
        assert FRAME in robots and not drawn & robots


def test_the_stain_appears_spot_by_spot_and_goes(model_cache: Path) -> None:
    model = build_model(model_cache, "smart_home")
    robot, markers = Robot(model, Idle()), PlaceMarkers(model)
    robot.reset(draw("wipe_table", 0))
    assert not [marker.ns for marker in shown(robot, markers) if marker.ns.startswith("spot")]
    for _ in range(10):
        robot.step()
        markers.objects(robot.data, 0)
    spots = {m.ns: m for m in read(markers.objects(robot.data, 1)) if m.ns.startswith("spot")}
    assert len(spots) > 5 and {m.action for m in spots.values()} == {Marker.ADD}
    wiped = next(iter(spots))
    robot.data.mocap_pos[model.body(wiped).mocapid[0], 2] = model.body(wiped).pos[2]
    markers.objects(robot.data, 1)  # before the physics has seen it
    robot.step()
    again = {m.ns: m for m in read(markers.objects(robot.data, 2)) if m.ns.startswith("spot")}
    assert {name for name, m in again.items() if m.action == Marker.DELETE} == {wiped}
    robot.reset(draw("set_table", 0))
    assert wiped not in {marker.ns for marker in shown(robot, markers)}, "another attempt"


def test_colours_are_those_of_the_attempt(model: mujoco.MjModel, robot: Robot) -> None:
    markers, found = PlaceMarkers(model), []
    for seed in range(3):
        robot.reset(draw("lift_box", seed))
        colours = {(m.ns, m.id): values(m.color, "rgba") for m in shown(robot, markers)}
        wood = model.mat_rgba[model.material("wood").id]
        desk = int(model.geom("desk_front").id - model.body_geomadr[model.body("desk").id])
        assert colours["desk", desk] == pytest.approx(wood, abs=1e-6)
        assert colours["box", 0] == pytest.approx(model.geom("box").rgba, abs=1e-6)
        found.append(tuple(colours["desk", desk]))
    assert len(set(found)) == 3
    assert markers.begin(robot.data).markers[0].action == Marker.DELETEALL


def test_a_cloth_has_two_sides_between_its_points(model_cache: Path) -> None:
    model = build_model(model_cache, "laundry")
    robot, markers = Robot(model, Idle()), PlaceMarkers(model)
    robot.reset(draw("fold_cloth", 0))
    ((name, points),) = cloths_of(model).items()
    sides = [m for m in shown(robot, markers) if m.ns == name]
    assert [m.type for m in sides] == [Marker.TRIANGLE_LIST] * 2
    height = robot.data.xpos[points.ravel(), 2].mean() - robot.data.body(FRAME).xpos[2]
    above, below = ([p.z for p in side.points] for side in sides)
    assert np.mean(above) == pytest.approx(height + 0.0015) and np.mean(below) == pytest.approx(
        height - 0.0015
    )
    area = 0.0
    corners = np.array([values(p, "xyz") for p in sides[0].points]).reshape(-1, 3, 3)
    for a, b, c in corners:
        area += float(np.linalg.norm(np.cross(b - a, c - a))) / 2
    flat = np.ptp(robot.data.xpos[points.ravel()][:, :2], axis=0)
    cloth = np.linalg.norm(robot.data.xpos[points[0, 0]] - robot.data.xpos[points[-1, 0]])
    wide = np.linalg.norm(robot.data.xpos[points[0, 0]] - robot.data.xpos[points[0, -1]])
    assert area == pytest.approx(cloth * wide, rel=0.02) and flat.min() > 0.1
    assert sides[0].color != sides[1].color


def test_the_box_is_between_the_palms_that_lift_it(model: mujoco.MjModel) -> None:
    """By the description and the joint angles, as a viewer puts the robot together."""
    described, robot = parse_urdf(robot_description(model)), Robot(model)
    markers = PlaceMarkers(model)
    robot.reset(draw("lift_box", 1))
    robot.begin()
    while robot.phase != "hold":
        robot.step()
        assert not robot.done, "it never held the box"
    markers.begin(robot.data)
    box = next(m for m in read(markers.objects(robot.data, 1)) if (m.ns, m.id) == ("box", 0))
    angles = dict(zip(JOINT_NAMES, robot.joint_position[:, None]))
    poses = described.link_poses(angles)
    left, right = (poses[f"{side}_palm"][0, :3, 3] for side in ("left", "right"))
    at = np.array(values(box.pose.position, "xyz"))
    assert np.linalg.norm(at - (left + right) / 2) < 0.05
    assert np.linalg.norm(left - right) == pytest.approx(box.scale.y, abs=0.03)
