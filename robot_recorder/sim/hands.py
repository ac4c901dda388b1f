"""Moves the simulated robot while somebody else presses the buttons: `ros2 run robot_recorder sim_hands`."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from robot_recorder.msg import ShiftStatus
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED_ALL, parameter, run
from robot_recorder.nodes.teleop_status import TeleopStatus
from robot_recorder.sim.hand_commands import Following
from robot_recorder.srv import PerformTask


class HandsNode(Node):
    """Performs the task of every take of a shift, and sets the scene up again after it.

    With ``performs:=false`` somebody else moves the robot. The scene is set up when a task is chosen and
    after each take, but not while a hand follows that person: the robot's arms go back with it.
    """

    def __init__(self) -> None:
        """Hear the shift."""
        super().__init__("sim_hands")
        self._state, self._seed = ShiftStatus.STATE_IDLE, 0
        self._perform: Any = self.create_client(PerformTask, "sim/perform")
        self._asked: list[PerformTask.Request] = []  # until there is a robot to ask
        self._performs = bool(
            parameter(
                self, "performs", True, "false: only set the scene up, while nobody moves the robot"
            )
        )
        self._teleop = TeleopStatus(self)
        self._there = "", -1  # task and seed that were asked for last
        self.create_timer(0.1, self._ask)
        self.create_subscription(ShiftStatus, "shift/status", self._on_shift, LATCHED_ALL)

    def _on_shift(self, shift: ShiftStatus) -> None:
        before, self._state = self._state, shift.state
        recording = ShiftStatus.STATE_RECORDING
        if not self._performs:
            self._seed += before == recording != shift.state
            self._set_up(shift)
            return
        if shift.state == before or recording not in (before, shift.state):
            return
        begins = shift.state == recording
        self._seed += not begins  # the next take finds another scene
        request = PerformTask.Request(task=shift.task, seed=self._seed, only_reset=not begins)
        self._asked = [request]
        self._ask()

    def _set_up(self, shift: ShiftStatus) -> None:
        """Want the scene of the next take."""
        wanted = shift.task, self._seed
        if shift.task and shift.state != ShiftStatus.STATE_RECORDING and wanted != self._there:
            self._there = wanted
            self._asked = [PerformTask.Request(task=shift.task, seed=self._seed, only_reset=True)]

    def _is_followed(self) -> bool:
        """Return whether a hand of the robot follows somebody; not if teleop is not heard."""
        status = self._teleop.now
        return status is not None and Following.FOLLOWS.value in status["hands"].values()

    def _ask(self) -> None:
        """Ask for what was wanted last, once the robot can hear it."""
        if not self._asked or (self._is_followed() and not self._performs):
            return
        if not self._perform.service_is_ready():
            NodeLog(self).seldom_warning(
                "no simulated robot answers on sim/perform; waiting for one"
            )
            return
        self._perform.call_async(self._asked.pop()).add_done_callback(self._answered)

    def _answered(self, future: Any) -> None:
        if not future.result().success:
            NodeLog(self).warning(f"the robot stands still: {future.result().message}")


def main() -> int:
    """Run ``ros2 run robot_recorder sim_hands``; return the exit code."""
    return run(lambda: ([HandsNode()], []))
