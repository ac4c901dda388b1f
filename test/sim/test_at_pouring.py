"""A beaker is poured into a tumbler; the physics counts the balls that stand for the drink."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from support.attempts import attempt

from robot_recorder.model.errors import ConfigError
from robot_recorder.sim.at_pouring import BEADS
from robot_recorder.sim.model import build_model
from robot_recorder.sim.places import parse_place
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.tasks import draw

_PLACE = """
bodies:
  bead: {free: true, kg: 0.001, friction: 0, shapes: [{ball: [0.013]}]}
"""


@pytest.fixture(scope="module")
def robot(model_cache: Path) -> Robot:
    return Robot(build_model(model_cache, "eldercare"))


@pytest.fixture(scope="module")
def good() -> Any:
    """Return an attempt in which nothing is hard."""
    scenario = draw("pour_drink", 3)
    more = dataclasses.replace(
        scenario.more, miss_m=(0.0, 0.0), above_m=0.03, to_rad=(1.97, 1.97), seconds=2.4
    )
    return dataclasses.replace(scenario, friction=0.8, aim_m=0.002, more=more)


def test_a_ball_without_friction_is_read() -> None:
    bead = parse_place(_PLACE, "balls.yaml").bodies["bead"]
    assert (
        bead.friction == 0 and bead.shapes[0].kind == "ball" and bead.shapes[0].size_m == (0.013,)
    )
    with pytest.raises(ConfigError, match="must not be less than 0, got -1"):
        parse_place(_PLACE.replace("friction: 0", "friction: -1"), "balls.yaml")


def test_balls_are_as_heavy_as_the_place_says_and_nothing_rubs_on_them(robot: Robot) -> None:
    model: mujoco.MjModel = robot.data.model
    for name in BEADS:
        assert model.body(name).mass[0] == pytest.approx(0.0013)
        assert model.geom_condim[model.body(name).geomadr[0]] == 1


def test_the_drink_is_poured_and_the_beaker_stood_back(robot: Robot, good: Any) -> None:
    attempt(robot, good)
    outcome = robot.outcome()
    assert outcome.success, outcome
    names = [name for _, name in robot.events]
    assert "pour" in names and "tipped" not in names and "spill" not in names
    assert robot.data.body("beaker").xmat[8] > 0.95, "it stands"


@pytest.mark.parametrize(
    "changed, causes",
    [
        ({"miss_m": (0.0, 0.07)}, ("spilled",)),
        ({"to_rad": (math.radians(60), math.radians(60))}, ("left_over",)),
    ],
)
def test_what_does_not_come_into_the_tumbler_is_counted(
    robot: Robot, good: Any, changed: dict[str, Any], causes: tuple[str, ...]
) -> None:
    more = dataclasses.replace(good.more, **changed)
    attempt(robot, dataclasses.replace(good, tempo=1.3, more=more))
    assert not robot.outcome().success and robot.outcome().cause in causes, robot.outcome()


def test_a_beaker_that_was_hardly_tilted_is_tilted_again(robot: Robot, good: Any) -> None:
    more = dataclasses.replace(good.more, to_rad=(math.radians(60), 1.97))
    attempt(robot, dataclasses.replace(good, more=more))
    names = [name for _, name in robot.events]
    assert "recovery" in names and robot.outcome().success, robot.outcome()


def test_a_slippery_beaker_is_lost(robot: Robot, good: Any) -> None:
    attempt(robot, dataclasses.replace(good, friction=0.02))
    outcome = robot.outcome()
    assert not outcome.success and outcome.cause in ("missed_grasp", "drop", "slip", "tipped"), (
        outcome
    )


def test_balls_of_other_tasks_float_out_of_sight(robot: Robot) -> None:
    robot.reset(draw("open_pill_box", 0))
    before = np.array([robot.data.body(name).xpos for name in BEADS])
    for _ in range(100):
        robot.step()
    after = np.array([robot.data.body(name).xpos for name in BEADS])
    assert np.abs(after - before).max() < 1e-6 and after[:, 2].max() < -1
