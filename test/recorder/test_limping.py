"""A stream that limps is reported once."""

from __future__ import annotations

from robot_recorder.model.streams import Role, StreamConfig, StreamHealth
from robot_recorder.recorder.health import HealthReport
from robot_recorder.recorder.limping import Limping


def stream(name: str, required: bool = True) -> StreamConfig:
    return StreamConfig(name, name, "sensor_msgs/msg/Imu", Role.OBSERVATION, required=required)


def report(health: StreamHealth) -> HealthReport:
    return HealthReport(health, 0.0, 0.0, None, f"remedy for {health.name}")


def test_each_limping_stream_is_reported_once_with_its_remedy() -> None:
    limping = Limping()
    ok, silent = report(StreamHealth.OK), report(StreamHealth.STALE)
    streams = [stream("imu"), stream("joints")]
    assert limping.news(zip(streams, (ok, ok)), {}) == []
    assert limping.news(zip(streams, (silent, ok)), {}) == ["imu limps: remedy for STALE"]
    assert limping.news(zip(streams, (silent, ok)), {}) == []
    assert limping.news(zip(streams, (ok, silent)), {"eye": "it is black"}) == [
        "eye limps: it is black",
        "joints limps: remedy for STALE",
    ]
    assert limping.news(zip(streams, (silent, silent)), {"eye": "it is black"}) == []
    assert list(limping.reported) == ["imu", "eye", "joints"]


def test_what_many_streams_lack_alike_is_reported_once() -> None:
    names = ("joints", "wrench", "eye")
    silent = [
        (
            stream(name),
            HealthReport(StreamHealth.STALE, 0.0, age, None, f"{name} fell silent {age} s ago"),
        )
        for name, age in zip(names, (0.5, 0.6, 2.25))
    ]
    slow = stream("imu"), report(StreamHealth.SLOW)
    limping = Limping()
    assert limping.news([*silent, slow], {}) == [
        "joints limps: joints fell silent 0.5 s ago; so do wrench (0.6 s) and eye (2.25 s)",
        "imu limps: remedy for SLOW",
    ]
    assert limping.reported["eye"] == "eye fell silent 2.25 s ago"
    assert limping.news([*silent, slow], {"touch": "it is stuck", "skin": "it is stuck"}) == [
        "touch limps: it is stuck; so does skin"
    ]


def test_a_missing_optional_stream_is_not_reported() -> None:
    spare = stream("spare", required=False)
    assert Limping().news([(spare, report(StreamHealth.NEVER))], {}) == []
    assert Limping().news([(spare, report(StreamHealth.SLOW))], {}) != []
    assert Limping().news([(stream("a"), report(StreamHealth.NEVER))], {}) != []
