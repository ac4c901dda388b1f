"""Light, surfaces and clutter follow from the seed, and leave the motion alone."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from robot_recorder.sim.cameras import CameraRenderer
from robot_recorder.sim.looks import CLUTTER, SURFACES, dress, scatter, textures
from robot_recorder.sim.model import PLACES, build_model
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.tasks import draw


def test_each_surface_has_its_texture() -> None:
    pictures = textures()
    assert {surface for choice in SURFACES.values() for surface in choice} == set(pictures)
    assert all(p.dtype == np.uint8 and p.shape == (256, 256, 3) for p in pictures.values())


def test_the_same_seed_looks_the_same_and_others_look_otherwise(model_cache: Path) -> None:
    model = build_model(model_cache)
    robot, renderer = Robot(model), CameraRenderer(model)

    def picture(seed: int) -> np.ndarray:
        robot.reset(draw("lift_box", 3))
        dress(model, seed)
        return renderer.render("head_camera", robot.snapshot())

    pictures = [picture(seed) for seed in range(6)]
    np.testing.assert_array_equal(picture(2), pictures[2])
    for one in pictures:
        differences = [np.abs(one.astype(int) - other).mean() for other in pictures]
        assert sum(difference < 4 for difference in differences) == 1, differences
        assert 40 < one.mean() < 225  # neither in the dark nor in the glare
        assert (one.min(axis=2) > 252).mean() < 0.35
    renderer.close()


@pytest.mark.parametrize("place", PLACES)
def test_what_stands_around_is_out_of_reach_and_does_not_overlap(
    model_cache: Path, place: str
) -> None:
    model = build_model(model_cache, place)
    data = mujoco.MjData(model)
    bodies = [n for n in range(model.nbody) if model.body(n).name.startswith(CLUTTER)]
    assert len(bodies) >= 3
    seen: set[int] = set()
    for seed in range(30):
        scatter(model, data, seed)
        mujoco.mj_forward(model, data)
        there = [body for body in bodies if data.xpos[body][2] > 0]
        seen.update(there)
        for body in there:
            assert np.hypot(*data.xpos[body][:2]) > 0.5  # m; a hand grips up to 0.43 m away
        for number, one in enumerate(there):
            for other in there[number + 1 :]:
                assert _apart_m(model, data, one, other) > 0, (one, other, seed)
    assert seen == set(bodies)


def _apart_m(model: mujoco.MjModel, data: mujoco.MjData, one: int, other: int) -> float:
    geoms = [np.flatnonzero(model.geom_bodyid == body) for body in (one, other)]
    return min(
        mujoco.mj_geomDistance(model, data, a, b, 0.5, None) for a in geoms[0] for b in geoms[1]
    )
