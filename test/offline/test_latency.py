"""Latency from shared events: a camera on a swinging joint, a force that follows it.

Holds also: activity.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.bags import JOINTS, NS, PROFILE, angle, joint_state, picture, small_robot
from support.made import bag
from support.samples import T0

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.content.image_files import picture_of
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.image_messages import COMPRESSED
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


def test_a_video_is_decoded_in_order(tmp_path: Path) -> None:
    """Also past its first packets, which lack a key frame."""
    pytest.importorskip("av")
    from support.videos import encoded, video

    from robot_recorder.messages.video_messages import VIDEO

    at = np.arange(400) / 20 + 0.013
    shown = [picture_of(COMPRESSED, picture(T0, float(s))).pixels() for s in at]
    stamps = [T0 + round((s + 0.027) * NS) for s in at]
    packets = [video(d, "h264", t) for d, t in zip(encoded(shown, gop=30), stamps)]
    moves = [T0 + n * 10**7 for n in range(2000)]
    angles = [(t + 400_000, joint_state(t, float(angle((t - T0) / NS)))) for t in moves]
    late = [(t + 8_000_000, d) for t, d in zip(stamps, packets)][5:]
    path = bag(
        tmp_path / "bag", {"/joint_states": (JOINTS, angles), "/camera/video": (VIDEO, late)}
    )
    profile = PROFILE.replace("camera/image/compressed, type: sensor_msgs/msg/CompressedImage",
                              f"camera/video, type: {VIDEO}")  # fmt: skip
    (found,) = [
        e for e in estimate_latencies([recording(path, profile)], "joints") if e.stream == "camera"
    ]
    assert found.known and abs(found.remaining_ms - 27) < 5
