"""How a camera's raw pictures are encoded before they are recorded, as ``encode`` of a profile."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Codec(str, Enum):
    """What pictures are encoded to."""

    JPEG = "jpeg"
    PNG16 = "png16"
    RVL = "rvl"
    H264 = "h264"


AUTOMATIC_ENCODER = "auto"
JPEG_QUALITY = 90
CRF = 23
KEYFRAME_S = 0.5


@dataclass(frozen=True)
class EncodeSettings:
    """The settings of one stream.

    Attributes:
        codec: ``jpeg``: colour or grey, with loss; ``png16`` and ``rvl``: depth of 16 bits, without
            loss; ``h264``: video.
        quality: of JPEG, 1 to 100.
        crf: constant rate factor of H.264, 0 to 51; less is better and larger.
        keyframe_s: time from key frame to key frame of H.264, s.
        encoder: of H.264, by FFmpeg's name; ``auto``: the first one that works here.
    """

    codec: Codec
    quality: int = JPEG_QUALITY
    crf: int = CRF
    keyframe_s: float = KEYFRAME_S
    encoder: str = AUTOMATIC_ENCODER

    @property
    def parameters(self) -> dict[str, Any]:
        """Return those that the codec uses, as in a profile."""
        if self.codec is Codec.JPEG:
            return {"quality": self.quality}
        if self.codec is Codec.H264:
            return {"crf": self.crf, "keyframe_s": self.keyframe_s, "encoder": self.encoder}
        return {}
