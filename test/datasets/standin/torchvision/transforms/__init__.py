"""Conversions of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from . import functional, v2

__all__ = ["ToTensor", "functional", "v2"]


class ToTensor:
    """Makes a picture, uint8 (height, width, 3), a float tensor (3, height, width) from 0 to 1."""

    def __call__(self, picture: Any) -> torch.Tensor:
        pixels = np.array(picture)
        if pixels.dtype != np.uint8 or pixels.ndim != 3:
            raise ValueError(
                f"the stand-in for torchvision converts colour pictures, not {pixels.dtype}"
            )
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous() / 255
