"""The simulated humanoid without ROS: physics, sensors, and a scripted operator."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from robot_recorder.sim.ik import ArmIk
from robot_recorder.sim.judge import AttemptResult, Judge
from robot_recorder.sim.model import (
    JOINT_NAMES,
    SIDES,
    TAXEL_AREA_M2,
    TAXEL_COLS,
    TAXEL_ROWS,
    TIMESTEP_S,
)
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.scene import (
    BOX_HALF_M,
    CUP_HALF_HEIGHT_M,
    CUP_ON_TRAY_M,
    DESK_TOP_M,
    OBJECTS,
)
from robot_recorder.sim.script import Script, plan

__all__ = ["AttemptResult", "Robot"]

_JOINTS = len(JOINT_NAMES)
_TAXELS = TAXEL_ROWS * TAXEL_COLS
_JUDGE_EVERY = 5  # steps
_CARRIED = ("lift", "hold", "carry")


class Robot:
    """One robot and its world. All sensor values belong to the same time `time_s` (since reset).

    Owns the model: `reset` writes the scenario's masses and friction into it.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._ik = ArmIk(model)
        self._to_actuator = model.actuator_trnid[:, 0].copy()  # actuators have another order
        self._body = {name: model.body(name).id for name in OBJECTS}
        self._free = {name: int(model.jnt_qposadr[model.joint(name).id]) for name in OBJECTS}
        self._mass = {name: float(model.body_mass[i]) for name, i in self._body.items()}
        self._inertia = {name: model.body_inertia[i].copy() for name, i in self._body.items()}
        self._wrist = {side: model.body(f"{side}_wrist_yaw_link").id for side in SIDES}
        self._site = {side: model.site(f"{side}_wrist_ft").id for side in SIDES}
        # Hands and cup have priority over what they touch, so only their friction counts.
        self._cup_geom = model.geom("cup").id
        touching = np.flatnonzero(model.geom_priority)
        self._hand_geoms = touching[touching != self._cup_geom]
        self._qpos = np.empty(model.nq)
        sensors = self._data.sensordata
        self._q, self._v, self._t = (sensors[i * _JOINTS : (i + 1) * _JOINTS] for i in range(3))
        start, per_side = 3 * _JOINTS, 6 + _TAXELS
        self._ft = {side: sensors[start + i * per_side :][:6] for i, side in enumerate(SIDES)}
        self._touch = {
            side: sensors[start + i * per_side + 6 :][:_TAXELS] for i, side in enumerate(SIDES)
        }
        start += 2 * per_side
        self._imu = sensors[start : start + 10]
        self._script = Script(np.zeros((1, _JOINTS)), ((0, "idle"),))
        self._row = -1
        self.time_s = 0.0
        self.running = self.done = False
        self.phase = "idle"
        self._command = np.zeros(_JOINTS)
        self._phase_starts: dict[int, str] = {}
        self._phases: list[tuple[float, str]] = []
        self._judge: Judge | None = None

    def reset(self, scenario: Scenario) -> None:
        """Put the robot in its home pose and the objects on the desk, and plan the script.

        The same scenario always gives the same motion. `begin` starts it.
        """
        model, data = self._model, self._data
        self._script = plan(self._ik, scenario)
        mujoco.mj_resetData(model, data)
        for name, mass_kg in (
            ("box", scenario.mass_kg),
            ("tray", scenario.mass_kg),
            ("cup", scenario.cup_mass_kg),
        ):
            body = self._body[name]
            model.body_mass[body] = mass_kg
            model.body_inertia[body] = self._inertia[name] * (mass_kg / self._mass[name])
        model.geom_friction[self._hand_geoms, 0] = scenario.friction
        model.geom_friction[self._cup_geom, 0] = scenario.cup_friction
        mujoco.mj_setConst(model, data)
        mujoco.mj_resetData(model, data)
        self._phase_starts = dict(self._script.phases)
        self._command = self._script.command_rad[0]
        data.qpos[:_JOINTS] = self._command
        (x, y), yaw = scenario.object_m, scenario.object_yaw_rad
        placed = ["box"] if scenario.task == "lift_box" else ["tray", "cup"]
        for name in OBJECTS:
            # Objects of the other task float weightless, out of sight below the floor.
            model.body_gravcomp[self._body[name]] = 0.0 if name in placed else 1.0
            self._place(name, 0.0, 0.0, -2.0 - OBJECTS.index(name), 0.0)
        if scenario.task == "lift_box":
            self._place("box", x, y, DESK_TOP_M + BOX_HALF_M[2], yaw)
        else:
            self._place("tray", x, y, DESK_TOP_M, yaw)
            dx, dy = scenario.cup_offset_m
            cos, sin = math.cos(yaw), math.sin(yaw)
            cup_z = DESK_TOP_M + CUP_ON_TRAY_M + CUP_HALF_HEIGHT_M
            self._place("cup", x + cos * dx - sin * dy, y + sin * dx + cos * dy, cup_z, yaw)
        self._row, self.time_s, self.running, self.done, self.phase = -1, 0.0, False, False, "idle"
        self._phases = [(0.0, "idle")]
        self._judge = Judge(model, scenario.task)
        data.ctrl[:] = self._command[self._to_actuator]
        mujoco.mj_forward(model, data)
        self._qpos[:] = data.qpos

    def _place(self, name: str, x: float, y: float, z: float, yaw: float) -> None:
        at = self._free[name]
        self._data.qpos[at : at + 7] = x, y, z, math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)

    def begin(self) -> None:
        """Start the scripted motion with the next step; call `reset` before, also to repeat it."""
        self.running, self._row = True, -1

    def step(self) -> None:
        """Advance the physics by 2 ms under the servos.

        After the first step `time_s` is 0.0, the instant its sensor values were taken.
        """
        data = self._data
        if self.running:
            self._advance_script()
        # mj_step senses before it integrates: keep the pose and time that were sensed.
        self._qpos[:] = data.qpos
        self.time_s = data.time
        mujoco.mj_step(self._model, data)
        if self._judge is not None and round(self.time_s / TIMESTEP_S) % _JUDGE_EVERY == 0:
            grip_n = float(self._touch["left"].sum()), float(self._touch["right"].sum())
            self._judge.update(data, self.time_s, grip_n, self.phase in _CARRIED)

    def _advance_script(self) -> None:
        self._row += 1
        if self._row >= len(self._script.command_rad):
            self.running, self.done, phase = False, True, "idle"
        else:
            self._command = self._script.command_rad[self._row]
            self._data.ctrl[:] = self._command[self._to_actuator]
            phase = self._phase_starts.get(self._row, self.phase)
        if phase != self.phase:
            self.phase = phase
            self._phases.append((float(self._data.time), phase))

    @property
    def joint_position(self) -> np.ndarray:
        """Return the measured joint angles, float64[43] in rad, in the order of `JOINT_NAMES`."""
        return self._q.copy()

    @property
    def joint_velocity(self) -> np.ndarray:
        """Return the measured joint velocities, float64[43] in rad/s."""
        return self._v.copy()

    @property
    def joint_effort(self) -> np.ndarray:
        """Return the motor torques including the gravity feed-forward, float64[43] in N m."""
        return self._t.copy()

    @property
    def joint_command(self) -> np.ndarray:
        """Return the operator's servo targets, float64[43] in rad: the action stream."""
        return self._command.copy()

    def later_command(self, steps: int) -> np.ndarray:
        """Return the servo targets some steps later, float64[43] in rad, as far as they are planned."""
        if not self.running:
            return self._command.copy()
        rows = self._script.command_rad
        return rows[min(self._row + steps, len(rows) - 1)].copy()

    @property
    def wrench(self) -> dict[str, np.ndarray]:
        """Return per side float64[6]: force (N) and torque (N m) that the world exerts on the hand.

        In the wrist sensor's frame (axes of `*_wrist_yaw_link`: x to the fingertips; the left palm
        faces -y, the right +y). Tared: the hand's weight is subtracted, its inertia is not.
        """
        result = {}
        gravity = self._model.opt.gravity
        for side in SIDES:
            body, site = self._wrist[side], self._site[side]
            turn = self._data.site_xmat[site].reshape(3, 3)
            weight_n = self._model.body_subtreemass[body] * (gravity @ turn)
            x, y, z = (self._data.subtree_com[body] - self._data.site_xpos[site]) @ turn
            a, b, c = weight_n
            wrench = -self._ft[side]  # MuJoCo reports what the arm exerts on the hand
            wrench[:3] -= weight_n
            wrench[3:] -= (y * c - z * b, z * a - x * c, x * b - y * a)
            result[side] = wrench
        return result

    @property
    def tactile(self) -> dict[str, np.ndarray]:
        """Return per side float64[4, 4], Pa: normal force of a taxel over `TAXEL_AREA_M2`.

        Row 0 is at the index finger, column 0 is nearest to the wrist.
        """
        return {s: self._touch[s].reshape(TAXEL_ROWS, TAXEL_COLS) / TAXEL_AREA_M2 for s in SIDES}

    @property
    def imu(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return orientation (x, y, z, w) in the world, rad/s, and m/s^2 of the torso's IMU.

        Angular velocity and acceleration are in the IMU's frame; at rest the acceleration is 9.81
        upwards, as an accelerometer reports it.
        """
        w, x, y, z = self._imu[:4]
        return np.array([x, y, z, w]), self._imu[4:7].copy(), self._imu[7:].copy()

    @property
    def events(self) -> list[tuple[float, str]]:
        """Return (time_s, name) of the start of each phase, and of contact, slip, drop, tipped."""
        physical = self._judge.events if self._judge else []
        return sorted([*self._phases, *physical], key=lambda event: event[0])

    def outcome(self) -> AttemptResult:
        """Judge the attempt by the physics so far; call it once `done`."""
        if self._judge is None:
            return AttemptResult(False, "unfinished", "No scenario was set.")
        return self._judge.outcome()

    def snapshot(self) -> np.ndarray:
        """Return the pose of everything at `time_s`, float64[nq], for `CameraRenderer.render`."""
        return self._qpos.copy()
