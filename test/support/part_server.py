"""A tiny centre that receives parts for a directory storage, and the sender of parts."""

from __future__ import annotations

import base64
import hashlib
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urljoin, urlsplit

from robot_recorder.floor.storage.directory import DirectoryStorage
from robot_recorder.floor.storage.port import PartTarget, StorageError, StorageTrouble

_STATUS = {StorageTrouble.DENIED: 403, StorageTrouble.WRONG: 400, StorageTrouble.MISSING: 404,
           StorageTrouble.FULL: 507}  # fmt: skip
_CHUNK = 1 << 16


def md5_of(data: bytes) -> str:
    """Return the MD5 in base64."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


@contextmanager
def part_server(storage: DirectoryStorage) -> Iterator[str]:
    """Serve the address of parts; yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            left = int(self.headers["Content-Length"])
            query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

            def body() -> Iterator[bytes]:
                nonlocal left
                while left and (data := self.rfile.read(min(left, _CHUNK))):
                    left -= len(data)
                    yield data

            try:
                etag = storage.take_part(query, body(), time.time()).etag
                self.answer(200, etag, b"")
            except StorageError as error:
                for _ in body():  # else the sender sees a broken pipe
                    pass
                self.answer(_STATUS.get(error.trouble, 503), "", str(error).encode())

        def answer(self, status: int, etag: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{etag}"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send_part(target: PartTarget, base_url: str, data: bytes) -> tuple[int, str, bytes]:
    """Send a part as an agent does; return status, etag and body of the reply."""
    url = urlsplit(urljoin(base_url, target.url))
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    try:
        headers = {**target.headers, "Content-Length": str(len(data))}
        connection.request("PUT", f"{url.path}?{url.query}", data, headers)
        reply = connection.getresponse()
        return reply.status, (reply.getheader("ETag") or "").strip('"'), reply.read()
    finally:
        connection.close()
