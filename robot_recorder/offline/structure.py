"""Check that a bag is intact: read all of it and compare counts and checksums."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from robot_recorder.alignment.frame_messages import OWN_READERS
from robot_recorder.bags.bag import data_files
from robot_recorder.bags.columns import CDR, Column, read_types
from robot_recorder.bags.mcap_scan import scan
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.kinds import KINDS
from robot_recorder.model.errors import BagError, DecodeError
from robot_recorder.model.ids import PARTIAL


@dataclass
class Structure:
    """The result of reading a whole bag.

    Attributes:
        problems: sentences about what is wrong with its files.
        messages: number of messages read.
    """

    problems: list[str] = field(default_factory=list)
    messages: int = 0


def structure_of(episode: Episode) -> Structure:
    """Read a whole bag and compare it with its metadata.

    Works on any rosbag2 bag. Checksums and gaps are checked only in our own episodes.
    """
    found = Structure(list(episode.notes))
    if episode.path.suffix == PARTIAL:
        found.problems.append("it was never finalised: the recorder died while recording it")
    counts = _read_all(episode.path, found)
    found.messages = sum(counts.values())
    _compare(episode, counts, found)
    if "episode_id" in episode.facts:
        _check_files(episode, found)
    return found


def structure_problems(episode: Episode) -> list[str]:
    """Return sentences about what is wrong with an episode's files; empty: nothing."""
    return structure_of(episode).problems


def recording_problems(episode: Episode) -> list[str]:
    """Return sentences about what went wrong during recording, by the episode's own account."""
    problems = []
    for topic, figures in episode.streams.items():
        for place, count in figures.get("lost", {}).items():
            if count:
                problems.append(f"{topic} lost {count} messages while recording ({place})")
    if episode.is_recovered:
        missing = episode.facts.get("missing") or "unknown"
        problems.append(f"it was recovered after a crash; missing: {missing}")
    if "error" in episode.facts:
        problems.append(f"it was aborted: {episode.facts['error']}")
    return problems


def _read_all(path: Path, found: Structure) -> Counter[tuple[str, str]]:
    """Count messages by topic and type, and add problems of reading and decoding."""
    counts: Counter[tuple[str, str]] = Counter()
    undecodable: Counter[str] = Counter()
    try:
        for topic, kind, column in read_types(path, verify=True):
            counts[topic, kind] += len(column.receives)
            undecodable[topic] += _undecodable(kind, column)
    except BagError as error:
        found.problems.append(str(error))
    for topic, count in sorted(undecodable.items()):
        if count:
            found.problems.append(f"{topic} has {count} messages whose bytes do not fit their type")
    return counts


def _undecodable(kind: str, column: Column) -> int:
    """Return the number of messages whose bytes do not fit their type."""
    known = KINDS.get(kind)
    decode = known.decode if known is not None else OWN_READERS.get(kind)
    if decode is None:
        return 0
    bad = 0
    for number in range(len(column.receives)):
        try:
            decode(column.payloads[number])
        except DecodeError:
            bad += 1
    return bad


def _compare(episode: Episode, counts: Counter[tuple[str, str]], found: Structure) -> None:
    """Add a problem for every topic whose message count differs from the metadata."""
    declared: Counter[tuple[str, str]] = Counter()
    for entry in episode.metadata["topics_with_message_count"]:
        topic = entry["topic_metadata"]
        if topic.get("serialization_format", CDR) == CDR:
            declared[topic["name"], topic["type"]] += entry["message_count"]
    for name, kind in sorted({*declared, *counts}):
        read, said = counts[name, kind], declared[name, kind]
        if read != said:
            found.problems.append(f"{name} has {read} messages, metadata.yaml says {said}")


def _check_files(episode: Episode, found: Structure) -> None:
    try:
        for file in data_files(episode.path, episode.metadata):
            if file.suffix == ".mcap":
                found.problems += _check_file(file)
    except BagError as error:
        if str(error) not in found.problems:
            found.problems.append(str(error))


def _check_file(path: Path) -> list[str]:
    """Return problems with checksums and structure: only these reveal a flipped bit."""
    try:
        found = scan(path)
    except BagError as error:
        return [str(error)]
    problems = [f"{path.name}: {size} bytes at {at} are damaged" for at, size in found.damaged]
    missing = sum(found.gaps.values())
    if missing:
        problems.append(f"{path.name}: {missing} messages are missing in between")
    if not (found.finished and found.begins_well) or found.patches:
        problems.append(f"{path.name}: its header or index is damaged")
    return problems
