"""Checks of any stream of numbers: whether they can be decoded, and whether they are numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_recorder.model.check_result import Result, Threshold
from robot_recorder.quality.checks.check import Check, EpisodeSummary, ValueCheck
from robot_recorder.quality.checks.values import Values


class NotANumber(ValueCheck):
    """Values that are NaN or infinite.

    A value that never is a number is ignored, such as an effort that is not measured.
    """

    name = "not_a_number"
    remedy = "its driver publishes values it has not read; check the sensor's connection"

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check without samples."""
        super().__init__(stream, threshold, range)
        self._bad = np.zeros(0, dtype=np.int64)  # samples of each value
        self._sent = np.zeros(0, dtype=np.int64)
        self._names: tuple[str, ...] = ()

    def add(self, values: Values) -> None:
        """Count the values that are NaN or infinite."""
        more = (0, values.rows.shape[1] - len(self._bad))
        if more[1] > 0:
            self._bad, self._sent = np.pad(self._bad, more), np.pad(self._sent, more)
            self._names = values.names
        self._sent += len(values.rows)
        with np.errstate(invalid="ignore", over="ignore"):
            if np.isfinite(values.rows.sum()):  # one pass; a sum of finite numbers is finite
                return
        bad = ~np.isfinite(values.rows)
        if values.absent is not None:
            bad &= ~values.absent
            self._sent -= values.absent.sum(axis=0)
        self._bad += bad.sum(axis=0)

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Report the value that most often was not a number."""
        mixed = np.where(self._bad < self._sent, self._bad, 0)
        worst = int(mixed.max(initial=0))
        which = f" in {self._names[int(mixed.argmax())]}" if worst else ""
        yield self.say(worst, f"has {worst} samples that are not numbers{which}")


class Undecodable(Check):
    """Messages whose bytes do not fit their type."""

    name = "undecodable"
    remedy = "is its driver built against the same version of the message?"

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """Create the check; ``NumberWatch`` counts its messages."""
        super().__init__(stream, threshold)
        self.bad = self.messages = 0
        self.why = ""  # why the first of them cannot be decoded, if a mapping reads them

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Measure the share of messages that cannot be decoded."""
        if self.messages:
            words = f"has {self.bad} of {self.messages} messages that cannot be decoded"
            if self.why:
                words = f"{words}: {self.why}"
            remedy = "correct the mapping in the profile, or the driver" if self.why else ""
            yield self.say(self.bad / self.messages, words, remedy)
