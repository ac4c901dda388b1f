"""Decode compressed video with PyAV, which is needed for nothing else and may be missing."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from robot_recorder.messages.image_messages import MOST_PIXELS
from robot_recorder.messages.video_messages import VideoPacket
from robot_recorder.model.errors import DecodeError

_FIX = "apt install python3-av, or pip install 'robot_recorder[video]'"
# Decoders to try, by codec: FFmpeg's own one of AV1 needs a graphics card.
_DECODERS = {"av1": ("libdav1d", "libaom-av1", "av1"), "h264": ("h264",), "hevc": ("hevc",),
             "vp9": ("vp9",), "vp8": ("vp8",), "mjpeg": ("mjpeg",)}  # fmt: skip
_OPTIONS = {"err_detect": "explode"}  # otherwise damaged parts are painted over


class CannotDecode(DecodeError):
    """No packet of a stream can be decoded here: PyAV is missing, or it lacks the codec."""


class NotYetDecodable(DecodeError):
    """A packet before the first key frame, on which it depends."""


@cache
def pyav() -> Any:
    """Return PyAV, imported when it is needed.

    Raises:
        CannotDecode: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise CannotDecode(f"video is not decoded without PyAV: {_FIX}") from error
    av.logging.set_level(av.logging.PANIC)  # errors are raised anyway
    return av


class VideoFrame:
    """A decoded picture of a video."""

    def __init__(self, frame: Any) -> None:
        """Wrap a frame of PyAV."""
        self._frame = frame

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height, pixels."""
        return int(self._frame.width), int(self._frame.height)

    def bgr(self) -> npt.NDArray[np.uint8]:
        """Return uint8[height, width, 3], blue, green, red."""
        return np.asarray(self._frame.to_ndarray(format="bgr24"))

    def grey(self) -> npt.NDArray[np.uint8]:
        """Return uint8[height, width], from black to white."""
        return np.asarray(self._frame.to_ndarray(format="gray"))

    def brightness(self) -> npt.NDArray[np.uint8]:
        """Return uint8[height, width] as it was compressed, a view where that is possible."""
        frame = self._frame
        if not frame.format.name.startswith(("yuv4", "yuvj4", "nv1", "gray")) or (
            frame.format.components[0].bits != 8
        ):
            return self.grey()
        plane = frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return rows[: frame.height, : frame.width]


class VideoDecoder:
    """Decodes the packets of one stream in order, from a key frame on.

    A packet that is damaged spoils what follows: decoding begins again at the next key frame.
    """

    def __init__(self) -> None:
        self._context: Any = None
        self._codec = ""
        self._headers = b""
        self._began = False
        self.waits = True  # for a key frame

    def decode(self, packet: VideoPacket, number: int) -> list[tuple[int, VideoFrame]]:
        """Decode the next packet.

        Args:
            packet: the packet.
            number: its number, which rises from packet to packet.

        Returns:
            The pictures that are complete, with the numbers of their packets: usually that of this
            packet. Encoders that look ahead make it come some packets later.

        Raises:
            NotYetDecodable: no key frame came before it.
            CannotDecode: PyAV or the codec is missing.
            DecodeError: it is damaged, or follows a damaged one without a key frame in between.
        """
        if self._context is None or packet.codec != self._codec:
            self._context, self._codec = _opened(packet.codec), packet.codec
            self.waits = True
        self._headers = packet.headers or self._headers
        if self.waits and not packet.is_key:
            if not self._began:
                raise NotYetDecodable("it comes before the first key frame")
            raise DecodeError("it follows a damaged picture, and no key frame came in between")
        data = packet.data
        if packet.is_key and not packet.headers:
            data = self._headers + data
        try:
            found = self._decoded(data, number)
        except Exception as error:
            self.restart()
            self._began = True
            if isinstance(error, (MemoryError, DecodeError)):
                raise
            raise DecodeError(f"the packet cannot be decoded: {error}") from error
        self.waits, self._began = False, True
        return found

    def _decoded(self, data: bytes, number: int) -> list[tuple[int, VideoFrame]]:
        packet = pyav().Packet(data)
        packet.pts = packet.dts = number
        frames = self._context.decode(packet)
        for frame in frames:
            if frame.width * frame.height > MOST_PIXELS:
                raise DecodeError(
                    f"a picture of {frame.width} x {frame.height} pixels is too large"
                )
            if frame.is_corrupt:
                raise DecodeError("parts of the picture are missing")
        return [(int(frame.pts), VideoFrame(frame)) for frame in frames if frame.pts is not None]

    def rest(self) -> list[tuple[int, VideoFrame]]:
        """Return the pictures that the decoder still holds; decoding goes on at a key frame."""
        if self._context is None:
            return []
        try:
            frames = self._context.decode(None)
        except Exception:  # they are damaged: the pictures stay without a frame
            frames = []
        self._context, self.waits = None, True
        return [(int(frame.pts), VideoFrame(frame)) for frame in frames if frame.pts is not None]

    def restart(self) -> None:
        """Forget all pictures and wait for a key frame."""
        self._context, self.waits = None, True


def _opened(codec: str) -> Any:
    """Return a decoder of PyAV.

    Raises:
        CannotDecode: PyAV or the codec is missing.
    """
    av = pyav()
    last: Exception | None = None
    for name in _DECODERS.get(codec, ()):
        try:
            context = av.CodecContext.create(name, "r")
            context.thread_count = 1  # more hold pictures back
            context.options = dict(_OPTIONS)
            context.open()
        except Exception as error:  # this build of FFmpeg has no such decoder
            last = error
            continue
        return context
    raise CannotDecode(
        f"video of format '{codec}' is not supported by the installed PyAV"
    ) from last


def can_decode(codec: str) -> bool:
    """Return whether PyAV is here and knows a codec."""
    try:
        _opened(codec)
    except CannotDecode:
        return False
    return True
