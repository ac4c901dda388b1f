"""The simulated humanoid without ROS: physics, sensors, and a scripted operator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import mujoco
import numpy as np

from robot_recorder.sim.ik import ArmIk, NoSolution
from robot_recorder.sim.judge import UNFINISHED, AttemptResult, Glimpse, Judge
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
from robot_recorder.sim.skills import Person, World
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

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._ik = ArmIk(model)
        self._to_actuator = model.actuator_trnid[:, 0].copy()  # actuators have another order
        free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        self._free = {model.joint(j).name: int(model.jnt_qposadr[j]) for j in free}
        self._body = {name: model.body(name).id for name in self._free}
        self._mass = {name: float(model.body_mass[i]) for name, i in self._body.items()}
        self._inertia = {name: model.body_inertia[i].copy() for name, i in self._body.items()}
        self._wrist = {side: model.body(f"{side}_wrist_yaw_link").id for side in SIDES}
        self._site = {side: model.site(f"{side}_wrist_ft").id for side in SIDES}
        # Hands have priority over what they touch, so only their friction counts.
        geoms, hands = np.flatnonzero(model.geom_priority), list(bodies_of_hands(model))
        self._hand_geoms = geoms[np.isin(model.geom_bodyid[geoms], hands)]
        self._own_friction = model.geom_friction.copy()
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
        self._world = World(model)
        self._planner = ThreadPoolExecutor(1, "operator")  # plans while the physics goes on
        self._script = Script(np.zeros((1, _JOINTS)), ((0, "idle"),))
        self._plan: Iterator[Script] = iter(())
        self._next: Future[Script | None] | None = None
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

        The same scenario always gives the same motion. `begin` starts it.

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
        model.geom_friction[:] = self._own_friction
        model.geom_friction[self._hand_geoms, 0] = scenario.friction
        for name, friction in scenario.sliding.items():
            model.geom_friction[model.geom_bodyid == self._body[name], 0] = friction
        mujoco.mj_setConst(model, data)
        mujoco.mj_resetData(model, data)
        for number, name in enumerate(self._free):
            # Objects of other tasks float weightless, out of sight below the floor.
            model.body_gravcomp[self._body[name]] = 0.0 if name in scenario.poses else 1.0
            self._place(name, *scenario.poses.get(name, (0.0, 0.0, -2.0 - number, 0.0)))
        self._begin_plan(scenario)
        self._command = self._script.command_rad[0]
        data.qpos[:_JOINTS] = self._command
        self._row, self.time_s, self.running, self.done, self.phase = -1, 0.0, False, False, "idle"
        self._wanted = None
        self._phases = [(0.0, "idle")]
        self._judge = TASKS[scenario.task].judge(model, scenario)
        data.ctrl[:] = self._command[self._to_actuator]
        mujoco.mj_forward(model, data)
        self._qpos[:] = data.qpos

    def _begin_plan(self, scenario: Scenario) -> None:
        random = np.random.default_rng([scenario.seed, 77])
        person = Person(self._ik, self._world, random, scenario.aim_m, scenario.tempo)
        self._plan = TASKS[scenario.task].perform(person, scenario)
        self._world.look(self._data.qpos)
        script = self._planned()
        if script is None:
            raise NoSolution(f"{scenario.task}, seed {scenario.seed}: {self._gave_up}")
        self._follow_script(script)

    def _planned(self) -> Script | None:
        """Return the operator's next motion; None: it has finished, or given up."""
        try:
            return next(self._plan, None)
        except NoSolution as error:
            self._gave_up = str(error)
            return None

    def _follow_script(self, script: Script) -> None:
        self._script, self._row = script, -1
        self._phase_starts = dict(script.phases)

    def _forget_plan(self) -> None:
        if self._next is not None:
            self._next.result()
        self._next, self._thinking, self._gave_up = None, 0, ""

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
        # mj_step senses before it integrates: keep the pose and time that were sensed.
        self._qpos[:] = data.qpos
        self.time_s = data.time
        mujoco.mj_step(self._model, data)
        if self._judge is not None and round(self.time_s / TIMESTEP_S) % _JUDGE_EVERY == 0:
            grip_n = float(self._touch["left"].sum()), float(self._touch["right"].sum())
            self._judge.update(Glimpse(data, self.time_s, grip_n, self.phase))

    def _advance_script(self) -> None:
        if self._thinking:
            self._think()
        if self._thinking or not self.running:
            return
        self._row += 1
        if self._row >= len(self._script.command_rad):
            self._thinking = _THINK_STEPS
            self._world.look(self._data.qpos)
            self._next = self._planner.submit(self._planned)
            return
        self._command = self._script.command_rad[self._row]
        self._data.ctrl[:] = self._command[self._to_actuator]
        self._enter(self._phase_starts.get(self._row, self.phase))

    def _think(self) -> None:
        """Hold still while the next motion is planned."""
        self._thinking -= 1
        if self._thinking or self._next is None:
            return
        script, self._next = self._next.result(), None
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
    def events(self) -> list[tuple[float, str]]:
        """Return (time_s, name) of the start of each phase, and of contact, slip, drop, tipped."""
        physical = self._judge.events if self._judge else []
        return sorted([*self._phases, *physical], key=lambda event: event[0])

    def outcome(self) -> AttemptResult:
        """Judge the attempt by the physics so far; call it once `done`."""
        result = self._judge.outcome() if self._judge else UNFINISHED
        if self._gave_up and not result.success:
            return AttemptResult(False, "unfinished", f"The operator gave up: {self._gave_up}.")
        return result

    def snapshot(self) -> np.ndarray:
        """Return the pose of everything at `time_s`, float64[nq], for `CameraRenderer.render`."""
        return self._qpos.copy()
