"""Who holds the buttons, and a log of everything that was asked for."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import make_folder
from robot_recorder.recorder.shift_file import FOLDER

_MOST_BYTES = 20_000_000
_MOST_OLD = 20  # files of that size
_MOST_CHARS = 300  # of a text in an entry


@dataclass(frozen=True)
class Hold:
    """The console that holds the buttons.

    Attributes:
        client: its id, that of its websocket.
        user: its user's name; empty: nobody had to log in.
    """

    client: str
    user: str


class Holder:
    """Gives the buttons to one console at a time; for one thread."""

    def __init__(self) -> None:
        """Give them to nobody."""
        self.now: Hold | None = None

    def take(self, hold: Hold) -> Hold | None:
        """Take the buttons from whoever has them; return who had them before."""
        before, self.now = self.now, hold
        return before if before != hold else None

    def let_go(self, client: str) -> bool:
        """Let go of the buttons; return whether this console had them."""
        had = self.now is not None and self.now.client == client
        if had:
            self.now = None
        return had

    def problem(self, hold: Hold) -> str:
        """Return why a console may not give a command; empty: it may, and holds the buttons now."""
        if self.now is None:
            self.now = hold
        if self.now.client == hold.client:
            return ""
        who = self.now.user or "another console"
        return f"{who} has the buttons: take them over first"


@dataclass(frozen=True)
class AuditEntry:
    """One request that changed something, or was meant to.

    Attributes:
        user: name; empty: nobody had to log in.
        address: it came from.
        client: id of the console.
        what: such as ``command success``.
        fields: of the request.
        ok: whether it was done.
        message: the answer.
    """

    user: str
    address: str
    client: str
    what: str
    fields: dict[str, Any]
    ok: bool
    message: str


class AuditLog:
    """Appends to ``<root>/.shift/<robot>.audit.jsonl``, one JSON object a line. Any thread may call it."""

    def __init__(self, root: Path, robot: str) -> None:
        """Name the file; it is made by the first entry."""
        self.path = root / FOLDER / f"{robot}.audit.jsonl"
        self._lock = threading.Lock()
        self._failed = False

    def _begin_another(self) -> None:
        """Put the full file aside, and delete the oldest of those."""
        stem = self.path.name.removesuffix(".jsonl")
        os.replace(self.path, self.path.with_name(f"{stem}.{time.time_ns()}.jsonl"))
        for path in sorted(self.path.parent.glob(f"{stem}.*.jsonl"))[:-_MOST_OLD]:
            path.unlink()

    def add(self, entry: AuditEntry) -> None:
        """Append an entry; a failure is logged once and does not stop anybody's work."""
        plain = {"at_s": round(time.time(), 3), **asdict(entry)}
        line = json.dumps(_shortened(plain)) + "\n"
        with self._lock:
            try:
                make_folder(self.path.parent)
                if self.path.exists() and self.path.stat().st_size > _MOST_BYTES:
                    self._begin_another()
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
                fd = os.open(self.path, flags, 0o640)
                try:
                    os.write(fd, line.encode())
                finally:
                    os.close(fd)
                self._failed = False
            except OSError as error:
                if not self._failed:
                    logging.getLogger(__name__).error("%s is not written: %s", self.path, error)
                self._failed = True


def _shortened(plain: Any) -> Any:
    """Return plain values with their texts cut, so that nobody fills the log with one request."""
    if isinstance(plain, str):
        return plain if len(plain) <= _MOST_CHARS else plain[:_MOST_CHARS] + "..."
    if isinstance(plain, dict):
        return {key: _shortened(value) for key, value in plain.items()}
    return plain
