"""Guess the profile of a bag from its messages, and the latencies of its streams."""

from __future__ import annotations

from dataclasses import replace

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.kinds import Sort, kind_of
from robot_recorder.model.errors import RecorderError
from robot_recorder.model.streams import RobotProfile
from robot_recorder.offline.definitions import bag_definitions
from robot_recorder.offline.guess import Guess
from robot_recorder.offline.heard_topic import HeardTopic, topics_of_bag
from robot_recorder.offline.latency import estimate_latencies
from robot_recorder.offline.plan import guess_of, make_plan, topics_of

_MOST_MESSAGES = 60_000  # a longer bag takes too long to estimate latencies by the way
_PICTURES = (Sort.IMAGE, Sort.POINTS)


def profile_yaml(episode: Episode) -> str:
    """Return the YAML of the profile in a bag, or of one guessed from its topics and messages.

    Raises:
        BagError: the bag cannot be read.
        ConfigError: no topic looks like a sensor.
    """
    return episode.facts.get("profile_yaml", "") or guess_with_mappings(episode).text


def guess_with_mappings(episode: Episode) -> Guess:
    """Guess the profile of a bag, with mappings for types that nobody described.

    A bag that is aligned or checked without a profile is read by a plainer guess: what a mapping
    means has to be confirmed by a person first.

    Raises:
        BagError: the bag cannot be read.
        ConfigError: no topic looks like a sensor.
    """
    guess = guess_of(episode, topics_of(episode), heard_topics(episode))
    _propose_latencies(episode, guess)
    return guess


def heard_topics(episode: Episode) -> dict[str, HeardTopic]:
    """Return the topics of a bag, with some of their messages.

    Raises:
        BagError: the bag cannot be read.
    """
    known = bag_definitions(episode.path)
    topics = {t: (kind, known.get(kind, "")) for t, (kind, _) in topics_of(episode).items()}
    return topics_of_bag(episode.path, topics)


def _propose_latencies(episode: Episode, guess: Guess) -> None:
    """Add a remark to each stream whose latency the bag tells; pictures take too long for that."""
    if sum(episode.counts.values()) > _MOST_MESSAGES:
        return
    try:
        profile = parse_profile(guess.text, "guess")
        estimates = estimate_latencies([(episode, make_plan(episode, _without_pictures(profile)))])
    except (RecorderError, ValueError):  # numbers that are no motion
        return  # a remark less
    streams = {stream.name: stream for stream in guess.draft.streams}
    for estimate in estimates:
        if estimate.proposal and estimate.stream in streams:
            text = (
                f"perhaps latency_ms: {estimate.profile_ms + estimate.remaining_ms:.1f}, as it follows "
                f"{estimate.reference} that much later; see robot-recorder latency"
            )
            streams[estimate.stream].remark("rate_hz", text)


def _without_pictures(profile: RobotProfile) -> RobotProfile:
    """Return a profile without streams of pictures."""
    kept = tuple(s for s in profile.streams if kind_of(s).sort not in _PICTURES)
    return replace(profile, streams=kept)
