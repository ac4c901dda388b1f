"""The content of an episode as arrays on one time axis, for pictures and reports."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_recorder.core.cdr import CdrReader, header_stamp_ns
from robot_recorder.core.decoding import KINDS
from robot_recorder.core.errors import BagError, DecodeError
from robot_recorder.core.streams import NS_PER_S
from robot_recorder.storage.episodes import Episode
from robot_recorder.storage.reader import read_messages

IMAGE_TYPE = "sensor_msgs/msg/CompressedImage"


@dataclass
class Series:
    """One numeric stream.

    Attributes:
        times_s: float64[n], source stamps relative to the episode's start.
        values: float64[n, len(names)].
        names: with units.
    """

    topic: str
    type: str
    names: tuple[str, ...]
    times_s: np.ndarray
    values: np.ndarray


@dataclass
class Pictures:
    """One camera's pictures, still encoded.

    Attributes:
        times_s: one per picture, relative to the episode's start.
        encoded: JPEG or PNG bytes.
    """

    topic: str
    times_s: list[float] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)


@dataclass
class EpisodeData:
    """What could be understood of an episode.

    Attributes:
        problems: sentences about what could not.
    """

    episode: Episode
    series: list[Series]
    pictures: list[Pictures]
    problems: list[str]


def load(episode: Episode) -> EpisodeData:
    """Read and decode a whole bag; what can not be understood is listed, not fatal."""
    numbers: dict[str, tuple[str, tuple[str, ...], list[float], list[np.ndarray]]] = {}
    cameras: dict[str, Pictures] = {}
    problems: dict[str, str] = {}
    try:
        for message in read_messages(episode.path):
            kind = KINDS.get(message.type)
            if kind is None:
                continue
            try:
                stamp_ns = header_stamp_ns(message.data) or message.receive_ns
                time_s = (stamp_ns - episode.start_ns) / NS_PER_S
                if message.type == IMAGE_TYPE:
                    picture = compressed_image(message.data)
                    camera = cameras.setdefault(message.topic, Pictures(message.topic))
                    camera.times_s.append(time_s)
                    camera.encoded.append(picture)
                elif kind.decode is not None:
                    decoded = kind.decode(message.data)
                    entry = numbers.setdefault(message.topic, (message.type, decoded.names, [], []))
                    if decoded.names == entry[1]:
                        entry[2].append(time_s)
                        entry[3].append(decoded.values)
            except DecodeError as error:
                problems[message.topic] = f"{message.topic}: {error}"
    except BagError as error:
        problems[""] = str(error)
    series = [
        Series(topic, kind_, names, np.array(times), np.array(values))
        for topic, (kind_, names, times, values) in sorted(numbers.items())
    ]
    pictures = [cameras[topic] for topic in sorted(cameras)]
    return EpisodeData(episode, series, pictures, list(problems.values()))


def compressed_image(data: bytes) -> bytes:
    """The encoded picture inside a CompressedImage message."""
    reader = CdrReader(data)
    reader.stamp_ns()
    reader.skip_bytes()
    reader.skip_bytes()  # format
    return bytes(reader.raw())
