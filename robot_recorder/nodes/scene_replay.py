"""The content of the overlay for an episode being played, from its metadata and frames."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

from rclpy.node import Node

from robot_recorder.alignment.frame_messages import decode_frame
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import DecodeError, RecorderError
from robot_recorder.model.marks import marks_of
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.newest_message import Newest
from robot_recorder.rviz.layout import look_at
from robot_recorder.rviz.overlay import FrameTrouble, Situation, State
from robot_recorder.rviz.placement import Placement, placement

_CLOCK = struct.Struct("<iI")
_FRAMES = 30  # kept between two updates


class Replay:
    """The source for an episode being played; its time is ``/clock``."""

    lifetime_s = 0  # forever, because the playing speed may vary

    def __init__(self, node: Node, listener: Node, path: Path) -> None:
        """Open the episode.

        Args:
            node: used for its log.
            listener: a node in no executor, used to subscribe.
            path: the bag.

        Raises:
            BagError: the bag cannot be read.
        """
        self._node, self._listener, self._path = node, listener, path
        episode = Episode.open(path)
        shown = look_at(episode)
        if shown.problem:
            NodeLog(node).warning(f"only the overlay is shown: {shown.problem}")
        self.streams = list(shown.sensors)
        self.placement: Placement | None = (
            placement(shown.description) if shown.description else Placement(shown.frame)
        )
        self._frames_topic = shown.frames
        self._clock: Newest | None = None
        self._frames: Newest | None = None
        self._clock_ns: int | None = None
        self._trouble = FrameTrouble()
        self._read_at = self._metadata_time()
        self._start_ns, self._known = episode.start_ns, _situation(episode)

    def listen(self, watched: bool) -> None:
        """Subscribe to clock and frames while there are viewers."""
        for one in (self._clock, self._frames):
            if one is not None:
                one.close()
        self._clock = self._frames = None
        if watched:
            self._clock = Newest(self._listener, "/clock", "rosgraph_msgs/msg/Clock")
            if self._frames_topic:
                kind = "robot_recorder/msg/AlignedFrame"
                self._frames = Newest(self._listener, self._frames_topic, kind, _FRAMES)

    def now_s(self) -> float:
        """Return the played time since the start of the episode, s; 0 before playing begins."""
        for data in self._clock.take() if self._clock is not None else ():
            sec, nanosec = _CLOCK.unpack_from(data, 4)
            self._clock_ns = sec * NS_PER_S + nanosec
        return (self._clock_ns - self._start_ns) / NS_PER_S if self._clock_ns is not None else 0.0

    def situation(self) -> Situation:
        """Return the content of the overlay."""
        self._read_again()
        now_s = self.now_s()
        for data in self._frames.take() if self._frames is not None else ():
            try:
                self._trouble.see(*decode_frame(data), now_s)
            except DecodeError:
                continue  # written by another version
        return replace(
            self._known,
            at_s=None if self._clock_ns is None else now_s,
            trouble=self._trouble.words(now_s),
            streams=self._trouble.streams,
        )

    def _metadata_time(self) -> int:
        try:
            return (self._path / METADATA_FILE).stat().st_mtime_ns
        except OSError:
            return 0

    def _read_again(self) -> None:
        """Read the metadata again if it has changed, such as by a new label."""
        changed = self._metadata_time()
        if changed in (0, self._read_at):
            return
        self._read_at = changed
        try:
            self._known = _situation(Episode.open(self._path))
        except RecorderError as error:
            NodeLog(self._node).warning(f"the overlay is not updated: {error}")


def _situation(episode: Episode) -> Situation:
    labels, quality = episode.labels, episode.quality
    return Situation(
        State.PLAYBACK,
        task=labels.task or episode.facts.get("task", ""),
        instruction=labels.instruction or episode.facts.get("instruction", ""),
        operator=labels.operator_name or episode.facts.get("operator", ""),
        duration_s=episode.duration_s,
        outcome=labels.outcome,
        cause=labels.cause,
        verdict=quality.verdict,
        sentence=quality.sentence,
        marks=marks_of(labels, episode.start_ns),
    )
