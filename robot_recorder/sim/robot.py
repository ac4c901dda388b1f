"""The simulated humanoid without ROS: physics, sensors, and a scripted operator."""

from __future__ import annotations

import math
from collections.abc import Mapping

import mujoco
import numpy as np

from robot_recorder.sim.cameras import poses_of
from robot_recorder.sim.cloth import cloths_of, gripped_geoms, lay_flat
from robot_recorder.sim.judge import UNFINISHED, AttemptResult, Glimpse, Judge
from robot_recorder.sim.looks import dress, scatter
from robot_recorder.sim.model import (
    JOINT_NAMES,
    SIDES,
    TAXEL_AREA_M2,
    TAXEL_COLS,
    TAXEL_ROWS,
    TIMESTEP_S,
    bodies_of_hands,
)
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script
from robot_recorder.sim.scripted_operator import PlansMotions, ScriptedOperator
from robot_recorder.sim.tasks import TASKS

__all__ = ["AttemptResult", "Robot"]

_JOINTS = len(JOINT_NAMES)
_TAXELS = TAXEL_ROWS * TAXEL_COLS
_JUDGE_EVERY = 5  # steps
_THINK_STEPS = 60  # the operator looks and thinks for 0.12 s between two skills
_FOLLOW_RAD_S = 6.0  # at most, whatever is asked for


