"""What episodes add to the trends, and what the trends' tables say.

Holds also: queries.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("alembic")

from support.reviewing import DAY_NS, SITE, T0, entry, episode, finding

from robot_recorder.floor.centre.database.database import Database
from robot_recorder.floor.centre.trends.alarms import DRIFT_LIMITS
from robot_recorder.floor.centre.trends.queries import (
    TrendSide,
    TrendSpan,
    alarms_of,
    lines_of,
    rows_of,
)
from robot_recorder.floor.centre.trends.trends import EpisodeTrend, PointSum, on_episode
from robot_recorder.model.check_result import Level, Result
from robot_recorder.quality.verdict import QualityReport, Verdict

DAY0 = T0 // DAY_NS
EVER = TrendSpan(0, 10**6)
TABLES = ("trend_counts", "trend_reasons", "trend_points")


def report(verdict: Verdict, *results: Result) -> QualityReport:
    return QualityReport(verdict, verdict.text, results)


def stream(**more: Any) -> dict[str, Any]:
    return {"topic": "/w", "policy": "nearest", "clock": "robot", "count": 9, **more}


def add(db: Database, id: str, start_ns: int = T0, verdict: Verdict = Verdict.ACCEPT,
        results: tuple[Result, ...] = (), sync: Any = None, version: str = "1.0", **more: Any) -> None:  # fmt: skip
    one = entry(id, start_ns, verdict, **more)
    made = episode(one, report(verdict, *results), sync, version)
    with db.transaction() as tx:
        on_episode(tx, SITE, made, one)


def content(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return the sums, without rows to which nothing is left."""
    with db.reading() as tx:
        return {
            table: sorted(r for r in tx.run(f"SELECT * FROM {table}") if r[-1] not in (0, "{}"))
            for table in TABLES
        }  # fmt: skip


def test_clocks_forces_and_taxels_of_an_episode_are_read() -> None:
    sync = {
        "wrist": stream(offset_ms=1.5, drift_ppm=-12.0, skew_p95_ms=4.0),
        "camera": stream(clock="device", offset_ms=8e9, drift_ppm=None),
        "pad": stream(offset_ms=float("nan")),
    }
    results = (
        finding("wrench_bias", "wrist", 2.25),
        finding("taxels_dead", "pad", 3, Level.WARN),
        finding("taxels_stuck", "pad", float("nan")),
        finding("gap", "wrist", 0.1),
    )
    one = entry("a")
    trend = EpisodeTrend.of(episode(one, report(Verdict.ACCEPT, *results), sync), one)
    assert trend.points == {
        ("clock_offset_ms", "wrist"): 1.5,
        ("clock_drift_ppm", "wrist"): -12.0,
        ("skew_p95_ms", "wrist"): 4.0,
        ("force_bias", "wrist"): 2.25,
        ("taxels_dead", "pad"): 3.0,
        ("rejected", "wrist"): 0.0,
        ("rejected", "camera"): 0.0,
        ("rejected", "pad"): 0.0,
    }
    assert trend.reasons == frozenset()
    assert EpisodeTrend.unpacked(trend.packed()) == trend


def test_an_episode_whose_facts_are_broken_counts_without_them(db: Database) -> None:
    one = entry("a", verdict=Verdict.REJECT)
    made = episode(one)
    made.metadata["custom_data"].update({"sync": "{", "quality": '{"verdict": 7}'})
    with db.transaction() as tx:
        on_episode(tx, SITE, made, one)
    [row] = rows_of(db, TrendSide.ROBOT, EVER)
    assert (row.episodes, row.rejects, row.reasons) == (1, 1, {})


def test_rates_reasons_and_days_by_side(db: Database) -> None:
    bad = (finding("wrench_bias", "wrist", 9, Level.FAIL), finding("gap", "pad", 1, Level.WARN))
    sync = {"wrist": stream(), "pad": stream()}
    for number in range(4):
        begin_ns = DAY0 * DAY_NS
        add(
            db, f"e{number}", begin_ns + number * DAY_NS // 2, robot="r1", operator="ann", sync=sync
        )
    add(db, "bad", T0, Verdict.REJECT, bad, sync, "2.0", robot="r2", operator="ann")
    add(db, "look", T0, Verdict.REVIEW, bad[1:], sync, "2.0", robot="r2", operator="bob")
    add(db, "raw", T0, Verdict.UNKNOWN, robot="r2", operator="bob")
    r2, r1 = rows_of(db, TrendSide.ROBOT, EVER)
    assert (r2.name, r2.episodes, r2.rejects, r2.reasons) == (
        "r2",
        3,
        1,
        {"wrench_bias": 1, "gap": 2},
    )
    told = r2.to_dict()
    assert told["reject_rate"] == 0.5  # of two that were checked
    assert (told["unknown"], told["review"]) == (1, 1)
    assert [day["episodes"] for day in r1.to_dict()["by_day"]] == [2, 2]
    assert [r.name for r in rows_of(db, TrendSide.OPERATOR, EVER)] == ["ann", "bob"]
    assert {r.name: r.rejects for r in rows_of(db, TrendSide.VERSION, EVER)} == {"2.0": 1, "1.0": 0}
    assert [r.episodes for r in rows_of(db, TrendSide.TASK, TrendSpan(DAY0, DAY0))] == [5]
    blamed = rows_of(db, TrendSide.STREAM, EVER)[0]
    assert (blamed.robot, blamed.stream, blamed.episodes, blamed.rejects) == ("r2", "wrist", 2, 1)
    others = {(r.robot, r.stream): r.rejects for r in rows_of(db, TrendSide.STREAM, EVER)[1:]}
    assert others == {("r2", "pad"): 0, ("r1", "wrist"): 0, ("r1", "pad"): 0}
    assert rows_of(db, TrendSide.ROBOT, TrendSpan(0, 10**6, "paris")) == []


