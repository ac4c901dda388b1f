"""Newest pictures and readings of the streams that somebody looks at.

One thread takes them from DDS at its own pace: what nobody looks at is not subscribed to, and what comes in
between is never read. So a slow page costs neither the recorder nor the robot.
"""

from __future__ import annotations

import json
import re
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node

from robot_recorder.content.image_files import picture_of, shrunk
from robot_recorder.messages.cdr import header_stamp_ns
from robot_recorder.messages.installed_types import message_definition
from robot_recorder.messages.kinds import Sort, kind_of, sort_of, stream_decoder
from robot_recorder.messages.video_messages import VIDEO_TYPES
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.streams import RobotProfile, Role, StreamConfig
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.newest_message import Newest

_LOOK_S = 0.008
_BARS_S = 0.1
_SILENT_S = 2.0  # of a stream, until its last reading is no longer shown
_WIDEST = 960  # pixels; larger pictures are shrunk, which a page does not need larger
_UNIT = re.compile(r"\(([^()]*)\)$")
_LEAST_MOST = {Sort.WRENCH: 40.0, Sort.TACTILE: 1e-9}  # of a bar's scale, N; touch has any unit


def camera_streams(profile: RobotProfile) -> dict[str, StreamConfig]:
    """Return the cameras whose pictures can be shown as they come, by name; not those of video."""
    return {
        s.name: s for s in profile.streams
        if sort_of(s.type) is Sort.IMAGE and s.type not in VIDEO_TYPES
    }  # fmt: skip


def packed(stream: str, receive_s: float, stamp_ns: int, data: bytes) -> bytes:
    """Return a picture as the pages read it: length of a JSON header, the header, the file.

    Args:
        stream: its name.
        receive_s: when it was taken from DDS, s since the epoch.
        stamp_ns: its header's stamp, of whatever clock the camera has.
        data: of the file.
    """
    times = {"stamp_ms": round(receive_s * 1e3, 1), "source_ms": round(stamp_ns / 1e6, 1)}
    header = json.dumps({"stream": stream, **times}).encode()
    return struct.pack(">I", len(header)) + header + data


class ForceBar:
    """The newest force or touch of one stream."""

    def __init__(self, stream: StreamConfig, kind: Sort) -> None:
        """Read the stream's decoder.

        Raises:
            ConfigError: its type is not known.
        """
        self.stream = stream
        self._kind = kind
        decode = stream_decoder(stream, message_definition(stream.type))
        if decode is None:
            raise ConfigError(f"{stream.type} has no values")
        self._decode = decode
        self._most = _LEAST_MOST[kind]

    def reading(self, data: bytes) -> dict[str, Any]:
        """Return what a page draws: the size of the force, or the largest taxel.

        Raises:
            DecodeError: it is not of the stream's type.
        """
        decoded = self._decode(data)
        values = np.asarray(decoded.values, dtype=np.float64)
        with np.errstate(all="ignore"):
            value = float(np.linalg.norm(values[:3])) if self._kind is Sort.WRENCH else float(
                values.max(initial=0.0))  # fmt: skip
        known = bool(np.isfinite(value))
        if known and value > self._most:
            self._most = float(f"{value * 1.1:.2g}")
        found = _UNIT.search(decoded.names[0]) if decoded.names else None
        return {
            "name": self.stream.name,
            "kind": "force" if self._kind is Sort.WRENCH else "touch",
            "value": value if known else None,
            "most": self._most,
            "unit": found[1] if found else "",
        }


