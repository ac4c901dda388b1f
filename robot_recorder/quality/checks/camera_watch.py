"""Watches one camera: a fingerprint of every picture, and the choice of pictures worth decoding."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from robot_recorder.messages.image_messages import RAW
from robot_recorder.messages.video_messages import is_video
from robot_recorder.model.arrays import Bools, Int64s
from robot_recorder.model.streams import StreamConfig
from robot_recorder.quality.checks.cameras import (
    BLACK_SHARE,
    CAMERA_CHECKS,
    CameraCheck,
    CameraFrozen,
)
from robot_recorder.quality.checks.check import Check
from robot_recorder.quality.checks.look_times import LookTimes
from robot_recorder.quality.checks.looker import Looker
from robot_recorder.quality.checks.picture_figures import PictureFigures, VideoFigures, VideoPackets

_LEAP = 1.5  # a picture larger or smaller than usual by this factor is worth a look
_USUAL_SHARE = 0.1  # weight of a new picture in the usual size
# A fingerprint leaves out the header's stamp. It takes 64 compressed bytes, or every 997th byte of
# raw pixels: a stride that does not follow the columns.
_HEAD, _FEW, _STRIDE = 64, 64, 997
_JPEG_END = b"\xff\xd9"
_AT_ONCE = 64  # packets of a video, so that decoding them takes seconds at most
_VIDEOS = itertools.count()


class CameraWatch:
    """The choice of one camera's pictures to look at; skipping one costs a microsecond.

    Of a video every packet is decoded, because each builds on those before.
    """

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
        self._looks = LookTimes()
        self._first_ns = self._last_ns = 0
        self._requested = self._answered = self._skipped = 0
        self.unknown = 0  # pictures in an unsupported encoding
        self.early = 0  # packets of a video before its first key frame
        self.problem = ""  # why its video is not decoded
        self._video: int | None = None
        self._is_video: bool | None = None  # None: no message has told
        self._decoded = 0  # pictures of a video
        self._lock = threading.Lock()  # what is told of a video may come late
        self._ended = self._was_odd = False
        self._usual = 0.0
        self._ended_well = False

    def add(self, times: Int64s, messages: Sequence[bytes]) -> None:
        """Take pictures in order of receipt.

        Args:
            times: int64[n], ns, robot clock.
            messages: n whole messages, CDR.
        """
        self._first_ns = self._first_ns or int(times[0])
        self._last_ns = max(self._last_ns, int(times[-1]))
        if self._is_video is None:
            self._is_video = is_video(self.stream.type, messages[0])
        if self._is_video:
            self._follow(times.tolist(), messages)
            return
        same = np.zeros(len(messages), dtype=bool)
        for number, (time_ns, message) in enumerate(zip(times.tolist(), messages)):
            stride = _STRIDE if self._raw else len(message) // _FEW + 1
            print_ = len(message), message[_HEAD::stride]
            same[number] = print_ == self._before
            self._before = print_
            if self._is_worth(time_ns, message, print_[1]):
                self._requested += 1
                self._looker.look(self.stream.type, time_ns, message, self._tell)
        self._add_same(times, same)

    def _add_same(self, times: Int64s, same: Bools) -> None:
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
        self._ended_well = self._ended_well if self._looks.count else ends_well
        # After an odd picture the next one is worth a look, too: the change may be over.
        due = self._looks.is_due(time_ns, odd or self._was_odd)
        if due:
            self._was_odd = odd
        return due

    def _tell(self, figures: PictureFigures | None) -> None:
        self._answered += 1
        if figures is None:
            self.unknown += 1
        else:
            self._seen.append(figures)

    # -- video

    def _follow(self, times: list[int], messages: Sequence[bytes]) -> None:
        """Pass on all packets of a video."""
        if self._video is None:
            self._video = next(_VIDEOS)
        for start in range(0, len(times), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            packets = VideoPackets(
                self._video, self.stream.type, self._requested, times[part], list(messages[part])
            )
            self._requested += len(packets.times)
            self._looker.follow(packets, partial(self._tell_video, len(packets.times)))

    def _tell_video(self, count: int, found: VideoFigures) -> None:
        with self._lock:
            if self._ended:
                return
            self._answered += count
            if found.problem:
                self.problem = found.problem
                self.unknown += count
                return
            self.early += found.early
            self._skipped += found.skipped
            self._decoded += len(found.times)
            self._seen += found.pictures
            self._add_same(found.times, found.same)

    @property
    def left_out(self) -> int:
        """Return how many pictures were handed to the looker and never measured."""
        return self._requested - self._answered + self._skipped

    @property
    def trouble(self) -> str:
        """Return what is wrong with the last picture measured; empty: nothing."""
        if not self._seen:
            return ""
        last = self._seen[-1]
        if not last.decodable:
            return "its pictures cannot be decoded"
        if last.dark > BLACK_SHARE:
            return "it shows nothing but black" if last.light else "it measures no distance"
        return ""

    def end(self, size: tuple[int, int] | None) -> None:
        """Hand the measured pictures to the checks.

        Args:
            size: width and height in its CameraInfo; None: it has none.
        """
        with self._lock:
            self._ended = True
        if self._video is not None:
            self._looker.leave(self._video)
        if self.early and not self._decoded and not self._seen:  # there was no key frame
            self._seen.append(PictureFigures(self._first_ns, 0, 0))
        pictures = sorted(self._seen, key=lambda p: p.time_ns)
        for check in self.checks:
            if isinstance(check, CameraCheck):
                check.pictures, check.last_ns, check.size = pictures, self._last_ns, size
