"""The first second of a bag is aligned although its device's clock is unknown to a live run by then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.samples import T0, WRENCH, wrench, wrench_topic

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.topics import Channel, Sample
from robot_recorder.offline.align import frames_of
from robot_recorder.offline.plan import make_plan

MS = 1_000_000
PROFILE = (
    "robot: r\nframe_rate_hz: 20\nstreams:\n"
    f"  wrist: {{topic: wrist/wrench, type: {WRENCH}, role: observation, rate_hz: 100, clock: device}}\n"
)


@pytest.mark.parametrize("seconds", [0.7, 5.0])
def test_a_device_is_aligned_from_the_first_sample_on(tmp_path: Path, seconds: float) -> None:
    rng = np.random.default_rng(3)
    channel = Channel(wrench_topic())
    offset_ns, drift = -7_123 * MS, 1 + 60e-6
    samples = []
    for n in range(round(seconds * 100)):
        at = T0 + n * 10 * MS
        stamp = T0 + round((at - T0) * drift) + offset_ns
        received = at + 2 * MS + round(rng.exponential(1) * MS)
        samples.append(Sample(channel, wrench(stamp, (float(n),) * 6), received, received))
    writer = McapWriter()
    writer.open(tmp_path / "bag", {})
    writer.add_topic(channel)
    writer.write(sorted(samples, key=lambda s: s.receive_ns))
    writer.close()
    episode, profile = Episode.open(tmp_path / "bag"), parse_profile(PROFILE, "p")
    (seed,) = make_plan(episode, profile).seeds.values()
    assert seed.first is not None and seed.clock is None
    found = frames_of(episode, profile=profile)
    column = found.column("wrist")
    assert len(found.frames.ticks) >= seconds * 20 - 3
    assert (column.status == SampleStatus.INTERPOLATED).mean() > 0.9
    wanted = (found.frames.ticks - T0) / (10 * MS)
    there = column.status == SampleStatus.INTERPOLATED
    # The shortest delay cannot be told from an offset.
    assert np.abs(column.values[there, 0] - (wanted - 0.2)[there]).max() < 0.15
