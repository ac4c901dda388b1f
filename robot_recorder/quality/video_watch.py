"""Decodes the packets of a video one after the other, and measures some of the pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_recorder.messages.video_messages import video_packet
from robot_recorder.model.errors import DecodeError
from robot_recorder.quality.checks.look_times import LookTimes
from robot_recorder.quality.checks.picture_figures import PictureFigures, VideoFigures, VideoPackets
from robot_recorder.quality.grey_pictures import GreyPicture
from robot_recorder.quality.pictures import figures_of
from robot_recorder.quality.raw_pictures import opencv
from robot_recorder.quality.video_decoder import (
    CannotDecode,
    NotYetDecodable,
    VideoDecoder,
    VideoFrame,
)

_CELL = 16  # pixels of a cell whose mean brightness is compared
_STEP = 3  # levels by which a key frame of a picture that stands still may differ from it
_SETTLING = 8  # pictures from a key frame on in which an encoder improves what stands still
_LEAP = 12.0  # levels of mean brightness by which a picture is worth measuring
_HELD = 32  # most packets after which a picture can come
_MOST_TURNS = 2000  # changes between good and bad that are measured, however soon they follow


@dataclass
class _Findings:
    """What is found in a batch of packets."""

    pictures: list[PictureFigures] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    early: int = 0
    skipped: int = 0

    def figures(self, problem: str = "") -> VideoFigures:
        times, same = np.array(self.times, dtype=np.int64), np.array(self.same, dtype=bool)
        return VideoFigures(self.pictures, times, same, self.early, self.skipped, problem)


class VideoWatch:
    """Follows one video. A damaged packet spoils the pictures up to the next key frame."""

    def __init__(self) -> None:
        self._decoder = VideoDecoder()
        self._next = 0
        self._gap = False  # packets are missing since the last picture
        self._awaited: dict[int, tuple[int, bool]] = {}  # time, and whether it is a key frame
        self._looks = LookTimes()
        self._turns = 0
        self._is_broken = False
        self._size = (0, 0)
        self._level = 0.0  # mean brightness of the last picture that was measured
        self._stillness = _Stillness()

    def add(self, packets: VideoPackets) -> VideoFigures:
        """Decode packets and measure some of their pictures."""
        found = _Findings()
        if packets.first != self._next:
            self._gap = True
            self._decoder.restart()
            self._awaited.clear()
        self._next = packets.first + len(packets.messages)
        every = zip(packets.times, packets.messages)
        for number, (time_ns, message) in enumerate(every, packets.first):
            try:
                self._take(packets.type, number, time_ns, message, found)
            except CannotDecode as error:
                return found.figures(str(error))
            except NotYetDecodable:
                found.early += 1
            except DecodeError:
                self._note_broken(time_ns, found)
        return found.figures()

    def _take(
        self, type_name: str, number: int, time_ns: int, message: bytes, found: _Findings
    ) -> None:
        """Decode one packet.

        Raises:
            DecodeError: it cannot be decoded.
        """
        packet = video_packet(type_name, message)
        if self._gap and not packet.is_key:
            found.skipped += 1
            return
        self._gap = False
        self._awaited[number] = time_ns, packet.is_key
        try:
            frames = self._decoder.decode(packet, number)
        except DecodeError:
            del self._awaited[number]
            raise
        for of, frame in frames:
            if of in self._awaited:
                at_ns, is_key = self._awaited.pop(of)
                # Pictures never come after a key frame that was sent later than they were.
                self._note_lost([n for n in self._awaited if n < of and is_key], found)
                self._measure(at_ns, is_key, frame, found)
        self._note_lost([n for n in self._awaited if n < number - _HELD], found)

    def _note_broken(self, time_ns: int, found: _Findings) -> None:
        self._note_lost(list(self._awaited), found)
        self._add_broken(time_ns, found)
        self._decoder.restart()

    def _note_lost(self, numbers: list[int], found: _Findings) -> None:
        """Note packets that gave no picture and no error."""
        for number in numbers:
            self._add_broken(self._awaited.pop(number)[0], found)

    def _add_broken(self, time_ns: int, found: _Findings) -> None:
        if self._is_worth(time_ns, not self._is_broken, True):
            found.pictures.append(PictureFigures(time_ns, 0, 0))
        self._is_broken = True

    def _measure(self, time_ns: int, is_key: bool, frame: VideoFrame, found: _Findings) -> None:
        width, height = frame.size
        found.times.append(time_ns)
        found.same.append(self._stillness.add(frame, is_key))
        turned = self._is_broken or frame.size != self._size
        level = self._stillness.level
        if self._is_worth(time_ns, turned, abs(level - self._level) > _LEAP):
            found.pictures.append(figures_of(time_ns, GreyPicture(width, height, frame.grey())))
            self._level = level
        self._is_broken, self._size = False, frame.size

    def _is_worth(self, time_ns: int, turned: bool, odd: bool) -> bool:
        """Return whether a picture is measured: at every turn, otherwise now and then."""
        self._turns += turned
        due = self._looks.is_due(time_ns, odd or turned)
        return due or (turned and self._turns < _MOST_TURNS)


class _Stillness:
    """Finds pictures that show the same as the one before, although they were compressed anew.

    A picture that stands still is decoded to the very same values. Only from each key frame on
    encoders take some pictures to arrive at the quality they had.
    """

    def __init__(self) -> None:
        self._pixels: np.ndarray | None = None
        self._cells = np.empty((0, 0), dtype=np.int16)
        self._since_key = 0
        self._was_same = False
        self.level = 0.0  # mean brightness of the last picture

    def add(self, frame: VideoFrame, is_key: bool) -> bool:
        """Return whether a picture shows the same as the one before."""
        pixels = frame.brightness()
        height, width = pixels.shape
        size = max(1, width // _CELL), max(1, height // _CELL)
        cells = opencv().resize(pixels, size, interpolation=opencv().INTER_AREA).astype(np.int16)
        self._since_key = 0 if is_key else self._since_key + 1
        same = False
        if self._pixels is not None and self._pixels.shape == pixels.shape:
            same = np.array_equal(pixels, self._pixels)
            if self._was_same and self._since_key < _SETTLING:
                same = same or int(np.abs(cells - self._cells).max()) <= _STEP
        self._pixels, self._cells, self._was_same = pixels, cells, same
        self.level = float(cells.mean())
        return same


class VideoWatches:
    """The videos that are followed in one process."""

    def __init__(self) -> None:
        self._watches: dict[int, VideoWatch] = {}

    def add(self, packets: VideoPackets) -> VideoFigures:
        """Decode packets of a video, as ``VideoWatch.add`` does."""
        return self._watches.setdefault(packets.video, VideoWatch()).add(packets)

    def leave(self, video: int) -> None:
        """Forget a video."""
        self._watches.pop(video, None)


_WATCHES = VideoWatches()


def follow_video(packets: VideoPackets) -> VideoFigures:
    """Decode packets of one of the videos that this process follows, as ``VideoWatch.add`` does."""
    return _WATCHES.add(packets)


def leave_video(video: int) -> None:
    """Forget a video that this process follows."""
    _WATCHES.leave(video)
