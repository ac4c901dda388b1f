"""Measures the size, brightness and sharpness of one picture."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from robot_recorder.messages.image_messages import UnknownEncoding
from robot_recorder.model.errors import DecodeError
from robot_recorder.quality.checks.picture_figures import PictureFigures
from robot_recorder.quality.grey_pictures import MOST_WIDTH, GreyPicture, grey_picture
from robot_recorder.quality.raw_pictures import opencv

_DARK, _BRIGHT = 24, 250
_FLAT = 0.5  # variance of the Laplacian below which a picture shows nothing


def look_at(type_name: str, time_ns: int, message: bytes) -> PictureFigures | None:
    """Measure one picture.

    Args:
        type_name: sensor_msgs/msg/Image or CompressedImage.
        time_ns: time of the picture, robot clock.
        message: the whole message, CDR.

    Returns:
        Its figures, with size 0 if it cannot be decoded; None: its encoding is unsupported.

    Raises:
        Exception: for causes outside of the picture, such as too little memory.
    """
    try:
        picture = grey_picture(type_name, message)
    except UnknownEncoding:
        return None
    except DecodeError:
        return PictureFigures(time_ns, 0, 0)
    return figures_of(time_ns, picture)


def figures_of(time_ns: int, picture: GreyPicture) -> PictureFigures:
    """Measure a decoded picture.

    Args:
        time_ns: time of the picture, robot clock.
        picture: the picture.
    """
    cv2 = opencv()
    grey = picture.grey
    if grey.shape[1] > MOST_WIDTH:
        scale = MOST_WIDTH / grey.shape[1]
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    dark, bright = float(histogram[:_DARK].sum()), float(histogram[_BRIGHT:].sum())
    sharpness = _sharpness(grey) if picture.light else float("nan")
    return PictureFigures(
        time_ns, picture.width, picture.height, dark, bright, sharpness, picture.light
    )


def _sharpness(grey: np.ndarray) -> float:
    """Return how sharp a picture is, as defined by ``PictureFigures.sharpness``."""
    cv2 = opencv()
    # Fine to coarse: with strong blur the finest shows only JPEG blocks, the next shows the blur.
    structure = [_structure(grey)]
    for _ in range(3):
        if min(grey.shape[:2]) >= 16:
            grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            structure.append(_structure(grey))
    shares = [a / b for a, b in pairwise(structure) if b > _FLAT]
    return min(shares, default=float("nan"))


def _structure(grey: np.ndarray) -> float:
    """Return the variance of the Laplacian: the amount of structure at the finest scale."""
    cv2 = opencv()
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2
