"""One compiled model for all tests of the simulator."""

from __future__ import annotations

import mujoco
import pytest

from robot_recorder.sim.model import build_model
from robot_recorder.sim.robot import Robot


@pytest.fixture(scope="session")
def model(model_cache) -> mujoco.MjModel:
    return build_model(model_cache)


@pytest.fixture
def robot(model) -> Robot:
    return Robot(model)
