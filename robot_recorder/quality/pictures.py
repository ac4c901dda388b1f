"""What is to be seen in a picture, in a few figures. The only place of the quality checks that needs OpenCV."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from robot_recorder.core.cdr import CdrReader
from robot_recorder.core.errors import DecodeError
from robot_recorder.core.quality.camera_watch import RAW
from robot_recorder.core.quality.cameras import PictureFigures

_WIDTH = 400  # pixels at most that are looked at: about what policies are trained with
_DARK, _BRIGHT = 24, 250
_FORMATS = ("jpeg", "jpg", "png", "webp", "tiff", "bmp")
_DEPTH_HEAD = 12  # bytes that the compressedDepth transport puts before its PNG
# Of what numpy kind, and how many of them a pixel has.
_ENCODINGS = {
    "mono8": ("u1", 1), "8UC1": ("u1", 1), "rgb8": ("u1", 3), "bgr8": ("u1", 3), "8UC3": ("u1", 3),
    "rgba8": ("u1", 4), "bgra8": ("u1", 4), "8UC4": ("u1", 4),
    "mono16": ("<u2", 1), "16UC1": ("<u2", 1), "32FC1": ("<f4", 1),
}  # fmt: skip
_FLAT = 0.5  # variance of the Laplacian below which there is nothing to be seen


@lru_cache
def _cv2() -> Any:
    import cv2

    cv2.setNumThreads(1)  # it is one of many things a robot's computer has to do
    return cv2


def look_at(type_name: str, time_ns: int, message: bytes) -> PictureFigures | None:
    """The figures of one picture; of one that can not be decoded, that it can not.

    Args:
        type_name: sensor_msgs/msg/Image or CompressedImage.
        message: whole, as CDR.

    Returns:
        None: it is encoded in a way that is not understood here, as video is.
    """
    try:
        picture = _raw(message) if type_name == RAW else _compressed(message)
    except NotImplementedError:
        return None
    except Exception:  # decoders meet whatever a driver sends
        return PictureFigures(time_ns, 0, 0)
    if picture is None or not picture.grey.size:
        return PictureFigures(time_ns, 0, 0)
    return _figures(time_ns, picture)


@dataclass(frozen=True)
class _Picture:
    """Width and height of the whole, uint8[h, w] of what is looked at, and whether it is light that is measured."""

    width: int
    height: int
    grey: np.ndarray
    light: bool = True


def _compressed(message: bytes) -> _Picture | None:
    cv2 = _cv2()
    reader = CdrReader(message)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    format = reader.text().lower()
    encoded = bytes(reader.raw())
    if "compresseddepth" in format.replace("_", ""):
        encoded = encoded[_DEPTH_HEAD:]
    elif format and not any(word in format for word in _FORMATS):
        raise NotImplementedError(format)
    if not encoded.startswith(b"\xff\xd8"):
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
        if picture is None:
            return None
        height, width = picture.shape[:2]
        if picture.dtype != np.uint8:
            return _Picture(
                width, height, _scaled(picture[..., 0] if picture.ndim > 2 else picture), False
            )
        codes = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}
        grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, codes[picture.shape[2]])
        return _Picture(width, height, grey)
    width, height, scan = _jpeg_head(encoded)
    flags = {1: cv2.IMREAD_GRAYSCALE, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
             4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}  # fmt: skip
    scale = next((s for s in flags if width / s <= _WIDTH), 8)
    # The decoder fills up what a cut-off file lacks, and says nothing: its end says it.
    if encoded.rfind(b"\xff\xd9") < scan:
        return None
    grey = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags[scale])
    return None if grey is None else _Picture(width, height, grey)


def _jpeg_head(data: bytes) -> tuple[int, int, int]:
    """Width, height, and where the picture itself begins.

    Source of the format: ITU-T T.81, B.1 and B.2.2.
    """
    at, width, height = 2, 0, 0
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return width, height, at
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (5, 7))
        at += 2 + length
    raise DecodeError("a JPEG without a picture")


def _raw(message: bytes) -> _Picture | None:
    cv2 = _cv2()
    reader = CdrReader(message)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    height, width = reader.u32(), reader.u32()
    encoding = reader.text()
    reader.u8()
    step = reader.u32()
    pixels = np.frombuffer(reader.raw(), np.uint8)
    kind = _ENCODINGS.get(encoding) or (
        ("u1", 1) if encoding.startswith("bayer_") and encoding[-1] == "8" else None
    )
    if kind is None:
        raise NotImplementedError(encoding)
    number, depth = np.dtype(kind[0]), kind[1]
    row = width * depth * number.itemsize
    if step < row or len(pixels) < step * height:
        return None
    rows = np.ascontiguousarray(pixels[: step * height].reshape(height, step)[:, :row])
    if number != np.uint8:
        return _Picture(width, height, _scaled(rows.view(number)), False)
    if depth == 1:
        return _Picture(width, height, rows)
    convert = {3: cv2.COLOR_RGB2GRAY, 4: cv2.COLOR_RGBA2GRAY}[depth]
    return _Picture(width, height, cv2.cvtColor(rows.reshape(height, width, depth), convert))


def _scaled(values: np.ndarray) -> np.ndarray:
    """Pictures of more than 8 bits (depth, infrared): what is furthest is lightest; 0 is nothing seen."""
    known = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    most = float(np.percentile(known, 99.5)) if known.size else 0.0
    seen = 64 + np.clip(known / (most or 1.0) * 150, 0, 150)
    return np.asarray(np.where(known > 0, seen, 0), dtype=np.uint8)


def _figures(time_ns: int, picture: _Picture) -> PictureFigures:
    cv2 = _cv2()
    grey = picture.grey
    if grey.shape[1] > _WIDTH:
        scale = _WIDTH / grey.shape[1]
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    dark, bright = float(histogram[:_DARK].sum()), float(histogram[_BRIGHT:].sum())
    sharpness = _sharpness(grey) if picture.light else float("nan")
    return PictureFigures(time_ns, picture.width, picture.height, dark, bright, sharpness)


def _sharpness(grey: np.ndarray) -> float:
    """See PictureFigures."""
    cv2 = _cv2()
    # From fine to coarse. Of strong blur the finest only shows the blocks of JPEG, the next shows the blur.
    structure = [_structure(grey)]
    for _ in range(3):
        if min(grey.shape[:2]) >= 16:
            grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            structure.append(_structure(grey))
    shares = [a / b for a, b in pairwise(structure) if b > _FLAT]
    return min(shares, default=float("nan"))


def _structure(grey: np.ndarray) -> float:
    """Variance of the Laplacian: how much of the smallest structure there is."""
    cv2 = _cv2()
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2
