"""Convert pixels of any encoding to grey and to colour, with OpenCV."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from robot_recorder.messages.image_messages import Pixels

_Bytes = npt.NDArray[np.uint8]
# By encoding: names of OpenCV's conversions to BGR. It names Bayer patterns from the second row and
# column on.
_TO_BGR = {
    "rgb": "RGB2BGR", "rgba": "RGBA2BGR", "bgra": "BGRA2BGR", "C4": "BGRA2BGR",
    "yuv422": "YUV2BGR_UYVY", "uyvy": "YUV2BGR_UYVY",
    "yuv422_yuy2": "YUV2BGR_YUY2", "yuyv": "YUV2BGR_YUY2",
    "nv12": "YUV2BGR_NV12", "nv21": "YUV2BGR_NV21",
    "bayer_rggb": "BayerBG2BGR", "bayer_bggr": "BayerRG2BGR",
    "bayer_gbrg": "BayerGR2BGR", "bayer_grbg": "BayerGB2BGR",
}  # fmt: skip
_BITS = (8, 10, 12, 14, 16)  # of sensors whose values come in 16 bits
_SHARES = (0.5, 99.5)  # percentiles drawn as black and white where no range is known
_MOST_SEEN = 100_000  # pixels from which such percentiles are taken


@lru_cache
def opencv() -> Any:
    """Return OpenCV, imported when it is needed and limited to one thread."""
    import cv2

    cv2.setNumThreads(1)  # leaves the robot's other cores alone
    return cv2


def bgr_of(pixels: Pixels) -> _Bytes:
    """Return a picture in colour.

    Colours of more than 8 bits are taken as those of a sensor of 10, 12, 14 or 16 bits, whichever
    holds the largest value. Numbers without a known range are spread from dark to light.

    Returns:
        uint8[height, width, 3], blue, green, red.

    Raises:
        cv2.error: the encoding cannot have this size.
    """
    cv2, values = opencv(), _eight_bits(pixels)
    if pixels.encoding == "nv24":
        return _of_nv24(values, pixels.height)
    conversion = _conversion(pixels)
    if conversion is not None:
        return np.asarray(cv2.cvtColor(values, getattr(cv2, f"COLOR_{conversion}")))
    if values.shape[2] in (3, 4):
        return np.ascontiguousarray(values[..., :3])
    return np.asarray(cv2.cvtColor(values[..., 0], cv2.COLOR_GRAY2BGR))


def grey_of(pixels: Pixels) -> _Bytes:
    """Return a picture in grey, uint8[height, width], from the values that ``bgr_of`` draws.

    Raises:
        cv2.error: the encoding cannot have this size.
    """
    if pixels.values.shape[2] == 1 and not pixels.is_planar and _conversion(pixels) is None:
        return np.ascontiguousarray(_eight_bits(pixels)[..., 0])
    cv2 = opencv()
    return np.asarray(cv2.cvtColor(bgr_of(pixels), cv2.COLOR_BGR2GRAY))


def _conversion(pixels: Pixels) -> str | None:
    """Return the name of the conversion to BGR; None: it is BGR, or grey."""
    name = pixels.encoding
    if "UC4" in name:  # without names of their own, channels are taken as OpenCV has them
        name = "C4"
    elif name.startswith(("rgb", "bgr", "bayer_")):
        name = name.removesuffix("16").removesuffix("8")
    return _TO_BGR.get(name)


def _eight_bits(pixels: Pixels) -> _Bytes:
    """Return the values as uint8, of the same shape."""
    values = pixels.values
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16 and pixels.encoding[0] in "rb":  # colours
        largest = int(values.max()).bit_length()
        return (values >> (next(b for b in _BITS if b >= largest) - 8)).astype(np.uint8)
    return spread(values)


def spread(values: npt.NDArray[Any]) -> _Bytes:
    """Return numbers of any range as uint8 from dark to light; those that are not finite are dark."""
    known = values.astype(np.float64)
    known[~np.isfinite(known)] = np.nan
    some = known.ravel()[:: max(1, known.size // _MOST_SEEN)]
    some = some[np.isfinite(some)]
    low, high = np.percentile(some, _SHARES) if some.size else (0.0, 1.0)
    share = (known - low) / (high - low) if high > low else np.where(known > low, 1.0, 0.5)
    return np.nan_to_num(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _of_nv24(values: _Bytes, height: int) -> _Bytes:
    """Convert a picture whose every pixel has its colour, which OpenCV has no conversion for."""
    cv2, width = opencv(), values.shape[1]
    brightness = values[:height, :, 0].astype(np.float32)
    colour = values[height:].reshape(height, width, 2).astype(np.float32) - 128
    # BT.601 of limited range, as OpenCV takes all others.
    y, u, v = 1.164 * (brightness - 16), colour[..., 0], colour[..., 1]
    found = np.stack([y + 2.018 * u, y - 0.391 * u - 0.813 * v, y + 1.596 * v], axis=2)
    return np.asarray(cv2.convertScaleAbs(np.clip(found, 0, 255)))