class Robot:
    """One robot and its world. All sensor values belong to the same time `time_s` (since reset).

    Owns the model: `reset` writes the scenario's masses and friction into it.
    """

    def __init__(self, model: mujoco.MjModel, operator: PlansMotions | None = None) -> None:
        """Build the robot of a model; `operator` plans its motions, by default in this thread."""
        self._model, self._data = model, mujoco.MjData(model)
        self._operator = operator or ScriptedOperator(model)
        self._to_actuator = model.actuator_trnid[:, 0].copy()  # actuators have another order
        free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        self._free = {model.joint(j).name: int(model.jnt_qposadr[j]) for j in free}
        self._body = {name: model.body(name).id for name in self._free}
        posed = np.flatnonzero(model.body_mocapid >= 0)
        self._posed = {model.body(b).name: int(model.body_mocapid[b]) for b in posed}
        self._mass = {name: float(model.body_mass[i]) for name, i in self._body.items()}
        self._inertia = {name: model.body_inertia[i].copy() for name, i in self._body.items()}
        self._wrist = {side: model.body(f"{side}_wrist_yaw_link").id for side in SIDES}
        self._site = {side: model.site(f"{side}_wrist_ft").id for side in SIDES}
        # Hands have priority over what they touch, so only their friction counts.
        geoms, hands = np.flatnonzero(model.geom_priority), list(bodies_of_hands(model))
        of_hands = geoms[np.isin(model.geom_bodyid[geoms], hands)]
        self._hand_geoms = np.concatenate([of_hands, gripped_geoms(model)])
        self._own_friction = model.geom_friction.copy()
        self._cloths = cloths_of(model)
        slides = np.flatnonzero(
            (model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE) & (model.jnt_range[:, 1] > 0)
        )
        belts = [model.joint(int(joint)) for joint in slides]
        self._belts = {
            belt.name: (int(belt.qposadr[0]), int(belt.dofadr[0]), float(belt.range[1]))
            for belt in belts
        }
        self._belts_m_s: Mapping[str, float] = {}
        self._belts_ran_s = 0.0
        self._poses = np.empty(0)
        self.look = 0  # seed of light and surfaces
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
        self._thinking = 0  # steps that are left
        self._gave_up = ""
        self._row = -1
        self.time_s = 0.0
        self.running = self.done = False
        self.phase = "idle"
        self._command = np.zeros(_JOINTS)
        self._wanted: np.ndarray | None = None  # joint angles of who drives; None: nobody has yet
        self._phase_starts: dict[int, str] = {}
        self._phases: list[tuple[float, str]] = []
        self._judge: Judge | None = None

    def reset(self, scenario: Scenario) -> None:
        """Put the robot in its home pose and the objects in theirs, and plan the first motion.

        The same scenario always gives the same motion, except that an operator who plans aside may
        think longer. `begin` starts it.

        Raises:
            KeyError: this place does not have what the task needs.
        """
        model, data = self._model, self._data
        self._forget_plan()
        mujoco.mj_resetData(model, data)
        for name, body in self._body.items():
            mass_kg = scenario.mass_kg.get(name, self._mass[name])
            model.body_mass[body] = mass_kg
            model.body_inertia[body] = self._inertia[name] * (mass_kg / self._mass[name])
            used, policy = name in scenario.poses, mujoco.mjtSleepPolicy
            sleeps = policy.mjSLEEP_NEVER if used else policy.mjSLEEP_ALLOWED
            model.tree_sleep_policy[model.body_treeid[body]] = sleeps
        model.geom_friction[:] = self._own_friction
        model.geom_friction[self._hand_geoms, 0] = scenario.friction
        for name, friction in scenario.sliding.items():
            model.geom_friction[model.geom_bodyid == self._body[name], 0] = friction
        mujoco.mj_setConst(model, data)
        mujoco.mj_resetData(model, data)
        self.look = scenario.seed
        dress(model, self.look)
        scatter(model, data, self.look)
        for number, name in enumerate(self._free):
            # Objects of other tasks float weightless, out of sight below the floor.
            own = model.body_rootid == self._body[name]
            model.body_gravcomp[own] = 0.0 if name in scenario.poses else 1.0
            self._place(name, *scenario.poses.get(name, (0.0, 0.0, -2.0 - number, 0.0)))
        for name in self._posed.keys() & scenario.poses.keys():
            x, y, z, yaw = scenario.poses[name]
            data.mocap_pos[self._posed[name]] = x, y, z
            data.mocap_quat[self._posed[name]] = math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)
        for name, pose in scenario.cloths.items():
            lay_flat(model, data.qpos, self._cloths[name], pose)
        for name, angle in scenario.angles.items():
            data.joint(name).qpos[0] = angle
        self._belts_m_s, self._belts_ran_s = scenario.belts, 0.0
        self._begin_plan(scenario)
        self._command = self._script.command_rad[0]
        data.qpos[:_JOINTS] = self._command
        self._row, self.time_s, self.running, self.done, self.phase = -1, 0.0, False, False, "idle"
        self._wanted = None
        self._phases = [(0.0, "idle")]
        self._judge = TASKS[scenario.task].judge(model, scenario)
        data.ctrl[:] = self._command[self._to_actuator]
        mujoco.mj_forward(model, data)
        self._poses = poses_of(model, data)

    def _begin_plan(self, scenario: Scenario) -> None:
        self._operator.begin(scenario, self._data.qpos)
        script, self._gave_up = self._operator.answer()
        assert script is not None
        self._follow_script(script)

    def _follow_script(self, script: Script) -> None:
        self._script, self._row = script, -1
        self._phase_starts = dict(script.phases)

    def _forget_plan(self) -> None:
        asked, self._thinking, self._gave_up = self._thinking > 0, 0, ""
        if asked:
            self._operator.answer()

    def _place(self, name: str, x: float, y: float, z: float, yaw: float) -> None:
        at = self._free[name]
        self._data.qpos[at : at + 7] = x, y, z, math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)

    def begin(self) -> None:
        """Start the scripted motion with the next step; call `reset` before, also to repeat it."""
        self.running, self._wanted = True, None

    def follow(self, targets: np.ndarray) -> None:
        """Move the servo targets to others, as fast as servos may; a running script goes first.

        Args:
            targets: float64[43] in rad, finite; beyond the limits of a joint it stops there.
        """
        if not self.running:
            limits = self._model.jnt_range[:_JOINTS]
            self._wanted = np.clip(targets, limits[:, 0], limits[:, 1])

    def step(self) -> None:
        """Advance the physics by 2 ms under the servos.

        After the first step `time_s` is 0.0, the instant its sensor values were taken.
        """
        data = self._data
        if self.running:
            self._advance_script()
        elif self._wanted is not None:
            most_rad = _FOLLOW_RAD_S * TIMESTEP_S
            way = np.clip(self._wanted - self._command, -most_rad, most_rad)
            self._command = self._command + way
            data.ctrl[:] = self._command[self._to_actuator]
        self._run_belts()
        # mj_step senses before it integrates: keep the pose and time that were sensed.
        self._poses = poses_of(self._model, data)
        self.time_s = data.time
        mujoco.mj_step(self._model, data)
        if self._judge is not None and round(self.time_s / TIMESTEP_S) % _JUDGE_EVERY == 0:
            grip_n = float(self._touch["left"].sum()), float(self._touch["right"].sum())
            self._judge.update(Glimpse(data, self.time_s, grip_n, self.phase))

    def _run_belts(self) -> None:
        """Hold the speed of conveyors, which run once somebody works, and put them back by a mark."""
        works = self.running or self.done or self._wanted is not None
        for name, (at, speed, pitch_m) in self._belts.items():
            speed_m_s = self._belts_m_s.get(name, 0.0)
            self._data.qpos[at] = speed_m_s * self._belts_ran_s % pitch_m
            self._data.qvel[speed] = speed_m_s if works else 0.0
        self._belts_ran_s += TIMESTEP_S if works else 0.0

    def _advance_script(self) -> None:
        if self._thinking:
            self._think()
        if self._thinking or not self.running:
            return
        self._row += 1
        if self._row >= len(self._script.command_rad):
            self._thinking = _THINK_STEPS
            self._operator.look(self._data.qpos)
            return
        self._command = self._script.command_rad[self._row]
        self._data.ctrl[:] = self._command[self._to_actuator]
        self._enter(self._phase_starts.get(self._row, self.phase))

    def _think(self) -> None:
        """Hold still while the next motion is planned, however long that takes."""
        self._thinking -= 1
        if not self._thinking and not self._operator.ready():
            self._thinking = 1
        if self._thinking:
            return
        script, why = self._operator.answer()
        self._gave_up = why or self._gave_up
        if script is None:
            self.running, self.done = False, True
            self._enter("idle")
        else:
            self._follow_script(script)

    def _enter(self, phase: str) -> None:
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
        return rows[min(max(self._row, 0) + steps, len(rows) - 1)].copy()

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
    def phases(self) -> list[tuple[float, str]]:
        """Return (time_s, name) of the start of each phase of the script."""
        return list(self._phases)

    @property
    def events(self) -> list[tuple[float, str]]:
        """Return (time_s, name) of the start of each phase, and of what the judge saw: contact, slip, ..."""
        physical = self._judge.events if self._judge else []
        return sorted([*self._phases, *physical], key=lambda event: event[0])

    def outcome(self) -> AttemptResult:
        """Judge the attempt by the physics so far; call it once `done`."""
        result = self._judge.outcome() if self._judge else UNFINISHED
        if self._gave_up and not result.success:
            return AttemptResult(False, "unfinished", f"The operator gave up: {self._gave_up}.")
        return result

    @property
    def data(self) -> mujoco.MjData:
        """Return the state of the physics, only to look at: bodies and geometries are where they were at `time_s`."""
        return self._data

    def snapshot(self) -> np.ndarray:
        """Return the pose of everything at `time_s`, float64[n], for `CameraRenderer.render`."""
        return self._poses.copy()
