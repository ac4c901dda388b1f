"""Inverse kinematics of both arms."""

from __future__ import annotations

import pytest

from robot_recorder.sim.ik import ArmIk, NoSolution, PalmTarget


def test_an_object_out_of_reach_is_an_error(model):
    far = PalmTarget((1.5, 0.0, 1.0), 0.0, 0.0)
    with pytest.raises(NoSolution):
        ArmIk(model).solve(far, far)
