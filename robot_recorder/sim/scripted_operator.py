"""The scripted operator plans the motions of an attempt, one after each look at the world."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import mujoco
import numpy as np

from robot_recorder.sim.ik import ArmIk, NoSolution
from robot_recorder.sim.model import build_model
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script
from robot_recorder.sim.skills import Person, World
from robot_recorder.sim.tasks import TASKS

Plan = tuple[
    Script | None, str
]  # the next motion, None: no more; why it gave up, empty: it has not
_NICE = 5  # the robot's streams go first


class PlansMotions(Protocol):
    """Plans one motion after the other: ask with `begin` or `look`, then take the `answer`."""

    def begin(self, scenario: Scenario, qpos: np.ndarray) -> None:
        """Ask for the first motion of an attempt."""

    def look(self, qpos: np.ndarray) -> None:
        """Ask for the next motion, from what the world is like now, float64[nq]."""

    def ready(self) -> bool:
        """Return whether there is an answer; until then the robot holds still."""

    def answer(self) -> Plan:
        """Return what was asked for."""

    def close(self) -> None:
        """End; nothing can be asked any more."""


class ScriptedOperator:
    """Plans in the calling thread."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._ik, self._world = ArmIk(model), World(model)
        self._plan: Iterator[Script] = iter(())
        self._answer: Plan = None, ""

    def begin(self, scenario: Scenario, qpos: np.ndarray) -> None:
        """Plan the first motion of an attempt."""
        random = np.random.default_rng([scenario.seed, 77])
        person = Person(self._ik, self._world, random, scenario.aim_m, scenario.tempo)
        self._plan = TASKS[scenario.task].perform(person, scenario)
        self.look(qpos)
        script, why = self._answer
        if script is None:  # it cannot even begin
            person = Person(self._ik, self._world, random, scenario.aim_m, scenario.tempo)
            self._plan = person.rest()
            self._answer = next(self._plan), why

    def look(self, qpos: np.ndarray) -> None:
        """Plan the next motion, from what the world is like now, float64[nq]."""
        self._world.look(qpos)
        try:
            self._answer = next(self._plan, None), ""
        except NoSolution as error:
            self._answer = None, str(error)

    def ready(self) -> bool:
        """Return True: it is planned when it is asked for."""
        return True

    def answer(self) -> Plan:
        """Return what was planned last."""
        return self._answer

    def close(self) -> None:
        """Do nothing: there is nothing to end."""


class OperatorProcess:
    """Plans in a process of its own: in the robot's, planning would disturb the 500 Hz streams."""

    def __init__(self, cache: Path, place: str) -> None:
        """Start the process.

        Args:
            cache: directory of the prepared model.
            place: where the robot works.
        """
        spawn = multiprocessing.get_context("spawn")  # threads of DDS do not survive a fork
        self._orders, theirs = spawn.Pipe()
        arguments = (theirs, cache, place)
        self._process = spawn.Process(target=run_operator, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, scenario: Scenario, qpos: np.ndarray) -> None:
        """Ask for the first motion of an attempt."""
        self._orders.send((scenario, qpos.copy()))

    def look(self, qpos: np.ndarray) -> None:
        """Ask for the next motion, from what the world is like now, float64[nq]."""
        self._orders.send((None, qpos.copy()))

    def ready(self) -> bool:
        """Return whether the process has answered, or ended."""
        return self._orders.poll()

    def answer(self) -> Plan:
        """Wait for what was asked for last.

        Raises:
            Exception: what the planning raised.
            EOFError: the process has ended.
        """
        found = self._orders.recv()
        if isinstance(found, Exception):
            raise found
        script, why = found
        return script, why

    def close(self) -> None:
        """End the process."""
        self._orders.close()
        self._process.join(5)


def run_operator(orders: Connection, cache: Path, place: str) -> None:
    """Plan what is asked for until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the robot, which closes its end
    os.nice(_NICE)
    operator = ScriptedOperator(build_model(cache, place))
    while True:
        try:
            scenario, qpos = orders.recv()
        except EOFError:
            return
        try:
            operator.begin(scenario, qpos) if scenario else operator.look(qpos)
            orders.send(operator.answer())
        except Exception as error:
            orders.send(error)
