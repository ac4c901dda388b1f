"""The gaps between the robot's arms and its body, by MuJoCo's own distances of convex hulls."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from robot_recorder.sim.ik import ARM_JOINTS
from robot_recorder.sim.model import SIDES


class Hulls:
    """Measures the gaps between arms and body by MuJoCo's own distances of convex hulls."""

    BODY = ("pelvis", "torso_link", *(f"{s}_hip_{axis}_link" for s in SIDES for axis in ("pitch", "roll", "yaw")))  # fmt: skip
    ARM = ("shoulder_yaw", "elbow", "wrist", "hand_index", "hand_middle")

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model, self.data = model, mujoco.MjData(model)
        self.geoms: dict[str, list[int]] = {"body": [], "left": [], "right": [], "thumbs": []}
        for geom in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH):
            body = model.body(model.geom_bodyid[geom]).name
            side, _, link = body.partition("_")
            if body in self.BODY:
                self.geoms["body"].append(int(geom))
            elif side in SIDES and link.startswith(self.ARM):
                self.geoms[side].append(int(geom))
            elif side in SIDES and link.startswith(("hand_thumb_1", "hand_thumb_2")):
                self.geoms["thumbs"].append(int(geom))
        assert all(len(some) >= 4 for some in self.geoms.values())

    def gap_m(self, angles: np.ndarray) -> float:
        """Return the smallest gap with some arm joint angles, m; at most 5 cm."""
        self.data.qpos[list(ARM_JOINTS)] = angles
        mujoco.mj_kinematics(self.model, self.data)
        left, right, body = self.geoms["left"], self.geoms["right"], self.geoms["body"]
        pairs = [(one, other) for one in left for other in right]
        pairs += [(one, other) for one in (*left, *right, *self.geoms["thumbs"]) for other in body]
        least, ends = 0.05, np.empty(6)
        at, round_m = self.data.geom_xpos, self.model.geom_rbound
        for one, other in pairs:
            if math.dist(at[one], at[other]) - round_m[one] - round_m[other] < least:
                found = mujoco.mj_geomDistance(self.model, self.data, one, other, least, ends)
                least = min(least, found)
        return float(least)
