"""Draw pictures of depth in colours of one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from robot_recorder.messages.image_messages import (
    RAW,
    check_size,
    encoded_picture,
    is_depth,
    metres,
    raw_pixels,
)
from robot_recorder.messages.video_messages import VIDEO_TYPES
from robot_recorder.model.errors import DecodeError

UNKNOWN = (110, 110, 110)  # grey, which the scale of colours lacks: nothing was measured
_SHARES = (1, 99)  # percentiles of the distances that are told apart
_MOST_SEEN = 20_000  # pixels of a picture from which the scale is taken
_LEAST_M = 0.01  # length of a scale
_STEPS = (0.1, 0.2, 0.25, 0.5, 1.0)  # of the power of ten below a scale's length


@dataclass(frozen=True)
class DepthScale:
    """The distances of the first and the last colour, m."""

    near_m: float
    far_m: float

    @classmethod
    def of(cls, pictures: Sequence[DepthPicture]) -> DepthScale:
        """Return a scale for some pictures, with round ends."""
        parts = [p.metres.ravel()[:: max(1, p.metres.size // _MOST_SEEN)] for p in pictures]
        known = np.concatenate(parts).astype(np.float64) if parts else np.empty(0)
        known = known[np.isfinite(known)]
        if not known.size:
            return cls(0.0, 1.0)
        near, far = np.percentile(known, _SHARES)
        length = max(float(far - near), _LEAST_M, 0.05 * float(far))
        ten = 10.0 ** math.floor(math.log10(length))
        step = ten * next(s for s in _STEPS if length / (ten * s) <= 12)
        first = math.floor(near / step + 1e-6) * step
        last = max(math.ceil(far / step - 1e-6) * step, first + step)
        return cls(round(first, 6), round(last, 6))

    @property
    def labels(self) -> tuple[str, str]:
        """Return both ends as text, with their unit."""
        return f"{self.near_m:g} m", f"{self.far_m:g} m"


@dataclass(frozen=True)
class DepthPicture:
    """A picture of distances.

    Attributes:
        metres: float[height, width], m; NaN: unknown.
    """

    metres: npt.NDArray[np.floating[Any]]

    def shrunk(self, width: int) -> DepthPicture:
        """Return at most ``width`` columns; a pixel is left out, not mixed with its neighbours."""
        step = math.ceil(self.metres.shape[1] / width)
        with np.errstate(over="ignore"):
            return DepthPicture(self.metres[::step, ::step].astype(np.float16))

    def colours(self, scale: DepthScale) -> npt.NDArray[np.uint8]:
        """Return uint8[height, width, 3], blue, green, red: blue is near, red is far."""
        values = self.metres.astype(np.float32)
        share = (values - scale.near_m) / (scale.far_m - scale.near_m)
        levels = np.nan_to_num(np.clip(share, 0, 1) * 255, posinf=255).astype(np.uint8)
        drawn = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)
        drawn[np.isnan(values)] = UNKNOWN
        return np.asarray(drawn)

    def png(self) -> tuple[bytes, float]:
        """Return the picture as PNG of 16 bits, and how many of its units are one metre.

        A unit is a millimetre, or more if that takes more than 16 bits. 0 is unknown.
        """
        known = np.nan_to_num(self.metres.astype(np.float64))
        units = 1000.0
        while known.size and known.max() * units > 65_535:
            units /= 10
        values = np.rint(known * units).astype(np.uint16)
        done, data = cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if not done:
            raise DecodeError(f"depth of shape {values.shape} cannot be encoded as PNG")
        return data.tobytes(), units


def scale_colours(count: int) -> list[tuple[int, int, int]]:
    """Return evenly spread colours of the scale, red, green, blue, from near to far."""
    levels = np.linspace(0, 255, count).round().astype(np.uint8).reshape(1, -1)
    drawn = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[0, :, ::-1]
    return [(int(r), int(g), int(b)) for r, g, b in drawn]


def depth_of(type_name: str, message: bytes, topic: str = "") -> DepthPicture | None:
    """Return the distances in a message; None: it shows light.

    Args:
        type_name: type of the message.
        message: the whole message, CDR.
        topic: its topic, which tells mono16 of depth from that of infrared light.

    Raises:
        DecodeError: it cannot be decoded.
    """
    if type_name in VIDEO_TYPES:
        return None
    if type_name == RAW:
        pixels = raw_pixels(message)
        if not is_depth(pixels.encoding, topic):
            return None
        return _checked(metres(pixels.values[..., 0]))
    picture = encoded_picture(message)
    if not is_depth(picture.encoding, topic):
        return None
    if picture.rvl:
        return _checked(picture.metres(picture.rvl_values()))
    check_size(picture.data)
    try:
        values = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DecodeError(f"the picture cannot be decoded: {error}") from error
    if values is None:
        raise DecodeError("the picture cannot be decoded: its file is damaged")
    if values.dtype == np.uint8:
        return None
    return _checked(picture.metres(values[..., 0] if values.ndim > 2 else values))


def _checked(values: npt.NDArray[np.float32]) -> DepthPicture:
    if not values.size:
        raise DecodeError("the picture has no pixels")
    return DepthPicture(values)
