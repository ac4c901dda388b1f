"""Moves the simulated robot while somebody else presses the buttons: `ros2 run robot_recorder sim_hands`."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from robot_recorder.msg import ShiftStatus
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED_ALL, run
from robot_recorder.srv import PerformTask


class HandsNode(Node):
    """Performs the task of every take of a shift, and sets the scene up again after it."""

    def __init__(self) -> None:
        """Hear the shift."""
        super().__init__("sim_hands")
        self._state, self._seed = ShiftStatus.STATE_IDLE, 0
        self._perform: Any = self.create_client(PerformTask, "sim/perform")
        self.create_subscription(ShiftStatus, "shift/status", self._on_shift, LATCHED_ALL)

    def _on_shift(self, shift: ShiftStatus) -> None:
        before, self._state = self._state, shift.state
        recording = ShiftStatus.STATE_RECORDING
        if shift.state == before or recording not in (before, shift.state):
            return
        begins = shift.state == recording
        self._seed += not begins  # the next take finds another scene
        request = PerformTask.Request(task=shift.task, seed=self._seed, only_reset=not begins)
        self._perform.call_async(request).add_done_callback(self._answered)

    def _answered(self, future: Any) -> None:
        if not future.result().success:
            NodeLog(self).warning(f"the robot stands still: {future.result().message}")


def main() -> int:
    """Run ``ros2 run robot_recorder sim_hands``; return the exit code."""
    return run(lambda: ([HandsNode()], []))
