"""How many connections one address may have, and how long each may take to ask."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from socket import AF_UNIX, IPPROTO_TCP, TCP_NODELAY
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of a server's connections.

    Attributes:
        ask_s: time for a whole request; for its head alone, if it may have a slow body.
        of_one: of one address; a browser opens six, a page a few more.
        most: of all.
        slow_path: what paths begin with whose bodies may take as long as they want; empty: none.
        body_idle_s: how long such a body may pause, s.
        linger_s: how long a body may go on that has been answered before its end, s.
    """

    ask_s: float = 10.0
    of_one: int = 30
    most: int = 200
    slow_path: str = ""
    body_idle_s: float = 30.0
    linger_s: float = 10.0


BROWSERS = ConnectionLimits()


def network_of(address: str) -> str:
    """Return what limits count by: an IPv4 address, or the /64 of an IPv6 one, which one machine has alone."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    mapped = found.ipv4_mapped  # type: ignore[union-attr]
    return str(mapped) if mapped else str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def patient_protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """Return a class of uvicorn's connections that share their limits."""
    counts: Counter[str] = Counter()
    asking: dict[str, OrderedDict[PatientProtocol, None]] = {}  # by network, the oldest first

    def make_room() -> None:
        """Drop who has been asking longest, at the network where most are asking."""
        if asking:
            network = max(asking, key=lambda network: len(asking[network]))
            next(iter(asking[network])).drop()

    class PatientProtocol(H11Protocol):
        """A connection that is dropped when it does not ask in time, or is one too many.

        uvicorn's own timeout begins only after an answer, and anew with each byte: whoever opened connections
        and said nothing, or little, would keep everybody else out. When all places are taken, a new one
        takes that of somebody who has not asked yet.
        """

        _network: str | None = None
        _deadline: asyncio.TimerHandle | None = None
        _is_answered = False  # before its body has ended

        def connection_made(self, transport: Any) -> None:
            """Count it, and wait for its request."""
            super().connection_made(transport)
            # asyncio does it only for sockets whose protocol is named. Without it, the end of every
            # answer waits 40 ms for the other side's confirmation of its beginning.
            if (own := transport.get_extra_info("socket")) is not None and own.family != AF_UNIX:
                own.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            network = network_of(self.client[0] if self.client else "")
            if counts[network] < limits.of_one and counts.total() >= limits.most:
                make_room()
            if counts[network] >= limits.of_one or counts.total() >= limits.most:
                transport.abort()
                return
            self._network = network
            counts[network] += 1
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            """Count it no more."""
            self._leave()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Take a part of a request; the time runs until it is whole."""
            self._wait()
            super().data_received(data)
            if self._network is None:  # handed over
                return
            if self._is_answered and self.conn.their_state is not h11.SEND_BODY:
                self._is_answered = False
                self._wait_no_more()
                self._wait()  # for the next request
            if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
                self._wait_no_more()
            elif self._may_be_slow():
                self._wait_no_more()
                self._wait(limits.body_idle_s, self._idle)

        def on_response_complete(self) -> None:
            """Wait only a little for the rest of a body whose request is answered already."""
            super().on_response_complete()
            if self._network is not None and self.conn.their_state is h11.SEND_BODY:
                self._is_answered = True
                self._wait_no_more()
                self._wait(limits.linger_s)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            """Hand it over: websockets have limits of their own."""
            self._leave()
            super().handle_websocket_upgrade(event)

        def drop(self) -> None:
            """End it at once."""
            self._leave()
            self.transport.abort()

        def _may_be_slow(self) -> bool:
            """Tell whether it sends a body that may take its time."""
            return (
                self.conn.their_state is h11.SEND_BODY
                and not self._is_answered
                and bool(limits.slow_path)
                and self.scope["path"].startswith(limits.slow_path)
            )

        def _idle(self) -> None:
            """Drop it, unless it is this server that does not read."""
            if self.flow.read_paused:
                self._wait_no_more()
                self._wait(limits.body_idle_s, self._idle)
            else:
                self.drop()

        def _wait(
            self, wait_s: float = limits.ask_s, then: Callable[[], None] | None = None
        ) -> None:
            if self._deadline is None and self._network is not None:
                self._deadline = self.loop.call_later(wait_s, then or self.drop)
                asking.setdefault(self._network, OrderedDict())[self] = None

        def _wait_no_more(self) -> None:
            if self._deadline is not None and self._network is not None:
                self._deadline.cancel()
                self._deadline = None
                del asking[self._network][self]
                if not asking[self._network]:
                    del asking[self._network]

        def _leave(self) -> None:
            self._wait_no_more()
            if self._network is not None:
                counts[self._network] -= 1
                if not counts[self._network]:
                    del counts[self._network]
                self._network = None

    return PatientProtocol
