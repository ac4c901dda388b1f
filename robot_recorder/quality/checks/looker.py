"""Who looks at pictures for the checks. Known before the checks are: they are imported for the first episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from robot_recorder.quality.checks.picture_figures import (
        PictureFigures,
        VideoFigures,
        VideoPackets,
    )

# Called with the figures of a picture; None: its encoding is unsupported.
Tell = Callable[["PictureFigures | None"], None]
TellVideo = Callable[["VideoFigures"], None]


class Looker(Protocol):
    """The part that decodes and measures pictures: a protocol, because decoding needs OpenCV."""

    def look(self, type_name: str, time_ns: int, message: bytes, tell: Tell) -> None:
        """Measure a picture, now or later, without waiting.

        Args:
            type_name: sensor_msgs/msg/Image or CompressedImage.
            time_ns: time of the picture, robot clock.
            message: the whole message, CDR.
            tell: called with the figures, from any thread; never called when there was no time.
        """

    def follow(self, packets: VideoPackets, tell: TellVideo) -> None:
        """Decode the next packets of a video, now or later, without waiting.

        Args:
            packets: the packets; the video begins with number 0.
            tell: called with what was found, from any thread, in order; never called when there was
                no time.
        """

    def leave(self, video: int) -> None:
        """Forget a video, which has ended."""

    def settle(self, timeout_s: float) -> bool:
        """Wait until all pictures are measured; return False if the timeout came first."""


class NullLooker:
    """A looker that measures nothing, so that the checks of pictures report nothing."""

    def look(self, type_name: str, time_ns: int, message: bytes, tell: Tell) -> None:
        """Report the picture as unsupported."""
        tell(None)

    def follow(self, packets: VideoPackets, tell: TellVideo) -> None:
        """Report the packets as not decoded."""
        from robot_recorder.quality.checks.picture_figures import VideoFigures

        tell(VideoFigures(problem="pictures are not looked at"))

    def leave(self, video: int) -> None:
        """Do nothing."""

    def settle(self, timeout_s: float) -> bool:
        """Return True: nothing is ever waiting."""
        return True
