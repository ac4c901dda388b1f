"""The demo's operator: what it waits for, and what it annotates."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")

from robot_recorder.configuration.find import load_tasks
from robot_recorder.demo import ATTEMPTS, Operator
from robot_recorder.model.streams import StreamHealth
from robot_recorder.msg import EpisodeStatus, StreamStatus


def test_every_attempt_is_at_a_known_task() -> None:
    tasks = load_tasks()
    for task, _ in (attempt for attempts in ATTEMPTS.values() for attempt in attempts):
        assert tasks.find(task).instruction


def test_phases_become_segments_and_events_instants() -> None:
    noted: list[tuple[str, int, int]] = []
    events = [
        (1, "reach"),
        (4, "contact"),
        (5, "grasp"),
        (9, "retreat"),
        (12, "drop"),
        (13, "idle"),
    ]
    operator: Any = SimpleNamespace(
        result={"events": events}, _note=lambda *annotation: noted.append(annotation)
    )
    Operator._annotate(operator)
    assert noted == [("reach", 1, 5), ("grasp", 5, 9), ("contact", 4, 4), ("drop", 12, 12)]


@pytest.mark.parametrize(
    ("streams", "arrive"),
    [
        (None, False),
        ([], True),
        ([(StreamHealth.OK, True), (StreamHealth.NEVER, False)], True),
        ([(StreamHealth.OK, True), (StreamHealth.SLOW, True)], False),
    ],
)
def test_only_required_streams_are_waited_for(
    streams: list[tuple[StreamHealth, bool]] | None, arrive: bool
) -> None:
    status = None if streams is None else EpisodeStatus(
        streams=[StreamStatus(health=int(health), required=required) for health, required in streams]
    )  # fmt: skip
    operator: Any = SimpleNamespace(status=status)
    assert Operator.all_streams_arrive(operator) is arrive
