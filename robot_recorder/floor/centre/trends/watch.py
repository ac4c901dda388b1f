"""Watches the trends in the background: what drifts, or is rejected too often, is an alarm of the centre."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.floor.centre.review.queue import Reviews
from robot_recorder.floor.centre.trends.alarms import TrendAlarm
from robot_recorder.floor.centre.trends.queries import TrendSpan, alarms_of

_LEAST_PAUSE_S = 60.0
_SHARE = 0.05  # of one core at most, on a floor with very many streams
_DAYS = 28
_MOST = 20


class TrendWatch:
    """The strongest alarms of the trends. Any thread may read it; one looks."""

    def __init__(self, reviews: Reviews, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            reviews: database, limits and time of the centre.
            clock: monotonic, s.
        """
        self._reviews, self._clock = reviews, clock
        self._due_s = 0.0
        self._looked_ns = 0
        self._found: tuple[TrendAlarm, ...] = ()

    def look(self) -> bool:
        """Look again, if the last time is long enough ago; return whether it was.

        Raises:
            DatabaseError: it cannot be done now.
        """
        began_s = self._clock()
        if self._looked_ns and began_s < self._due_s:
            return False
        now_ns = self._reviews.clock()
        today = now_ns // DAY_NS
        span = TrendSpan(today - _DAYS + 1, today)
        found = alarms_of(self._reviews.db, self._reviews.policy.drifts, span)
        self._found, self._looked_ns = tuple(found[:_MOST]), now_ns
        ended_s = self._clock()
        self._due_s = ended_s + max(_LEAST_PAUSE_S, (ended_s - began_s) / _SHARE)
        return True

    def wall(self) -> list[dict[str, Any]]:
        """Return the alarms for the wall; they end with the trend, nobody clears them."""
        return [
            {"site": a.site, "robot": _robot(a), "text": a.sentence, "trend": a.kind}
            for a in self._found
        ]

    def listed(self) -> list[dict[str, Any]]:
        """Return them as alarms of the list; their kind is ``trend``."""
        return [
            {
                "site": a.site, "robot": _robot(a), "kind": "trend",
                "subject": " ".join(filter(None, (a.kind, a.side, a.name, a.stream))),
                "sentence": a.sentence, "first_ns": a.since * DAY_NS, "last_ns": self._looked_ns,
                "times": 1,
            }
            for a in self._found
        ]  # fmt: skip


def _robot(alarm: TrendAlarm) -> str:
    """Return the robot that an alarm is about; empty: it is about an operator or a version."""
    return alarm.name if alarm.side in ("robot", "stream") else ""
