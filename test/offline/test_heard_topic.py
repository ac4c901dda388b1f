"""What the messages of one topic tell about it.

Holds also: guess_bag.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.bags import JOINTS, joint_state
from support.made import bag
from support.samples import T0
from support.vendor import LOW_COMMAND, LOW_STATE, low_command, low_state, vendor_bag

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.offline.guess_bag import guess_with_mappings, heard_topics, profile_yaml
from robot_recorder.offline.heard_topic import HeardTopic, rate_of, summary_of
from robot_recorder.offline.plan import make_plan

MS = 1_000_000


def joints(at: list[int], stamps: list[int], scale: float = 1.0) -> HeardTopic:
    data = [joint_state(stamp, scale * float(np.sin(n)), 0.0) for n, stamp in enumerate(stamps)]
    return HeardTopic("/joint_states", JOINTS, "", data, at, at, len(at))


def test_rate_disorder_and_names_are_measured() -> None:
    at = [T0 + n * 10 * MS for n in range(100)]
    stamps = [t - (30 * MS if n == 50 else 0) for n, t in enumerate(at)]
    topic = joints(at, stamps)
    found = summary_of(topic)
    assert found.disorder_ns == 20 * MS and len(found.joints) == 2 and not found.device
    assert rate_of(topic) == 100 and rate_of(HeardTopic("/a", JOINTS)) == 0
    assert found.unit == ("", "") and found.stamps == ""


def test_degrees_other_clocks_and_empty_stamps_are_noticed() -> None:
    at = [T0 + n * 10 * MS for n in range(100)]
    found = summary_of(joints(at, [t - 3600 * 10**9 for t in at], scale=80.0))
    assert found.unit[0] == "deg" and "suspected" in found.unit[1] and found.device
    found = summary_of(joints(at, [0] * 100, scale=2000.0))
    assert found.unit[0] == "raw" and "always 0" in found.stamps and not found.device


def test_a_bag_is_guessed_with_mappings_and_aligned_by_them(tmp_path: Path) -> None:
    path = vendor_bag(tmp_path / "g1", {
        "/lowstate": ("unitree_hg/msg/LowState", LOW_STATE, low_state, 200),
        "/lowcmd": ("unitree_hg/msg/LowCmd", LOW_COMMAND, low_command, 100),
    })  # fmt: skip
    episode = Episode.open(path)
    assert {t: len(h.messages) for t, h in heard_topics(episode).items()}["/lowstate"] >= 80
    profile = parse_profile(profile_yaml(episode), "guess")
    plan = make_plan(episode, profile)
    assert not plan.unread and len(plan.aligned) == 3
    assert plan.readers["lowstate"].text == "tick"
    assert make_plan(episode).profile.streams[0].mapping is None, "nobody has confirmed the mapping"


def test_a_latency_that_a_bag_tells_is_proposed(tmp_path: Path) -> None:
    grid = np.arange(0, 21, 0.05)
    moves = np.cumsum(np.random.default_rng(1).normal(0, 0.05, (6, len(grid))), axis=1)

    def motion(late_s: float, hz: float) -> tuple[str, list[tuple[int, bytes]]]:
        found = []
        for at in np.arange(0.5, 20, 1 / hz).tolist():
            angles = [float(np.interp(at - late_s, grid, row)) for row in moves]
            stamp = T0 + round(at * 1e9)
            found.append((stamp + MS, joint_state(stamp, *angles)))
        return JOINTS, found

    topics = {"/arm/joint_states": motion(0, 200), "/tracker/joint_states": motion(0.06, 50)}
    path = bag(tmp_path / "late", topics)
    text = guess_with_mappings(Episode.open(path)).text
    assert "perhaps latency_ms: 60" in text and "arm_joint_states" in text
