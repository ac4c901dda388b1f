"""The simulated robot's hands perform a task for every take of a shift."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from support.robot import LATCHED, RecorderClient, process

pytest.importorskip("rclpy")

from std_msgs.msg import String

from robot_recorder.msg import ShiftStatus
from robot_recorder.srv import PerformTask


def test_while_a_person_drives_the_scene_is_set_up_only_once_no_hand_follows() -> None:
    asked: list[tuple[str, int, bool]] = []

    def perform(request: Any, response: Any) -> Any:
        asked.append((request.task, request.seed, request.only_reset))
        response.success = True
        return response

    with (
        RecorderClient("hands_test") as client,
        process("sim_hands", performs=False),
    ):
        client.node.create_service(PerformTask, "sim/perform", perform)
        shift = client.node.create_publisher(ShiftStatus, "shift/status", LATCHED)
        hands = client.node.create_publisher(String, "teleop/status", 10)
        client.wait("the node", lambda: shift.get_subscription_count() > 0)
        client.wait("its ears", lambda: hands.get_subscription_count() > 0)

        def is_now(state: int, task: str) -> None:
            shift.publish(ShiftStatus(state=state, task=task))

        def hand(does: str) -> None:
            told = {"hands": {"left": "released", "right": does}, "latency_ms": {"p95": None}}
            hands.publish(String(data=json.dumps(told)))

        is_now(ShiftStatus.STATE_IDLE, "")
        is_now(ShiftStatus.STATE_READY, "carry_tray")
        client.wait("its scene", lambda: asked == [("carry_tray", 0, True)])
        hand("follows")
        is_now(ShiftStatus.STATE_RECORDING, "carry_tray")
        for _ in range(5):  # longer than it takes to ask
            hand("follows")
            is_now(ShiftStatus.STATE_VERDICT, "carry_tray")
            end = time.monotonic() + 0.1
            client.wait("a while", lambda end=end: time.monotonic() > end)  # type: ignore[misc]
        assert len(asked) == 1, "the arms would go back with the scene"
        hand("released")
        client.wait("the next scene", lambda: asked[1:] == [("carry_tray", 1, True)])
        for rubbish in ("", "[]", '{"hands": 5}', '{"hands": {"left": []}}', "[" * 9999):
            hands.publish(String(data=rubbish))
        is_now(ShiftStatus.STATE_READY, "lift_box")
        client.wait("another task's", lambda: asked[2:] == [("lift_box", 1, True)])
        hand("follows")  # and teleop is heard no more
        is_now(ShiftStatus.STATE_READY, "carry_tray")
        client.wait("the scene", lambda: asked[3:] == [("carry_tray", 1, True)])


def test_a_task_is_performed_for_every_take_and_the_scene_is_another_one_next_time() -> None:
    asked: list[tuple[str, int, bool]] = []

    def perform(request: Any, response: Any) -> Any:
        asked.append((request.task, request.seed, request.only_reset))
        response.success = request.task == "lift_box"
        return response

    with RecorderClient("hands_test") as client, process("sim_hands"):
        client.node.create_service(PerformTask, "sim/perform", perform)
        shift = client.node.create_publisher(ShiftStatus, "shift/status", LATCHED)
        client.wait("the hands", lambda: shift.get_subscription_count() > 0)
        client.wait("their client", lambda: client.node.count_clients("/sim/perform") > 0)
        for task in ("lift_box", "wash_up", "lift_box"):
            for state in (ShiftStatus.STATE_RECORDING, ShiftStatus.STATE_VERDICT):
                count = len(asked)
                shift.publish(ShiftStatus(state=state, task=task))
                client.wait("a request", lambda n=count: len(asked) > n)  # type: ignore[misc]
                shift.publish(
                    ShiftStatus(state=state, task=task)
                )  # the same again asks for nothing
    assert asked == [
        ("lift_box", 0, False), ("lift_box", 1, True), ("wash_up", 1, False), ("wash_up", 2, True),
        ("lift_box", 2, False), ("lift_box", 3, True),
    ]  # fmt: skip
