"""Checks of how the robot followed its commands."""

from __future__ import annotations

from collections.abc import Iterator

from robot_recorder.model.quality_result import Result, Threshold
from robot_recorder.quality.checks.check import Check, EpisodeSummary
from robot_recorder.quality.checks.following import Followed, follow


class _Tracking(Check):
    """Holds an observed joint stream against its commands."""

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """See Check."""
        super().__init__(stream, threshold)
        self._found: list[Followed] = []  # of each stretch the worst

    def figure(self, followed: Followed) -> float:
        """What it is about."""
        raise NotImplementedError

    def fold(self, stretch: EpisodeSummary) -> None:
        """See Check."""
        followed = self.followed(stretch)
        if followed:
            self._found.append(max(followed, key=self.figure))

    def usual(self) -> Followed | None:
        """Of the stretch whose figure is the middle one; None: there was nothing to compare."""
        found = sorted(self._found, key=self.figure)
        return found[len(found) // 2] if found else None

    def followed(self, episode: EpisodeSummary) -> list[Followed]:
        """How this stream followed each of its commands in one stretch; those that moved too little left out."""
        observed = episode.joints.get(self.stream)
        if observed is None or not len(observed):
            return []
        found = [follow(command, observed) for command in episode.commands_of(self.stream)]
        return [f for f in found if f is not None]


class TrackingLag(_Tracking):
    """The joints follow their commands late."""

    name = "tracking_lag"
    remedy = "check the controller's load and the command's way to it; is a clock off?"

    def figure(self, followed: Followed) -> float:
        """See _Tracking."""
        return abs(followed.lag_s)

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        self.fold(episode)
        found = self.usual()
        if found is not None:
            lag_s = found.lag_s
            yield self.say(abs(lag_s), f"followed its commands by {lag_s * 1000:.0f} ms")


class TrackingError(_Tracking):
    """The joints do not get to where they are commanded."""

    name = "tracking_error"
    remedy = "check for a collision, a weak motor, or gains that are too low"

    def figure(self, followed: Followed) -> float:
        """See _Tracking."""
        return followed.error_rad

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """See Check."""
        self.fold(episode)
        found = self.usual()
        if found is not None:
            words = f"{found.joint} was {found.error_rad:.2f} rad off its command"
            yield self.say(found.error_rad, words)
