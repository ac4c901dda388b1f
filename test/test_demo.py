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


def test_every_simulated_task_is_attempted_where_it_is_done_and_is_known() -> None:
    pytest.importorskip("mujoco")
    from robot_recorder.sim.model import PLACES
    from robot_recorder.sim.tasks import tasks_of

    tasks = load_tasks()
    for place in PLACES:
        attempted = {task for task, _ in ATTEMPTS[place]}
        assert attempted == set(tasks_of(place))
        assert all(tasks.find(task).instruction for task in attempted)


def test_phases_become_segments_and_events_instants() -> None:
    noted: list[tuple[str, int, int]] = []
    phases = [[1, "reach"], [5, "grasp"], [7, "recovery"], [9, "retreat"], [13, "idle"]]
    events = sorted([*phases, [4, "contact"], [12, "spilled"]])
    operator: Any = SimpleNamespace(
        result={"phases": phases, "events": events},
        _note=lambda *annotation: noted.append(annotation),
    )
    Operator._annotate(operator)
    assert noted == [
        ("reach", 1, 5), ("grasp", 5, 7), ("recovery", 7, 9), ("contact", 4, 4), ("spilled", 12, 12),
    ]  # fmt: skip


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
