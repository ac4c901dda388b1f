"""What is asked about pictures, and what was found in them: all that the process that decodes them shares.

It imports nothing of the checks, because that would take that process three times as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_recorder.model.arrays import Bools, Int64s


@dataclass(frozen=True)
class PictureFigures:
    """What was measured in one picture.

    Attributes:
        time_ns: robot clock.
        width, height: pixels; 0: it cannot be decoded.
        dark, bright: share of pixels below 24, and of 250 or more, of 255.
        sharpness: variance of the Laplacian at up to 400 pixels' width over that at half of it, or
            at half over a quarter, whichever is less: falls with blur, whatever the contrast; NaN
            for a picture that shows nothing.
        light: False: a picture of depth; its dark pixels are those without a distance.
    """

    time_ns: int
    width: int
    height: int
    dark: float = 0.0
    bright: float = 0.0
    sharpness: float = float("nan")
    light: bool = True

    @property
    def decodable(self) -> bool:
        """Return whether the picture could be decoded."""
        return self.width > 0


@dataclass(frozen=True)
class VideoPackets:
    """Successive packets of a video.

    Attributes:
        video: identifies the video.
        type: type of its messages.
        first: number of the first packet, counted from the first of the video. Packets that there
            was no time for are missing from the numbers.
        times: of the packets, ns, robot clock.
        messages: the whole messages, CDR.
    """

    video: int
    type: str
    first: int
    times: list[int]
    messages: list[bytes]


@dataclass(frozen=True)
class VideoFigures:
    """What was found in some packets of a video.

    Attributes:
        pictures: those that were measured, and all that cannot be decoded.
        times: int64[n], ns, robot clock: of all that were decoded.
        same: bool[n], whether each shows the same as the one before.
        early: number of packets before the first key frame, which cannot be decoded.
        skipped: number of packets that were not decoded because earlier ones were not passed on.
        problem: why the packets are not decoded at all; empty: they are.
    """

    pictures: list[PictureFigures] = field(default_factory=list)
    times: Int64s = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    same: Bools = field(default_factory=lambda: np.empty(0, dtype=bool))
    early: int = 0
    skipped: int = 0
    problem: str = ""
