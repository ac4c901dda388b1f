"""Pictures as image files of their own: JPEG unchanged where that is possible, depth as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from robot_recorder.dataset.formats.port import WriteOptions
from robot_recorder.dataset.pictures import ChosenPictures, Picked
from robot_recorder.dataset.schema import Feature, FeatureKind
from robot_recorder.model.errors import DecodeError

OPTION = "pictures"  # --set pictures=png: what cannot be copied becomes PNG, not JPEG
KINDS = ("jpg", "png")
_QUALITY = 95
_MOST_MM = 65_535


class Stills:
    """Makes an image file of each picture of one camera, and counts.

    Attributes:
        suffix: of the files: ``jpg`` or ``png``.
        size: width and height.
        repeated: number of frames that got the picture of the frame before.
        placeholders: number of frames that had none, and got a black one or unknown distances.
    """

    def __init__(self, feature: Feature, options: WriteOptions) -> None:
        """
        Args:
            feature: a camera.
            options: its codec ``mjpeg`` says that all of its pictures are copied.
        """
        self._feature, self._depth = feature, feature.kind is FeatureKind.DEPTH
        self.size = feature.shape[1], feature.shape[0]
        self.repeated = self.placeholders = 0
        lossless = options.extra.get(OPTION) == "png"
        copied = options.codecs.get(feature.name) == "mjpeg"
        self.suffix = "png" if self._depth or (lossless and not copied) else "jpg"

    def files(self, pictures: ChosenPictures) -> Iterator[bytes]:
        """Yield the file of every frame's picture.

        Depth: 16 bits, mm, 0: unknown, or further than 65.535 m.

        Raises:
            DecodeError: a picture cannot be decoded.
            BagError: the bag ends before the last picture.
        """
        for picked in pictures.picked():
            missing = picked.number < 0
            self.repeated += 0 if missing else picked.frames - 1
            self.placeholders += picked.frames if missing else 0
            data = self._file(pictures, picked)
            for _ in range(picked.frames):
                yield data

    def _file(self, pictures: ChosenPictures, picked: Picked) -> bytes:
        width, height = self.size
        if picked.number < 0:
            black = np.zeros((height, width, 3), np.uint8)
            unknown = np.zeros((height, width), np.uint16)
            return encoded(unknown if self._depth else black, self.suffix)
        if self._depth:
            return encoded(millimetres(pictures.metres(picked)), self.suffix)
        if self.suffix == "jpg" and not pictures.shape.changes:
            if data := pictures.jpeg(picked):
                return data
        return encoded(pictures.bgr(picked), self.suffix)

    @property
    def counted(self) -> Mapping[str, int]:
        """Return how many pictures were repeated or made up, as ``ShardResult`` takes it."""
        found = {"repeated": self.repeated, "placeholders": self.placeholders}
        return {f"{what} pictures of {self._feature.name}": n for what, n in found.items() if n}


def millimetres(metres: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Return distances in mm, uint16[height, width]; 0: unknown, or further than 65.535 m.

    Args:
        metres: float32[height, width], m; NaN: unknown.
    """
    found = np.rint(
        np.nan_to_num(metres.astype(np.float64) * 1000, nan=0.0, posinf=0.0, neginf=0.0)
    )
    return np.where((found >= 0) & (found <= _MOST_MM), found, 0).astype(np.uint16)


def encoded(pixels: np.ndarray, suffix: str) -> bytes:
    """Return an image file.

    Args:
        pixels: [height, width] or [height, width, 3], blue, green, red.
        suffix: ``jpg`` or ``png``.

    Raises:
        DecodeError: the picture is too large for the file.
    """
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if suffix == "jpg" else []
    done, data = cv2.imencode(f".{suffix}", pixels, quality)
    if not done:
        raise DecodeError(f"a picture of shape {pixels.shape} cannot be written as {suffix}")
    return bytes(data.tobytes())
