"""Is an episode what it says it is? Reads the whole bag and compares."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from robot_recorder.core.decoding import KINDS
from robot_recorder.core.errors import BagError, DecodeError
from robot_recorder.core.frames import decode_frame
from robot_recorder.storage.episodes import PARTIAL, Episode
from robot_recorder.storage.reader import read_messages

_FRAMES = "robot_recorder/msg/AlignedFrame"


def check_episode(path: Path) -> list[str]:
    """What is wrong with an episode, one sentence each; empty when nothing is.

    Works on any rosbag2 bag; what only our own episodes promise is checked on those only.

    Raises:
        BagError: it is not a bag.
    """
    episode = Episode.open(path)
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
                elif message.type == _FRAMES:
                    decode_frame(message.data)
            except (DecodeError, ValueError):
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
    if "streams" in episode.facts:
        for topic, figures in json.loads(episode.facts["streams"]).items():
            if figures["dropped"]:
                problems.append(f"{topic} lost {figures['dropped']} messages while recording")
    return problems
