"""Draws the newest message of each sensor of a robot as shapes in a 3D view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from robot_recorder.messages.cdr import header_frame_id
from robot_recorder.messages.kinds import KINDS, TACTILE, WRENCH, Sort, sort_of
from robot_recorder.model.arrays import Floats
from robot_recorder.model.streams import RobotProfile, Role
from robot_recorder.rviz.shapes import Shape
from robot_recorder.rviz.tactile import PadLayout, PadReading, PressureScale, pad_shapes, read_pad
from robot_recorder.rviz.wrench import WrenchScale, wrench_shapes

_SILENT_S, _GONE_S = 1.0, 5.0
_SILENT_LOOKS = (
    5  # frames drawn without a message until a stream is silent: in fast playback a second is short
)


@dataclass(frozen=True)
class SensorStream:
    """A stream that is shown; ``topic`` is as in the profile or the bag."""

    name: str
    topic: str
    type: str


def sensors(profile: RobotProfile) -> list[SensorStream]:
    """Return the streams of a profile that have shapes; commands are left out."""
    return [
        SensorStream(s.name, s.topic, s.type)
        for s in profile.streams
        if s.type in (WRENCH, TACTILE) and s.mapping is None and s.role is not Role.ACTION
    ]


@dataclass
class _LastHeard:
    """The last message of a stream."""

    frame: str = ""
    wrench: Floats | None = None
    pad: PadReading | None = None
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
    """

    streams: Sequence[SensorStream]
    scale: WrenchScale = field(default_factory=WrenchScale)
    layouts: Mapping[str, PadLayout] = field(default_factory=dict)
    pressure: PressureScale = field(default_factory=PressureScale)
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
        if sort_of(stream.type) is Sort.TACTILE:
            pad = read_pad(data)
            self.pressure.see(pad)
            self._shown[stream.name] = _LastHeard(pad.frame, pad=pad, heard_s=now_s)
            return
        decode = KINDS[stream.type].decode
        assert decode is not None
        frame, values = header_frame_id(data), decode(data).values
        self._shown[stream.name] = _LastHeard(frame, wrench=values, heard_s=now_s)

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
            elif not shown.frame:
                continue  # its place is unknown
            elif shown.pad is not None:
                full = self.pressure.most[shown.pad.unit]
                found += pad_shapes(number, shown.pad, full, self.layouts, silent)
            elif shown.wrench is not None:
                found += wrench_shapes(number, shown.frame, shown.wrench, self.scale, silent)
        return found
