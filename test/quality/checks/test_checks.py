"""Each check finds its defect, passes what is fine, and does not depend on batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.configuration.tasks import Contact, Task
from robot_recorder.messages.urdf import joint_limits
from robot_recorder.model.quality_result import Level, Result
from robot_recorder.model.streams import Role, StreamConfig
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.check import Check, EpisodeSummary, ValueCheck
from robot_recorder.quality.checks.clipping import ClipCounter
from robot_recorder.quality.checks.frozen import Frozen, JointFrozen, JointsFrozen
from robot_recorder.quality.checks.joints import JointJump, JointLimits
from robot_recorder.quality.checks.numbers import NotANumber
from robot_recorder.quality.checks.tactile import (
    NeverTouched,
    TactileFrozen,
    TaxelsDead,
    TaxelsSaturated,
    TaxelsStuck,
)
from robot_recorder.quality.checks.tracking import TrackingError, TrackingLag
from robot_recorder.quality.checks.values import Trace, Values
from robot_recorder.quality.checks.whole_episode import (
    IdleHead,
    IdleTail,
    NeverMoved,
    TooLong,
    TooShort,
)
from robot_recorder.quality.checks.wrench import WrenchBias, WrenchClipping, WrenchSpikes

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
JOINTS = tuple(f"position/j{i} (rad)" for i in range(3))
WRENCH = ("force/x (N)", "force/y (N)", "force/z (N)",
          "torque/x (N m)", "torque/y (N m)", "torque/z (N m)")  # fmt: skip
TAXELS = tuple(f"normal/{i // 4},{i % 4} (Pa)" for i in range(16))
SECONDS = np.arange(0, 8, 0.004)
TIMES = T0 + np.round(SECONDS * NS).astype(np.int64)
RNG = np.random.default_rng(0)


def swing(seconds: np.ndarray = SECONDS) -> np.ndarray:
    """Return three joints that move from second 1 to 7, with encoder noise."""
    at = np.clip(seconds, 1, 7)
    clean = np.stack([0.5 * np.sin(at), 0.4 * np.cos(1.3 * at), 0.2 * at], axis=1)
    return clean + np.random.default_rng(3).normal(0, 1e-6, clean.shape)


def forces() -> np.ndarray:
    """Return the wrench of a hand that is loaded from second 2 to 6."""
    load = np.where((SECONDS > 2) & (SECONDS < 6), 10 + 8 * np.sin(2 * SECONDS), 0.0)
    rows = np.stack([load * k for k in (1, 0.5, -0.3, 0.02, 0.01, 0.03)], axis=1)
    return rows + RNG.normal(0, 0.05, rows.shape)


def pressures(noise: float = 30.0) -> np.ndarray:
    """Return a pad that is pressed from second 2 to 6."""
    load = np.where((SECONDS > 2) & (SECONDS < 6), 20000 + 5000 * np.sin(3 * SECONDS), 0.0)
    rows = load[:, None] * np.linspace(0.3, 1, 16)
    return rows + RNG.normal(0, noise, rows.shape) if noise else rows


def steady() -> np.ndarray:
    """Return a pad that is held steadily and counts in steps of 10."""
    return np.where(SECONDS[:, None] > 2, 800.0, 0.0) + RNG.normal(0, 4, (len(SECONDS), 16))


def gripper(resolution: float) -> np.ndarray:
    """Return a gripper that closes once, in steps of its resolution, and rests before and after."""
    travel = 100 * resolution * np.clip(SECONDS - 4, 0, 1)
    return np.round(np.stack([travel] * 3, axis=1) / resolution) * resolution


def wrist() -> np.ndarray:
    """Return a wrist that turns round and round."""
    angle = np.stack([3 * SECONDS, 2 * SECONDS, SECONDS], axis=1)
    return (angle + np.pi) % (2 * np.pi) - np.pi


def facts(**more: object) -> EpisodeSummary:
    """Return an episode of eight seconds in which the joints swing."""
    observed, commanded = Trace(("j0", "j1", "j2")), Trace(("j0", "j1", "j2"))
    observed.add(TIMES, swing())
    commanded.add(TIMES, swing(SECONDS + 0.05))
    streams = {
        "joints": StreamConfig("joints", "joints", "sensor_msgs/msg/JointState", Role.OBSERVATION),
        "commands": StreamConfig("commands", "commands", "sensor_msgs/msg/JointState", Role.ACTION),
    }
    given: dict = {"joints": {"joints": observed, "commands": commanded}, **more}
    return EpisodeSummary(T0, T0, T0 + 8 * NS, streams, **given)


def check(
    kind: type[ValueCheck], names: tuple[str, ...], rows: np.ndarray, cuts: tuple[int, ...] = (),
    range: float | None = None, **more: object,
) -> Result:  # fmt: skip
    """Return the result of a check for values that arrive in batches."""
    one = kind("s", THRESHOLDS[kind.name], range)
    for part in np.split(np.arange(len(rows)), cuts):
        if len(part):
            one.add(Values(TIMES[part], TIMES[part], rows[part], names))
    if names is JOINTS and "joints" not in more:
        trace = Trace(("j0", "j1", "j2"))
        trace.add(TIMES, rows)
        more["joints"] = {**facts().joints, "s": trace}
    (result,) = one.finish(facts(**more))
    return result


def finish(kind: type[Check], episode: EpisodeSummary, stream: str = "") -> Result:
    """Return the result of a check of the whole episode."""
    (result,) = kind(stream, THRESHOLDS[kind.name]).finish(episode)
    return result


def changed(rows: np.ndarray, change: Callable[[np.ndarray], None]) -> np.ndarray:
    rows = rows.copy()
    change(rows)
    return rows


def hold(begin_s: float, length_s: float) -> Callable[[np.ndarray], None]:
    """Return a change that makes all values stand still for a while."""

    def change(rows: np.ndarray) -> None:
        inside = np.flatnonzero((begin_s <= SECONDS) & (begin_s + length_s > SECONDS))
        rows[inside] = rows[inside[0]]

    return change


def put(place: Any, value: float) -> Callable[[np.ndarray], None]:
    def change(rows: np.ndarray) -> None:
        rows[place] = value

    return change


def add(place: Any, value: float) -> Callable[[np.ndarray], None]:
    def change(rows: np.ndarray) -> None:
        rows[place] += value

    return change


def clip(most: float) -> Callable[[np.ndarray], None]:
    def change(rows: np.ndarray) -> None:
        np.clip(rows, -most, most, out=rows)

    return change


PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL
CASES = [
    (NotANumber, JOINTS, swing(), PASS),
    (NotANumber, JOINTS, changed(swing(), put((700, 1), np.nan)), FAIL),
    (NotANumber, JOINTS, changed(swing(), put((700, 1), -np.inf)), FAIL),
    (JointJump, JOINTS, swing(), PASS),
    (JointJump, JOINTS, changed(swing(), add((700, 1), 0.3)), WARN),
    (JointJump, JOINTS, changed(swing(), add((slice(700, 1400, 100), 1), 0.3)), FAIL),
    (JointsFrozen, JOINTS, swing(), PASS),
    (JointsFrozen, JOINTS, changed(swing(), hold(2, 0.5)), WARN),
    (JointsFrozen, JOINTS, changed(swing(), hold(2, 2)), FAIL),
    (JointsFrozen, JOINTS, changed(swing(), hold(7.2, 2)), PASS),  # the robot stands still, too
    (JointsFrozen, JOINTS, gripper(1 / 255), PASS),  # rests anywhere
    (JointsFrozen, JOINTS, gripper(1.0), PASS),  # in percent
    (JointJump, JOINTS, wrist(), PASS),  # wraps around
    (NotANumber, JOINTS, changed(swing(), put((slice(None), 1), np.nan)), PASS),  # not measured
    (Frozen, WRENCH, forces(), PASS),
    (Frozen, WRENCH, changed(forces(), hold(3, 2)), FAIL),
    (Frozen, WRENCH, np.round(changed(forces(), put((SECONDS < 2, slice(None)), 0))), PASS),
    (Frozen, WRENCH, changed(forces(), hold(-1, 99)), WARN),  # dead, or nothing to measure
    (Frozen, WRENCH, changed(changed(forces(), put((slice(None), 5), np.nan)), hold(3, 2)), FAIL),
    (WrenchSpikes, WRENCH, forces(), PASS),
    (WrenchSpikes, WRENCH, changed(forces(), add((900, 2), 80)), WARN),
    (WrenchSpikes, WRENCH, changed(forces(), add((slice(300, 900, 100), 2), -80)), FAIL),
    (WrenchSpikes, WRENCH, changed(forces(), add((slice(900, 990), 2), 80)), PASS),  # a knock
    (WrenchClipping, WRENCH, forces(), PASS),
    (WrenchClipping, WRENCH, changed(forces(), clip(12)), FAIL),
    (WrenchClipping, WRENCH, changed(forces(), hold(2, 5)), PASS),  # frozen is not clipped
    (WrenchClipping, WRENCH, np.round(forces(), 1), PASS),  # whole tenths repeat often
    (WrenchClipping, WRENCH, np.round(changed(forces(), clip(12)), 1), FAIL),
    (WrenchBias, WRENCH, forces(), PASS),
    (WrenchBias, WRENCH, changed(forces(), add((slice(None), 1), 4)), WARN),
    (WrenchBias, WRENCH, changed(forces(), add((slice(None), 1), -12)), WARN),  # or a load
    (TaxelsDead, TAXELS, pressures(), PASS),
    (TaxelsDead, TAXELS, changed(pressures(), put((slice(None), 3), 0)), WARN),
    (TaxelsDead, TAXELS, changed(pressures(), put((slice(None), slice(3, 6)), 0)), FAIL),
    (TaxelsDead, TAXELS, changed(pressures(0), put((slice(None), 3), 0)), PASS),  # no noise
    (TaxelsStuck, TAXELS, changed(pressures(), put((slice(None), 3), 9000)), WARN),
    (TaxelsStuck, TAXELS, changed(pressures(), put((slice(800, None), slice(0, 3)), 9000)), FAIL),
    (TaxelsStuck, TAXELS, changed(pressures(), put((slice(None), 3), 0)), PASS),  # dead
    (TaxelsSaturated, TAXELS, pressures(), PASS),
    (TaxelsSaturated, TAXELS, pressures(0), PASS),
    (TaxelsSaturated, TAXELS, np.round(steady(), -1), PASS),
    (TaxelsSaturated, TAXELS, changed(pressures(), clip(15000)), FAIL),
    (TactileFrozen, TAXELS, pressures(), PASS),
    (TactileFrozen, TAXELS, changed(pressures(), hold(2, 2)), FAIL),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "names", "rows", "level"),
    CASES,
    ids=[f"{k.name}-{n}" for n, (k, *_) in enumerate(CASES)],
)
def test_each_check_finds_its_defect_and_passes_what_is_fine(
    kind: type[ValueCheck], names: tuple[str, ...], rows: np.ndarray, level: Level
) -> None:
    result = check(kind, names, rows)
    assert result.level is level, result
    assert result.sentence and result.check == kind.name


@given(st.sampled_from(CASES), st.lists(st.integers(1, len(SECONDS) - 1), max_size=6))
def test_batches_do_not_matter(case: tuple, cuts: list[int]) -> None:
    kind, names, rows, _ = case
    assert check(kind, names, rows, tuple(sorted(cuts))) == check(kind, names, rows)


def test_a_pad_without_noise_may_rest() -> None:
    for baseline in (0.0, 12.0):
        assert check(TactileFrozen, TAXELS, pressures(0) + baseline).level is PASS
        one = TactileFrozen("s", THRESHOLDS["frozen"])
        one.add(Values(TIMES, TIMES, 0 * pressures(0) + baseline, TAXELS))
        assert not list(one.finish(facts())), "NeverTouched reports that it was never touched"


def test_a_bias_fails_only_when_pads_show_that_nothing_is_held() -> None:
    touch = Trace(("normal (Pa)",))
    touch.add(TIMES, pressures().sum(axis=1, keepdims=True))
    rows = changed(forces(), add((slice(None), 1), -12))
    assert check(WrenchBias, WRENCH, rows, touches={"pad": touch}).level is FAIL


def test_the_range_of_a_sensor_counts_as_its_end() -> None:
    rows = changed(forces(), put((slice(900, 960), 0), 50.0))
    rows[900:960, 0] += RNG.random(60)  # beyond its range it shows anything
    assert check(WrenchClipping, WRENCH, rows).level is PASS
    assert check(WrenchClipping, WRENCH, rows, range=50).level is FAIL
    assert ClipCounter(None, True).worst() == (0.0, 0, 0.0)


def test_limits_come_from_the_description() -> None:
    urdf = """<?xml version="1.0"?><robot name="r">
      <joint name="j0" type="revolute"><limit lower="-0.4" upper="0.6"/></joint>
      <joint name="j1" type="continuous"/>
      <joint name="j2" type="prismatic"><limit lower="0" upper="3"/></joint></robot>"""
    limits = joint_limits(urdf)
    assert limits == {"j0": (-0.4, 0.6), "j2": (0.0, 3.0)}
    assert joint_limits("not xml") == {} and joint_limits("<robot><joint/></robot>") == {}
    result = check(JointLimits, JOINTS, swing(), joint_limits={"s": limits})
    assert result.level is WARN and "j0 was 0.10 rad beyond" in result.sentence
    one = JointLimits("s", THRESHOLDS["joint_limits"])
    one.add(Values(TIMES, TIMES, swing(), JOINTS))
    assert not list(one.finish(facts())), "without a description there is nothing to judge"


def test_a_joint_that_does_not_follow_is_named() -> None:
    stuck = swing()
    stuck[500:1000, 1] = stuck[500, 1]
    observed = Trace(("j0", "j1", "j2"))
    observed.add(TIMES, stuck)
    episode = facts()
    episode = facts(joints={**episode.joints, "joints": observed})
    result = finish(JointFrozen, episode, "joints")
    assert result.level is FAIL and "j1" in result.sentence
    assert 0.8 < result.figure < 2.05, "from the time it was commanded elsewhere"
    assert finish(JointFrozen, facts(), "joints").level is PASS


@pytest.mark.parametrize("lag_s", [-0.06, 0.0, 0.05, 0.25, 0.5])
def test_the_tracking_lag_is_measured(lag_s: float) -> None:
    command = Trace(("j0", "j1", "j2"))
    command.add(TIMES, swing(SECONDS + lag_s))
    episode = facts(joints={**facts().joints, "commands": command})
    result = finish(TrackingLag, episode, "joints")
    assert result.figure == pytest.approx(abs(lag_s), abs=0.004)


def test_the_tracking_error_of_a_gripper_is_ignored() -> None:
    names = ("j0", "left_gripper_joint", "j2")
    observed, command = Trace(names), Trace(names)
    observed.add(TIMES, swing() + np.array([0.0, 0.8, 0.0]))
    command.add(TIMES, swing())
    episode = facts(joints={"joints": observed, "commands": command})
    assert finish(TrackingError, episode, "joints").level is PASS


def test_a_gripper_may_stand_still_until_it_is_commanded() -> None:
    close = np.stack([np.where(SECONDS > 5.06, 0.8, 0.0)] * 3, axis=1)
    told = np.stack([np.where(SECONDS > 5.0, 0.8, 0.0)] * 3, axis=1)
    observed, command = Trace(("j0", "j1", "j2")), Trace(("j0", "j1", "j2"))
    observed.add(TIMES, close)
    command.add(TIMES, told)
    episode = facts(joints={"joints": observed, "commands": command})
    assert finish(JointFrozen, episode, "joints").figure < 0.15


def test_the_tracking_error_is_what_remains_after_the_lag() -> None:
    observed = Trace(("j0", "j1", "j2"))
    observed.add(TIMES, swing() + np.array([0.0, 0.3, 0.0]))
    episode = facts(joints={**facts().joints, "joints": observed})
    result = finish(TrackingError, episode, "joints")
    assert result.figure == pytest.approx(0.3, abs=0.02) and "j1" in result.sentence
    assert finish(TrackingError, facts(), "joints").figure < 0.02


def test_checks_of_whole_episodes_find_their_defects() -> None:
    task = Task("lift", "Lift.", least_s=10, most_s=20)
    assert finish(NeverMoved, facts()).level is PASS
    assert finish(IdleHead, facts()).figure == pytest.approx(1, abs=0.2)
    assert finish(IdleTail, facts()).figure == pytest.approx(1, abs=0.2)
    assert finish(TooShort, facts(task=task)).level is WARN
    assert finish(TooShort, facts(task=Task("x", "X.", least_s=17))).level is FAIL
    assert finish(TooShort, facts()).level is PASS
    assert finish(TooLong, facts(task=task)).level is PASS
    assert finish(TooLong, facts(task=Task("x", "X.", most_s=5))).level is WARN
    still = Trace(("j0",))
    still.add(TIMES, RNG.normal(0, 1e-4, (len(TIMES), 1)))
    assert finish(NeverMoved, facts(joints={"joints": still})).level is FAIL
    base = StreamConfig("odometry", "odom", "nav_msgs/msg/Odometry", Role.OBSERVATION)
    driving = replace(
        facts(joints={"joints": still}), streams={**facts().streams, "odometry": base}
    )
    assert not list(NeverMoved("", THRESHOLDS["never_moved"]).finish(driving)), "it may have driven"


@pytest.mark.parametrize(
    ("contact", "left", "right", "level"),
    [
        (Contact.ALL, True, True, PASS),
        (Contact.ALL, True, False, FAIL),
        (Contact.ANY, True, False, PASS),
        (Contact.ANY, False, False, FAIL),
    ],
)
def test_a_contact_task_requires_touch(
    contact: Contact, left: bool, right: bool, level: Level
) -> None:
    touches = {}
    for name, touched in (("left", left), ("right", right)):
        touches[name] = Trace(("normal (Pa)",))
        rows = pressures() if touched else RNG.normal(0, 30, (len(TIMES), 16))
        touches[name].add(TIMES, rows.sum(axis=1, keepdims=True))
    task = Task("lift", "Lift.", contact=contact)
    assert finish(NeverTouched, facts(task=task, touches=touches)).level is level
    assert not list(NeverTouched("", THRESHOLDS["never_touched"]).finish(facts(touches=touches)))
