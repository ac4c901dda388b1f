"""The alarms of the station agent, for the operator: read again now and then, outside the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from robot_recorder.floor.agent_status import agent_alarms
from robot_recorder.model.text import storable

_FRESH_S = 2.0
_MOST, _MOST_CHARS = 20, 500


class AgentLine:
    """Knows the alarms of the agent of one root. It belongs to the server's event loop."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            root: directory of the episodes.
            clock: monotonic, s.
        """
        self._root, self._clock = root, clock
        self._known: list[str] | None = None
        self._read_s: float | None = None
        self._reading: asyncio.Future[list[str] | None] | None = None

    def alarms(self) -> list[str] | None:
        """Return what is known, at once, and see that it is known anew soon; None: no agent runs."""
        now_s = self._clock()
        is_old = self._read_s is None or now_s - self._read_s >= _FRESH_S
        if is_old and self._reading is None:
            self._read_s = now_s
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(None, agent_alarms, self._root, time.time_ns())
            self._reading.add_done_callback(self._take)
        return self._known

    def _take(self, done: asyncio.Future[list[str] | None]) -> None:
        self._reading = None
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            logging.getLogger(__name__).error("the agent's alarms are unknown", exc_info=error)
            self._known = None
            return
        self._known = shown(done.result())


def shown(alarms: list[str] | None) -> list[str] | None:
    """Return alarms as a page is sent them: not too many, not too long."""
    if alarms is None:
        return None
    return [storable(sentence[:_MOST_CHARS]) for sentence in alarms[:_MOST]]
