"""Logs camera pictures, of a long episode only as many as a viewer can hold."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import rerun as rr

from robot_recorder.content.contents import Images, Topic
from robot_recorder.content.depth_pictures import DepthScale
from robot_recorder.content.video_pictures import VideoPart
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.text import plural
from robot_recorder.quality.video_decoder import NotYetDecodable, can_decode
from robot_recorder.view.log import RerunLog, stream_entity

_AT_ONCE = 8_000_000  # bytes: the first pictures are shown before the last of a batch are read
_SAMPLES = 8  # pictures of a camera from which the size of all is estimated
_CODECS = {
    "h264": rr.VideoCodec.H264, "hevc": rr.VideoCodec.H265, "av1": rr.VideoCodec.AV1,
    "vp9": rr.VideoCodec.VP9, "vp8": rr.VideoCodec.VP8,
}  # fmt: skip
_BUILT_IN = ("av1",)  # what the viewer decodes by itself; for others it starts FFmpeg


@dataclass
class _PictureBatch:
    """Pictures that are sent together: their indexes and files, and of depth its units."""

    numbers: list[int] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    units: list[float] = field(default_factory=list)  # in a metre; 0: no depth
    range: tuple[float, float] = (0.0, 0.0)  # of the first depth, in its units
    size: int = 0

    def add(self, number: int, blob: bytes, media: str = "", unit: float = 0.0) -> None:
        """Add a picture."""
        self.numbers.append(number)
        self.blobs.append(blob)
        self.media.append(media)
        self.units.append(unit)
        self.size += len(blob)


class CameraLog:
    """The log of pictures: files and video as they are, distances in m, raw pictures as JPEG.

    Video that the viewer cannot play on this machine is logged as JPEG, too.
    """

    def __init__(self, log: RerunLog, every: int) -> None:
        """Log to a recording.

        Args:
            log: the recording.
            every: log one picture out of this many; of a video always all, as each builds on others.
        """
        self._log = log
        self._every = every
        self._seen: Counter[str] = Counter()
        self.logged: Counter[str] = Counter()
        self._broken: Counter[Topic] = Counter()
        self._early: Counter[Topic] = Counter()
        self._has_ffmpeg = shutil.which("ffmpeg") is not None
        self._playing: set[str] = set()  # videos whose first key frame was logged

    def add(self, images: Images) -> None:
        """Log the next pictures of one camera."""
        if images.video is not None and self._is_playable(images.video):
            self._add_video(images, images.video)
            return
        name = images.topic.name
        first = -self._seen[name] % self._every
        self._seen[name] += len(images.times_s)
        waiting = _PictureBatch()
        for number in range(first, len(images.times_s), self._every):
            try:
                depth = images.depth(number)
                if depth is not None:
                    blob, unit = depth.png()
                    if not waiting.numbers:  # 0 is unknown, and darker than any distance
                        waiting.range = 0.0, DepthScale.of([depth]).far_m * unit
                    waiting.add(number, blob, "image/png", unit)
                else:
                    picture = images.picture(number)
                    waiting.add(number, picture.data, picture.media_type)
            except NotYetDecodable:
                self._early[images.topic] += 1
                continue
            except DecodeError:
                self._broken[images.topic] += 1
                continue
            if waiting.size > _AT_ONCE:
                self._send(images, waiting)
                waiting = _PictureBatch()
        if waiting.numbers:
            self._send(images, waiting)

    def _send(self, images: Images, waiting: _PictureBatch) -> None:
        path = stream_entity(images.topic.stream)
        is_depth = all(waiting.units)
        if not self.logged[images.topic.name]:
            smooth = rr.components.MagnificationFilter.Linear
            turbo = rr.components.Colormap.Turbo
            self._log.once(
                path,
                rr.EncodedDepthImage.from_fields(colormap=turbo, depth_range=waiting.range)
                if is_depth
                else rr.EncodedImage.from_fields(magnification_filter=smooth),
            )
        if is_depth:
            columns = rr.EncodedDepthImage.columns(
                blob=waiting.blobs, media_type=waiting.media, meter=waiting.units
            )
        else:
            columns = rr.EncodedImage.columns(blob=waiting.blobs, media_type=waiting.media)
        self._log.send(path, images.times_s[waiting.numbers], columns)
        self._log.flush()
        self.logged[images.topic.name] += len(waiting.numbers)

    # -- video

    def _is_playable(self, video: VideoPart) -> bool:
        """Return whether the viewer can play a video, or nobody else can decode it here."""
        try:
            codec = video.packet(0).codec
        except DecodeError:
            return False
        if codec not in _CODECS:
            return False
        if codec in _BUILT_IN or self._has_ffmpeg:
            return True
        return not can_decode(codec)

    def _add_video(self, images: Images, video: VideoPart) -> None:
        """Log the packets of a video from its first key frame on."""
        name, path = images.topic.name, stream_entity(images.topic.stream)
        waiting, keys = _PictureBatch(), []
        for number in range(len(images.times_s)):
            try:
                packet = video.packet(number)
            except DecodeError:
                self._broken[images.topic] += 1
                continue
            if name not in self._playing:
                if not packet.is_key:
                    self._early[images.topic] += 1
                    continue
                self._playing.add(name)
                self._log.once(path, rr.VideoStream.from_fields(codec=_CODECS[packet.codec]))
            waiting.add(number, packet.data)
            keys.append(packet.is_key)
        if waiting.numbers:
            columns = rr.VideoStream.columns(sample=waiting.blobs, is_keyframe=keys)
            self._log.send(path, images.times_s[waiting.numbers], columns)
            self._log.flush()
            self.logged[name] += len(waiting.numbers)

    @property
    def problems(self) -> list[str]:
        """Return what could not be shown, one sentence per camera."""
        early = [
            f"{topic.name}: {plural(count, 'picture')} before the first key frame of its video"
            for topic, count in self._early.items()
        ]
        return early + [
            f"{topic.name}: {count} pictures cannot be decoded"
            for topic, count in self._broken.items()
        ]


def estimated_bytes(images: Sequence[Images]) -> float:
    """Estimate the size of all pictures of some cameras, without videos, from their first ones.

    Args:
        images: the first pictures of each camera.
    """
    total = 0.0
    for part in images:
        if part.video is not None:
            continue
        step = math.ceil(len(part.times_s) / _SAMPLES)
        sizes = []
        for number in range(0, len(part.times_s), step):
            try:
                depth = part.depth(number)
                file = depth.png()[0] if depth is not None else part.picture(number).data
                sizes.append(len(file))
            except DecodeError:
                continue
        if sizes:
            total += sum(sizes) / len(sizes) * part.topic.count
    return total
