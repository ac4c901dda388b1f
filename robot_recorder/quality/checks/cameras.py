"""Checks of cameras: of every picture a fingerprint, of some of them what is to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robot_recorder.model.arrays import Bools, Int64s
from robot_recorder.model.quality_result import Result, Threshold
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.checks.check import Check, EpisodeSummary
from robot_recorder.quality.checks.frozen import frozen_s
from robot_recorder.quality.checks.values import ConstantRuns

BLACK_SHARE = 0.98  # of dark pixels


@dataclass(frozen=True)
class PictureFigures:
    """What was seen in one picture.

    Attributes:
        time_ns: robot clock.
        width, height: pixels; 0: it can not be decoded.
        dark, bright: share of its pixels below 24 and from 250 on, of 255.
        sharpness: variance of the Laplacian at up to 400 pixels' width over that at half of it, or at
            half over a quarter, whichever is less: falls with blur, whatever the contrast; NaN for a
            picture with nothing on it.
    """

    time_ns: int
    width: int
    height: int
    dark: float = 0.0
    bright: float = 0.0
    sharpness: float = float("nan")

    @property
    def decodable(self) -> bool:
        """Something was seen."""
        return self.width > 0


class CameraCheck(Check):
    """A check that looks at some of a camera's pictures."""

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """See Check."""
        super().__init__(stream, threshold)
        self.pictures: list[PictureFigures] = []
        self.last_ns = 0  # of all the camera's pictures
        self.size: tuple[int, int] | None = None  # width and height by its CameraInfo

    def seconds(self, bad: list[bool]) -> float:
        """How long pictures were like that: each stands for the time until the next one looked at."""
        times = [p.time_ns for p in self.pictures]
        ends = [*times[1:], max(self.last_ns, times[-1])] if times else []
        spans = [end - start for start, end in zip(times, ends)]
        return sum(span for span, is_bad in zip(spans, bad) if is_bad) / NS_PER_S


class CameraUndecodable(CameraCheck):
    """Pictures that are none."""

    name = "camera_undecodable"
    remedy = "its driver or its network cuts pictures off"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        if self.pictures:
            bad = [not p.decodable for p in self.pictures]
            seconds = max(self.seconds(bad), 0.001 * sum(bad))
            yield self.say(
                seconds, f"{sum(bad)} of {len(bad)} pictures looked at can not be decoded"
            )


class CameraBlack(CameraCheck):
    """Nothing but black."""

    name = "camera_black"
    remedy = "is its lens covered, or the light off?"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        if self.pictures:
            seconds = self.seconds([p.decodable and p.dark > BLACK_SHARE for p in self.pictures])
            yield self.say(seconds, f"was black for {seconds:.1f} s")


class CameraOverexposed(CameraCheck):
    """Most of it is white."""

    name = "camera_overexposed"
    remedy = "lower its exposure, or turn it away from the lamp"
    _SHARE = 0.4

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        if self.pictures:
            seconds = self.seconds([p.decodable and p.bright > self._SHARE for p in self.pictures])
            yield self.say(seconds, f"was overexposed for {seconds:.1f} s")


class CameraBlurred(CameraCheck):
    """Out of focus: fine structure is missing in the usual picture."""

    name = "camera_blurred"
    remedy = "focus and clean its lens"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        seen = [p.sharpness for p in self.pictures if np.isfinite(p.sharpness) and p.dark < 0.9]
        if seen:
            sharpness = float(np.median(seen))
            yield self.say(sharpness, f"has a sharpness of {sharpness:.2f}")


class CameraSize(CameraCheck):
    """Pictures of another size than its CameraInfo, or than its first picture."""

    name = "camera_size"
    remedy = "its calibration does not fit: set the driver's resolution back"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        seen = [(p.width, p.height) for p in self.pictures if p.decodable]
        if seen:
            wanted = self.size or seen[0]
            wrong = [s for s in seen if s != wanted]
            which = f", {wrong[0][0]}x{wrong[0][1]} instead" if wrong else ""
            words = f"{len(wrong)} of {len(seen)} pictures are not {wanted[0]}x{wanted[1]}{which}"
            yield self.say(len(wrong), words)


class CameraFrozen(Check):
    """It publishes one and the same picture while the robot moves."""

    name = "camera_frozen"
    remedy = "restart its driver"

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """See Check."""
        super().__init__(stream, threshold)
        self._runs = ConstantRuns()

    def add(self, times: Int64s, same: Bools) -> None:
        """Take pictures: when, and whether each is the one before again."""
        self._runs.add(times, same)

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        if self._runs.samples:
            seconds = frozen_s(self._runs.spans, episode, self.stream)
            yield self.say(seconds, f"showed one picture for {seconds:.1f} s while the robot moved")


CAMERA_CHECKS: tuple[type[CameraCheck], ...] = (
    CameraUndecodable, CameraBlack, CameraSize, CameraBlurred, CameraOverexposed,
)  # fmt: skip
