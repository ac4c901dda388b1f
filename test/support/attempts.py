"""One attempt of the simulated robot at a task."""

from __future__ import annotations

import numpy as np


def attempt(robot, scenario):
    """Run one attempt; return joint positions per step, and (phase, wrench, tactile) at 50 Hz."""
    robot.reset(scenario)
    joints, samples = [], []
    robot.begin()
    while not robot.done:
        robot.step()
        joints.append(robot.joint_position)
        if len(joints) % 10 == 0:
            samples.append((robot.phase, robot.wrench, robot.tactile))
    for _ in range(100):
        robot.step()
    return np.array(joints), samples
