"""Draws the newest message of each sensor of a robot as shapes in a 3D view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from robot_recorder.messages.cdr import header_frame_id
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.installed_types import message_definition
from robot_recorder.messages.kinds import (
    TACTILE,
    WRENCH,
    Sort,
    kind_of,
    needs_definition,
    stream_decoder,
)
from robot_recorder.messages.skeleton import is_operators
from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.mapping import StreamMapping
from robot_recorder.model.streams import RobotProfile, Role, StreamConfig
from robot_recorder.rviz.operator import OperatorReading, operator_shapes
from robot_recorder.rviz.placement import Placement
from robot_recorder.rviz.shapes import Point, Shape
from robot_recorder.rviz.tactile import PadLayout, PadReading, PressureScale, pad_shapes, read_pad
from robot_recorder.rviz.wrench import WrenchScale, wrench_shapes

_SILENT_S, _GONE_S = 1.0, 5.0
_SILENT_LOOKS = (
    5  # frames drawn without a message until a stream is silent: in fast playback a second is short
)


@dataclass(frozen=True)
class SensorStream:
    """A stream that is shown.

    Attributes:
        name, type: as in the profile.
        topic: as in the profile or the bag.
        mapping: how its values are read; None: by its type.
    """

    name: str
    topic: str
    type: str
    mapping: StreamMapping | None = field(default=None, compare=False)

    @property
    def config(self) -> StreamConfig:
        """Return an entry of a profile for it."""
        return StreamConfig(self.name, self.topic, self.type, Role.CONTEXT, mapping=self.mapping)


def sensors(profile: RobotProfile) -> list[SensorStream]:
    """Return the streams that have shapes; of commands only the poses that an operator gives."""
    return [
        SensorStream(s.name, s.topic, s.type, s.mapping)
        for s in profile.streams
        if (s.type in (WRENCH, TACTILE) and s.mapping is None and s.role is not Role.ACTION)
        or is_operators(kind_of(s).sort, s.role)
    ]


def without_place(profile: RobotProfile) -> list[str]:
    """Return the streams of forces and touch that are not drawn, because nothing says where.

    A profile maps their values from messages that name no frame.
    """
    return [
        s.name
        for s in profile.streams
        if s.mapping is not None
        and kind_of(s).sort in (Sort.WRENCH, Sort.TACTILE)
        and s.role is not Role.ACTION
    ]


@dataclass
class _LastHeard:
    """The last message of a stream."""

    frame: str = ""
    wrench: Floats | None = None
    pad: PadReading | None = None
    operator: OperatorReading | None = None
    heard_s: float = 0.0
    looks: int = 0


@dataclass
class SensorScene:
    """The shapes of the newest messages.

    Attributes:
        streams: in a fixed order, which numbers the shapes.
        scale: lengths and colours of wrenches.
        layouts: layouts of tactile pads by frame.
        pressure: colours of tactile pads.
        placement: where an operator is drawn whose frame is not of the robot; None: in that frame.
        definition: returns the definition of a message type; empty: unknown.
    """

    streams: Sequence[SensorStream]
    scale: WrenchScale = field(default_factory=WrenchScale)
    layouts: Mapping[str, PadLayout] = field(default_factory=dict)
    pressure: PressureScale = field(default_factory=PressureScale)
    placement: Placement | None = field(default_factory=Placement)
    definition: Callable[[str], str] = message_definition
    _decoders: dict[str, Callable[[bytes], Decoded] | None] = field(default_factory=dict)
    _shown: dict[str, _LastHeard] = field(default_factory=dict)

    def see(self, stream: SensorStream, data: bytes, now_s: float) -> None:
        """Take a message.

        Args:
            stream: the stream it belongs to.
            data: CDR.
            now_s: on the same clock as that of ``shapes``.

        Raises:
            DecodeError: it is not of the stream's type.
        """
        if stream.type == TACTILE and stream.mapping is None:
            pad = read_pad(data)
            self.pressure.see(pad)
            self._shown[stream.name] = _LastHeard(pad.frame, pad=pad, heard_s=now_s)
            return
        if stream.name not in self._decoders:
            self._decoders[stream.name] = self._decoder(stream)
        decode = self._decoders[stream.name]
        if decode is None:
            return
        kind, decoded = kind_of(stream.config), decode(data)
        heard = _LastHeard(header_frame_id(data) if kind.has_header else "", heard_s=now_s)
        if kind.sort is Sort.WRENCH:
            heard.wrench = decoded.values
        else:
            heard.operator = OperatorReading(stream.name, decoded.names, decoded.values)
        self._shown[stream.name] = heard

    def _decoder(self, stream: SensorStream) -> Callable[[bytes], Decoded] | None:
        """Return the decoder of a stream; None: its type is not defined as its mapping says."""
        try:
            needed = needs_definition(stream.config)
            return stream_decoder(stream.config, self.definition(stream.type) if needed else "")
        except ConfigError:
            return None

    def forget(self) -> None:
        """Forget all messages, for use after a time without subscriptions."""
        self._shown.clear()

    def shapes(self, now_s: float) -> list[Shape]:
        """Return the current shapes: a silent stream is grey, and disappears after a while."""
        found: list[Shape] = []
        for number, stream in enumerate(self.streams):
            shown = self._shown.get(stream.name)
            if shown is None:
                continue
            shown.looks += 1
            if now_s < shown.heard_s:  # the recording is played again
                shown.heard_s = now_s
            age_s = now_s - shown.heard_s if shown.looks > _SILENT_LOOKS else 0.0
            silent = age_s > _SILENT_S
            if age_s > _GONE_S:
                del self._shown[stream.name]
            elif shown.operator is not None:
                frame, offset = self._operator_place(shown.frame)
                found += operator_shapes(number, shown.operator, frame, offset, silent)
            elif not shown.frame:
                continue  # its place is unknown
            elif shown.pad is not None:
                full = self.pressure.most[shown.pad.unit]
                found += pad_shapes(number, shown.pad, full, self.layouts, silent)
            elif shown.wrench is not None:
                found += wrench_shapes(number, shown.frame, shown.wrench, self.scale, silent)
        return found

    def _operator_place(self, frame: str) -> tuple[str, Point]:
        """Return the frame in which poses are drawn, and their origin there, m."""
        place = self.placement
        if frame and (place is None or frame in place.links):
            return frame, (0.0, 0.0, 0.0)
        place = place or Placement()
        return place.frame, place.beside