class Previews:
    """Takes pictures and readings in a thread of its own.

    Attributes:
        bars: newest readings, replaced whole; empty while nobody looks.
    """

    def __init__(
        self, profile: RobotProfile, namespace: str, came: Callable[[str, bytes], None],
        moved: Callable[[], None],
    ) -> None:  # fmt: skip
        """Start the thread; it subscribes to nothing yet.

        Args:
            profile: the robot's.
            namespace: of its topics.
            came: called in the thread with a camera's name and its newest picture, packed.
            moved: called in the thread when ``bars`` were replaced.
        """
        self.cameras = camera_streams(profile)
        self.bars: list[dict[str, Any]] = []
        self._came, self._moved = came, moved
        self._node: Node = rclpy.create_node(
            "console_pictures",
            namespace=namespace,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._log = NodeLog(self._node)
        self._bars = self._readable(profile)
        self._wanted: frozenset[str] = frozenset()
        self._somebody = False
        self._inputs: dict[str, Newest] = {}
        self._readings: dict[str, dict[str, Any]] = {}
        self._read_at: dict[str, float] = {}  # when the readings with a value came, monotonic, s
        self._reported: set[str] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self._thread.start()

    def _readable(self, profile: RobotProfile) -> dict[str, ForceBar]:
        bars = {}
        for stream in profile.streams:
            kind = kind_of(stream).sort
            if kind in (Sort.WRENCH, Sort.TACTILE) and stream.role is not Role.ACTION:
                try:
                    bars[stream.name] = ForceBar(stream, kind)
                except ConfigError as error:
                    self._log.warning(f"{stream.name} has no bar: {error}")
        return bars

    def want(self, cameras: Iterable[str], somebody: bool) -> None:
        """Say which cameras are looked at, and whether anybody looks at all. Any thread may call it."""
        self._wanted, self._somebody = frozenset(cameras) & self.cameras.keys(), somebody

    def close(self) -> None:
        """End the thread and the subscriptions."""
        self._closing.set()
        self._thread.join()
        self._node.destroy_node()

    def _run(self) -> None:
        next_bars = 0.0
        while not self._closing.wait(_LOOK_S if self._wanted else _BARS_S):
            try:
                self._subscribe()
                for name in self._wanted & self._inputs.keys():
                    self._take_picture(name)
                if time.monotonic() >= next_bars:
                    next_bars = time.monotonic() + _BARS_S
                    self._take_readings()
            except Exception:  # one bad message must not blind all pages; it is in the log
                self._log.seldom_failure("a preview failed")

    def _subscribe(self) -> None:
        """Subscribe to what is looked at, and to nothing else."""
        wanted = set(self._wanted) | (set(self._bars) if self._somebody else set())
        for name in self._inputs.keys() - wanted:
            self._inputs.pop(name).close()
        for name in wanted - self._inputs.keys():
            stream = self.cameras.get(name) or self._bars[name].stream
            self._inputs[name] = Newest(self._node, stream.topic, stream.type)
        if not self._somebody:
            self._readings.clear()
            self._read_at.clear()
            self.bars = []

    def _newest(self, name: str) -> bytes | None:
        """Return a stream's newest message since the last call; None: nothing came."""
        newest = deque(self._inputs[name].take(), maxlen=1)
        return newest[0] if newest else None

    def _take_picture(self, name: str) -> None:
        data = self._newest(name)
        if data is None:
            return
        stream = self.cameras[name]
        try:
            picture = shrunk(picture_of(stream.type, data, stream.topic), _WIDEST)
        except DecodeError as error:
            self._report(name, str(error))
            return
        self._came(name, packed(name, time.time(), header_stamp_ns(data), picture.data))

    def _take_readings(self) -> None:
        changed, now = False, time.monotonic()
        for name in self._bars.keys() & self._inputs.keys():
            data = self._newest(name)
            try:
                if data is not None:
                    self._readings[name] = self._bars[name].reading(data)
                    self._read_at[name], changed = now, True
            except DecodeError as error:
                self._report(name, str(error))
            if now - self._read_at.get(name, now) > _SILENT_S:  # what it measures now is unknown
                del self._read_at[name]
                self._readings[name], changed = {**self._readings[name], "value": None}, True
        if changed:
            self.bars = [self._readings[n] for n in self._bars if n in self._readings]
            self._moved()

    def _report(self, name: str, why: str) -> None:
        if name not in self._reported:
            self._reported.add(name)
            self._log.warning(f"{name} is not shown: {why}")
