"""Speak to the centre over HTTP with the standard library alone: robots install without pip.

Connections are kept and reused. What a proxy cuts short, or answers itself, is an error like a
network that is gone: the caller tries again.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from robot_recorder.floor.storage.errors import reply_trouble
from robot_recorder.floor.storage.port import StorageTrouble
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.text import visible

TIMEOUT_S = 30.0
ANSWER_S = 300.0
_MOST_REPLY_BYTES = 64_000_000
_MOST_SAID = 500  # characters of a message from outside
_PIECE = 1 << 16
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STALE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)
_PASSING_TROUBLES = (StorageTrouble.FULL.value, StorageTrouble.UNAVAILABLE.value)
# What the network, or a proxy in between, may do to an exchange.
_LOST = (OSError, http.client.HTTPException, ValueError)


class CentreError(RecorderError):
    """The centre, or the storage behind it, refused a request.

    Attributes:
        status: of HTTP.
        trouble: kind of a problem of its storage or database (``StorageTrouble``), such as ``full``; empty:
            another.
    """

    def __init__(self, status: int, message: str, trouble: str = "") -> None:
        """Create it with what the centre said."""
        super().__init__(message)
        self.status = status
        self.trouble = trouble

    @property
    def is_passing(self) -> bool:
        """Return whether the same request may succeed later without anybody doing anything."""
        return (
            self.status in (408, 425, 429)
            or self.status >= 500
            or self.trouble in _PASSING_TROUBLES
        )


class UnreachableError(RecorderError):
    """There was no answer, or not one of the centre: the network is gone, or a proxy is in between."""


@dataclass(frozen=True)
class HttpReply:
    """An answer that arrived whole.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        body: content.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class CentreClient:
    """Requests to one centre, and to the addresses that it hands out. Any thread may use it."""

    def __init__(
        self,
        url: str,
        token: str,
        cafile: str = "",
        timeout_s: float = TIMEOUT_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        """Create the client; no connection is made yet.

        Args:
            url: of the centre, such as ``https://centre.example:8443``.
            token: of this robot.
            cafile: PEM file of who signed the centre's certificate; empty: those the system trusts.
            timeout_s: without any progress, s.
            answer_s: until a whole answer has arrived, s: a server may trickle for ever.

        Raises:
            ConfigError: the address or the file cannot be used.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"the centre's address {url!r} is not https://HOST or https://HOST:PORT"
            )
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConfigError(
                f"the centre's address {url!r} is not encrypted, so anybody on the network could read "
                "the token: use https"
            )
        self._url = url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s
        self._answer_s = answer_s
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        try:
            self._tls = ssl.create_default_context(cafile=cafile or None)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(f"the certificates {cafile} cannot be used: {error}") from error

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send JSON to the centre and return its answer.

        Args:
            path: such as ``/agent/beat``.
            body: plain values.

        Raises:
            CentreError: the centre refuses.
            UnreachableError: there is no answer of the centre.
        """
        content = json.dumps(body, separators=(",", ":")).encode()
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
        }
        reply = self._exchange("POST", self._url + path, headers, lambda: [content])
        answer = _as_json(reply)
        if answer is None:
            if reply.status == 200 or reply.status >= 500 or 300 <= reply.status < 400:
                raise UnreachableError(
                    f"{self._url} answered {reply.status} with something that is not the centre's: "
                    "is the address right, or is a proxy in between?"
                )
            raise CentreError(reply.status, f"{self._url} answered {reply.status} to {path}")
        if reply.status == 200 and answer.get("ok") is True:
            return answer
        said, trouble = answer.get("message") or answer.get("detail"), answer.get("trouble")
        message = visible(str(said))[:_MOST_SAID] if said else f"status {reply.status}"
        raise CentreError(reply.status, message, trouble if isinstance(trouble, str) else "")

    def put(
        self,
        url: str,
        headers: Mapping[str, str],
        data: bytes,
        pace: Callable[[int], None] = lambda _: None,
    ) -> str:
        """Send the bytes of a part to where the centre said, and return the ETag of the answer.

        The token is not sent: the address itself is signed.

        Args:
            url: absolute, or relative to the centre.
            headers: that the request must have.
            data: the part.
            pace: called before every piece with its size, bytes; may wait, or raise.

        Raises:
            CentreError: it is refused, such as with 403 when the address has expired.
            UnreachableError: there is no answer.
        """
        if url.startswith("/"):
            url = self._url + url
        headers = {**headers, "Content-Length": str(len(data))}
        reply = self._exchange("PUT", url, headers, lambda: _paced(data, pace))
        if reply.status != 200:
            raise refused_part(reply)
        return reply.headers.get("etag", "").strip('"').lower()

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            idle = [c for connections in self._idle.values() for c in connections]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Callable[[], Iterable[bytes | memoryview]],
    ) -> HttpReply:
        """Send a request and read the whole answer; once more if a kept connection was closed."""
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise UnreachableError(f"the centre named an invalid address: {error}") from error
        place = (parts.scheme, parts.netloc)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        while True:
            connection, is_fresh = self._connection(place)
            try:
                reply = _sent(connection, method, target, headers, body(), self._answer_s)
            except _LOST as error:
                connection.close()
                if isinstance(error, _STALE) and not is_fresh:
                    continue
                raise UnreachableError(_no_answer(place[1], error)) from error
            except BaseException:  # ``pace`` raised: half a request is no use to anybody
                connection.close()
                raise
            if connection.sock is not None:
                with self._lock:
                    self._idle.setdefault(place, []).append(connection)
            return reply

    def _connection(self, place: tuple[str, str]) -> tuple[http.client.HTTPConnection, bool]:
        """Return a connection, and whether it is a new one."""
        with self._lock:
            if idle := self._idle.get(place):
                return idle.pop(), False
        scheme, host = place
        try:
            if scheme == "https":
                return http.client.HTTPSConnection(
                    host, timeout=self._timeout_s, context=self._tls
                ), True
            if scheme == "http":
                return http.client.HTTPConnection(host, timeout=self._timeout_s), True
        except http.client.InvalidURL as error:
            raise UnreachableError(f"the address {host!r} is invalid: {error}") from error
        raise UnreachableError(f"the centre named an address that is not http: {scheme[:20]!r}")


