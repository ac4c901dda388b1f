"""The simulated robot's description matches the model; MuJoCo itself reads it as a second robot.

Holds also: visuals.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from robot_recorder.messages.decoders import TactileUnit
from robot_recorder.messages.urdf import Shape, joint_limits, parse_urdf
from robot_recorder.rviz.shapes import Cells
from robot_recorder.rviz.tactile import PADS, PadReading, pad_shapes, parse_pads
from robot_recorder.sim.cameras import CAMERAS
from robot_recorder.sim.description import robot_description
from robot_recorder.sim.model import JOINT_NAMES, SIDES

# URDF without masses needs these options to compile into a MuJoCo model.
_COMPILER = (
    '<mujoco><compiler discardvisual="false" fusestatic="false" boundmass="0.01" '
    'boundinertia="0.0001"/></mujoco>'
)


@pytest.fixture(scope="module")
def description(model) -> str:
    return robot_description(model)


@pytest.fixture(scope="module")
def described(description: str) -> Any:
    opening = '<robot name="g1_sim">'
    assert opening in description
    return mujoco.MjModel.from_xml_string(description.replace(opening, opening + _COMPILER))


def _posed(model: Any, angles: np.ndarray) -> Any:
    """Return the state with all joints at the given angles."""
    data = mujoco.MjData(model)
    for name, angle in zip(JOINT_NAMES, angles):
        data.qpos[model.joint(name).qposadr[0]] = angle
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    return data


def _in_pelvis(data: Any, place: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Return a pose of the world in the pelvis frame, float64[4, 4]."""
    root, found = np.eye(4), np.eye(4)
    root[:3, :3], root[:3, 3] = data.body("pelvis").xmat.reshape(3, 3), data.body("pelvis").xpos
    found[:3, :3], found[:3, 3] = turn.reshape(3, 3), place
    return np.linalg.inv(root) @ found


def test_the_description_has_every_joint_with_its_limits(model, description: str) -> None:
    limits = joint_limits(description)
    assert set(JOINT_NAMES) <= set(limits)
    for name in JOINT_NAMES:
        assert limits[name] == pytest.approx(tuple(model.joint(name).range), abs=1e-4)


def test_every_link_has_the_models_pose_at_any_joint_angles(model, described) -> None:
    random = np.random.default_rng(5)
    low, high = np.array([model.joint(name).range for name in JOINT_NAMES]).T
    names = {model.body(i).name for i in range(model.nbody)}
    shared = [described.body(i).name for i in range(1, described.nbody)]
    shared = [name for name in shared if name in names]
    assert len(shared) > len(JOINT_NAMES)
    for _ in range(5):
        angles = random.uniform(low, high)
        truth, found = _posed(model, angles), _posed(described, angles)
        for name in shared:
            true, own = (
                _in_pelvis(data, data.body(name).xpos, data.body(name).xmat)
                for data in (truth, found)
            )
            assert own == pytest.approx(true, abs=2e-3), name


def test_sensor_frames_have_the_models_poses(model, description: str) -> None:
    data = _posed(model, np.zeros(len(JOINT_NAMES)))
    poses = {name: pose[0] for name, pose in parse_urdf(description).link_poses({}).items()}
    for name in ("left_wrist_ft", "right_wrist_ft", "imu_in_torso"):
        site = data.site(name)
        assert poses[name] == pytest.approx(_in_pelvis(data, site.xpos, site.xmat), abs=1e-3), name
    for name in CAMERAS:
        camera = data.camera(name)
        # MuJoCo's cameras look along -z with y up; optical frames along z with y down.
        turn = camera.xmat.reshape(3, 3) * (1, -1, -1)
        true = _in_pelvis(data, camera.xpos, turn)
        assert poses[f"{name}_optical_frame"] == pytest.approx(true, abs=1e-3), name


@pytest.mark.parametrize("side", SIDES)
def test_cells_are_drawn_at_the_taxels(model, description: str, side: str) -> None:
    data = _posed(model, np.zeros(len(JOINT_NAMES)))
    palm = parse_urdf(description).link_poses({})[f"{side}_palm"][0]
    pad = PadReading(f"{side}_palm", TactileUnit.PASCAL, 4, np.zeros(16))
    (cells,) = pad_shapes(0, pad, 1.0, parse_pads(PADS))
    assert isinstance(cells, Cells)
    for number, centre in enumerate(cells.centres):
        row, col = divmod(number, 4)
        taxel = data.geom(f"{side}_taxel_{row}{col}")
        true = _in_pelvis(data, taxel.xpos, np.eye(3))[:3, 3]
        drawn = (palm @ [*centre, 1])[:3]
        assert drawn[[0, 2]] == pytest.approx(true[[0, 2]], abs=1e-3), (row, col)
        # On the surface of the taxels, which are spheres of 8 mm radius.
        inward = -1 if side == "left" else 1
        assert 0.007 < (drawn - true)[1] * inward < 0.011, (row, col)


def test_the_description_looks_like_the_robot_without_files(model, description: str) -> None:
    assert len(description.encode()) < 100_000
    robot = parse_urdf(description)
    looks = {name: visuals for name, visuals in robot.links.items() if visuals}
    shapes = {v.shape for visuals in looks.values() for v in visuals}
    assert shapes <= {Shape.BOX, Shape.CYLINDER, Shape.SPHERE} and Shape.MESH not in shapes
    moving = {j.child for j in robot.joints if j.kind == "revolute"}
    assert len(moving - set(looks)) <= 2, moving - set(looks)

    data = _posed(model, np.zeros(len(JOINT_NAMES)))
    poses = robot.link_poses({})
    tops = [
        (poses[name][0] @ visual.pose)[2, 3]
        for name, visuals in looks.items()
        for visual in visuals
    ]
    height = data.body("pelvis").xpos[2]
    assert min(tops) == pytest.approx(-height, abs=0.06), "feet on the floor"
    assert 0.4 < max(tops) < 0.6, "a head"


def test_every_frame_that_messages_name_is_a_link(description: str) -> None:
    links = set(parse_urdf(description).links)
    named = {f"{side}_{end}" for side in SIDES for end in ("wrist_ft", "palm")}
    named |= {"imu_in_torso", *(f"{name}_optical_frame" for name in CAMERAS)}
    assert named <= links
