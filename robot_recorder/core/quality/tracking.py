"""Checks of how the robot followed its commands."""

from __future__ import annotations

from collections.abc import Iterator

from robot_recorder.core.quality.check import Check, EpisodeFacts
from robot_recorder.core.quality.following import Followed, follow
from robot_recorder.core.quality.result import Result


class _Tracking(Check):
    """Holds an observed joint stream against its commands."""

    def followed(self, episode: EpisodeFacts) -> list[Followed]:
        """How this stream followed each of its commands; those that moved too little left out."""
        observed = episode.joints.get(self.stream)
        if observed is None or not len(observed):
            return []
        found = [follow(command, observed) for command in episode.commands_of(self.stream)]
        return [f for f in found if f is not None]


class TrackingLag(_Tracking):
    """The joints follow their commands late."""

    name = "tracking_lag"
    remedy = "check the controller's load and the command's way to it; is a clock off?"

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        lags = [found.lag_s for found in self.followed(episode)]
        if lags:
            lag_s = max(lags, key=abs)
            yield self.say(abs(lag_s), f"followed its commands by {lag_s * 1000:.0f} ms")


class TrackingError(_Tracking):
    """The joints do not get to where they are commanded."""

    name = "tracking_error"
    remedy = "check for a collision, a weak motor, or gains that are too low"

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        followed = self.followed(episode)
        if followed:
            found = max(followed, key=lambda f: f.error_rad)
            words = f"{found.joint} was {found.error_rad:.2f} rad off its command"
            yield self.say(found.error_rad, words)
