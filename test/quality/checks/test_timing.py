"""Checks of one stream's part of the sync certificate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import T0
from support.tallied import CAMERA

from robot_recorder.alignment.certificate import (
    Certificate,
    FrameStats,
    StreamInput,
    TickSpan,
    certify,
)
from robot_recorder.alignment.stream_tally import StreamTally
from robot_recorder.model.check_result import Level, Result
from robot_recorder.model.streams import FrameClock, SourceClockKind, StreamConfig
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.check import EpisodeSummary
from robot_recorder.quality.checks.timing import TIMING_CHECKS, TimingCheck

NS = 1_000_000_000
PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL
KINDS = {kind.name: kind for kind in TIMING_CHECKS}


def certificate() -> Certificate:
    """Return the certificate of ten seconds of a camera without any problem."""
    at = T0 + np.arange(300, dtype=np.int64) * NS // 30
    tally = StreamTally(CAMERA)
    tally.push(at, at + 5_000_000)
    inputs = [StreamInput(CAMERA, "/camera", tally.figures(T0, int(at[-1])), 0)]
    return certify(inputs, FrameStats(TickSpan.of_bag(T0, T0, 0)), FrameClock(30.0))


GOOD = certificate()


def judged(
    kind: type[TimingCheck],
    config: StreamConfig = CAMERA,
    guessed: bool = False,
    drivers: tuple[int, ...] = (),
    **figures: Any,
) -> list[Result]:
    """Return what a check says of a camera with these figures."""
    changed = replace(GOOD.streams["camera"], **figures)
    whole = replace(GOOD, streams={"camera": changed})
    summary = EpisodeSummary(
        T0, T0, T0 + 10 * NS, {"camera": config}, certificate=whole, drivers={"camera": drivers}
    )
    check = kind("camera", THRESHOLDS[kind.name])
    check.guessed = guessed
    return list(check.finish(summary))


CASES: list[tuple[str, dict[str, Any], Level]] = [
    ("stream_missing", {"count": 0}, FAIL),
    ("rate", {"measured_hz": 27.5}, WARN),
    ("rate", {"measured_hz": 20.0}, FAIL),
    ("rate", {"measured_hz": 60.0, "drivers": (150, 150)}, PASS),  # each driver has 30 Hz
    ("gap", {"longest_gap_ms": 190.0}, PASS),  # less than six periods
    ("gap", {"longest_gap_ms": 250.0}, WARN),
    ("gap", {"longest_gap_ms": 400.0}, FAIL),
    ("losses", {"lost": 1}, WARN),
    ("losses", {"lost": 30}, FAIL),
    ("clock_delay", {"offset_ms": 100.0}, WARN),
    ("clock_delay", {"offset_ms": 300.0}, FAIL),
    ("clock_future", {"offset_ms": -7.0}, WARN),
    ("clock_future", {"offset_ms": -20.0}, FAIL),
    ("clock_jump", {"clock_jump_ms": 100.0}, WARN),
    ("clock_jump", {"clock_jump_ms": 1000.0}, FAIL),
    ("clock_drift", {"drift_ppm": 200.0, "drift_pm_ppm": 10.0}, WARN),
    ("clock_drift", {"drift_ppm": 200.0, "drift_pm_ppm": 50.0}, PASS),  # not certain
    ("repeated_stamps", {"duplicates": 20}, WARN),
    ("repeated_stamps", {"duplicates": 100}, FAIL),
    ("skew", {"fresh": 95, "held": 5}, WARN),
    ("skew", {"fresh": 80, "held": 10, "missing": 10}, FAIL),
]


@pytest.mark.parametrize("kind", TIMING_CHECKS, ids=lambda kind: kind.name)
def test_a_good_stream_passes(kind: type[TimingCheck]) -> None:
    for result in judged(kind, fresh=100):
        assert result.level is PASS and result.sentence, result


@pytest.mark.parametrize(("name", "figures", "level"), CASES)
def test_each_check_finds_its_defect(name: str, figures: dict[str, Any], level: Level) -> None:
    (result,) = judged(KINDS[name], **figures)
    assert (result.check, result.stream, result.level) == (name, "camera", level), result


@pytest.mark.parametrize(("name", "figures", "level"), CASES)
def test_a_guessed_profile_leads_to_a_warning_at_most(
    name: str, figures: dict[str, Any], level: Level
) -> None:
    (result,) = judged(KINDS[name], guessed=True, **figures)
    assert result.level is min(level, WARN) and "the profile is guessed" in result.sentence


def test_an_unknown_number_of_losses_is_a_warning_with_its_reason() -> None:
    (result,) = judged(KINDS["losses"], lost=None, lost_unknown="the middleware does not tell")
    assert result.level is WARN and "the middleware does not tell" in result.sentence


def test_a_device_clock_is_not_compared_with_the_robots() -> None:
    device = replace(CAMERA, clock=SourceClockKind.DEVICE)
    for name in ("clock_delay", "clock_future", "clock_drift"):
        assert not judged(KINDS[name], device, offset_ms=-500.0, drift_ppm=300.0)


def test_a_stream_without_a_rate_has_no_rate_and_no_gap() -> None:
    free = replace(CAMERA, rate_hz=None)
    assert not judged(KINDS["rate"], free) and not judged(KINDS["gap"], free)


@given(st.floats(0, 10_000), st.floats(0, 10_000))
def test_a_longer_gap_is_never_judged_better(one: float, other: float) -> None:
    short, long = sorted((one, other))
    (better,), (worse,) = (judged(KINDS["gap"], longest_gap_ms=gap) for gap in (short, long))
    assert better.level <= worse.level
