"""Read one stream of a bag: its values as arrays, or its pictures. Part of the Python API."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_recorder.alignment.stream_decoder import widened
from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.content.contents import Contents, Numbers, Topic
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.errors import BagError
from robot_recorder.quality.video_decoder import NotYetDecodable


def read_values(episode: Episode, stream: str) -> Numbers:
    """Return all values of a stream, in order of receipt, not aligned.

    Args:
        stream: its name in the robot profile, or its topic.

    Returns:
        Names with units, times in s since the episode's start, and values float64[n, len(names)];
        NaN where a message lacks a value.

    Raises:
        BagError: the bag has no such stream, or it has no values.
    """
    contents = Contents.open(episode.path)
    topic = _find(contents, stream)
    parts = [n for batch in contents.batches([topic]) for n in batch.numbers]
    if not parts:
        why = "; ".join(contents.problems)
        raise BagError(f"{episode.path}: '{stream}' ({topic.type}) has no values. {why}".rstrip())
    names = parts[-1].names  # the last batch has the names of all earlier ones
    rows = np.concatenate([widened(p.values, len(names)) for p in parts])
    return Numbers(topic, names, np.concatenate([p.times_s for p in parts]), rows)


def read_pictures(episode: Episode, stream: str) -> Iterator[tuple[float, np.ndarray]]:
    """Yield time since the episode's start, s, and pixels of each picture of a camera.

    Pixels are uint8[height, width, 3], RGB; distances are drawn in colours. A video begins with its
    first key frame.

    Args:
        stream: its name in the robot profile, or its topic.

    Raises:
        BagError: the bag has no such camera.
        DecodeError: a picture cannot be decoded.
    """
    contents = Contents.open(episode.path)
    topic = _find(contents, stream)
    if topic.sort is not Sort.IMAGE:
        raise BagError(f"{episode.path}: '{stream}' ({topic.type}) is not a camera")
    for batch in contents.batches([topic]):
        for images in batch.images:
            for number, time_s in enumerate(images.times_s.tolist()):
                try:
                    picture = images.picture(number)
                except NotYetDecodable:
                    continue
                yield time_s, picture.pixels()


def _find(contents: Contents, stream: str) -> Topic:
    found = [t for t in contents.topics if t.stream == stream]
    found = found or [t for t in contents.topics if t.name == stream]
    path = contents.episode.path
    if not found:
        known = {name for t in contents.topics for name in (t.stream, t.name)}
        raise BagError(f"{path}: no stream '{stream}'; {did_you_mean(stream, known)}")
    if len(found) > 1:
        names = ", ".join(t.stream for t in found)
        raise BagError(f"{path}: several streams are read from {stream}: name one of {names}")
    return found[0]
