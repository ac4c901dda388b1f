"""Checks of how well the robot follows its commands."""

from __future__ import annotations

from collections.abc import Iterator

from robot_recorder.model.check_result import Result, Threshold
from robot_recorder.quality.checks.check import Check, EpisodeSummary
from robot_recorder.quality.checks.following_error import Followed, follow


class _Tracking(Check):
    """A comparison of an observed joint stream with its commands."""

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """Create the check without results."""
        super().__init__(stream, threshold)
        self._found: list[Followed] = []  # the worst of each stretch

    def figure(self, followed: Followed) -> float:
        """Return the figure that the check judges."""
        raise NotImplementedError

    def fold(self, stretch: EpisodeSummary) -> None:
        """Keep the worst result of the stretch."""
        followed = self.followed(stretch)
        if followed:
            self._found.append(max(followed, key=self.figure))

    def usual(self) -> Followed | None:
        """Return the result of the median stretch; None: there was nothing to compare."""
        found = sorted(self._found, key=self.figure)
        return found[len(found) // 2] if found else None

    def followed(self, episode: EpisodeSummary) -> list[Followed]:
        """Return how the stream followed each of its commands in a stretch, if enough moved."""
        observed = episode.joints.get(self.stream)
        if observed is None or not len(observed):
            return []
        found = [follow(command, observed) for command in episode.commands_of(self.stream)]
        return [f for f in found if f is not None]


class TrackingLag(_Tracking):
    """Joints that follow their commands late."""

    name = "tracking_lag"
    remedy = "check the controller's load, the network to it, and the clocks"

    def figure(self, followed: Followed) -> float:
        """Return the lag, s."""
        return abs(followed.lag_s)

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report the lag of the median stretch."""
        self.fold(episode)
        found = self.usual()
        if found is not None:
            lag_s = found.lag_s
            yield self.say(abs(lag_s), f"followed its commands by {lag_s * 1000:.0f} ms")


class TrackingError(_Tracking):
    """Joints that do not reach their commanded positions."""

    name = "tracking_error"
    remedy = "check for a collision, a weak motor, or gains that are too low"

    def figure(self, followed: Followed) -> float:
        """Return the error, rad."""
        return followed.error_rad

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report the error of the median stretch."""
        self.fold(episode)
        found = self.usual()
        if found is not None:
            observed = episode.joints.get(self.stream)
            unit, one = (observed.scales if observed else {}).get(found.joint, ("rad", 1.0))
            words = f"{found.joint} was {found.error_rad * one:.2f} {unit} off its command"
            yield self.say(found.error_rad, words)
