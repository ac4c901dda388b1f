"""The figures of a day, from entries of a catalogue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("fastapi")

from robot_recorder.catalogue.entry import Entry
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.console.today import summed, worked_s
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.verdict import Verdict

NOON_S = 1_800_000_000 // 3600 * 3600
TAKE = Entry(
    Path("/r"), "a", "a", NOON_S * NS_PER_S, 60_000, "g1", "lift_box", "ann", Outcome.SUCCESS, "", Verdict.ACCEPT, "",
    1, 1, 0, True, 1, 1, None, "", False, False, 0,
)  # fmt: skip


def at(minutes: float, **changes: object) -> Entry:
    start_ns = round((NOON_S + minutes * 60) * NS_PER_S)
    return replace(TAKE, start_ns=start_ns, **changes)  # type: ignore[arg-type]


def test_pauses_up_to_an_hour_are_work_and_longer_ones_and_other_robots_are_not() -> None:
    assert worked_s([]) == 0
    assert worked_s([at(0), at(30)]) == 31 * 60
    assert worked_s([at(90), at(0)]) == 2 * 60
    assert worked_s([at(0), at(30, robot="g2")]) == 2 * 60


def test_yield_is_good_takes_per_hour_of_work_and_rates_of_nothing_are_null() -> None:
    nothing = summed([], NOON_S, TaskRegistry({}), {})
    assert nothing["yield_per_hour"] is None and nothing["success_rate"] is None
    entries = [
        at(0), at(10, outcome=Outcome.FAILURE), at(20, verdict=Verdict.REJECT, reason="gap"),
        at(29, outcome=Outcome.UNLABELLED, operator="bob"),
    ]  # fmt: skip
    day = summed(entries, NOON_S, TaskRegistry({}), {"lift_box": 7})
    assert day["yield_per_hour"] == 2.0 and day["success_rate"] == 2 / 3
    assert day["reasons"] == [{"check": "gap", "episodes": 1}]
    assert day["operators"][0] == {"operator": "ann", "episodes": 3, "successes": 2}
    assert day["tasks"] == [
        {"task": "lift_box", "episodes": 4, "successes": 2, "target": None, "all_successes": 7}
    ]
    assert day["per_hour"] == [{"hour_s": NOON_S, "episodes": 4}]
