"""Write the pictures of a camera into an MP4 file: packets unchanged, or encoded, with PyAV.

The same pictures give the same bytes: encoders run in one thread, and the muxer writes no dates.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from fractions import Fraction
from pathlib import Path
from platform import machine
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from robot_recorder.dataset.pictures import ChosenPictures, Picked
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.quality.video_decoder import pyav

# Depth as LeRobot reads it: 12 bits of the logarithm of the distance.
# Source: lerobot 0.6, configs/video.py and datasets/depth_utils.py.
DEPTH_MIN_M, DEPTH_MAX_M, DEPTH_SHIFT_M, DEPTH_MOST = 0.01, 10.0, 3.5, 4095


class VideoMode(str, Enum):
    """How pictures become a video."""

    AUTO = "auto"
    COPY = "copy"
    H264 = "h264"
    HEVC = "hevc"
    AV1 = "av1"


# By mode: PyAV's name of the encoder and its options. Qualities give a PSNR above 38 dB.
_ENCODERS: dict[VideoMode, tuple[str, dict[str, str]]] = {
    VideoMode.H264: ("libx264", {"preset": "veryfast", "crf": "18", "g": "12", "bf": "0"}),
    VideoMode.HEVC: ("libx265", {"preset": "ultrafast", "crf": "18", "x265-params":
                     "log-level=none:keyint=12:bframes=0:pools=none:frame-threads=1"}),
    VideoMode.AV1: ("libsvtav1", {"preset": "12", "crf": "14", "g": "12",
                    "svtav1-params": "lp=1"}),
}  # fmt: skip
_LOSSLESS_DEPTH = {"x265-params": "lossless=1:log-level=none:keyint=12:bframes=0:pools=none:"
                   "frame-threads=1", "preset": "ultrafast"}  # fmt: skip
if machine() == "x86_64":  # with AVX-512, x264 sometimes gives other bytes for the same pictures
    _ENCODERS[VideoMode.H264][1]["x264-params"] = "asm=SSE4.2"
_RAW = {"h264": "h264", "hevc": "hevc", "av1": "obu"}  # FFmpeg's names of files of packets alone
# Flags of swscale: bicubic, accurate rounding, full chroma in and out. Without them colours are up to
# 2.6 of 255 too dark (swscale.h).
ACCURATE = 0x4 | 0x40000 | 0x2000 | 0x4000
_BT601 = 5  # AVCOL_SPC_BT470BG, which JPEG uses


class VideoFile:
    """An MP4 file that takes the pictures of one camera, episode after episode.

    Attributes:
        frames: number of pictures so far.
        repeated: number of them that are repeated, because no new picture was there.
        placeholders: number of black ones, because there was no picture at all.
        codec: of the video.
        pixels: its pixel format.
    """

    def __init__(self, path: Path, rate_hz: float, size: tuple[int, int], codec: str) -> None:
        """
        Args:
            path: of the new file.
            rate_hz: frames per second.
            size: width and height.
            codec: ``mjpeg``, ``h264``, ``hevc`` or ``av1`` to take packets unchanged; an encoder's
                mode with a leading ``+``, as ``+h264``; ``+depth`` for distances.

        Raises:
            ConfigError: PyAV is missing, or cannot write this codec.
        """
        self.frames = self.repeated = self.placeholders = 0
        self.codec, self.pixels, self._size = codec.lstrip("+"), "yuv420p", size
        self._rate = Fraction(rate_hz).limit_denominator(1001)
        self._base = 1 / (self._rate * 1000)
        self._encodes = codec.startswith("+")
        av = pyav()
        self._file = av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"})
        self._stream: Any = None
        os.environ.setdefault("SVT_LOG", "1")  # errors only; read when the encoder is opened
        try:
            if self._encodes or self.codec == "mjpeg":
                self._stream = self._encoder() if self._encodes else self._copier()
        except (av.error.FFmpegError, ValueError) as error:
            self._file.close()
            raise ConfigError(f"the installed PyAV cannot write {self.codec}: {error}") from error

    def _encoder(self) -> Any:
        depth = self.codec == "depth"
        name, options = ("libx265", _LOSSLESS_DEPTH) if depth else _ENCODERS[VideoMode(self.codec)]
        if depth:
            self.codec, self.pixels = "hevc", "gray12le"
        elif self._size[0] % 2 or self._size[1] % 2:
            self.pixels = "yuv444p"  # 4:2:0 has even sizes only
        stream: Any = self._file.add_stream(name, rate=self._rate, options=options)
        stream.width, stream.height = self._size
        stream.pix_fmt = self.pixels
        context = stream.codec_context
        context.thread_count = 1
        context.time_base = 1 / self._rate
        if not depth:
            context.color_range, context.colorspace = 1, _BT601
        if self.codec == "hevc":
            context.codec_tag = "hvc1"
        return stream

    def _copier(self, first: bytes = b"") -> Any:
        """Return a stream for packets that are already encoded.

        Args:
            first: packet that describes the video, with its parameter sets; empty for JPEG.
        """
        if self.codec != "mjpeg":
            with pyav().open(io.BytesIO(first), format=_RAW[self.codec]) as source:
                stream = self._file.add_stream_from_template(source.streams.video[0])
            stream.time_base = self._base
            return stream
        width, height = self._size
        self.pixels = "yuvj420p"
        return self._file.add_mux_stream(
            "mjpeg", rate=self._rate, width=width, height=height, pix_fmt=self.pixels,
            time_base=self._base,
        )  # fmt: skip

    # -- adding pictures

    def add(self, pictures: ChosenPictures) -> Iterator[Picked]:
        """Add the pictures of an episode's frames; yield each message as it is written.

        Raises:
            DecodeError: a picture cannot be decoded.
            BagError: the bag ends before the last picture.
        """
        for picked in pictures.picked():
            self.repeated += picked.frames - 1 if picked.number >= 0 else 0
            self.placeholders += picked.frames if picked.number < 0 else 0
            if self._encodes:
                self._add_encoded(pictures, picked)
            else:
                self._add_packet(pictures, picked)
            yield picked

    def _add_packet(self, pictures: ChosenPictures, picked: Picked) -> None:
        data, key = self._packet(pictures, picked)
        if self._stream is None:
            self._stream = self._copier(data)
        for _ in range(picked.frames):
            packet = pyav().Packet(data)
            packet.stream, packet.time_base = self._stream, self._base
            packet.pts = packet.dts = self.frames * 1000
            packet.duration = 1000
            packet.is_keyframe = key
            self._file.mux(packet)
            self.frames += 1

    def _packet(self, pictures: ChosenPictures, picked: Picked) -> tuple[bytes, bool]:
        if self.codec != "mjpeg":
            packet = pictures.packet(picked)
            return packet.data, packet.is_key
        if picked.number < 0:
            return black_jpeg(self._size), True
        data = pictures.jpeg(picked)
        if not data:
            raise DecodeError(f"message {picked.number} of {pictures.source.topic} holds no JPEG")
        return data, True

    def _add_encoded(self, pictures: ChosenPictures, picked: Picked) -> None:
        frame = (
            self._depth(pictures, picked)
            if self.pixels == "gray12le"
            else self._colour(pictures, picked)
        )
        for _ in range(picked.frames):
            frame.pts, frame.time_base = self.frames, 1 / self._rate
            self.frames += 1
            with _usual_priority():
                self._file.mux(self._stream.encode(frame))

    def _colour(self, pictures: ChosenPictures, picked: Picked) -> Any:
        width, height = self._size
        black = picked.number < 0
        pixels = np.zeros((height, width, 3), np.uint8) if black else pictures.bgr(picked)
        frame: Any = pyav().VideoFrame.from_ndarray(pixels, format="bgr24")
        return frame.reformat(
            format=self.pixels, dst_colorspace=_BT601, src_color_range=2, dst_color_range=1,
            interpolation=ACCURATE,
        )  # fmt: skip

    def _depth(self, pictures: ChosenPictures, picked: Picked) -> Any:
        width, height = self._size
        metres = (
            np.full((height, width), np.nan, np.float32)
            if picked.number < 0
            else pictures.metres(picked)
        )
        frame: Any = pyav().VideoFrame(width, height, "gray12le")
        plane = frame.planes[0]
        rows = np.zeros((height, plane.line_size // 2), dtype="<u2")
        rows[:, :width] = depth_codes(metres)
        plane.update(rows.tobytes())
        return frame

    def close(self) -> None:
        """Write what the encoder holds, and the index of the file."""
        if self._encodes:
            self._file.mux(self._stream.encode(None))
        self._file.close()


@contextmanager
def _usual_priority() -> Iterator[None]:
    """Keep the priority of this process: SVT-AV1 makes one of root real-time when it is opened."""
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def depth_codes(metres: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Return distances as codes of 12 bits, uint16[height, width]; unknown ones as 0.

    Args:
        metres: float32[height, width], m; NaN: unknown.
    """
    low, high = math.log(DEPTH_MIN_M + DEPTH_SHIFT_M), math.log(DEPTH_MAX_M + DEPTH_SHIFT_M)
    share = (np.log(np.nan_to_num(metres, nan=DEPTH_MIN_M) + DEPTH_SHIFT_M) - low) / (high - low)
    codes = np.asarray(np.rint(share * DEPTH_MOST).clip(1, DEPTH_MOST), dtype=np.uint16)
    codes[np.isnan(metres)] = 0
    return codes


def depth_metres(codes: np.ndarray) -> npt.NDArray[np.float32]:
    """Return the distances that ``depth_codes`` made, m; 0, which is unknown, as NaN."""
    low, high = math.log(DEPTH_MIN_M + DEPTH_SHIFT_M), math.log(DEPTH_MAX_M + DEPTH_SHIFT_M)
    metres = np.exp(codes / DEPTH_MOST * (high - low) + low) - DEPTH_SHIFT_M
    return np.where(codes > 0, metres, np.nan).astype(np.float32)


def black_jpeg(size: tuple[int, int]) -> bytes:
    """Return a black picture, which stands where there was none."""
    done, data = cv2.imencode(".jpg", np.zeros((size[1], size[0], 3), np.uint8))
    if not done:
        raise DecodeError(f"a picture of {size[0]} x {size[1]} cannot be encoded as JPEG")
    return data.tobytes()
