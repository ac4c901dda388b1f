"""A bag aligned offline, with a progress bar: for ``align``, ``certificate`` and ``latency``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from robot_recorder.cli.progress import progress
from robot_recorder.configuration.find import load_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.streams import NS_PER_MS
from robot_recorder.offline.align import Alignment, align_episode
from robot_recorder.offline.plan import Plan, make_plan


def plan_of(
    path: Path, profile: str | None = None, deadline_ms: float | None = None
) -> tuple[Episode, Plan]:
    """Open a bag and plan its alignment.

    Args:
        profile: robot profile; None: the bag's own, or else a guess.
        deadline_ms: how long late streams are waited for; None: the profile's.

    Raises:
        RecorderError: the bag cannot be read, or the profile is invalid.
    """
    episode = Episode.open(path)
    loaded = load_profile(profile) if profile else None
    deadline_ns = round(deadline_ms * NS_PER_MS) if deadline_ms else None
    return episode, make_plan(episode, loaded, deadline_ns)


def aligned(
    episode: Episode, plan: Plan, rate_hz: float | None = None, reference: str = ""
) -> Alignment:
    """Align a bag by its plan, with a progress bar.

    Args:
        rate_hz: frames per second; None: the profile's.
        reference: stream or topic whose samples are the ticks; empty: the profile's.

    Raises:
        RecorderError: it cannot be aligned like this.
    """
    clock = plan.frame_clock(rate_hz, reference)
    with progress(episode.id) as told:
        return align_episode(episode, plan, clock, partial(told, "aligning"))