VALUES = st.floats(-1e5, 1e5)
ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 2), st.sampled_from(list(Verdict)), VALUES,
        st.sampled_from(["wrist", "pad"]), st.sampled_from(["1", "2"]),
    ),
    max_size=12,
)  # fmt: skip


@given(ARRIVALS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_sums_depend_only_on_what_episodes_are_now(
    db: Database, arrivals: list[tuple[Any, ...]]
) -> None:
    def content_after(all_of_them: list[tuple[str, tuple[Any, ...]]]) -> dict[str, Any]:
        with db.transaction() as tx:
            for table in (*TABLES, "trend_episodes"):
                tx.run(f"DELETE FROM {table}")
        for id, more in all_of_them:
            add(db, id, *more)
        return content(db)

    came = []
    for number, day, verdict, value, name, version in arrivals:
        results = (finding("wrench_bias", name, value, Level.FAIL),)
        sync = {name: stream(offset_ms=value)}
        came.append((f"e{number}", (T0 + day * DAY_NS, verdict, results, sync, version)))
    assert content_after(came) == content_after(list(dict(came).items()))


def test_an_episode_that_arrives_again_adds_nothing(db: Database) -> None:
    sync = {"wrist": stream(offset_ms=0.1)}
    add(db, "a", sync=sync)
    before = content(db)
    for _ in range(3):
        add(db, "a", sync=sync)
    assert content(db) == before
    add(db, "a", sync=sync, task="fold")
    assert [row.name for row in rows_of(db, TrendSide.TASK, EVER)] == ["fold"]


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50))
def test_mean_and_deviation_are_those_of_the_values(values: list[float]) -> None:
    total = sum(map(PointSum.of, values), PointSum())
    mean = sum(values) / len(values)
    assert total.mean == pytest.approx(mean, abs=1e-5)
    deviation = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
    assert total.std == pytest.approx(deviation, abs=0.1)
    assert PointSum().mean is None and PointSum.of(1).std is None


def test_a_bias_that_grows_over_weeks_is_an_alarm_and_a_steady_one_is_none(db: Database) -> None:
    for day in range(21):
        for robot, bias in (("r1", 0.5 + 0.4 * day), ("r2", 1.0)):
            add(db, f"{robot} {day}", T0 + day * DAY_NS, results=(finding("wrench_bias", "wrist", bias),),
                sync={"wrist": stream(offset_ms=0.2)}, robot=robot)  # fmt: skip
    lines = lines_of(db, ["force_bias"], EVER)
    assert [points.line.robot for points in lines] == ["r1", "r2"]
    told = lines[0].to_dict()
    assert told["slope_per_day"] == pytest.approx(0.4)
    assert told["unit"] == "N" and len(told["points"]) == 21
    assert lines_of(db, ["force_bias"], EVER, "other") == []
    alarms = alarms_of(db, DRIFT_LIMITS, EVER)
    assert {(a.kind, a.name, a.stream) for a in alarms} == {("force_bias", "r1", "wrist")}


def test_the_robot_the_operator_and_the_sensor_behind_rejects_are_named(db: Database) -> None:
    bad = (finding("wrench_clipping", "wrist", 1, Level.FAIL),)
    for number in range(120):
        for robot in ("r1", "r2", "r3"):
            fails = robot == "r3" and number % 3 == 0
            add(db, f"{robot} {number}", T0 + number, Verdict.REJECT if fails else Verdict.ACCEPT,
                bad if fails else (), {"wrist": stream(), "pad": stream()}, robot=robot,
                operator="ann" if number % 2 else "bob")  # fmt: skip
    alarms = alarms_of(db, DRIFT_LIMITS, EVER)
    assert {(a.side, a.name, a.stream) for a in alarms} == {
        ("robot", "r3", ""),
        ("stream", "r3", "wrist"),
    }
