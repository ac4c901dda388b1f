"""Alarms of the trends on the wall and in the list of alarms."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

for needed in ("fastapi", "alembic", "psycopg", "cryptography"):
    pytest.importorskip(needed)

from support.centres import desk_in
from support.reviewing import SITE, PaperFloor, entry

from robot_recorder.floor.centre.server import CentreBackground
from robot_recorder.floor.centre.trends.watch import TrendWatch
from robot_recorder.quality.verdict import Verdict

NOW_NS = time.time_ns()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Any]:
    with desk_in(tmp_path / "centre") as opened:
        yield opened


def arrive(desk: Any, robot: str, verdict: Verdict, count: int = 30) -> None:
    floor = PaperFloor(desk.reviews)
    for number in range(count):
        one = entry(
            f"{robot}_{number}", NOW_NS - number, verdict, robot=robot, operator=f"of {robot}"
        )
        floor.arrive(one)


def test_a_robot_that_is_rejected_too_often_is_on_the_wall_and_in_the_list(desk: Any) -> None:
    background = CentreBackground(desk)
    arrive(desk, "good", Verdict.ACCEPT)
    arrive(desk, "bad", Verdict.REJECT)
    background.look_for_alarms()
    assert background.alarms == [], "nobody has looked yet"
    assert desk.trends.look()
    background.look_for_alarms()
    (robot,) = [a for a in background.alarms if a["robot"]]
    assert (robot["site"], robot["robot"], robot["trend"]) == (SITE, "bad", "reject_rate")
    assert "robot bad: 30 of 30 episodes are rejected" in robot["text"] and "kind" not in robot
    assert ["operator of bad" in a["text"] for a in background.alarms if not a["robot"]] == [True]
    listed = desk.trends.listed()
    assert [a["sentence"] for a in listed] == [a["text"] for a in background.alarms]
    fields = {"site", "robot", "kind", "subject", "sentence", "first_ns", "last_ns", "times"}
    assert all(a.keys() == fields and a["first_ns"] < a["last_ns"] for a in listed)
    assert len({(a["site"], a["robot"], a["kind"], a["subject"]) for a in listed}) == len(listed)


def test_it_is_looked_once_a_minute_and_less_often_if_it_takes_long(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, takes_s = [1000.0], [0.1]

    def slow(*_: Any) -> list[Any]:
        now[0] += takes_s[0]
        return []

    monkeypatch.setattr("robot_recorder.floor.centre.trends.watch.alarms_of", slow)
    watch = TrendWatch(desk.reviews, lambda: now[0])
    assert watch.look() and not watch.look()
    now[0] += 59
    assert not watch.look()
    now[0] += 1
    takes_s[0] = 10.0
    assert watch.look()
    now[0] += 199
    assert not watch.look()
    now[0] += 1
    assert watch.look()


def test_at_most_twenty_are_told_the_strongest_first(desk: Any) -> None:
    arrive(desk, "good", Verdict.ACCEPT, 600)
    for number in range(25):
        arrive(desk, f"bad{number}", Verdict.REJECT, 21)
    desk.trends.look()
    assert len(desk.trends.wall()) == len(desk.trends.listed()) == 20
