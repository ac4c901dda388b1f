"""A centre's database and storage with episodes that have receipts, for jobs."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from robot_recorder.catalogue.entry import read_entry
from robot_recorder.floor.centre.catalogue.catalogue import CentreCatalogue
from robot_recorder.floor.centre.database.database import Database
from robot_recorder.floor.centre.jobs.kinds import JobKind, checked_settings
from robot_recorder.floor.centre.jobs.queue import JobSource, NewJob
from robot_recorder.floor.manifest import read_manifest

SITE = "turin"


def one_job(number: int = 0, kind: JobKind = JobKind.CHECK, size: int = 1000) -> NewJob:
    """Return a job of an episode that does not exist."""
    source = JobSource(SITE, f"episode_{number:04d}", f"{number:064x}", size)
    return NewJob(kind, (source,), checked_settings(kind, {}), f"{kind.value} {number}")


def know(db: Database, storage: Path, episode: Path, receipt: str | None = "{}") -> None:
    """Put an episode into the storage, the catalogue, and the table of what arrived."""
    target = storage / "bags" / SITE / episode.name
    shutil.copytree(episode, target)
    manifest = read_manifest(target)
    CentreCatalogue(db).put(SITE, read_entry(target))
    with db.transaction() as tx:
        tx.run(
            "INSERT INTO floor_episodes (site, episode, robot, state, offered_ns, sha256, size_bytes,"
            " receipt) VALUES (?, ?, 'arm', 'stored', 1, ?, ?, ?)",
            (SITE, episode.name, manifest.sha256, manifest.size_bytes, receipt),
        )


def made(storage: Path) -> dict[str, int]:
    """Return the objects that jobs made, with their times of modification."""
    folder = storage / "made"
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclass(frozen=True)
class Reply:
    """What an application answered."""

    status_code: int
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class AsgiClient:
    """Asks an ASGI application without a socket."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def get(self, path: str) -> Reply:
        return asyncio.run(self._ask("GET", path, b""))

    def post(self, path: str, json: Any = None) -> Reply:
        return asyncio.run(self._ask("POST", path, b"" if json is None else _dumped(json)))

    async def _ask(self, method: str, path: str, body: bytes) -> Reply:
        status, content = 0, b""
        gone = asyncio.Event()
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, content
            status = message.get("status", status)
            content += message.get("body", b"")

        headers = [(b"content-type", b"application/json"), (b"host", b"here")]
        scope = {
            "type": "http", "method": method, "path": unquote(path), "raw_path": path.encode(),
            "query_string": b"", "headers": headers, "http_version": "1.1", "scheme": "http",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "asgi": {"version": "3.0"},
        }  # fmt: skip
        await self._app(scope, receive, send)
        gone.set()
        return Reply(status, content)


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()
