"""A robot that publishes in the background while somebody works through a shift."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from std_srvs.srv import Trigger

from robot_recorder.msg import Said, ShiftStatus
from robot_recorder.srv import BeginShift, ShiftCommand
from support.robot import LATCHED, Bench


class ShiftBench(Bench):
    """A bench that also hears the operator node, and publishes while it waits.

    Attributes:
        shift: the newest ShiftStatus, as soon as one came.
        said: everything that was said.
    """

    def __init__(self, namespace: str = "") -> None:
        super().__init__(namespace)
        self.shift: Any = None
        self.said: list[Any] = []
        self.node.create_subscription(ShiftStatus, "shift/status", self._on_shift, LATCHED)
        self.node.create_subscription(Said, "shift/said", self.said.append, 50)
        self._clients: dict[str, Any] = {}

    def _on_shift(self, status: Any) -> None:
        self.shift = status

    def until(self, what: str, condition: Callable[[], Any], timeout_s: float = 20) -> None:
        """Publish until a condition holds; fail the test after a timeout."""
        self.publish_until(f"{what}; shift: {self.shift}", lambda: bool(condition()), timeout_s)

    def ask(self, kind: Any, service: str, /, **fields: Any) -> Any:
        """Call a service while the streams go on."""
        client = self._clients.setdefault(service, self.node.create_client(kind, service))
        self.until(f"the service {service}", client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        end = time.monotonic() + 30
        while not future.done():
            assert time.monotonic() < end, f"{service} did not answer"
            self.publish_for(0.02)
        return future.result()

    def begin(self, **plan: Any) -> Any:
        """Begin a shift."""
        return self.ask(BeginShift, "shift/begin", **plan)

    def press(self, command: str, **more: Any) -> Any:
        """Give a command, as a console does."""
        return self.ask(ShiftCommand, "shift/command", command=command, **more)

    def take(self, command: str = "next", **more: str) -> Any:
        """Start a take, as soon as the streams are fit for it; a busy machine may make them slow."""
        for _ in range(20):
            self.until("all streams", self.ready)
            answer = self.press(command, **more)
            if answer.success or "not started" not in answer.message:
                break
        assert answer.success, answer.message
        return answer

    def trigger(self, name: str) -> Any:
        """Give a command by a service without a request."""
        return self.ask(Trigger, name)

    def state(self) -> int:
        """Return the shift's state; -1: none was heard."""
        return -1 if self.shift is None else int(self.shift.state)

    def events(self) -> list[str]:
        """Return the names of what was said."""
        return [said.event for said in self.said]

    @contextmanager
    def publishing(self, rate_hz: float = 50) -> Iterator[None]:
        """Publish and hear in a thread."""
        ending = threading.Event()

        def work() -> None:
            while not ending.is_set():
                self.publish_for(0.1, rate_hz)

        thread = threading.Thread(target=work, name="robot")
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()
