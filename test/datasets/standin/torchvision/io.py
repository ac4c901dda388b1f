"""Reads the pictures of a video one after another, with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import torch


class VideoReader:
    """The pictures of a file's first video stream.

    Attributes:
        container: PyAV's open file; LeRobot closes it.
    """

    def __init__(self, src: str, stream: str = "video") -> None:
        self.container = av.open(src)
        self._stream = self.container.streams.video[0]
        self._tick_s = Fraction(self._stream.time_base or 0)
        self._frames = self.container.decode(self._stream)

    def seek(self, time_s: float, keyframes_only: bool = False) -> VideoReader:
        """Go to the last key frame at or before a time, in seconds."""
        self.container.seek(round(time_s / self._tick_s), stream=self._stream)
        self._frames = self.container.decode(self._stream)
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield ``data``, uint8 (3, height, width) RGB, and ``pts`` in seconds."""
        for frame in self._frames:
            rgb = torch.from_numpy(frame.to_ndarray(format="rgb24"))
            yield {"data": rgb.permute(2, 0, 1), "pts": float((frame.pts or 0) * self._tick_s)}
