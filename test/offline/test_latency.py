"""Latency from shared events: a camera on a swinging joint, a force that follows it.

Holds also: activity.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bags import PROFILE, small_robot

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import ConfigError
from robot_recorder.offline.latency import estimate_latencies
from robot_recorder.offline.plan import make_plan


def recording(path: Path, profile: str = PROFILE):
    episode = Episode.open(path)
    return episode, make_plan(episode, parse_profile(profile, "p"))


@pytest.mark.parametrize("late_ms", [0, 27, 80])
def test_a_cameras_latency_is_estimated_far_more_precisely_than_its_period(
    tmp_path: Path, late_ms: int
) -> None:
    path = small_robot(tmp_path / "bag", 20, camera_late_s=late_ms / 1e3)
    (found,) = [e for e in estimate_latencies([recording(path)], "joints") if e.stream == "camera"]
    assert found.known and found.fit > 0.8
    assert abs(found.remaining_ms - late_ms) < 3
    if late_ms:
        assert found.proposal.startswith("camera: latency_ms: ") and "now 0" in found.proposal
    else:
        assert found.proposal == ""


def test_the_proposal_includes_the_latency_that_the_profile_has_already(tmp_path: Path) -> None:
    path = small_robot(tmp_path / "bag", 20, camera_late_s=0.05)
    profile = PROFILE.replace("rate_hz: 20}", "rate_hz: 20, latency_ms: 20}")
    found = {e.stream: e for e in estimate_latencies([recording(path, profile)])}["camera"]
    assert abs(found.remaining_ms - 30) < 3 and found.profile_ms == 20
    proposed = float(found.proposal.split("latency_ms: ")[1].split()[0])
    assert abs(proposed - 50) < 3


def test_streams_without_common_events_get_no_proposal(tmp_path: Path) -> None:
    path = small_robot(tmp_path / "bag", 1)
    assert all(not e.known and e.proposal == "" for e in estimate_latencies([recording(path)]))
    with pytest.raises(ConfigError, match=r"'nothing' has no values that change; there are joints"):
        estimate_latencies([recording(path)], "nothing")