def refused_part(reply: HttpReply) -> CentreError:
    """Return why a part was refused, by the centre or by the server of an S3 bucket.

    Args:
        reply: to the part.
    """
    answer = _as_json(reply) or {}
    said = answer.get("message") or reply.body[:300].decode(errors="replace")
    trouble = str(answer.get("trouble") or "")
    if not answer:
        kind, code = reply_trouble(reply.status, reply.body)
        # Without a code it may be a proxy, which does not know how the storage is.
        trouble, said = (kind.value, f"{code}: {said}") if code else ("", said)
    return CentreError(
        reply.status,
        f"a part was refused with status {reply.status}: {visible(str(said))[:_MOST_SAID]}",
        trouble,
    )


def _paced(data: bytes, pace: Callable[[int], None]) -> Iterator[memoryview]:
    view = memoryview(data)
    for begin in range(0, len(data), _PIECE):
        piece = view[begin : begin + _PIECE]
        pace(len(piece))
        yield piece


def _sent(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Iterable[bytes | memoryview],
    answer_s: float,
) -> HttpReply:
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        for piece in body:
            connection.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        if connection.sock is None:
            raise
        # The server may have refused before everything was sent: its answer says why.
    answer = partial(_answer_until, time.monotonic() + answer_s)
    connection.response_class = answer  # type: ignore[assignment]
    response = connection.getresponse()
    content = response.read(_MOST_REPLY_BYTES + 1)
    if len(content) > _MOST_REPLY_BYTES:
        raise http.client.HTTPException("the answer is too long")
    if response.length:  # read(n) does not complain about an answer that was cut short
        raise http.client.IncompleteRead(content, response.length)
    return HttpReply(response.status, {k.lower(): v for k, v in response.getheaders()}, content)


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a time; the socket's own timeout begins anew with every byte."""

    def __init__(self, source: socket.socket, until_s: float) -> None:
        self._source = source
        self._until_s = until_s
        self._timeout_s = source.gettimeout()
        self._file = source.makefile("rb", buffering=0)  # keeps the socket open until it is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer takes too long")
        self._source.settimeout(min(left_s, self._timeout_s or left_s))
        try:
            return self._file.readinto(buffer)
        finally:
            self._source.settimeout(self._timeout_s)

    def close(self) -> None:
        self._file.close()
        super().close()


def _answer_until(
    until_s: float, source: socket.socket, *args: Any, **kwargs: Any
) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(source, *args, **kwargs)
    response.fp.close()
    response.fp = io.BufferedReader(_DeadlineReader(source, until_s))
    return response


def _as_json(reply: HttpReply) -> dict[str, Any] | None:
    try:
        plain = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return plain if isinstance(plain, dict) else None


def _no_answer(host: str, error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {host} is not trusted: {error.verify_message}"
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{host} does not answer: {visible(why)[:_MOST_SAID]}"
