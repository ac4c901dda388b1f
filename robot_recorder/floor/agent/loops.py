"""A thread that does one thing again and again, and never ends silently."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from robot_recorder.floor.agent.alarms import AgentAlarms, AlarmKind
from robot_recorder.floor.agent.bandwidth import SendingPaused
from robot_recorder.model.errors import RecorderError

_AFTER_ERROR_S = 2.0
_AFTER_BUG_S = 10.0
_BUG_STANDS_S = 3600.0  # since the last one: somebody shall see that it happened


class AgentLoop:
    """Calls a step in a thread until it is stopped.

    Attributes:
        name: what it does.
        errors: how often the step failed.
        problem: why it failed last; empty: it worked.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float],
        alarms: AgentAlarms,
        after_error_s: float = _AFTER_ERROR_S,
    ) -> None:
        """Create the loop; ``start`` starts it.

        Args:
            name: what it does.
            step: does it, and returns how long to wait before the next time, s.
            alarms: an error that nobody thought of becomes one.
            after_error_s: how long to wait after a step that failed, s.
        """
        self.name = name
        self.errors = 0
        self.problem = ""
        self._step = step
        self._alarms = alarms
        self._after_error_s = after_error_s
        self._bug_s: float | None = None
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Do the next step now."""
        self._woken.set()

    def stop(self) -> None:
        """Let the thread end after its present step."""
        self._stopped.set()
        self._woken.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; return whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                wait_s = self._one()
            except Exception:  # even telling of an error failed
                self.errors += 1
                wait_s = _AFTER_BUG_S
            self._woken.wait(wait_s)

    def _one(self) -> float:
        try:
            wait_s = self._step()
        except SendingPaused:
            return self._after_error_s
        except RecorderError as error:
            self.errors += 1
            if str(error) != self.problem:
                logging.getLogger(__name__).warning("%s: %s", self.name, error)
            self.problem = str(error)
            return self._after_error_s
        except (
            Exception
        ) as error:  # a bug must not silence an agent: the others go on, and it is seen
            self.errors += 1
            self.problem = f"{type(error).__name__}: {error}"
            self._bug_s = time.monotonic()
            logging.getLogger(__name__).exception("%s failed", self.name)
            self._alarms.begin(
                AlarmKind.BUG,
                f"a bug in the agent ({self.name}): {self.problem}; it goes on",
                self.name,
            )
            return _AFTER_BUG_S
        self.problem = ""
        if self._bug_s is not None and time.monotonic() - self._bug_s > _BUG_STANDS_S:
            self._alarms.end(AlarmKind.BUG, self.name)
            self._bug_s = None
        return wait_s
