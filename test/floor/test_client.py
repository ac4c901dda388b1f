"""Speaking to the centre: what proxies and networks do to it is noticed."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from robot_recorder.floor.client import CentreClient, CentreError, UnreachableError
from robot_recorder.model.errors import ConfigError

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


class QuietServer(ThreadingHTTPServer):
    """Says nothing of clients that go away."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing."""


class Server:
    """Answers every request as the test wants; remembers what came."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.answer: Answer = lambda handler, _: reply(handler, 200, b'{"ok": true}')
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.came.append((self.path, dict(self.headers), body))
                outer.answer(self, body)

            do_PUT = do_POST

        self.http = QuietServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=lambda: self.http.serve_forever(0.02), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def client(server: Server) -> Iterator[CentreClient]:
    client = CentreClient(server.url, "secret-token", timeout_s=2)
    yield client
    client.close()


def test_requests_carry_the_token_and_share_one_connection(
    client: CentreClient, server: Server
) -> None:
    for number in range(3):
        assert client.post("/agent/beat", {"n": number})["ok"]
    path, headers, body = server.came[2]
    assert (path, json.loads(body)) == ("/agent/beat", {"n": 2})
    assert headers["Authorization"] == "Bearer secret-token" and server.connections == 1


def test_a_refusal_says_what_the_centre_said_and_shows_nothing_that_steers_a_terminal(
    client: CentreClient, server: Server
) -> None:
    said = {"ok": False, "message": "full\x1b[2J" + "x" * 9999, "trouble": "full"}
    server.answer = lambda handler, _: reply(handler, 503, json.dumps(said).encode())
    with pytest.raises(CentreError, match=r"full\\x1b") as caught:
        client.post("/agent/upload", {})
    assert (caught.value.status, caught.value.trouble) == (503, "full") and caught.value.is_passing
    assert len(str(caught.value)) <= 500
    server.answer = lambda handler, _: reply(handler, 422, b'{"ok": false, "message": "no"}')
    with pytest.raises(CentreError, match="no") as caught:
        client.post("/agent/upload", {})
    assert not caught.value.is_passing


@pytest.mark.parametrize(
    "status, body",
    [
        (200, b"<html>please log in to the hotel's network</html>"),
        (200, b'["ok"]'),
        (302, b""),
        (502, b"<html>bad gateway</html>"),
    ],
)
def test_what_a_proxy_answers_itself_is_not_the_centre(
    client: CentreClient, server: Server, status: int, body: bytes
) -> None:
    server.answer = lambda handler, _: reply(handler, status, body, Location="http://elsewhere/")
    with pytest.raises(UnreachableError, match="proxy in between"):
        client.post("/agent/beat", {})
    assert len(server.came) == 1  # the token follows no redirection


def test_200_without_ok_is_a_refusal(client: CentreClient, server: Server) -> None:
    server.answer = lambda handler, _: reply(handler, 200, b'{"ok": "yes"}')
    with pytest.raises(CentreError):
        client.post("/agent/beat", {})


def test_an_answer_that_is_cut_short_is_an_error_not_a_shorter_answer(
    client: CentreClient, server: Server
) -> None:
    def cut(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b'{"ok": true}')
        handler.close_connection = True

    server.answer = cut
    with pytest.raises(UnreachableError):
        client.post("/agent/beat", {})
    with pytest.raises(UnreachableError):
        client.put("/part", {}, b"x")


def test_a_kept_connection_that_the_server_closed_is_replaced_once(
    client: CentreClient, server: Server
) -> None:
    def once(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        reply(handler, 200, b'{"ok": true}')
        handler.close_connection = True  # without saying so

    server.answer = once
    for _ in range(3):
        assert client.post("/agent/beat", {})["ok"]
    assert server.connections == 3 and len(server.came) == 3


def test_a_part_is_sent_without_the_token_in_pieces_and_its_etag_is_returned(
    client: CentreClient, server: Server
) -> None:
    data = bytes(range(256)) * 1000
    pieces: list[int] = []
    server.answer = lambda handler, body: reply(
        handler, 200, b"", ETag=f'"{hashlib.md5(body).hexdigest().upper()}"'
    )
    etag = client.put("/part?signature=1", {"Content-MD5": "m"}, data, pieces.append)
    assert etag == hashlib.md5(data).hexdigest() and sum(pieces) == len(data) and len(pieces) > 2
    path, headers, body = server.came[0]
    assert path == "/part?signature=1" and body == data and "Authorization" not in headers
    assert headers["Content-MD5"] == "m"
    assert client.put(server.url + "/other", {}, b"") and server.came[1][0] == "/other"


def test_a_part_that_is_refused_early_says_why(client: CentreClient, server: Server) -> None:
    server.answer = lambda handler, _: reply(handler, 403, b"<Code>AccessDenied</Code>")
    with pytest.raises(CentreError, match="AccessDenied") as caught:
        client.put("/part", {}, bytes(1_000_000))
    assert caught.value.status == 403


def test_a_part_whose_pace_says_stop_is_given_up(client: CentreClient, server: Server) -> None:
    def stop(_: int) -> None:
        raise InterruptedError("stop")

    with pytest.raises((InterruptedError, UnreachableError)):
        client.put("/part", {}, bytes(1_000_000), stop)
    assert client.post("/agent/beat", {})["ok"]


def test_nobody_there_or_nobody_answering_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(UnreachableError, match="does not answer"):
            CentreClient(f"http://127.0.0.1:{port}", "t", timeout_s=0.2).post("/agent/beat", {})
    with pytest.raises(UnreachableError, match="does not answer: Connection refused"):
        CentreClient(f"http://127.0.0.1:{port}", "t").post("/agent/beat", {})


@pytest.mark.parametrize(
    "url, says",
    [
        ("http://centre.example", "not encrypted"),
        ("ftp://centre.example", "is not https"),
        ("centre.example", "is not https"),
        ("https://", "is not https"),
    ],
)
def test_an_address_that_would_show_the_token_to_others_is_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        CentreClient(url, "t")


def test_a_file_of_certificates_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(ConfigError, match="cannot be used"):
            CentreClient("https://centre.example", "t", str(tmp_path / name))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://x/", "http://[::/x", "http://h:x/"]
)
def test_a_part_goes_nowhere_else_than_to_http(client: CentreClient, url: str) -> None:
    with pytest.raises((UnreachableError, CentreError)):
        client.put(url, {}, b"x")


FULL = b"<?xml version='1.0'?><Error><Code>QuotaExceeded</Code><BucketName>b</BucketName></Error>"
EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@pytest.mark.parametrize("status, body, trouble, is_passing", [
    (403, FULL, "full", True), (403, EXPIRED, "denied", False), (403, b"<html>no</html>", "", False),
    (413, b"<html>too large</html>", "", False), (503, b"<Error><Code>SlowDown</Code></Error>", "unavailable", True),
    (403, b'{"ok": false, "message": "expired"}', "", False), (507, b'{"trouble": "full"}', "full", True),
])  # fmt: skip
def test_a_full_bucket_is_told_from_an_expired_address(
    server: Server, client: CentreClient, status: int, body: bytes, trouble: str, is_passing: bool
) -> None:
    server.answer = lambda handler, _: reply(handler, status, body)
    with pytest.raises(CentreError) as told:
        client.put("/part", {}, b"data")
    assert (told.value.status, told.value.trouble) == (status, trouble)
    assert told.value.is_passing is is_passing


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_a_server_that_trickles_is_given_up_after_a_while(server: Server, begin: bytes) -> None:
    def trickle(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.close_connection = True
        with suppress(OSError):
            handler.wfile.write(begin)
            for _turn in range(200):
                handler.wfile.write(b"x")
                time.sleep(0.05)

    server.answer = trickle
    client = CentreClient(server.url, "secret-token", timeout_s=2, answer_s=0.5)
    began_s = time.monotonic()
    with pytest.raises(UnreachableError, match="takes too long|timed out"):
        client.post("/agent/beat", {})
    assert time.monotonic() - began_s < 2
    server.answer = lambda handler, _: reply(handler, 200, b'{"ok": true}')
    for _turn in range(2):
        assert client.post("/agent/beat", {})["ok"]
    client.close()
