"""What is to be seen in a picture, in a few figures. The only place of the quality checks that needs OpenCV."""

from __future__ import annotations

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
_FLAT = 0.5  # variance of the Laplacian below which there is nothing to be seen


@lru_cache
def _cv2() -> Any:
    import cv2

    cv2.setNumThreads(1)  # it is one of many things a robot's computer has to do
    return cv2


def look_at(type_name: str, time_ns: int, message: bytes) -> PictureFigures:
    """The figures of one picture; of one that can not be decoded, that it can not.

    Args:
        type_name: sensor_msgs/msg/Image or CompressedImage.
        message: whole, as CDR.
    """
    try:
        if type_name == RAW:
            grey = _raw(message)
            width, height = (grey.shape[1], grey.shape[0]) if grey is not None else (0, 0)
        else:
            grey, width, height = _compressed(message)
    except (DecodeError, ValueError, _cv2().error):
        grey = None
    if grey is None or not grey.size:
        return PictureFigures(time_ns, 0, 0)
    return _figures(time_ns, width, height, grey)


def _compressed(message: bytes) -> tuple[np.ndarray | None, int, int]:
    cv2 = _cv2()
    reader = CdrReader(message)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    reader.skip_bytes()  # format
    encoded = np.frombuffer(reader.raw(), np.uint8)
    size = _jpeg_size(encoded)
    if size is None:
        grey = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
        return (None, 0, 0) if grey is None else (grey, grey.shape[1], grey.shape[0])
    width, height = size
    flags = {1: cv2.IMREAD_GRAYSCALE, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
             4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}  # fmt: skip
    scale = next((s for s in flags if width / s <= _WIDTH), 8)
    # The decoder fills up what a cut-off file lacks, and says nothing: its end says it.
    whole = bytes(encoded[-64:]).rstrip(b"\0").endswith(b"\xff\xd9")
    grey = cv2.imdecode(encoded, flags[scale]) if whole else None
    return grey, width, height


def _jpeg_size(encoded: np.ndarray) -> tuple[int, int] | None:
    """Width and height by a JPEG's frame header; None: it is no JPEG.

    Source of the format: ITU-T T.81, B.1 and B.2.2.
    """
    data = encoded[:65536].tobytes()
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (5, 7))
            return width, height
        at += 2 + length
    raise DecodeError("a JPEG without a frame header")


def _raw(message: bytes) -> np.ndarray | None:
    cv2 = _cv2()
    reader = CdrReader(message)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    height, width = reader.u32(), reader.u32()
    encoding = reader.text()
    reader.u8()
    step = reader.u32()
    pixels = np.frombuffer(reader.raw(), np.uint8)
    channels = {"mono8": 1, "8UC1": 1, "rgb8": 3, "bgr8": 3, "8UC3": 3, "rgba8": 4, "bgra8": 4}
    if encoding not in channels:
        return _scaled(pixels, width, height, step, encoding)
    depth = channels[encoding]
    if step < width * depth or len(pixels) < step * height:
        return None
    rows = pixels[: step * height].reshape(height, step)[:, : width * depth]
    if depth == 1:
        return np.asarray(rows)
    convert = {3: cv2.COLOR_RGB2GRAY, 4: cv2.COLOR_RGBA2GRAY}[depth]
    return np.asarray(
        cv2.cvtColor(np.ascontiguousarray(rows).reshape(height, width, depth), convert)
    )


def _scaled(
    pixels: np.ndarray, width: int, height: int, step: int, encoding: str
) -> np.ndarray | None:
    """Pictures of more than 8 bits (depth, infrared): what is furthest is white."""
    kinds = {"16UC1": "<u2", "mono16": "<u2", "32FC1": "<f4"}
    if encoding not in kinds:
        return None
    kind = np.dtype(kinds[encoding])
    if step < width * kind.itemsize or len(pixels) < step * height:
        return None
    rows = pixels[: step * height].reshape(height, step)[:, : width * kind.itemsize]
    values = np.nan_to_num(np.ascontiguousarray(rows).view(kind).astype(np.float32), posinf=0.0)
    most = np.percentile(values, 99.5) or 1.0
    return np.asarray(np.clip(values / most * 240, 0, 249), dtype=np.uint8)


def _figures(time_ns: int, width: int, height: int, grey: np.ndarray) -> PictureFigures:
    cv2 = _cv2()
    if grey.shape[1] > _WIDTH:
        scale = _WIDTH / grey.shape[1]
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    # From fine to coarse. Of strong blur the finest only shows the blocks of JPEG, the next shows the blur.
    structure = [_structure(grey)]
    for _ in range(3):
        if min(grey.shape[:2]) >= 16:
            grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            structure.append(_structure(grey))
    shares = [a / b for a, b in pairwise(structure) if b > _FLAT]
    sharpness = min(shares, default=float("nan"))
    dark, bright = float(histogram[:_DARK].sum()), float(histogram[_BRIGHT:].sum())
    return PictureFigures(time_ns, width, height, dark, bright, sharpness)


def _structure(grey: np.ndarray) -> float:
    """Variance of the Laplacian: how much of the smallest structure there is."""
    cv2 = _cv2()
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2
