"""Bags whose log times stand still are read in the order of their header stamps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cases import STEP, T0, one_log_time
from support.made import bag
from support.samples import WRENCH, wrench

from robot_recorder.offline.stamp_order import log_times_stand, read_by_stamp

MS = 1_000_000


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(30)))
def test_messages_come_in_the_order_of_their_stamps(tmp_path_factory, order: list[int]) -> None:
    path = tmp_path_factory.mktemp("bag") / "bag"
    sent = [wrench(T0 + k * MS) for k in order]
    bag(path, {"/a": (WRENCH, [(T0, data) for data in sent])})
    (segment,) = read_by_stamp(path, {"/a"}, {"/a"})
    column = segment.columns["/a"]
    assert column.receives.tolist() == [T0 + k * MS for k in range(30)]
    assert [column.payloads[k] for k in range(30)] == sorted(sent, key=stamp_of)


def stamp_of(data: bytes) -> int:
    sec, nanosec = np.frombuffer(data, "<u4", 2, 4).tolist()
    return int(sec) * 10**9 + int(nanosec)


def test_a_topic_without_stamps_keeps_its_log_times(tmp_path: Path) -> None:
    path = one_log_time(tmp_path)
    (stamped,) = read_by_stamp(path, {"/joint_states"}, {"/joint_states"})
    assert np.diff(stamped.columns["/joint_states"].receives).tolist() == [STEP] * 299
    assert stamped.until_ns == T0 + 299 * STEP + 1
    (plain,) = read_by_stamp(path, {"/joint_states"}, set())
    assert set(plain.columns["/joint_states"].receives.tolist()) == {T0}
    assert list(read_by_stamp(path, {"/other"}, set())) == []


@pytest.mark.parametrize(
    ("duration_ms", "count", "moves_ms", "stand"),
    [(0, 300, 3000, True), (5, 300, 3000, False), (0, 9, 3000, False), (0, 300, 50, False)],
)
def test_log_times_stand_only_if_the_stamps_of_many_messages_move(
    duration_ms: int, count: int, moves_ms: int, stand: bool
) -> None:
    times = {"/a": T0 + np.array([0, moves_ms * MS]), "/b": np.empty(0, dtype=np.int64)}
    assert log_times_stand(duration_ms * MS, count, times) is stand
