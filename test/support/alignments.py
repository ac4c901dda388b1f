"""Alignments of bags by a given profile."""

from __future__ import annotations

from pathlib import Path

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.streams import FrameClock
from robot_recorder.offline.align import Alignment, align_episode
from robot_recorder.offline.plan import make_plan
from support.bags import PROFILE


def aligned(path: Path, clock: FrameClock, profile: str = PROFILE) -> Alignment:
    episode = Episode.open(path)
    return align_episode(episode, make_plan(episode, parse_profile(profile, "p")), clock)
