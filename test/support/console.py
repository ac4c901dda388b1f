"""A console's server as a process, and a page that speaks to it without a browser."""

from __future__ import annotations

import json
import re
import ssl
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import connect

from support.robot import process


@contextmanager
def console(namespace: str = "", **parameters: Any) -> Iterator[str]:
    """Run a console on a free port; yield its address."""
    with process("console", namespace, port=0, **parameters) as running:
        assert running.stdout is not None
        told: list[str] = []
        for line in running.stdout:
            told.append(line)
            if found := re.match(r"console: (\S+?)/$", line):
                break
        else:
            raise AssertionError(f"the console ended with {running.wait()}: {''.join(told)}")
        yield found[1]


def ask(
    address: str, path: str, body: Any = None, cookie: str = "", method: str = "", **headers: str
) -> tuple[int, Any]:
    """Return the status and the JSON (else the bytes) of an answer.

    Args:
        address: of the console, such as http://127.0.0.1:8080.
        path: what is asked for.
        body: sent as JSON by POST; None: GET.
        cookie: of a session.
        method: other than these.
        headers: more of them; ``_`` in a name stands for ``-``.
    """
    given = {k.replace("_", "-"): v for k, v in headers.items()}
    if cookie:
        given["Cookie"] = cookie_of(address, cookie)
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        given.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(address + path, data, given)
    if method:
        request.method = method
    context = ssl._create_unverified_context() if address.startswith("https") else None
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            status, data = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, data = error.code, error.read()
    try:
        return status, json.loads(data)
    except ValueError:
        return status, data


def cookie_of(address: str, secret: str) -> str:
    """Return the header of a session's cookie."""
    prefix = "__Host-" if address.startswith("https") else ""
    return f"{prefix}console_{address.rpartition(':')[2]}={secret}"


class Page:
    """A page's websocket and its commands.

    Attributes:
        client: the id that the server gave it.
        state: the newest state.
        said: everything that was said.
        pictures: headers of the pictures that came, and their sizes.
    """

    def __init__(self, address: str, cookie: str = "") -> None:
        self.address, self.cookie = address, cookie
        headers = {"Cookie": cookie_of(address, cookie)} if cookie else {}
        self.socket = connect(
            address.replace("http", "ws", 1) + "/live", origin=address, additional_headers=headers,  # type: ignore[arg-type]
            max_size=10_000_000, max_queue=None, close_timeout=2,
        )  # fmt: skip
        self.state: dict[str, Any] = {}
        self.said: list[dict[str, Any]] = []
        self.pictures: list[tuple[dict[str, Any], int]] = []
        hello = json.loads(self.socket.recv())
        assert hello["type"] == "hello"
        self.client: str = hello["client"]
        self.role: str = hello["role"]

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def hear(self, timeout_s: float = 1.0) -> str:
        """Take the next message; return its type, ``picture`` for a picture."""
        message = self.socket.recv(timeout_s)
        if isinstance(message, bytes):
            (length,) = struct.unpack_from(">I", message)
            header = json.loads(message[4 : 4 + length])
            assert message[4 + length :].startswith(b"\xff\xd8"), "a JPEG"
            self.pictures.append((header, len(message)))
            return "picture"
        plain: dict[str, Any] = json.loads(message)
        if plain["type"] == "state":
            self.state = plain
        else:
            self.said.append(plain)
        return str(plain["type"])

    def hear_for(self, seconds: float) -> None:
        """Take what comes for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self.hear(left)
            except TimeoutError:
                return

    def tell(self, **message: Any) -> None:
        """Send a message of the page."""
        self.socket.send(json.dumps(message))

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        """Post a body as this page."""
        return ask(self.address, path, body, self.cookie, X_Console=self.client)
