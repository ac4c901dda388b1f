"""Is a bag what it says it is? Reads all of it and compares counts, order, checksums."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from robot_recorder.core.decoding import KINDS
from robot_recorder.core.errors import BagError, DecodeError
from robot_recorder.core.frame_messages import OWN_READERS
from robot_recorder.core.ids import PARTIAL
from robot_recorder.storage.episodes import Episode
from robot_recorder.storage.mcap_scan import scan
from robot_recorder.storage.reader import read_messages


def structure_problems(episode: Episode) -> list[str]:
    """What is wrong with an episode's files, one sentence each; empty when nothing is.

    Works on any rosbag2 bag; what only our own episodes promise is checked on those only.
    """
    path = episode.path
    problems: list[str] = []
    if path.suffix == PARTIAL:
        problems.append("it was never finalised: the recorder died while recording it")
    counts: Counter[str] = Counter()
    undecodable: Counter[str] = Counter()
    last_ns, backwards = 0, 0
    try:
        for message in read_messages(path):
            counts[message.topic] += 1
            backwards += message.receive_ns < last_ns
            last_ns = message.receive_ns
            kind = KINDS.get(message.type)
            try:
                if kind is not None and kind.decode is not None:
                    kind.decode(message.data)
                elif (read := OWN_READERS.get(message.type)) is not None:
                    read(message.data)
            except DecodeError:
                undecodable[message.topic] += 1
    except BagError as error:
        problems.append(str(error))
    if backwards:
        problems.append(f"{backwards} messages are older than the one before them")
    for topic, declared in sorted(episode.counts.items()):
        if counts[topic] != declared:
            problems.append(f"{topic} has {counts[topic]} messages, metadata.yaml says {declared}")
    for topic, count in sorted(undecodable.items()):
        problems.append(f"{topic} has {count} messages whose bytes do not fit their type")
    for name in episode.metadata["relative_file_paths"]:
        if name.endswith(".mcap") and "episode_id" in episode.facts:
            problems += _check_file(path / name)
    return problems


def recording_problems(episode: Episode) -> list[str]:
    """What went wrong while it was recorded, whatever its files are like; one sentence each."""
    problems = []
    for topic, figures in episode.streams.items():
        for place, count in figures.get("lost", {}).items():
            if count:
                problems.append(f"{topic} lost {count} messages while recording ({place})")
    if episode.is_recovered:
        missing = episode.facts.get("missing") or "not known"
        problems.append(f"it was recovered after a crash; missing: {missing}")
    if "error" in episode.facts:
        problems.append(f"it was aborted: {episode.facts['error']}")
    return problems


def _check_file(path: Path) -> list[str]:
    """Checksums and structure: a bit that has flipped on the disk shows nowhere else."""
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
