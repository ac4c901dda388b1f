"""Align whole bags: compare with known truth, and handle damaged ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.alignments import aligned
from support.bags import (
    HEADER,
    JOINTS,
    NS,
    PROFILE,
    T0,
    WRENCH,
    angle,
    joint_state,
    small_robot,
    wrench,
)

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.streams import FrameClock
from robot_recorder.model.topics import BagTopic, Channel, Sample


@pytest.mark.parametrize("rate_hz", [7.0, 30.0, 100.0])
def test_frames_hold_the_values_at_their_ticks(tmp_path: Path, rate_hz: float) -> None:
    found = aligned(small_robot(tmp_path / "bag"), FrameClock(rate_hz))
    seconds = (found.frames.ticks - T0) / NS
    assert len(found.frames) > 9.8 * rate_hz and found.frames.complete.all()
    assert np.abs(found.frames.columns[0].values[:, 0] - angle(seconds)).max() < 1e-4
    assert np.abs(found.frames.columns[1].values[:, 2] - 10 * angle(seconds + 0.4)).max() < 1e-3
    millihertz = round(rate_hz * 1000)
    expected = [index * NS * 1000 // millihertz for index in found.frames.index.tolist()]
    assert found.frames.ticks.tolist() == expected
    assert found.certificate.frames == len(found.frames) == found.certificate.complete


def test_a_reference_stream_has_a_tick_at_every_sample(tmp_path: Path) -> None:
    profile = PROFILE.replace("rate_hz: 20}", "rate_hz: 20, latency_ms: 30}")
    path = small_robot(tmp_path / "bag", camera_late_s=0.030)
    found = aligned(path, FrameClock(None, "camera"), profile)
    exposures = T0 + np.round((np.arange(200) / 20 + 0.013) * NS).astype(np.int64)
    assert len(found.frames) >= 198 and np.isin(found.frames.ticks, exposures).all()
    assert (found.frames.columns[2].skews == 0).all()
    seconds = (found.frames.ticks - T0) / NS
    assert np.abs(found.frames.columns[0].values[:, 0] - angle(seconds)).max() < 1e-4
    some = aligned(path, FrameClock(5.0, "camera"), profile)
    assert 48 <= len(some.frames) <= 51
    assert np.diff(some.frames.ticks).min() >= 0.15 * NS


def test_a_single_fast_stream_loses_no_sample(tmp_path: Path) -> None:
    path = tmp_path / "fast"
    writer = McapWriter()
    writer.open(path, {})
    channel = Channel(BagTopic("/wrist/wrench", WRENCH, (OfferedQos(),), "", HEADER))
    writer.add_topic(channel)
    stamps = [T0 + i * 1_000_000 for i in range(60_000)]
    writer.write([Sample(channel, wrench(s, 1.0), s + 500_000, s) for s in stamps])
    writer.close()
    found = aligned(path, FrameClock(30.0))
    assert len(found.frames) > 1790 and found.counts[0].overflow == 0
    assert found.certificate.streams["wrench"].count == 60_000


@pytest.mark.parametrize("by_s", [5.0, -5.0, -0.05])
def test_recorded_clock_jumps_are_removed_from_all_stamps(tmp_path: Path, by_s: float) -> None:
    path, jump = tmp_path / "bag", 5 * NS
    writer = McapWriter()
    writer.open(path, {"clock_jumps": json.dumps([[T0 + jump, round(by_s * NS)]])})
    topics = {"/joint_states": JOINTS, "/wrist/wrench": WRENCH}
    channels = {t: Channel(BagTopic(t, k, (OfferedQos(),), "", HEADER)) for t, k in topics.items()}
    samples = []
    for channel in channels.values():
        writer.add_topic(channel)
    for i in range(1000):
        at = T0 + i * NS // 100
        stamp = at + (round(by_s * NS) if at >= T0 + jump else 0)
        samples.append(
            Sample(channels["/joint_states"], joint_state(stamp, 1.0), at + 60_000_000, at)
        )
        samples.append(Sample(channels["/wrist/wrench"], wrench(stamp, 1.0), at + 61_000_000, at))
    writer.write(samples)
    writer.close()
    found = aligned(path, FrameClock(50.0))
    # A jump smaller than the delay is recognised by its time, except for a moment around it.
    near = np.abs(found.frames.ticks - T0 - jump) < 0.2 * NS
    for column in found.frames.columns:
        assert (np.abs(column.skews[~near]) <= 5_000_000).all()
        assert (column.status[~near] <= SampleStatus.INTERPOLATED).all()
    if abs(by_s) > 1:
        for stream in found.certificate.streams.values():
            assert stream.findings() == []


def test_a_truncated_bag_is_aligned_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    whole = small_robot(tmp_path / "bag", 4)
    (path,) = whole.glob("*.mcap")
    data = bytearray(path.read_bytes())
    at = len(data) // 3
    while data[at : at + 1] != b"\x05":  # opcode of a message record near the middle
        at += 1
    data[at : at + 2000] = bytes(2000)
    path.write_bytes(data)
    try:
        found = aligned(whole, FrameClock(30.0))
    except Exception as error:
        assert type(error).__name__ == "BagError" and str(path) in str(error)
    else:
        assert found.problem or len(found.frames) > 0
