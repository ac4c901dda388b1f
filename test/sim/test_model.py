"""The model of the robot and its surroundings.

Holds also: scene.py.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robot_recorder.sim.model import JOINT_NAMES, TIMESTEP_S, build_model


def test_the_model_has_43_joints_in_the_documented_order(model):
    names = [model.joint(i).name for i in range(model.njnt)]
    assert tuple(names[:43]) == JOINT_NAMES
    assert names[43:] == ["box", "tray", "cup"]
    assert model.nu == 43
    assert model.opt.timestep == TIMESTEP_S


def test_the_model_has_few_enough_triangles_to_render_on_a_cpu(model):
    assert 30_000 < model.mesh_facenum.sum() < 120_000


def test_a_second_build_comes_from_the_cache_and_is_equal(model, model_cache):
    written = {file: file.stat().st_mtime_ns for file in model_cache.glob("*.mjb")}
    again = build_model(model_cache)
    assert written and {f: f.stat().st_mtime_ns for f in model_cache.glob("*.mjb")} == written
    assert again.nq == model.nq
    np.testing.assert_array_equal(again.mesh_vert, model.mesh_vert)
    assert again.sensor("touch_left_taxel_00").id == model.sensor("touch_left_taxel_00").id


def test_the_robot_stands_still_under_its_servos(model):
    data = mujoco.MjData(model)
    for _ in range(100):
        mujoco.mj_step(model, data)
    assert np.abs(data.qvel[:43]).max() < 0.05
