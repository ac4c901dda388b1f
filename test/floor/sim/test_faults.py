"""Links that fail, and the plan of what breaks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import pytest

from robot_recorder.floor.sim.faults import (
    FaultLink,
    FaultLinks,
    LinkState,
    SimFault,
    plan_faults,
)


class Echo:
    """A server that sends back what it gets."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65_536):
                    client.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def link() -> Iterator[FaultLink]:
    with closing(Echo()) as echo, FaultLinks() as links:
        yield links.add("127.0.0.1", echo.port)


def connected(link: FaultLink, timeout_s: float = 5) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout_s)


def received(client: socket.socket, size: int) -> bytes:
    """Return what arrives, until as much as asked for, the end, or a reset."""
    got = b""
    try:
        while len(got) < size and (data := client.recv(size - len(got))):
            got += data
    except ConnectionError:
        return got
    return got


def settle(link: FaultLink) -> None:
    """Wait until a change has reached the link's thread."""
    done = threading.Event()
    link._loop.call_soon_threadsafe(done.set)
    assert done.wait(5)


def test_an_open_link_passes_everything(link: FaultLink) -> None:
    sent = bytes(range(256)) * 2000
    with connected(link) as client:
        threading.Thread(target=client.sendall, args=(sent,)).start()
        assert received(client, len(sent)) == sent
    assert link.passed[0] == len(sent)


def test_a_dead_link_resets_what_is_connected_and_what_comes(link: FaultLink) -> None:
    with connected(link) as old:
        old.sendall(b"hello")
        assert received(old, 5) == b"hello"
        link.set(LinkState.DEAD)
        assert received(old, 1) == b""
    with connected(link) as new:
        assert received(new, 1) == b""
    link.set(LinkState.OPEN)
    settle(link)
    with connected(link) as again:
        again.sendall(b"x")
        assert received(again, 1) == b"x"


def test_a_silent_link_answers_nothing_until_it_is_mended(link: FaultLink) -> None:
    link.set(LinkState.SILENT)
    settle(link)
    with connected(link, 0.3) as client:
        client.sendall(b"hello")
        with pytest.raises(TimeoutError):
            client.recv(1)
    link.set(LinkState.OPEN)
    settle(link)
    with connected(link) as client:
        client.sendall(b"x")
        assert received(client, 1) == b"x"


def test_a_slow_link_passes_as_many_bytes_a_second_as_it_was_set_to(link: FaultLink) -> None:
    link.set(LinkState.SLOW, bytes_per_s=400_000)
    settle(link)
    with connected(link) as client:
        began = time.monotonic()
        threading.Thread(target=client.sendall, args=(bytes(100_000),)).start()
        assert len(received(client, 100_000)) == 100_000
        assert time.monotonic() - began > 0.45  # both ways share the link


def test_a_cut_link_ends_within_what_is_sent(link: FaultLink) -> None:
    link.set(LinkState.CUT, cut_after=1000)
    settle(link)
    with connected(link) as client:
        client.sendall(bytes(5000))
        assert len(received(client, 5000)) < 5000
    assert 0 < link.passed[0] <= 1000


def test_a_portal_says_200_to_everything(link: FaultLink) -> None:
    link.set(LinkState.PORTAL)
    settle(link)
    with connected(link) as client:
        client.sendall(b"POST /agent/stored HTTP/1.1\r\n\r\n")
        assert received(client, 15) == b"HTTP/1.1 200 OK"
    assert link.passed == [0, 0]


def test_a_plan_is_the_same_for_the_same_seed_and_ends_with_the_run() -> None:
    kinds = tuple(SimFault)
    first, again = (list(plan_faults(7, kinds, 20, 600)) for _ in range(2))
    assert first == again
    assert first != list(plan_faults(8, kinds, 20, 600))
    assert 150 < len(first) < 250
    assert {fault.kind for fault in first} == set(kinds)
    assert all(a.at_s < b.at_s < 600 for a, b in pairwise(first))


@pytest.mark.parametrize("kinds, per_minute", [((), 20.0), (tuple(SimFault), 0.0)])
def test_without_kinds_or_rate_nothing_breaks(
    kinds: tuple[SimFault, ...], per_minute: float
) -> None:
    assert list(plan_faults(1, kinds, per_minute, 600)) == []


def test_faults_of_links_name_what_the_link_does() -> None:
    assert SimFault.LINK_CUT.link is LinkState.CUT
    assert SimFault.CENTRE_KILLED.link is None
