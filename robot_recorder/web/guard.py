"""What every request meets first: host, origin, size and rate; and the headers of every answer."""

from __future__ import annotations

import ipaddress
import json
import time
from collections import OrderedDict
from collections.abc import Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from robot_recorder.web.connections import network_of

MOST_BODY_BYTES = 64_000
_POSTS_PER_S, _BURST = 20.0, 100.0  # per address; a person presses less often
_MOST_ADDRESSES = 10_000
_LOCAL = frozenset(("localhost", "127.0.0.1", "::1"))
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), screen-wake-lock=(self), fullscreen=(self)",
    "cache-control": "no-store",
}
Scope = MutableMapping[str, Any]


class Guard:
    """An ASGI application around another one, for HTTP and websockets alike."""

    def __init__(self, app: Any, hosts: Collection[str], local: bool) -> None:
        """
        Args:
            app: gets what passes.
            hosts: names of this machine that browsers may use, in lower case, without port.
            local: whether only this machine can reach it; then only its own names are allowed.
        """
        self._app = app
        self._hosts = frozenset(hosts) | _LOCAL
        self._local = local
        self._budgets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # left, at

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        status, why = self._problem(scope, headers)
        if status:
            await _refuse(scope, send, status, why)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, _limited(receive), self._with_headers(scope, send))

    def _problem(self, scope: Scope, headers: MutableMapping[str, str]) -> tuple[int, str]:
        """Return status and reason of a refusal; 0: it passes."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, f"this console is not called '{host[:100]}': add it to allowed_hosts"
        origin = headers.get("origin")
        # A browser names the page that asks. Pages of others may ask nothing, whatever cookies they have.
        if (
            origin is not None
            and origin.lower() != f"{'https' if _is_tls(scope) else 'http'}://{host}".lower()
        ):
            return 403, "a page of another site asked: refused"
        query = scope.get("query_string", b"")
        if "\0" in scope.get("path", "") or b"%00" in query or b"\0" in query:
            return 422, "the address has a NUL, which nothing is called"  # and no database takes
        if scope["type"] == "websocket":
            return (0, "") if origin is not None else (403, "a websocket needs its origin")
        if scope["method"] in ("GET", "HEAD"):
            return 0, ""
        if scope["method"] != "POST":
            return 405, f"{scope['method']} is not offered"
        if not headers.get("content-type", "").lower().startswith("application/json"):
            return 415, "the body must be application/json"
        length = headers.get("content-length", "")
        if length and (not length.isdecimal() or int(length) > MOST_BODY_BYTES):
            return 413, f"the body is larger than {MOST_BODY_BYTES} bytes"
        address = network_of((scope.get("client") or ("",))[0])
        return (0, "") if self._affords(address) else (429, "too many requests: wait a second")

    def _is_ours(self, host: str) -> bool:
        """Tell whether a Host header names this machine: a name of another's could be rebound to it."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._hosts:
            return True
        if self._local:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _affords(self, address: str) -> bool:
        now = time.monotonic()
        left, at = self._budgets.get(address, (_BURST, now))
        left = min(_BURST, left + (now - at) * _POSTS_PER_S) - 1
        self._budgets[address] = max(left, -1.0), now
        while len(self._budgets) > _MOST_ADDRESSES:
            self._budgets.popitem(last=False)
        return left >= 0

    def _with_headers(self, scope: Scope, send: Any) -> Any:
        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = {key.lower() for key, _ in message["headers"]}
                more = dict(HEADERS)
                if _is_tls(scope):
                    more["strict-transport-security"] = "max-age=31536000"
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in more.items() if k.encode() not in own),
                ]
            await send(message)

        return sent


def _is_tls(scope: Scope) -> bool:
    """Tell whether the browser speaks HTTPS, with this server or with the proxy before it."""
    return scope.get("scheme") in ("https", "wss")


def _limited(receive: Any) -> Any:
    """Cut a body off that is longer than it said."""
    read = 0

    async def received() -> Any:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        return {"type": "http.disconnect"} if read > MOST_BODY_BYTES else message

    return received


async def _refuse(scope: Scope, send: Any, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why[:100]})
        return
    body = json.dumps({"ok": False, "message": why}).encode()
    headers = {**HEADERS, "content-type": "application/json", "content-length": str(len(body))}
    await send({
        "type": "http.response.start", "status": status,
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    })  # fmt: skip
    await send({"type": "http.response.body", "body": body})
