"""The pictures that the frames of one camera chose, read from the bag in one pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from robot_recorder.bags.columns import edges, read_columns
from robot_recorder.content.depth_pictures import DepthPicture, depth_of
from robot_recorder.content.image_files import picture_of
from robot_recorder.content.video_pictures import Video, VideoPart
from robot_recorder.messages.image_messages import (
    RAW,
    check_size,
    encoded_picture,
    is_depth,
    jpeg_head,
    jpeg_sampling,
    jpeg_start,
    raw_pixels,
)
from robot_recorder.messages.video_messages import VideoPacket, is_video, video_packet
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import BagError, DecodeError
from robot_recorder.model.payloads import Payloads
from robot_recorder.offline.stamp_order import read_by_stamp
from robot_recorder.quality.raw_pictures import bgr_of

Bgr = npt.NDArray[np.uint8]
_HEAD, _TAIL = 4096, 64  # bytes of a JPEG that are looked at


@dataclass(frozen=True)
class CameraSource:
    """Where the pictures of a camera are.

    Attributes:
        path: of the bag.
        topic, type: of its messages.
        stamped: whether the bag is read in the order of stamps.
    """

    path: Path
    topic: str
    type: str
    stamped: bool


@dataclass(frozen=True)
class PictureShape:
    """How the pictures of a feature are cut out and resized.

    Attributes:
        crop: left, top, width and height; None: all.
        size: width and height; None: as they are.
    """

    crop: tuple[int, int, int, int] | None = None
    size: tuple[int, int] | None = None

    @property
    def changes(self) -> bool:
        """Return whether pictures are changed at all."""
        return self.crop is not None or self.size is not None

    def of(self, pixels: np.ndarray, nearest: bool = False) -> np.ndarray:
        """Return a picture cut out and resized; distances with ``nearest``, which mixes none."""
        if self.crop is not None:
            left, top, width, height = self.crop
            pixels = pixels[top : top + height, left : left + width]
        if self.size is not None:
            smaller = self.size[0] < pixels.shape[1]
            how = cv2.INTER_NEAREST if nearest else cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            pixels = cv2.resize(pixels, self.size, interpolation=how)
        return np.ascontiguousarray(pixels)


@dataclass(frozen=True)
class Picked:
    """One picture, and the consecutive frames that chose it.

    Attributes:
        frames: number of frames.
        number: of the message in its topic; -1: the frames have no picture.
        payloads: messages, of which it is one; copied only when it is asked for.
        at: its place in them.
        part: its part of a video; None: a message holds a whole picture.
    """

    frames: int
    number: int
    payloads: Payloads = ()  # type: ignore[assignment]
    at: int = 0
    part: VideoPart | None = None

    @property
    def message(self) -> bytes:
        """Return its CDR bytes; empty: there is no picture."""
        return self.payloads[self.at] if self.number >= 0 else b""


class ChosenPictures:
    """The pictures of some consecutive frames of a camera."""

    def __init__(
        self, source: CameraSource, numbers: Int64s, shape: PictureShape = PictureShape()
    ) -> None:
        """
        Args:
            source: where they are.
            numbers: int64[n], by frame, number of the chosen message in its topic; -1: none.
            shape: how they are cut out and resized.
        """
        self.source, self.numbers, self.shape = source, numbers, shape

    def __len__(self) -> int:
        return len(self.numbers)

    def picked(self) -> Iterator[Picked]:
        """Yield the chosen messages in the order of frames; those of one message are joined.

        Raises:
            BagError: the bag ends before the last of them.
        """
        cuts = np.flatnonzero(np.diff(self.numbers)) + 1
        starts = np.concatenate(([0], cuts, [len(self.numbers)])).tolist()
        wanted = [(b - a, int(self.numbers[a])) for a, b in pairwise(starts) if b > a]
        after = np.minimum.accumulate(np.array([n if n >= 0 else 2**62 for _, n in wanted])[::-1])
        segments, held = self._segments(), deque[tuple[int, Payloads, VideoPart | None]]()
        read = 0
        for (frames, number), least in zip(wanted, after[::-1].tolist()):
            if number < 0:
                yield Picked(frames, -1)
                continue
            while read <= number:
                payloads, part = next(segments, (None, None))
                if payloads is None:
                    raise BagError(
                        f"{self.source.path}: {self.source.topic} ends before its message {number}"
                    )
                held.append((read, payloads, part))
                read += len(payloads)
            while held[0][0] + len(held[0][1]) <= least:
                held.popleft()
            first, payloads, part = next(h for h in held if h[0] <= number < h[0] + len(h[1]))
            yield Picked(frames, number, payloads, number - first, part)

    def _segments(self) -> Iterator[tuple[Payloads, VideoPart | None]]:
        topic, video = self.source.topic, None
        read = (
            read_by_stamp(self.source.path, {topic}, {topic})
            if self.source.stamped
            else read_columns(self.source.path, {topic})
        )
        for segment in read:
            column = segment.columns.get(topic)
            if column is None or not len(column.payloads):
                continue
            if video is None and is_video(self.source.type, column.payloads[0]):
                video = Video(self.source.type)
            yield column.payloads, video.part(column.payloads) if video else None

    # -- as what a message holds

    def jpeg(self, picked: Picked) -> bytes:
        """Return the JPEG file in a message; empty: it holds something else.

        Raises:
            DecodeError: the message is truncated.
        """
        if picked.number < 0 or picked.part is not None or self.source.type == RAW:
            return b""
        data = encoded_picture(picked.message).data
        return data if data.startswith(b"\xff\xd8") else b""

    def packet(self, picked: Picked) -> VideoPacket:
        """Return the packet of video in a message.

        Raises:
            DecodeError: the message is truncated.
        """
        return video_packet(self.source.type, picked.message)

    def bgr(self, picked: Picked) -> Bgr:
        """Return a picture in colour, uint8[height, width, 3], blue, green, red.

        Raises:
            DecodeError: it cannot be decoded.
        """
        return np.asarray(self.shape.of(colour_of(self.source, picked)))

    def metres(self, picked: Picked) -> npt.NDArray[np.float32]:
        """Return distances, float32[height, width], m; NaN: unknown.

        Raises:
            DecodeError: it cannot be decoded, or shows light.
        """
        depth = _depth(self.source, picked)
        return np.asarray(self.shape.of(depth.metres.astype(np.float32), nearest=True))


def colour_of(source: CameraSource, picked: Picked) -> Bgr:
    """Return a picture in colour as it was recorded, uint8[height, width, 3], blue, green, red.

    Raises:
        DecodeError: it cannot be decoded.
    """
    try:
        if picked.part is not None:
            return picked.part.picture(picked.at).bgr()
        if source.type == RAW:
            pixels = raw_pixels(picked.message)
            if not pixels.values.size:
                raise DecodeError("the picture has no pixels")
            return bgr_of(pixels)
        data = picture_of(source.type, picked.message, source.topic).data
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DecodeError(f"the picture cannot be decoded: {error}") from error
    if found is None:
        raise DecodeError("the picture cannot be decoded: its file is damaged")
    return np.asarray(found, dtype=np.uint8)


def _depth(source: CameraSource, picked: Picked) -> DepthPicture:
    if picked.part is not None:
        raise DecodeError("a video shows light, not distances")
    depth = depth_of(source.type, picked.message, source.topic)
    if depth is None:
        raise DecodeError("the picture shows light, not distances")
    return depth


class Looked(NamedTuple):
    """What a picture is.

    Attributes:
        encoding: ``jpeg <sampling>``, ``depth``, ``pixels``, or a codec of video.
        size: width and height.
    """

    encoding: str
    size: tuple[int, int]


def look(source: CameraSource, picked: Picked) -> Looked:
    """Return what a picture is, and check that it can be read.

    A JPEG is not decoded: its header and its end are looked at. Everything else is decoded.

    Raises:
        DecodeError: it cannot be read.
    """
    if picked.part is not None:
        frame = picked.part.picture(picked.at).bgr()
        codec = video_packet(source.type, picked.message).codec
        return Looked(codec, (frame.shape[1], frame.shape[0]))
    if source.type == RAW:
        pixels = raw_pixels(picked.message)
        if not pixels.values.size:
            raise DecodeError("the picture has no pixels")
        kind = "depth" if is_depth(pixels.encoding, source.topic) else "pixels"
        return Looked(kind, (pixels.width, pixels.height))
    found = _look_at_jpeg(picked)
    if found is not None:
        return found
    encoded = encoded_picture(picked.message)
    if is_depth(encoded.encoding, source.topic):
        shape = _depth(source, picked).metres.shape
        return Looked("depth", (shape[1], shape[0]))
    colour = colour_of(source, picked)
    return Looked("pixels", (colour.shape[1], colour.shape[0]))


def _look_at_jpeg(picked: Picked) -> Looked | None:
    """Return what a JPEG is, from its beginning and its end; None: it holds something else.

    Raises:
        DecodeError: it is damaged.
    """
    size, head, tail = edges(picked.payloads, picked.at, _HEAD, _TAIL)
    data = jpeg_start(head, size)
    if not data:
        return None
    if b"\xff\xd9" not in tail:
        raise DecodeError("the JPEG is truncated")
    try:
        width, height, _ = jpeg_head(data)
    except DecodeError:  # with a long description before the picture
        data = encoded_picture(picked.message).data
        width, height, _ = jpeg_head(data)
    check_size(data)
    return Looked(f"jpeg {jpeg_sampling(data)}", (width, height))
