"""Encode pictures to H.264 with PyAV: by a graphics card where one works, else by the processor."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from robot_recorder.encoding.still_encoders import coloured, is_grey
from robot_recorder.messages.encoded import compressed_video
from robot_recorder.messages.image_messages import Pixels
from robot_recorder.messages.video_messages import VIDEO, video_packet
from robot_recorder.model.encode_settings import AUTOMATIC_ENCODER, EncodeSettings
from robot_recorder.model.errors import EncodeError
from robot_recorder.quality.raw_pictures import bgr_of

# By FFmpeg's name, in the order in which they are tried: the format of their pixels, and options for
# constant quality ({crf}) without looking ahead: every picture is sent before the next one comes.
# VAAPI and Jetson's own encoder take pictures in the card's memory only, which PyAV cannot give them.
_ENCODERS = {
    "h264_nvenc": ("yuv420p", {"preset": "p4", "tune": "ull", "rc": "vbr", "cq": "{crf}",
                               "delay": "0", "zerolatency": "1", "forced-idr": "1"}),
    "h264_qsv": ("nv12", {"preset": "veryfast", "global_quality": "{crf}", "async_depth": "1"}),
    "libx264": ("yuv420p", {"preset": "veryfast", "tune": "zerolatency", "crf": "{crf}"}),
}  # fmt: skip
_PROBE = (640, 480)
_PROBES = 3  # pictures
_BT601 = 6  # AVCOL_SPC_SMPTE170M, the conversion of FFmpeg's scaler
_LIMITED = 1  # AVCOL_RANGE_MPEG


class VideoEncoder:
    """Encodes the pictures of one stream; the size of the pictures may change."""

    def __init__(self, settings: EncodeSettings, rate_hz: float) -> None:
        """Find an encoder that works here.

        Args:
            settings: of the stream.
            rate_hz: its expected rate, Hz.

        Raises:
            EncodeError: none works.
        """
        self._settings, self._rate_hz = settings, rate_hz
        self._context: Any = None
        self._size = (0, 0)
        self._number = 0
        self.name = self._found()

    def _found(self) -> str:
        wanted, tried = self._settings.encoder, []
        for name in _ENCODERS if wanted == AUTOMATIC_ENCODER else [wanted]:
            try:
                self._probe(name)
            except Exception as error:  # of FFmpeg, which has one class for every cause
                tried.append(f"{name}: {error}")
                continue
            return name
        raise EncodeError(f"no encoder of H.264 works here ({'; '.join(tried)})")

    def _probe(self, name: str) -> None:
        """Encode some pictures; raise if one is held back or cannot be the first of a video."""
        if name not in _ENCODERS:
            raise EncodeError(f"unknown; there are {', '.join(_ENCODERS)}")
        width, height = _PROBE
        context = self._opened(name, width, height)
        picture = np.zeros((height, width, 3), np.uint8)
        for number in range(_PROBES):
            data = _packets(context, picture, "bgr24", number, _ENCODERS[name][0])
            message = compressed_video(bytes(16), "h264", data)
            if not number and not video_packet(VIDEO, message).headers:
                raise EncodeError("its first packet does not describe the video")

    def _opened(self, name: str, width: int, height: int) -> Any:
        import av

        av.logging.set_level(av.logging.PANIC)  # errors are raised anyway
        pixels, options = _ENCODERS[name]
        context: Any = av.CodecContext.create(name, "w")
        context.width, context.height, context.pix_fmt = width, height, pixels
        rate = Fraction(self._rate_hz).limit_denominator(1000)
        context.framerate, context.time_base = rate, 1 / rate
        context.gop_size = max(1, round(self._settings.keyframe_s * self._rate_hz))
        context.max_b_frames = 0
        context.thread_count = 1  # leaves the robot's other cores alone
        context.colorspace, context.color_range = _BT601, _LIMITED
        context.options = {k: v.format(crf=self._settings.crf) for k, v in options.items()}
        context.open()
        return context

    def encode(self, message: bytes) -> bytes:
        """Return a CompressedVideo; see PictureEncoder."""
        pixels = coloured(message, "h264")
        if pixels.width % 2 or pixels.height % 2:
            size = f"{pixels.width} x {pixels.height}"
            raise EncodeError(f"h264 needs an even width and height, not {size}; use jpeg")
        picture, format = _planes(pixels)
        try:
            if self._context is None or self._size != (pixels.width, pixels.height):
                self._context = self._opened(self.name, pixels.width, pixels.height)
                self._size = pixels.width, pixels.height
            data = _packets(self._context, picture, format, self._number, _ENCODERS[self.name][0])
        except Exception as error:
            self._context = None  # what follows begins with a key frame again
            if isinstance(error, (MemoryError, EncodeError)):
                raise
            raise EncodeError(f"{self.name} cannot encode it: {error}") from error
        self._number += 1
        return compressed_video(message, "h264", data)


def _planes(pixels: Pixels) -> tuple[np.ndarray, str]:
    """Return a picture as PyAV takes it, and the name of its format."""
    if is_grey(pixels):
        return np.ascontiguousarray(pixels.values[..., 0]), "gray"
    if pixels.encoding == "rgb8":
        return pixels.values, "rgb24"
    return bgr_of(pixels), "bgr24"


def _packets(context: Any, picture: np.ndarray, format: str, number: int, wanted: str) -> bytes:
    """Encode one picture; return its packets.

    Raises:
        EncodeError: the encoder holds pictures back, so that none comes for this one.
    """
    import av

    frame = av.VideoFrame.from_ndarray(picture, format=format).reformat(format=wanted)
    frame.pts = number
    packets = [bytes(packet) for packet in context.encode(frame)]
    if len(packets) != 1:
        raise EncodeError(f"it answers a picture with {len(packets)} packets instead of one")
    return packets[0]
