"""Rendered cameras see the scene that the physics has."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest

from robot_recorder.sim import cameras
from robot_recorder.sim.cameras import CAMERAS, CameraRenderer
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.tasks import draw


@pytest.fixture(scope="module")
def renderer(model):
    renderer = CameraRenderer(model)
    yield renderer
    renderer.close()


@pytest.fixture(scope="module")
def poses(model):
    robot = Robot(model)
    result = {}
    for task in ("lift_box", "carry_tray"):
        robot.reset(draw(task, 1))
        result[task] = robot.snapshot()
    return result


@pytest.mark.parametrize("name", CAMERAS)
def test_images_are_neither_black_nor_constant(renderer, poses, name):
    image = renderer.render(name, poses["lift_box"])
    assert image.shape == (240, 320, 3) and image.dtype == np.uint8
    assert 60 < image.mean() < 220
    assert image.std() > 20


def test_the_head_camera_sees_the_objects(renderer, poses):
    red, green, blue = (
        renderer.render("head_camera", poses["lift_box"]).astype(int).transpose(2, 0, 1)
    )
    orange = (red > 120) & (red > 1.6 * green) & (green > 1.5 * blue)
    spot = (green > 1.5 * red) & (green > 1.5 * blue)
    assert orange.mean() > 0.01 and spot.mean() > 0.01
    red, green, blue = (
        renderer.render("head_camera", poses["carry_tray"]).astype(int).transpose(2, 0, 1)
    )
    tray = (blue > 1.5 * green) & (blue > 2 * red)
    assert tray.mean() > 0.01


def test_what_is_out_of_sight_is_left_out_and_changes_no_picture(renderer, model, monkeypatch):
    robot, rng = Robot(model), np.random.default_rng(5)
    hinges = model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
    places = model.jnt_qposadr[hinges]
    for seed in range(6):
        robot.reset(draw(("lift_box", "carry_tray")[seed % 2], seed))
        robot.data.qpos[places] = rng.uniform(*model.jnt_range[hinges].T)
        poses = robot.snapshot()
        seen = [renderer.render(name, poses) for name in CAMERAS]
        left_out = [cameras.unseen(model, renderer._data, name).sum() for name in CAMERAS]
        assert min(left_out) > 10
        with monkeypatch.context() as patch:
            patch.setattr(cameras, "unseen", lambda model, *_: np.zeros(model.ngeom, bool))
            for name, picture in zip(CAMERAS, seen, strict=True):
                np.testing.assert_array_equal(renderer.render(name, poses), picture, name)


def test_rendering_a_pose_twice_gives_the_same_picture(renderer, poses):
    first = renderer.render("head_camera", poses["lift_box"])
    renderer.render("left_wrist_camera", poses["carry_tray"])
    np.testing.assert_array_equal(first, renderer.render("head_camera", poses["lift_box"]))


@pytest.mark.parametrize("name", CAMERAS)
def test_intrinsics_match_the_field_of_view(renderer, name):
    fx, fy, cx, cy = renderer.intrinsics(name)
    assert (cx, cy) == (159.5, 119.5)
    assert fx == fy
    assert 2 * math.degrees(math.atan(120 / fy)) == pytest.approx(CAMERAS[name].fovy_deg)


def test_a_free_camera_sees_the_scene(renderer, poses):
    image = renderer.render_free(poses["lift_box"], (0.25, 0.1, 0.95), 1.7, 140, -18)
    assert image.shape == (240, 320, 3) and image.std() > 20
