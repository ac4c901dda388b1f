"""The connection to the centre, and the alarms about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from robot_recorder.floor.agent.alarms import AgentAlarms, AlarmKind
from robot_recorder.floor.client import CentreClient, CentreError, UnreachableError

_TOKEN_S = 60.0  # a refused token is tried again this often
_OWN_TROUBLES = ("", "unavailable")  # others are of its storage: the sender sees to them
_PATIENCE = 3  # answers in a row
_QUICK_S, _PAUSE_S = 2.0, 0.2  # a request that failed sooner is repeated after that
_PATIENCE_S = 30.0  # a network that is gone for less is no alarm
_RESTS_S = 120.0  # since the last request: nothing is known any more


class CentreLink:
    """Requests to the centre. Any thread may use it; methods raise what ``CentreClient`` raises.

    Attributes:
        client: what it speaks with.
        problem: why the centre does not answer; empty: it does.
    """

    def __init__(
        self,
        client: CentreClient,
        alarms: AgentAlarms,
        tries: int = 1,
        about: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it.

        Args:
            client: what it speaks with.
            alarms: that are begun and ended.
            tries: how often a request is sent that the network swallows at once.
            about: what its alarms are about: another link to the same centre does not end them.
            clock: monotonic, s.
        """
        self.client = client
        self.problem = ""
        self._alarms = alarms
        self._tries = tries
        self._about = about
        self._asked_s = clock()
        self._clock = clock
        self._lock = threading.Lock()
        self._answered_s = clock()
        self._ill = 0
        self._refused: tuple[float, CentreError] | None = None

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request, unless the token was refused a moment ago."""
        with self._lock:
            self._asked_s = self._clock()
            if self._refused is not None and self._clock() < self._refused[0]:
                raise self._refused[1]
        try:
            answer = self._post(path, body)
        except UnreachableError as error:
            self._lost(error)
            raise
        except CentreError as error:
            self._answered(error)
            raise
        self._answered(None)
        return answer

    def look(self) -> None:
        """End the alarms of a link over which nothing was asked for long: they may be over."""
        with self._lock:
            if self._clock() - self._asked_s < _RESTS_S:
                return
            self.problem, self._ill, self._refused = "", 0, None
            self._answered_s = self._clock()
        for kind in (AlarmKind.UNREACHABLE, AlarmKind.CENTRE, AlarmKind.TOKEN):
            self._alarms.end(kind, self._about)

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request, again if the network just swallowed it: repeating one does no harm."""
        for left in range(self._tries - 1, -1, -1):
            began_s = self._clock()
            try:
                return self.client.post(path, body)
            except UnreachableError:
                if not left or self._clock() - began_s > _QUICK_S:
                    raise
                time.sleep(_PAUSE_S)
        raise AssertionError("it returned or raised")

    def _lost(self, error: UnreachableError) -> None:
        with self._lock:
            self.problem = str(error)
            silent_s = self._clock() - self._answered_s
        if silent_s > _PATIENCE_S:
            sentence = f"the centre cannot be reached: {error}"
            self._alarms.begin(AlarmKind.UNREACHABLE, sentence, self._about)

    def _answered(self, error: CentreError | None) -> None:
        is_refused = error is not None and error.status == 401
        is_ill = error is not None and error.status >= 500 and error.trouble in _OWN_TROUBLES
        with self._lock:
            self.problem = str(error) if error is not None and error.is_passing else ""
            self._answered_s = self._clock()
            self._ill = self._ill + 1 if is_ill else 0
            is_ill = self._ill >= _PATIENCE
            self._refused = (self._clock() + _TOKEN_S, error) if is_refused and error else None
        self._alarms.end(AlarmKind.UNREACHABLE, self._about)
        sentence = f"the centre has a problem: {error}" if is_ill else ""
        self._alarms.set(AlarmKind.CENTRE, sentence, self._about)
        self._alarms.set(
            AlarmKind.TOKEN,
            f"the centre refuses this robot's token ({error}): everything is kept; make a new token "
            "with robot-recorder centre token add SITE ROBOT"
            if is_refused
            else "",
            self._about,
        )
