"""How many connections one address may have, and how long each may keep its place. The console's are in test_main.py."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn")

from robot_recorder.web.connections import ConnectionLimits, network_of, patient_protocol

LIMITS = ConnectionLimits(
    ask_s=1.0, of_one=6, most=8, slow_path="/slow", body_idle_s=1.0, linger_s=1.0
)


@pytest.mark.parametrize("address, network", [
    ("10.0.0.7", "10.0.0.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
    ("fe80::1%eth0", "fe80::/64"), ("::ffff:10.0.0.7", "10.0.0.7"), ("", ""), ("a unix socket", "a unix socket"),
])  # fmt: skip
def test_one_machine_is_counted_as_one(address: str, network: str) -> None:
    assert network_of(address) == network


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """Answer /refused before its body has come, the rest after it."""
    while scope["path"] != "/refused":
        if not (await receive()).get("more_body"):
            break
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def served(limits: ConnectionLimits) -> Iterator[int]:
    """Serve on a free port; yield it."""
    config = uvicorn.Config(
        answering, http=patient_protocol(limits), lifespan="off", log_level="error",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(LIMITS) as port:
        yield port


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connected(stack: ExitStack, port: int, source: str = "127.0.0.1") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
    return stack.enter_context(made)


def head(path: str, size: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


def is_dropped(one: socket.socket) -> bool:
    """Read what is there; return whether the connection has ended."""
    one.setblocking(False)
    try:
        while True:
            if not one.recv(1000):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        one.settimeout(10)


def is_answered(one: socket.socket) -> bool:
    """Return whether an answer comes."""
    answer = b""
    while not answer.endswith(b"ok") and (data := one.recv(1000)):
        answer += data
    return answer.endswith(b"ok")


def dripped_s(one: socket.socket, most_s: float) -> float:
    """Send a byte now and then until the connection ends; return how long that took."""
    begun_s = time.monotonic()
    while not is_dropped(one) and time.monotonic() - begun_s < most_s:
        try:
            one.sendall(b"x")
        except OSError:
            break
        time.sleep(0.1)
    return time.monotonic() - begun_s


@pytest.mark.parametrize("path", ["/refused", "/slow/refused/not", "/page"])
def test_a_body_that_drips_ends_in_time_unless_it_may_be_slow(
    port: int, stack: ExitStack, path: str
) -> None:
    one = connected(stack, port)
    one.sendall(head(path, 1_000_000))
    took_s = dripped_s(one, 3.0)
    assert took_s >= 3.0 if path.startswith("/slow") else 0.5 < took_s < 2.0


def test_a_slow_body_that_pauses_is_dropped(port: int, stack: ExitStack) -> None:
    one = connected(stack, port)
    one.sendall(head("/slow", 1000) + b"x")
    begun_s = time.monotonic()
    assert one.recv(10) == b""
    assert 0.5 < time.monotonic() - begun_s < 2.0


def test_a_connection_goes_on_after_a_body_that_was_not_wanted(port: int, stack: ExitStack) -> None:
    one = connected(stack, port)
    for _ in range(3):
        one.sendall(head("/refused", 100_000) + b"x" * 50_000)
        assert is_answered(one)
        one.sendall(b"x" * 50_000)
        time.sleep(0.5)
    one.sendall(head("/page", 3) + b"abc")
    assert is_answered(one)


def test_a_connection_that_does_not_ask_again_after_such_a_body_is_dropped(
    port: int, stack: ExitStack
) -> None:
    one = connected(stack, port)
    one.sendall(head("/refused", 100) + b"x" * 50)
    assert is_answered(one)
    one.sendall(b"x" * 50)
    begun_s = time.monotonic()
    assert one.recv(10) == b""
    assert time.monotonic() - begun_s < 3.0


def test_a_new_one_takes_the_place_of_one_that_says_nothing(stack: ExitStack) -> None:
    port = stack.enter_context(served(ConnectionLimits(ask_s=60, of_one=6, most=8)))
    working = connected(stack, port, "127.0.0.4")
    working.sendall(head("/page", 1) + b"x")
    assert is_answered(working)
    idle = [connected(stack, port, "127.0.0.2") for _ in range(5)]
    idle += [connected(stack, port, "127.0.0.3") for _ in range(2)]
    other = connected(stack, port, "127.0.0.5")
    other.sendall(head("/page", 1) + b"x")
    assert is_answered(other)
    assert [is_dropped(one) for one in idle] == [True] + [False] * 6
    working.sendall(head("/page", 1) + b"x")
    assert is_answered(working), "who has asked keeps its place"


def test_one_address_that_has_all_its_places_drives_nobody_out(stack: ExitStack) -> None:
    port = stack.enter_context(served(ConnectionLimits(ask_s=60, of_one=2, most=3)))
    first = [connected(stack, port, "127.0.0.2") for _ in range(2)]
    other = connected(stack, port, "127.0.0.3")
    assert connected(stack, port, "127.0.0.2").recv(10) == b""
    assert not any(map(is_dropped, [*first, other]))
