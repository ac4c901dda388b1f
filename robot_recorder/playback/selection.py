"""Selects the topics of a bag to play, and where playback begins."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robot_recorder.bags.columns import bag_topics
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.topics import BagTopic
from robot_recorder.playback.recorded_qos import recorded_offers

_CDR = "cdr"


@dataclass(frozen=True)
class Selection:
    """The topics and the span of a bag to play.

    Attributes:
        topics: topics to play with their message counts.
        unplayable: topics that cannot be played, and why.
        span_ns: beginning of the bag, start of playback, end of the bag; ns since the epoch.
    """

    topics: dict[BagTopic, int]
    unplayable: dict[str, str]
    span_ns: tuple[int, int, int]

    @property
    def start_s(self) -> float:
        """Return where playback starts, s from the beginning of the bag."""
        return (self.span_ns[1] - self.span_ns[0]) / NS_PER_S

    @property
    def duration_s(self) -> float:
        """Return the length of the bag, s."""
        return (self.span_ns[2] - self.span_ns[0]) / NS_PER_S


def choose(episode: Episode, topics: Sequence[str] = (), start_s: float = 0.0) -> Selection:
    """Select the topics to play, and where playback begins.

    Args:
        episode: the bag.
        topics: names, with or without the leading slash; empty: all.
        start_s: s from the first message.

    Raises:
        ConfigError: a topic or the start is not in the bag.
        BagError: it contains no messages.
    """
    metadata = episode.metadata
    unplayable: dict[str, str] = {}
    found = _one_of_each(episode, unplayable)
    names = [_known(name, list(found), episode) for name in topics] or list(found)
    chosen = {}
    for name in names:
        described, count = found[name]["topic_metadata"], int(found[name]["message_count"])
        encoding = described.get("serialization_format", _CDR)
        if count and encoding != _CDR:
            unplayable[name] = f"its messages are {encoding}, not {_CDR}"
        elif count and "/msg/" not in str(described["type"]):
            unplayable[name] = f"{described['type']} belongs to a service or an action"
        elif count:
            chosen[_topic(described)] = count
    first_ns = int(metadata["starting_time"]["nanoseconds_since_epoch"])
    duration_ns = int(metadata["duration"]["nanoseconds"])
    if not chosen and not unplayable:
        where = f" on {', '.join(names)}" if topics else ""
        raise BagError(f"{episode.path} holds no messages{where}: there is nothing to play")
    if not math.isfinite(start_s) or not 0 <= start_s * NS_PER_S <= duration_ns:
        raise ConfigError(
            f"start {start_s:g} s is not within {episode.path}, which is {duration_ns / NS_PER_S:.1f} s long"
        )
    span_ns = first_ns, first_ns + round(start_s * NS_PER_S), first_ns + duration_ns
    return Selection(chosen, unplayable, span_ns)


def _one_of_each(episode: Episode, unplayable: dict[str, str]) -> dict[str, Any]:
    """Return the metadata of each topic; with several types, that of the type that is read."""
    found: dict[str, Any] = {}
    for entry in episode.metadata["topics_with_message_count"]:
        name, kind = entry["topic_metadata"]["name"], entry["topic_metadata"]["type"]
        if name in found:
            right = bag_topics(episode.path)[name][0]
            left_out = found[name]["topic_metadata"]["type"] if kind == right else kind
            unplayable[name] = f"its messages of type {left_out} (those of {right} are played)"
            if kind != right:
                continue
        found[name] = entry
    return found


def _topic(described: dict) -> BagTopic:  # type: ignore[type-arg]
    hash = str(described.get("type_description_hash") or "")
    return BagTopic(described["name"], described["type"], recorded_offers(described), hash)


def _known(name: str, names: list[str], episode: Episode) -> str:
    known = next((n for n in (name, f"/{name}", name.lstrip("/")) if n in names), None)
    if known is None:
        near = difflib.get_close_matches(f"/{name.lstrip('/')}", names, n=3, cutoff=0.4) or sorted(
            names
        )
        raise ConfigError(f"{episode.path} has no topic {name}; it has {', '.join(near)}")
    return known
