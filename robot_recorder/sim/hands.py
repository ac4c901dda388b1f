"""Moves the simulated robot while somebody else presses the buttons: `ros2 run robot_recorder sim_hands`."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from rclpy.node import Node
from std_msgs.msg import String

from robot_recorder.msg import ShiftStatus
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED_ALL, parameter, run
from robot_recorder.sim.hand_commands import Following
from robot_recorder.srv import PerformTask

_SILENT_S = 1.0  # without news of teleop no hand is followed


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
        self._followed_s = -math.inf  # when a hand was last heard to be, monotonic
        self._there = "", -1  # task and seed that were asked for last
        self.create_timer(0.1, self._ask)
        self.create_subscription(String, "teleop/status", self._on_teleop, 10)
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

    def _on_teleop(self, status: String) -> None:
        try:
            hands = list(json.loads(status.data)["hands"].values())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # anybody may publish anything; what nobody understands is nobody's status
        self._followed_s = time.monotonic() if Following.FOLLOWS.value in hands else -math.inf

    def _ask(self) -> None:
        """Ask for what was wanted last, once the robot can hear it."""
        followed = time.monotonic() < self._followed_s + _SILENT_S
        if not self._asked or (followed and not self._performs):
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
