"""An episode starts and continues only while the disk has room."""

from __future__ import annotations

import shutil
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from support.bench import Bench

from robot_recorder.recorder.disk_space import (
    DiskLimits,
    episodes_left,
    free_bytes,
    reserve_reached,
    running_out,
    shortage,
)
from robot_recorder.recorder.stop_reason import StopReason


def test_a_start_is_refused_if_the_disk_is_short(tmp_path: Path, monkeypatch) -> None:
    free = shutil.disk_usage(tmp_path).free
    bench = Bench(tmp_path, disk=DiskLimits(min_free_bytes=free // 2, max_episode_s=1e12))
    bench.feed(100)
    answer = bench.start()
    assert not answer.ok and "GB free" in answer.reason and "make room" in answer.reason
    assert bench.start(force=True).ok and bench.recorder.must_stop()[0] is None
    monkeypatch.setattr("robot_recorder.recorder.recorder.free_bytes", lambda _: free // 2)
    assert bench.recorder.must_stop()[0] is StopReason.DISK_FULL
    assert bench.recorder.episodes_left() == 0
    bench.stop()
    answer = bench.start(force=True)
    assert not answer.ok and "min_free_mb" in answer.reason, "force does not use the reserve"
    monkeypatch.undo()
    plenty = Bench(tmp_path, disk=DiskLimits(max_episode_s=1.0, min_free_bytes=0))
    assert plenty.recorder.episodes_left() == -1
    plenty.feed(100)
    assert plenty.recorder.episodes_left() > 1000


def test_messages_waiting_to_be_written_do_not_use_the_reserve(tmp_path: Path, monkeypatch) -> None:
    """The pre-roll at a start and the queue at the end are written in any case."""
    bench = Bench(tmp_path, disk=DiskLimits(min_free_bytes=10**9, max_episode_s=1.0))
    sent = bench.feed(150)
    room = 3 * sum(map(len, sent))  # enough for two seconds, but not for 1.4 s of pre-roll as well
    monkeypatch.setattr("robot_recorder.recorder.recorder.free_bytes", lambda _: 10**9 + room // 2)
    assert bench.start(force=True, pre_roll_s=0.0).ok
    bench.stop()
    refused = bench.start(force=True, pre_roll_s=1.4)
    assert not refused.ok and "waiting to be written" in refused.reason, refused


sizes = st.integers(0, 10**12)


@given(sizes, st.floats(0, 1e9), sizes, sizes, st.floats(1, 1e4))
def test_what_fits_also_starts_and_does_not_have_to_stop(
    free: int, rate: float, waiting: int, reserve: int, length_s: float
) -> None:
    limits, root = DiskLimits(length_s, reserve), Path("/data")
    fits = not shortage(free, rate, waiting, limits, root)
    assert fits == (free >= length_s * rate + waiting + reserve)
    reserved = reserve_reached(free, rate, waiting, limits, root)
    stops, words = running_out(free, rate, waiting, limits)
    assert bool(reserved) == stops, "a start that would have to stop at once is refused"
    assert not stops or "the disk is full" in words
    if fits and length_s > 31 and rate > 1:
        assert not stops and not words
    assert "/data" in reserved or not reserved


@given(sizes, st.just(0.0) | st.floats(1, 1e9), sizes)
def test_as_many_episodes_are_left_as_fit_above_the_reserve(
    free: int, size: float, reserve: int
) -> None:
    left = episodes_left(free, size, DiskLimits(min_free_bytes=reserve))
    if size <= 0:
        assert left == -1, "unknown"
    else:
        assert left >= 0 and (left == 0 or left * size <= free - reserve)
        assert (left + 1) * size > (free - reserve) * (1 - 1e-9)


def test_the_disk_of_a_folder_to_be_made_is_that_of_its_parents(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b") > 0
