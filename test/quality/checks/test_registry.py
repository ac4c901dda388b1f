"""Every check has thresholds, every threshold a check; checks that cannot be built are named."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

from robot_recorder.messages.image_messages import COMPRESSED
from robot_recorder.model.streams import FrameClock, RobotProfile, Role, StreamConfig
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality import checks as folder
from robot_recorder.quality import inspector
from robot_recorder.quality.checks.check import Check
from robot_recorder.quality.checks.frozen_values import Frozen
from robot_recorder.quality.checks.timing import Gap
from robot_recorder.quality.checks.whole_episode import Incomplete
from robot_recorder.quality.inspector import Inspector

TYPES = {
    "joints": "sensor_msgs/msg/JointState", "wrench": "geometry_msgs/msg/WrenchStamped",
    "palm": "robot_recorder/msg/TactileArray", "imu": "sensor_msgs/msg/Imu", "camera": COMPRESSED,
}  # fmt: skip
PROFILE = RobotProfile(
    "everything", FrameClock(30.0), 10**8,
    tuple(StreamConfig(name, name, type, Role.OBSERVATION, 50) for name, type in TYPES.items()),
)  # fmt: skip


def checks(kind: type[Check] = Check) -> Iterator[type[Check]]:
    """Yield all named checks of the package."""
    for module in pkgutil.iter_modules(folder.__path__):
        importlib.import_module(f"{folder.__name__}.{module.name}")
    for below in kind.__subclasses__():
        if below.__module__.startswith("robot_recorder."):
            yield from checks(below)
            if "name" in below.__dict__:
                yield below


def test_a_check_without_thresholds_is_an_error() -> None:
    with pytest.raises(
        TypeError, match=r"Unheard is named 'unheard_of', and THRESHOLDS has no row"
    ):

        class Unheard(Check):
            name = "unheard_of"


def test_every_row_belongs_to_one_check_and_every_check_is_built() -> None:
    names = [kind.name for kind in checks()]
    assert sorted(names) == sorted(THRESHOLDS)
    made = Inspector(PROFILE, None)
    assert {check.name for check in made._checks} == set(THRESHOLDS) and not made.broken


@pytest.mark.parametrize("kind", [Gap, Frozen, Incomplete], ids=lambda kind: kind.name)
def test_a_check_that_cannot_be_built_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, kind: type[Check]
) -> None:
    whole = len(Inspector(PROFILE, None)._checks)

    def broken(self: Check, *_: object) -> None:
        raise KeyError("no such sensor")

    monkeypatch.setattr(kind, "__init__", broken)
    made = Inspector(PROFILE, None)
    assert made.broken and all(b.startswith(f"{kind.name} ") for b in made.broken), made.broken
    assert all("KeyError: 'no such sensor'" in b for b in made.broken)
    assert len(made._checks) == whole - len(made.broken)
    assert kind.name not in {check.name for check in made._checks}
    report = made.report(0, 0, 10**9, None)
    assert list(report.broken) == made.broken and report.results


def test_a_stream_that_cannot_be_watched_is_named_and_the_others_are_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise OSError("no lens")

    monkeypatch.setattr(inspector, "CameraWatch", broken)
    made = Inspector(PROFILE, None)
    assert made.broken == ["camera: OSError: no lens"] and "wrench_bias" in {
        check.name for check in made._checks
    }
    assert "camera: OSError: no lens" in made.report(0, 0, 10**9, None).broken
