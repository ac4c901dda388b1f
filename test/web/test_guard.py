"""What every request meets first, with a real ASGI application behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("uvicorn")

from robot_recorder.web.guard import HEADERS, MOST_BODY_BYTES, Guard

PLAIN = {"content-type": "application/json"}


async def answering(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = [(b"content-length", str(len(body)).encode()), (b"x-frame-options", b"DENY")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def ask(
    guard: Guard,
    headers: dict[str, str],
    method: str = "GET",
    body: bytes = b"",
    kind: str = "http",
    scheme: str = "",
    path: str = "/",
    query: bytes = b"",
) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    parts = [body[i : i + 10_000] for i in range(0, len(body), 10_000)] or [b""]

    async def receive() -> dict[str, Any]:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": kind, "method": method, "path": path, "query_string": query, "client": ("10.0.0.1", 5),
        "scheme": scheme or ("https" if guard is OPEN else "http"),
        "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
    }  # fmt: skip
    asyncio.run(guard(scope, receive, send))
    return sent


def status(guard: Guard, headers: dict[str, str], method: str = "GET", body: bytes = b"") -> int:
    sent = ask(guard, headers, method, body)
    return int(sent[0]["status"]) if sent else 0


LOCAL = Guard(answering, (), local=True)
OPEN = Guard(answering, ("robot7.example",), local=False)


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:80", "[::1]:8080", "LOCALHOST"])
def test_a_local_console_answers_to_its_own_names(host: str) -> None:
    assert status(LOCAL, {"host": host}) == 200


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:8080", "10.0.0.5:8080", "", "localhost.evil.example", "[::1", "127.0.0.1.nip.io",
    "robot7.example",
])  # fmt: skip
def test_a_name_that_is_rebound_to_this_machine_is_refused(host: str) -> None:
    assert status(LOCAL, {"host": host}) == 421


def test_an_open_console_answers_to_addresses_and_configured_names() -> None:
    for host in ("robot7.example", "192.168.1.7:8443", "[fe80::1]:8443"):
        assert status(OPEN, {"host": host}) == 200
    assert status(OPEN, {"host": "evil.example"}) == 421


@pytest.mark.parametrize("origin", [
    "https://evil.example", "null", "http://localhost:9999", "https://localhost:8080", "http://localhost:8080.evil",
])  # fmt: skip
def test_a_page_of_another_site_may_ask_nothing(origin: str) -> None:
    for method in ("GET", "POST"):
        assert status(LOCAL, {"host": "localhost:8080", "origin": origin, **PLAIN}, method) == 403


def test_a_websocket_needs_the_origin_of_this_console() -> None:
    assert ask(LOCAL, {"host": "localhost"}, kind="websocket")[0]["type"] == "websocket.close"
    bad = {"host": "localhost", "origin": "http://evil.example"}
    assert ask(LOCAL, bad, kind="websocket")[0]["type"] == "websocket.close"
    good = {"host": "localhost:8080", "origin": "http://localhost:8080"}
    assert ask(LOCAL, good, kind="websocket")[0]["type"] == "websocket.accept"


def test_a_form_of_another_page_cannot_post() -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""):
        assert status(LOCAL, {"host": "localhost", "content-type": kind}, "POST") == 415
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT"):
        assert status(LOCAL, {"host": "localhost", **PLAIN}, method) == 405


def test_a_body_that_is_too_large_is_cut_off_whatever_it_says() -> None:
    large = b"x" * (MOST_BODY_BYTES + 1)
    said = {"host": "localhost", "content-length": str(len(large)), **PLAIN}
    assert status(LOCAL, said, "POST", large) == 413
    assert status(LOCAL, {**said, "content-length": "-1"}, "POST", large) == 413
    assert status(LOCAL, {"host": "localhost", **PLAIN}, "POST", large) == 0, "it is disconnected"
    assert status(LOCAL, {"host": "localhost", **PLAIN}, "POST", large[:1000]) == 200


def test_a_flood_of_posts_is_slowed_down() -> None:
    guard = Guard(answering, (), local=True)
    found = [status(guard, {"host": "localhost", **PLAIN}, "POST") for _ in range(150)]
    assert found[:100] == [200] * 100 and 429 in found[100:]


def test_every_answer_has_the_headers_also_a_refusal() -> None:
    for host in ("localhost", "evil.example"):
        headers = dict(ask(LOCAL, {"host": host})[0]["headers"])
        for name in HEADERS.keys() - {"x-frame-options"}:
            assert headers[name.encode()] == HEADERS[name].encode(), name
    own = [v for k, v in ask(LOCAL, {"host": "localhost"})[0]["headers"] if k == b"x-frame-options"]
    assert own == [b"DENY"], "a route's own header is kept"
    secured = dict(ask(OPEN, {"host": "robot7.example"})[0]["headers"])
    assert b"strict-transport-security" in secured


@pytest.mark.parametrize(("path", "query"), [("/a\0b", b""), ("/", b"site=%00"), ("/", b"a=\0")])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_nul_in_an_address_goes_no_further(path: str, query: bytes, kind: str) -> None:
    host = {"host": "localhost", "origin": "http://localhost"}
    first = ask(LOCAL, host, kind=kind, path=path, query=query)[0]
    if kind == "http":
        assert first["status"] == 422
    else:
        assert first["type"] == "websocket.close"
    assert ask(LOCAL, host, path="/100%", query=b"site=%2500")[0]["status"] == 200
