"""Checks of cameras, based on the fingerprint of every picture and the figures of some."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_recorder.model.arrays import Bools, Int64s
from robot_recorder.model.check_result import Result, Threshold
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.checks.check import Check, EpisodeSummary
from robot_recorder.quality.checks.frozen_values import frozen_s
from robot_recorder.quality.checks.picture_figures import PictureFigures
from robot_recorder.quality.checks.values import ConstantRuns

BLACK_SHARE = 0.98  # share of dark pixels above which a picture counts as black


class CameraCheck(Check):
    """A check of the pictures of a camera that were measured."""

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """Create the check; ``CameraWatch.end`` fills in its pictures."""
        super().__init__(stream, threshold)
        self.pictures: list[PictureFigures] = []
        self.last_ns = 0  # time of the camera's last picture, measured or not
        self.size: tuple[int, int] | None = None  # width and height in its CameraInfo

    def seconds(self, bad: list[bool]) -> float:
        """Return how long pictures were bad, s; each counts until the next one that was measured.

        Args:
            bad: for each of ``pictures``, whether it is bad.
        """
        times = [p.time_ns for p in self.pictures]
        ends = [*times[1:], max(self.last_ns, times[-1])] if times else []
        spans = [end - start for start, end in zip(times, ends)]
        return sum(span for span, is_bad in zip(spans, bad) if is_bad) / NS_PER_S


class CameraUndecodable(CameraCheck):
    """Pictures that cannot be decoded or are truncated."""

    name = "camera_undecodable"
    remedy = "check whether its driver or its network truncates pictures"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure how long the pictures could not be decoded."""
        if self.pictures:
            bad = [not p.decodable for p in self.pictures]
            seconds = max(self.seconds(bad), 0.001 * sum(bad))
            yield self.say(
                seconds, f"had {sum(bad)} of {len(bad)} inspected pictures that cannot be decoded"
            )


class CameraBlack(CameraCheck):
    """Pictures that are almost completely black."""

    name = "camera_black"
    remedy = "is its lens covered, or the light off?"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure how long the pictures were black."""
        if self.pictures:
            seconds = self.seconds([p.decodable and p.dark > BLACK_SHARE for p in self.pictures])
            unlit = any(p.decodable and not p.light for p in self.pictures)
            words = "measured no distance" if unlit else "was black"
            yield self.say(seconds, f"{words} for {seconds:.1f} s")


class CameraOverexposed(CameraCheck):
    """Pictures that are mostly white."""

    name = "camera_overexposed"
    remedy = "lower its exposure, or turn it away from the lamp"
    _SHARE = 0.4

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure how long the pictures were overexposed."""
        if self.pictures:
            seconds = self.seconds([p.decodable and p.bright > self._SHARE for p in self.pictures])
            yield self.say(seconds, f"was overexposed for {seconds:.1f} s")


class CameraBlurred(CameraCheck):
    """A camera out of focus: its usual picture lacks fine structure."""

    name = "camera_blurred"
    remedy = "focus and clean its lens"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure the median sharpness."""
        seen = [p.sharpness for p in self.pictures if np.isfinite(p.sharpness) and p.dark < 0.9]
        if seen:
            sharpness = float(np.median(seen))
            yield self.say(sharpness, f"has a sharpness of {sharpness:.2f}")


class CameraSize(CameraCheck):
    """Pictures whose size differs from the CameraInfo, or without one from the first picture."""

    name = "camera_size"
    remedy = "its calibration does not fit: restore the driver's resolution"

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Count the pictures of the wrong size."""
        seen = [(p.width, p.height) for p in self.pictures if p.decodable]
        if seen:
            wanted = self.size or seen[0]
            wrong = [s for s in seen if s != wanted]
            which = f", {wrong[0][0]}x{wrong[0][1]} instead" if wrong else ""
            size = f"{wanted[0]}x{wanted[1]}"
            words = f"has {len(wrong)} of {len(seen)} pictures not in {size}{which}"
            yield self.say(len(wrong), words)


class CameraFrozen(Check):
    """A camera that publishes the same picture while the robot moves."""

    name = "camera_frozen"
    remedy = "restart its driver"

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """Create the check without pictures."""
        super().__init__(stream, threshold)
        self._runs = ConstantRuns()

    def add(self, times: Int64s, same: Bools) -> None:
        """Take pictures: their times (ns, robot clock), and whether each equals the one before."""
        if len(times):
            self._runs.add(times, same)

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure how long one picture was repeated while the robot moved."""
        if self._runs.samples:
            seconds = frozen_s(self._runs.spans, episode, self.stream)
            yield self.say(seconds, f"showed one picture for {seconds:.1f} s while the robot moved")


CAMERA_CHECKS: tuple[type[CameraCheck], ...] = (
    CameraUndecodable, CameraBlack, CameraSize, CameraBlurred, CameraOverexposed,
)  # fmt: skip
