"""Watches one camera: a fingerprint of every picture, and the choice of pictures worth decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np

from robot_recorder.messages.image_messages import RAW
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import NS_PER_S, StreamConfig
from robot_recorder.quality.checks.cameras import (
    BLACK_SHARE,
    CAMERA_CHECKS,
    CameraCheck,
    CameraFrozen,
    PictureFigures,
)
from robot_recorder.quality.checks.check import Check

# Called with the figures of a picture; None: its encoding is unsupported.
Tell = Callable[[PictureFigures | None], None]


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

    def settle(self, timeout_s: float) -> bool:
        """Wait until all pictures are measured; return False if the timeout came first."""


class NullLooker:
    """A looker that measures nothing, so that the checks of pictures report nothing."""

    def look(self, type_name: str, time_ns: int, message: bytes, tell: Tell) -> None:
        """Report the picture as unsupported."""
        tell(None)

    def settle(self, timeout_s: float) -> bool:
        """Return True: nothing is ever waiting."""
        return True


# Time between two looks when nothing happens; it grows, as a long take resembles its beginning.
_PERIOD_NS, _LONGEST_NS, _GROWTH = 2 * NS_PER_S, 10 * NS_PER_S, 0.7
_LEAST_NS = NS_PER_S // 4  # least time between two looks; grows by itself after every ...
_MANY = 200  # ... so many looks: an hour of ever changing pictures takes about 2,000 looks
_LEAP = 1.5  # a picture larger or smaller than usual by this factor is worth a look
_USUAL_SHARE = 0.1  # weight of a new picture in the usual size
# A fingerprint leaves out the header's stamp. It takes 64 compressed bytes, or every 997th byte of
# raw pixels: a stride that does not follow the columns.
_HEAD, _FEW, _STRIDE = 64, 64, 997
_JPEG_END = b"\xff\xd9"


class CameraWatch:
    """The choice of one camera's pictures to look at; skipping one costs a microsecond."""

    def __init__(
        self,
        stream: StreamConfig,
        looker: Looker,
        build: Callable[[Iterable[type[Check]]], list[Check]],
    ) -> None:
        """Watch a camera.

        Args:
            stream: the camera's stream.
            looker: measures pictures.
            build: makes those of the given checks that are not switched off.
        """
        self.stream = stream
        self.checks = build([*CAMERA_CHECKS, CameraFrozen])
        self._looker = looker
        self._raw = stream.type == RAW
        self._seen: list[PictureFigures] = []
        self._before: tuple[int, bytes] = (0, b"")
        self._first_ns = self._looked_ns = self._last_ns = 0
        self._requested = self._answered = 0
        self.unknown = 0  # pictures in an unsupported encoding
        self._was_odd = False
        self._usual = 0.0
        self._ended_well = False

    def add(self, times: Int64s, messages: Sequence[bytes]) -> None:
        """Take pictures in order of receipt.

        Args:
            times: int64[n], ns, robot clock.
            messages: n whole messages, CDR.
        """
        same = np.zeros(len(messages), dtype=bool)
        for number, (time_ns, message) in enumerate(zip(times.tolist(), messages)):
            stride = _STRIDE if self._raw else len(message) // _FEW + 1
            print_ = len(message), message[_HEAD::stride]
            same[number] = print_ == self._before
            self._before = print_
            if self._is_worth(time_ns, message, print_[1]):
                self._looked_ns = time_ns
                self._requested += 1
                self._looker.look(self.stream.type, time_ns, message, self._tell)
        self._last_ns = max(self._last_ns, int(times[-1]))
        for check in self.checks:
            if isinstance(check, CameraFrozen):
                check.add(times, same)

    def _is_worth(self, time_ns: int, message: bytes, few: bytes) -> bool:
        # Raw pictures all have one size; their brightness changes in the same way instead.
        size = 1.0 + (sum(few) / max(len(few), 1) if self._raw else len(message))
        usual = self._usual or size
        self._usual = usual + _USUAL_SHARE * (size - usual)
        ends_well = message.rfind(_JPEG_END, -256) > 0  # CDR and drivers may add padding
        odd = not usual / _LEAP < size < usual * _LEAP or ends_well != self._ended_well
        self._ended_well = ends_well if not self._looked_ns else self._ended_well
        since_ns = time_ns - self._looked_ns
        self._first_ns = self._first_ns or time_ns
        # After an odd picture the next one is worth a look, too: the change may be over.
        least_ns = _LEAST_NS * (1 + self._requested // _MANY)
        if (odd or self._was_odd) and since_ns >= least_ns:
            self._was_odd = odd
            return True
        period_ns = _GROWTH * (time_ns - self._first_ns)
        return abs(since_ns) >= min(max(period_ns, _PERIOD_NS), _LONGEST_NS)

    def _tell(self, figures: PictureFigures | None) -> None:
        self._answered += 1
        if figures is None:
            self.unknown += 1
        else:
            self._seen.append(figures)

    @property
    def left_out(self) -> int:
        """Return how many pictures were handed to the looker and never measured."""
        return self._requested - self._answered

    @property
    def trouble(self) -> str:
        """Return what is wrong with the last picture measured; empty: nothing."""
        if not self._seen:
            return ""
        last = self._seen[-1]
        if not last.decodable:
            return "its pictures cannot be decoded"
        return "it shows nothing but black" if last.dark > BLACK_SHARE else ""

    def end(self, size: tuple[int, int] | None) -> None:
        """Hand the measured pictures to the checks.

        Args:
            size: width and height in its CameraInfo; None: it has none.
        """
        pictures = sorted(self._seen, key=lambda p: p.time_ns)
        for check in self.checks:
            if isinstance(check, CameraCheck):
                check.pictures, check.last_ns, check.size = pictures, self._last_ns, size
