"""Faults for a floor of light robots: links that fail in several ways, and a plan of when what breaks."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

_CHUNK = 16_384
_PORTAL = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 32\r\nConnection: close\r\n\r\n"
    b"<html>Please accept terms</html>"
)


class LinkState(str, Enum):
    """What a link does."""

    OPEN = "open"
    DEAD = "dead"  # connections are reset, and new ones, too
    SILENT = "silent"  # packets vanish: nothing arrives, nothing is refused
    SLOW = "slow"  # few bytes a second
    CUT = "cut"  # every connection ends after some bytes, within a request or an answer
    PORTAL = (
        "portal"  # answers everything with 200 and a page, as the login of a guest network does
    )


class SimFault(str, Enum):
    """What breaks."""

    ROBOTS_KILLED = "robots_killed"
    LINK_DEAD = "link_dead"
    LINK_SILENT = "link_silent"
    LINK_SLOW = "link_slow"
    LINK_CUT = "link_cut"
    LINK_PORTAL = "link_portal"
    DISK_FULL = "disk_full"
    CLOCK_OFF = "clock_off"
    CENTRE_KILLED = "centre_killed"
    DATABASE_KILLED = "database_killed"
    STORAGE_GONE = "storage_gone"

    @property
    def link(self) -> LinkState | None:
        """Return what it does to a link; None: it is no fault of a link."""
        return LinkState(self.value.removeprefix("link_")) if "link" in self.value else None


@dataclass(frozen=True)
class PlannedFault:
    """A fault to come.

    Attributes:
        at_s: when, s since the begin.
        kind: what.
        for_s: how long until it is mended.
        draw: a number from 0 to below 1 that decides whom it meets.
    """

    at_s: float
    kind: SimFault
    for_s: float
    draw: float


def plan_faults(
    seed: int, kinds: Sequence[SimFault], per_minute: float, seconds: float
) -> Iterator[PlannedFault]:
    """Yield the faults of a run in order of time; the same for the same arguments.

    Args:
        seed: of chance.
        kinds: what may break.
        per_minute: how many faults, on average.
        seconds: length of the run.
    """
    rng, at_s = random.Random(seed), 0.0
    while kinds and per_minute > 0:
        at_s += rng.expovariate(per_minute / 60)
        if at_s >= seconds:
            return
        yield PlannedFault(at_s, rng.choice(kinds), rng.uniform(2, 10), rng.random())


class FaultLinks:
    """Runs the links of a floor in a thread of its own. Use it with ``with``."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: list[FaultLink] = []

    def __enter__(self) -> FaultLinks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        async def end() -> None:
            for link in self._links:
                link.close()
            others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            if others:
                await asyncio.wait(others, timeout=5)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def add(self, host: str, port: int) -> FaultLink:
        """Return a new link to an address."""
        link = FaultLink(self._loop, host, port)
        asyncio.run_coroutine_threadsafe(link.open(), self._loop).result(10)
        self._links.append(link)
        return link


class FaultLink:
    """A link that can fail: what connects to ``port`` reaches the target, as its state allows.

    Attributes:
        port: to connect to on 127.0.0.1, the same for its life.
        passed: bytes that went to the target, and back.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
        """Describe it; ``open`` listens."""
        self._loop = loop
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._state = LinkState.OPEN
        self._bytes_per_s = 1e12
        self._free_at = 0.0
        self._cut_after = 1 << 60
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.passed = [0, 0]

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 17)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening, and reset what is connected."""
        if self._server is not None:
            self._server.close()
        self._state = LinkState.DEAD
        self._flowing.set()
        self._reset()

    def set(self, state: LinkState, bytes_per_s: float = 1e12, cut_after: int = 1 << 60) -> None:
        """Change what the link does, from any thread.

        Args:
            state: what it does from now on.
            bytes_per_s: of a slow link, each direction's sum over all connections.
            cut_after: bytes of a connection until it is cut.
        """
        self._loop.call_soon_threadsafe(self._change, state, bytes_per_s, cut_after)

    def _change(self, state: LinkState, bytes_per_s: float, cut_after: int) -> None:
        before, self._state = self._state, state
        self._bytes_per_s = bytes_per_s if state is LinkState.SLOW else 1e12
        self._cut_after = cut_after if state is LinkState.CUT else 1 << 60
        if state is LinkState.SILENT:
            self._flowing.clear()
        else:
            self._flowing.set()
        if state in (LinkState.DEAD, LinkState.PORTAL) or before is LinkState.SILENT:
            self._reset()

    def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            if self._state is LinkState.DEAD:
                return
            await self._flowing.wait()
            if self._state is LinkState.PORTAL:
                await reader.read(_CHUNK)
                writer.write(_PORTAL)
                await writer.drain()
                return
            answers, beyond = await asyncio.open_connection(*self._target, limit=1 << 17)
            _send_at_once(beyond)
            _send_at_once(writer)
            self._open.add(beyond)
            budget = [self._cut_after]
            await asyncio.gather(
                self._pump(reader, beyond, 0, budget), self._pump(answers, writer, 1, budget)
            )
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for end in (writer, beyond):
                if end is not None:
                    self._open.discard(end)
                    end.transport.abort() if self._state is not LinkState.OPEN else end.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: int,
        budget: list[int],
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._flowing.wait()
            if self._state is LinkState.SLOW:
                await self._pace(len(data))
            if self._state is LinkState.CUT:
                data = data[: min(budget[0], self._cut_after)]
                budget[0] = min(budget[0], self._cut_after) - len(data)
            writer.write(data)
            await writer.drain()
            self.passed[way] += len(data)
            if self._state is LinkState.CUT and budget[0] <= 0:
                raise ConnectionAbortedError("the link is cut")
        with suppress(OSError):
            writer.write_eof()

    async def _pace(self, size: int) -> None:
        now = self._loop.time()
        self._free_at = max(now, self._free_at) + size / self._bytes_per_s
        await asyncio.sleep(self._free_at - now)


def _send_at_once(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
