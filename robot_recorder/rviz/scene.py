"""The sensors of a robot in a 3D view: the newest message of each stream, as shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from robot_recorder.messages.cdr import header_frame_id
from robot_recorder.messages.kinds import KINDS, Sort, sort_of
from robot_recorder.model.arrays import Floats
from robot_recorder.model.streams import RobotProfile, Role
from robot_recorder.rviz.shapes import Shape
from robot_recorder.rviz.tactile import PadLayout, PadReading, PressureScale, pad_shapes, read_pad
from robot_recorder.rviz.wrench import WrenchScale, wrench_shapes

_SILENT_S, _GONE_S = 1.0, 5.0
_SILENT_LOOKS = (
    5  # as often nothing may be heard: a bag can be played so fast that a second passes at once
)


@dataclass(frozen=True)
class SensorStream:
    """A stream that is shown; ``topic`` as the profile or the bag has it."""

    name: str
    topic: str
    type: str


def sensors(profile: RobotProfile) -> list[SensorStream]:
    """The streams of a profile that have shapes. What is commanded has not been felt, and is left out."""
    return [
        SensorStream(s.name, s.topic, s.type)
        for s in profile.streams
        if sort_of(s.type) in (Sort.WRENCH, Sort.TACTILE) and s.role is not Role.ACTION
    ]


@dataclass
class _LastHeard:
    """What was heard last of a stream."""

    frame: str = ""
    wrench: Floats | None = None
    pad: PadReading | None = None
    heard_s: float = 0.0
    looks: int = 0


@dataclass
class SensorScene:
    """Shapes of the newest messages.

    Attributes:
        streams: in an order that stays, for it numbers the shapes.
        layouts: of tactile pads by frame.
    """

    streams: Sequence[SensorStream]
    scale: WrenchScale = field(default_factory=WrenchScale)
    layouts: Mapping[str, PadLayout] = field(default_factory=dict)
    pressure: PressureScale = field(default_factory=PressureScale)
    _shown: dict[str, _LastHeard] = field(default_factory=dict)

    def see(self, stream: SensorStream, data: bytes, now_s: float) -> None:
        """Take a message in.

        Args:
            data: CDR.
            now_s: on the clock that ``shapes`` is asked with.

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
        """Everything heard, as nobody has listened for a while."""
        self._shown.clear()

    def shapes(self, now_s: float) -> list[Shape]:
        """What is to be seen now: of a stream that fell silent in grey, and after a while nothing."""
        found: list[Shape] = []
        for number, stream in enumerate(self.streams):
            shown = self._shown.get(stream.name)
            if shown is None:
                continue
            shown.looks += 1
            if now_s < shown.heard_s:  # a recording that is played again
                shown.heard_s = now_s
            age_s = now_s - shown.heard_s if shown.looks > _SILENT_LOOKS else 0.0
            silent = age_s > _SILENT_S
            if age_s > _GONE_S:
                del self._shown[stream.name]
            elif not shown.frame:
                continue  # nobody can say where it is
            elif shown.pad is not None:
                full = self.pressure.most[shown.pad.unit]
                found += pad_shapes(number, shown.pad, full, self.layouts, silent)
            elif shown.wrench is not None:
                found += wrench_shapes(number, shown.frame, shown.wrench, self.scale, silent)
        return found
