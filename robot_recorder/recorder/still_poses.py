"""Notice poses of an operator that stand still, as those of a headset do that nobody wears.

A living head or hand is never still: it sways by millimetres within seconds, and trembles. What
lies on a table, or is repeated by a driver that lost it, stays within the noise of its tracking.
A hand may rest on the table while the headset is worn, so a device is judged as a whole:

- if it has a head, by the head alone;
- otherwise all its poses must be still, and its clock must be its own (``clock: device``), because
  a pose that the robot's software computes may rest, such as that of a space mouse.

Streams are of one device if their topics differ only in the last part of the name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.kinds import decoder_of, kind_of
from robot_recorder.messages.skeleton import is_head, is_operators
from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S, SourceClockKind
from robot_recorder.model.topics import Channel, Sample
from robot_recorder.recorder.live_stream import LiveStream, decoders_by_name

STILL_NS = 3 * NS_PER_S  # no living body is still for so long
_LOOK_NS = 250 * NS_PER_MS  # messages between two looks are not decoded
_MOVED_M = 1e-3  # far above the noise of tracking, far below the sway of a head
_MOVED_PART = 0.0017  # of a unit quaternion: 0.2 degrees


class StillPose:
    """When the poses of one stream last moved. Memory: one message's values."""

    def __init__(self, stream: LiveStream) -> None:
        """Create it for a stream of poses."""
        self.config, self.topic = stream.config, stream.channel.topic
        self._decode = decoder_of(stream.config, decoders_by_name([stream]))
        self._names: tuple[str, ...] = ()
        self._most: Floats = np.empty(0)  # changes above these are motions
        self._anchor: Floats = np.empty(0)
        self._moved_ns = self._seen_ns = 0

    @property
    def still_ns(self) -> int:
        """Return how long it had not moved when it was last looked at, ns."""
        return self._seen_ns - self._moved_ns

    @property
    def is_head(self) -> bool:
        """Return whether it is the pose of a worn head."""
        return is_head(self.config.name, self.config.topic.rpartition("/")[2])

    def see(self, sample: Sample) -> None:
        """Take a message; most of them are not decoded."""
        if self._decode is None or 0 <= sample.receive_ns - self._seen_ns < _LOOK_NS:
            return
        try:
            decoded = self._decode(sample.data)
        except DecodeError:
            return  # the checks report it
        first, self._seen_ns = not self._seen_ns, sample.receive_ns
        if first or self._moved(decoded):
            self._begin(decoded)

    def _moved(self, decoded: Decoded) -> bool:
        """Return whether any value is further from the anchor than noise; slow motion adds up."""
        if decoded.names != self._names:
            return True
        # Written so that NaN counts as motion: a broken pose is no still one.
        return not bool((np.abs(decoded.values - self._anchor) <= self._most).all())

    def _begin(self, decoded: Decoded) -> None:
        """Measure motion from these values."""
        if decoded.names != self._names:
            self._names = decoded.names
            turns = [name.startswith("orientation/") for name in self._names]
            self._most = np.where(turns, _MOVED_PART, _MOVED_M)
        self._anchor, self._moved_ns = decoded.values, self._seen_ns

    def shift(self, by_ns: int) -> None:
        """Shift its times after the robot clock was set by ``by_ns``."""
        self._moved_ns += by_ns
        self._seen_ns += by_ns


class StillPoses:
    """All streams of one robot that have poses of an operator."""

    def __init__(self) -> None:
        """Start without streams."""
        self._poses: defaultdict[Channel, list[StillPose]] = defaultdict(list)

    def watch(self, stream: LiveStream) -> None:
        """Start to watch a stream, if it has poses of an operator."""
        if is_operators(kind_of(stream.config).sort, stream.config.role):
            self._poses[stream.channel].append(StillPose(stream))

    def see(self, sample: Sample) -> None:
        """Take a message of any stream."""
        for pose in self._poses.get(sample.channel, ()):
            pose.see(sample)

    def shift(self, by_ns: int) -> None:
        """Shift all times after the robot clock was set by ``by_ns``."""
        for pose in self._every():
            pose.shift(by_ns)

    def _every(self) -> Iterator[StillPose]:
        yield from (pose for poses in self._poses.values() for pose in poses)

    def remedies(self) -> dict[str, str]:
        """Return what is still and what to do, by name of each stream that nobody moves."""
        devices: defaultdict[str, list[StillPose]] = defaultdict(list)
        for pose in self._every():
            devices[pose.topic.rpartition("/")[0]].append(pose)
        found = {}
        for poses in devices.values():
            heads = [pose for pose in poses if pose.is_head]
            still = [pose for pose in heads or poses if pose.still_ns >= STILL_NS]
            own = all(pose.config.clock is SourceClockKind.DEVICE for pose in poses)
            if heads or (own and len(still) == len(poses)):
                remedy = "put on the headset" if heads else "wear it, or restart its tracking"
                for pose in still:
                    seconds = pose.still_ns / NS_PER_S
                    text = f"{pose.topic} has not moved for {seconds:.0f} s: {remedy}"
                    found[pose.config.name] = text
        return found
