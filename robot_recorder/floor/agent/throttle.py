"""How much may be sent now: by the bandwidth plan, and by what the recorder does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from robot_recorder.floor.agent.bandwidth import UNLIMITED
from robot_recorder.floor.agent.live import RecorderView
from robot_recorder.floor.agent.settings import AgentSettings, WhileRecording

_LOOK_S = 0.3
_USUAL_LINK = 125e6  # bytes/s; until the link has been measured


class Throttle:
    """Decides the rate of sending. Any thread may use it."""

    def __init__(
        self,
        settings: AgentSettings,
        recorder: Callable[[], RecorderView],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Create it.

        Args:
            settings: of the agent.
            recorder: returns what the recorder does.
            clock: monotonic, s.
            now: time since the epoch, s.
        """
        self._settings = settings
        self._recorder = recorder
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._looked_s = -1e9
        self._view = RecorderView()
        self._best = 0.0
        self._measured: tuple[float, int] | None = None

    def planned(self) -> float:
        """Return what the plan allows now, bytes/s."""
        return self._settings.bandwidth.rate(self._now())

    def rate(self) -> float:
        """Return what may be sent now, bytes/s; 0: nothing."""
        planned, while_recording = self.planned(), self._settings.while_recording
        if while_recording is WhileRecording.SEND or not planned:
            return planned
        view = self._seen()
        if view.state not in ("recording", "finalising"):
            return planned
        if while_recording is WhileRecording.PAUSE or view.is_losing or view.streams:
            return 0.0
        link = self._best or _USUAL_LINK
        return self._settings.share * (link if planned == UNLIMITED else planned)

    def measure(self, sent_bytes: int) -> None:
        """Note how much was sent so far, to know what the link can do."""
        now_s = self._clock()
        if self._measured is not None and now_s > self._measured[0]:
            since_s, before = self._measured
            self._best = max(self._best, (sent_bytes - before) / (now_s - since_s))
        self._measured = now_s, sent_bytes

    def _seen(self) -> RecorderView:
        now_s = self._clock()
        with self._lock:
            if now_s - self._looked_s >= _LOOK_S:
                self._looked_s, self._view = now_s, self._recorder()
            return self._view
