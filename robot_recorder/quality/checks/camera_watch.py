"""One camera: a fingerprint of every picture, and a choice of pictures that are worth a look."""

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

# None: it is of a kind that nobody here understands.
Tell = Callable[[PictureFigures | None], None]


class Looker(Protocol):
    """Whoever decodes pictures and says what is to be seen: that needs more than this package's core."""

    def look(self, type_name: str, time_ns: int, message: bytes, tell: Tell) -> None:
        """Look at a picture, now or later; must not wait.

        Args:
            message: whole, as CDR.
            tell: called with what was seen, in any thread; not at all when there was no time.
        """

    def settle(self, timeout_s: float) -> bool:
        """Wait until everything has been looked at; False: there was no time for all of it."""


class NullLooker:
    """Looks at nothing, so nothing is said about what pictures show."""

    def look(self, type_name: str, time_ns: int, message: bytes, tell: Tell) -> None:
        """See Looker."""
        tell(None)

    def settle(self, timeout_s: float) -> bool:
        """See Looker."""
        return True


# Between two looks, when nothing happens: more and more, for a long take is like its beginning.
_PERIOD_NS, _LONGEST_NS, _GROWTH = 2 * NS_PER_S, 10 * NS_PER_S, 0.7
_LEAST_NS = NS_PER_S // 4  # between two looks at all, and again so much after each ...
_MANY = 200  # ... so many looks: a driver whose pictures leap for an hour is looked at 2,000 times
_LEAP = 1.5  # a picture so much larger or smaller than usual is worth a look
_USUAL_SHARE = 0.1  # of a new picture in what is usual
# The stamp is not part of the picture. Of compressed bytes a few tell; of pixels many, and not column by column.
_HEAD, _FEW, _STRIDE = 64, 64, 997
_JPEG_END = b"\xff\xd9"


class CameraWatch:
    """Cheap by design: a picture that is not looked at costs a microsecond."""

    def __init__(
        self,
        stream: StreamConfig,
        looker: Looker,
        build: Callable[[Iterable[type[Check]]], list[Check]],
    ) -> None:
        """
        Args:
            build: makes the checks that are not switched off.
        """
        self.stream = stream
        self.checks = build([*CAMERA_CHECKS, CameraFrozen])
        self._looker = looker
        self._raw = stream.type == RAW
        self._seen: list[PictureFigures] = []
        self._before: tuple[int, bytes] = (0, b"")
        self._first_ns = self._looked_ns = self._last_ns = 0
        self._asked = self._told = 0
        self.unknown = 0  # pictures that nobody here understands
        self._was_odd = False
        self._usual = 0.0
        self._ended_well = False

    def add(self, times: Int64s, messages: Sequence[bytes]) -> None:
        """Take pictures in order of receipt.

        Args:
            times: int64[n], ns, robot clock.
            messages: whole, as CDR.
        """
        same = np.zeros(len(messages), dtype=bool)
        for number, (time_ns, message) in enumerate(zip(times.tolist(), messages)):
            stride = _STRIDE if self._raw else len(message) // _FEW + 1
            print_ = len(message), message[_HEAD::stride]
            same[number] = print_ == self._before
            self._before = print_
            if self._is_worth(time_ns, message, print_[1]):
                self._looked_ns = time_ns
                self._asked += 1
                self._looker.look(self.stream.type, time_ns, message, self._tell)
        self._last_ns = max(self._last_ns, int(times[-1]))
        for check in self.checks:
            if isinstance(check, CameraFrozen):
                check.add(times, same)

    def _is_worth(self, time_ns: int, message: bytes, few: bytes) -> bool:
        # A raw picture is always of one size; how bright it is shows the same leaps.
        size = 1.0 + (sum(few) / max(len(few), 1) if self._raw else len(message))
        usual = self._usual or size
        self._usual = usual + _USUAL_SHARE * (size - usual)
        ends_well = message.rfind(_JPEG_END, -256) > 0  # CDR and drivers may pad it
        odd = not usual / _LEAP < size < usual * _LEAP or ends_well != self._ended_well
        self._ended_well = ends_well if not self._looked_ns else self._ended_well
        since_ns = time_ns - self._looked_ns
        self._first_ns = self._first_ns or time_ns
        # After an odd one the next is looked at, too: what was odd may be over.
        least_ns = _LEAST_NS * (1 + self._asked // _MANY)
        if (odd or self._was_odd) and since_ns >= least_ns:
            self._was_odd = odd
            return True
        period_ns = _GROWTH * (time_ns - self._first_ns)
        return abs(since_ns) >= min(max(period_ns, _PERIOD_NS), _LONGEST_NS)

    def _tell(self, figures: PictureFigures | None) -> None:
        self._told += 1
        if figures is None:
            self.unknown += 1
        else:
            self._seen.append(figures)

    @property
    def left_out(self) -> int:
        """Pictures that were to be looked at, and nobody did."""
        return self._asked - self._told

    @property
    def trouble(self) -> str:
        """What is wrong with the picture looked at last, in words; empty: nothing."""
        if not self._seen:
            return ""
        last = self._seen[-1]
        if not last.decodable:
            return "its pictures can not be decoded"
        return "it shows nothing but black" if last.dark > BLACK_SHARE else ""

    def end(self, size: tuple[int, int] | None) -> None:
        """Tell the checks.

        Args:
            size: width and height by its CameraInfo; None: there is none.
        """
        pictures = sorted(self._seen, key=lambda p: p.time_ns)
        for check in self.checks:
            if isinstance(check, CameraCheck):
                check.pictures, check.last_ns, check.size = pictures, self._last_ns, size
