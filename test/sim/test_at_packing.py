"""Goods are packed from a conveyor, and a crate is stacked; the physics says how it went."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from support.attempts import attempt

from robot_recorder.model.errors import ConfigError
from robot_recorder.sim.cameras import show_poses
from robot_recorder.sim.model import TIMESTEP_S, build_model
from robot_recorder.sim.places import parse_place
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.tasks import draw

_PLACE = """
bodies:
  belt: {at: [0, 0, 0.76, 0], belt: {axis: [0, 1, 0], pitch_m: 0.025}, shapes: [{box: [0.1, 1, 0.02]}]}
  carton: {free: true, kg: 0.6, shapes: [{tub: [0.2, 0.2, 0.1]}]}
  flap: {on: carton, at: [0, -0.1, 0.1, 0], hinge: {axis: [1, 0, 0], range_deg: [0, 115]}, shapes: [{box: [0.2, 0.2, 0.01]}]}
"""


class Line:
    """The robot at the assembly line, and where things are."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.robot = Robot(model)
        self._model, self._data = model, mujoco.MjData(model)

    def wait(self, steps: int) -> None:
        for _ in range(steps):
            self.robot.step()

    def at(self, name: str) -> np.ndarray:
        show_poses(self._model, self._data, self.robot.snapshot())
        return np.array(self._data.body(name).xpos)


@pytest.fixture(scope="module")
def line(model_cache: Path) -> Line:
    return Line(build_model(model_cache, "assembly_line"))


def test_a_belt_and_a_flap_are_read() -> None:
    bodies = parse_place(_PLACE, "line.yaml").bodies
    belt = bodies["belt"].belt
    assert belt is not None and belt.axis == (0, 1, 0) and belt.pitch_m == 0.025
    assert bodies["flap"].on == "carton" and not bodies["carton"].on


@pytest.mark.parametrize(
    "old, new, words",
    [
        (", pitch_m: 0.025", "", "'pitch_m' is missing"),
        ("pitch_m: 0.025", "pitch_m: 0", "must be greater than 0"),
        ("on: carton", "on: crate", "'crate' is no body that stands above"),
        ("carton: {free", "carton: {on: belt, free", "is free and is on a body"),
        ("belt: {at", "belt: {free: true, at", "is free and has a belt"),
    ],
)
def test_a_mistake_in_a_belt_or_a_flap_is_named(old: str, new: str, words: str) -> None:
    assert old in _PLACE
    with pytest.raises(ConfigError, match=r"bad\.yaml:\d+: ") as error:
        parse_place(_PLACE.replace(old, new, 1), "bad.yaml")
    assert words in str(error.value)


def test_the_conveyor_carries_goods_to_its_end_once_somebody_works(line: Line) -> None:
    scenario = draw("package_goods", 1)
    line.robot.reset(scenario)
    line.wait(100)
    first = line.at("goods_1")
    line.wait(200)
    assert np.abs(line.at("goods_1") - first).max() < 0.001, "nobody works"
    line.robot.begin()
    line.wait(100)
    first = line.at("goods_1")
    line.wait(500)
    away = line.at("goods_1") - first
    assert away[1] / (500 * TIMESTEP_S) == pytest.approx(-scenario.belts["conveyor"], rel=0.02)
    assert np.abs(away[[0, 2]]).max() < 0.002
    line.wait(1300)
    assert 0.11 < line.at("goods_1")[1] < 0.125, "its end stops them"


def test_the_conveyor_stands_still_in_other_tasks(line: Line) -> None:
    line.robot.reset(draw("kit_parts", 0))
    line.robot.begin()
    before = line.at("conveyor")
    line.wait(300)
    assert np.array_equal(line.at("conveyor"), before)
    assert line.at("carton")[2] == line.at("carton_flap")[2] - 0.081 < 0, (
        "out of sight, not falling"
    )


@pytest.mark.parametrize("second_rad, cause", [(0.0, ""), (1.2, "left_open")])
def test_a_flap_that_stands_open_is_pushed_again(line: Line, second_rad: float, cause: str) -> None:
    scenario = draw("package_goods", 0)
    plan = dataclasses.replace(scenario.more, shut_rad=(1.2, second_rad))
    attempt(line.robot, dataclasses.replace(scenario, more=plan))
    assert line.robot.outcome().cause == cause, line.robot.outcome()
    names = [name for _, name in line.robot.events]
    assert "recovery" in names and ("shut" in names) == (not cause)


def test_goods_that_slip_do_not_come_into_the_carton(line: Line) -> None:
    attempt(line.robot, dataclasses.replace(draw("package_goods", 0), friction=0.02))
    outcome = line.robot.outcome()
    assert not outcome.success and outcome.cause in ("missed_grasp", "drop"), outcome


@pytest.mark.parametrize(
    "changed, causes",
    [
        ({"place_error_m": (0.055, 0.0)}, ("missed_spot",)),
        ({"grip_depth_m": -0.02}, ("missed_grasp",)),
    ],
)
def test_a_crate_that_is_not_on_its_stack_is_no_success(
    line: Line, changed: dict[str, Any], causes: tuple[str, ...]
) -> None:
    scenario = draw("return_box", 0)
    hands = dataclasses.replace(scenario.more, **changed)
    attempt(line.robot, dataclasses.replace(scenario, more=hands))
    outcome = line.robot.outcome()
    assert not outcome.success and outcome.cause in causes, outcome


def test_a_crate_that_hangs_from_its_end_is_taken_again(line: Line) -> None:
    scenario = draw("return_box", 15)
    attempt(line.robot, scenario)
    names = [name for _, name in line.robot.events]
    assert names.count("grasp") == 2 and "recovery" in names
