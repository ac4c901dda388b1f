"""Clock models: offset and drift from stamps and receive times, and problems of clocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.source_stamps import stream

from robot_recorder.clocks.clock_model import ClockModel, ClockTrouble, median

NS = 1_000_000_000
T0 = 1_700_000_000 * NS


def judged(stamps: np.ndarray, receives: np.ndarray, own_clock: bool = True) -> ClockModel:
    model = ClockModel(own_clock)
    model.push(stamps, receives)
    model.end()
    return model


@pytest.mark.parametrize("rate_hz", [30, 100, 500])
@pytest.mark.parametrize(("offset_s", "drift_ppm"), [(0.04, 100), (-0.03, -100), (3600.0, 0)])
def test_offset_and_drift_are_estimated(rate_hz: float, offset_s: float, drift_ppm: float) -> None:
    for seed in range(5):
        found = judged(*stream(30, rate_hz, offset_s, drift_ppm, seed)).estimate
        assert found is not None
        own_s = (found.at_ns - T0) / NS
        truth_s = (own_s + offset_s) / (1 + drift_ppm * 1e-6) - own_s + 0.002
        assert abs(found.offset_ns / NS - truth_s) < 0.001
        assert abs(found.drift_ppm - drift_ppm) < 10
        assert abs(found.drift_ppm - drift_ppm) < 2 * found.drift_pm_ppm


def test_bursts_and_broken_stamps_do_not_affect_the_estimate() -> None:
    stamps, receives = stream(offset_s=0.02, drift_ppm=50)
    late = (np.arange(len(stamps)) % 700) < 60  # a congested network for 0.6 s of every 7
    receives = np.maximum.accumulate(np.where(late, receives + NS // 10, receives))
    stamps[[500, 1500]] -= 3600 * NS
    model = judged(stamps, receives)
    assert model.estimate is not None and abs(model.estimate.drift_ppm - 50) < 10
    assert not [e for e in model.events if e.kind is ClockTrouble.JUMP]


@pytest.mark.parametrize("by_s", [0.5, -0.5, 3600.0, -0.05])
def test_a_jump_of_the_clock_is_noticed_and_followed(by_s: float) -> None:
    stamps, receives = stream(40)
    stamps[2000:] += round(by_s * NS)
    model = judged(stamps, receives)
    jumps = [e for e in model.events if e.kind is ClockTrouble.JUMP]
    assert len(jumps) == 1
    assert abs(jumps[0].by_ns / NS - by_s) < 0.02
    assert abs(jumps[0].at_ns - receives[2000]) < 2 * NS
    assert f"jumped by {by_s:+.1f}"[:13] in jumps[0].text
    assert model.estimate is not None
    assert abs(model.estimate.offset_ns / NS - (0.002 - by_s)) < 0.001


def test_a_stamp_that_does_not_change_is_reported() -> None:
    stamps, receives = stream(10)
    stamps[300:400] = stamps[300]
    events = judged(stamps, receives).events
    assert [e.kind for e in events] == [ClockTrouble.FROZEN]
    assert 0.9 < events[0].by_ns / NS < 1.1 and "driver repeats itself" in events[0].text


def test_stamps_in_the_future_or_another_epoch_are_reported_unless_from_a_device() -> None:
    for offset_s, kind in ((-0.1, ClockTrouble.FUTURE), (1.7e9, ClockTrouble.EPOCH)):
        stamps, receives = stream(5, offset_s=offset_s)
        assert [e.kind for e in judged(stamps, receives, own_clock=False).events] == [kind]
        assert judged(stamps, receives, own_clock=True).events == []


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=20), st.integers(0, 5))
def test_estimates_do_not_depend_on_batches(sizes: list[int], seed: int) -> None:
    stamps, receives = stream(8, drift_ppm=30, seed=seed)
    stamps[300:330] = stamps[300]
    model, first = ClockModel(True), 0
    while first < len(stamps):
        last = first + sizes[0]
        sizes = sizes[1:] + sizes[:1]
        model.push(stamps[first:last], receives[first:last])
        first = last
    model.end()
    whole = judged(stamps, receives)
    assert (model.estimate, model.events) == (whole.estimate, whole.events)


@given(
    st.one_of(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1).map(np.array),
        st.lists(st.integers(-(2**62), 2**62), min_size=1).map(np.array),
    )
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_the_median_is_that_of_numpy(values: np.ndarray) -> None:
    assert median(values) == float(np.median(values))
