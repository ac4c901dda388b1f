"""Shows point clouds in 3D, of a long episode only as many as a viewer can hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import rerun as rr

from robot_recorder.content.contents import Clouds, Topic
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.errors import DecodeError
from robot_recorder.view.log import RerunLog, entity, stream_entity
from robot_recorder.view.robot import ROOT

MOST_POINTS = 100_000  # of one cloud
MOST_IN_ALL = 20_000_000  # a viewer takes 16 bytes for each
_RADIUS = -1.5  # negative: in points of the screen, however far away
_COLOUR = (150, 190, 230)  # of clouds without colours


class CloudLog:
    """The log of point clouds: on the robot where their frame is one of its links."""

    def __init__(self, log: RerunLog, every: int, links: Mapping[str, str]) -> None:
        """Log to a recording.

        Args:
            log: the recording.
            every: log one cloud out of this many.
            links: links of the robot that clouds are in, by topic.
        """
        self._log = log
        self._every = every
        self._links = links
        self._seen: Counter[str] = Counter()
        self._thinned: dict[Topic, int] = {}
        self._broken: Counter[Topic] = Counter()

    def add(self, clouds: Clouds) -> None:
        """Log the next clouds of one topic."""
        stream = clouds.topic.stream
        path = cloud_entity(clouds.topic, self._links)
        if not self._seen[stream]:
            self._log.once(path, rr.Points3D.from_fields(radii=[_RADIUS]))
        first = -self._seen[stream] % self._every
        self._seen[stream] += len(clouds.times_s)
        for number in range(first, len(clouds.times_s), self._every):
            try:
                self._send(path, clouds, number)
            except DecodeError:
                self._broken[clouds.topic] += 1

    def _send(self, path: str, clouds: Clouds, number: int) -> None:
        cloud = clouds.cloud(number)
        places = cloud.places(MOST_POINTS)
        if len(places) < cloud.count:
            self._thinned[clouds.topic] = max(cloud.count, self._thinned.get(clouds.topic, 0))
        positions = cloud.positions(places)
        there = np.isfinite(positions).all(axis=1)
        colours = cloud.colours(places)
        count = int(there.sum())
        if colours is None:  # a static colour would hide those of other clouds
            colours = np.tile(np.array(_COLOUR, dtype=np.uint8), (len(places), 1))
        columns = rr.Points3D.columns(
            positions=positions[there].astype(np.float32), colors=colours[there]
        )
        self._log.send(path, clouds.times_s[[number]], columns.partition([count]))

    @property
    def problems(self) -> list[str]:
        """Return what is not shown, one sentence per topic."""
        thinned = [
            f"{topic.name}: {MOST_POINTS:,} of up to {count:,} points of each cloud are shown"
            for topic, count in self._thinned.items()
        ]
        return thinned + [
            f"{topic.name}: {count} clouds cannot be decoded"
            for topic, count in self._broken.items()
        ]


def cloud_entity(topic: Topic, links: Mapping[str, str]) -> str:
    """Return the entity path of a stream's clouds.

    Args:
        topic: of the stream.
        links: links of the robot that clouds are in, by topic.
    """
    link = links.get(topic.name)
    return entity(ROOT, link, topic.stream) if link else stream_entity(topic.stream, "points")


def thinning(first: Sequence[Clouds], topics: Iterable[Topic]) -> int:
    """Return n where one cloud out of n can be shown.

    Args:
        first: the first clouds of each topic, from which the size of all is estimated.
        topics: all topics.
    """
    total = 0
    counts = {t.stream: t.count for t in topics if t.sort is Sort.POINTS}
    for clouds in first:
        try:
            points = min(clouds.cloud(0).count, MOST_POINTS)
        except (DecodeError, IndexError):
            continue
        total += points * counts.get(clouds.topic.stream, 0)
    return max(1, math.ceil(total / MOST_IN_ALL))
