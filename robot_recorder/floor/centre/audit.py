"""Who asked for what at the centre: every change by a person, every token made or revoked."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from robot_recorder.floor.centre.database.database import Database
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.model.text import storable

_LOGGER = logging.getLogger(__name__)
_MOST_CHARS = 300  # of a text in an entry
_MOST_LISTED = 500


@dataclass(frozen=True)
class FloorAudit:
    """One request that changed something, or was meant to.

    Attributes:
        who: name of the user; empty: nobody had to log in.
        address: it came from; ``shell``: the command line.
        what: such as ``relabel ID``.
        fields: of the request, without secrets.
        ok: whether it was done.
        message: the answer.
    """

    who: str
    address: str
    what: str
    fields: dict[str, Any]
    ok: bool
    message: str


class AuditBook:
    """The audit table of a database. Any thread may call it; methods may raise DatabaseError."""

    def __init__(self, db: Database) -> None:
        """Use a database."""
        self._db = db

    def add(self, entry: FloorAudit, now_ns: int) -> None:
        """Add an entry, to the log as well, which has it also when the database is away."""
        fields = cut(entry.fields)
        log_event(
            _LOGGER, "audit", who=entry.who, address=entry.address, what=entry.what, fields=fields,
            ok=entry.ok, message=entry.message[:_MOST_CHARS],
        )  # fmt: skip
        with self._db.transaction() as tx:
            tx.run(
                "INSERT INTO floor_audit (at_ns, who, address, what, fields, ok, message)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (now_ns, storable(entry.who), entry.address, storable(entry.what[:_MOST_CHARS]),
                 json.dumps(fields), int(entry.ok), storable(entry.message[:_MOST_CHARS])),
            )  # fmt: skip

    def newest(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest entries in plain form, newest first."""
        with self._db.reading() as tx:
            rows = tx.run(
                "SELECT at_ns, who, address, what, fields, ok, message FROM floor_audit"
                " ORDER BY serial DESC LIMIT ?",
                (min(limit, _MOST_LISTED),),
            )
        return [
            {"at_ns": at_ns, "who": who, "address": address, "what": what,
             "fields": json.loads(fields), "ok": bool(ok), "message": message}
            for at_ns, who, address, what, fields, ok, message in rows
        ]  # fmt: skip


def cut(plain: Any) -> Any:
    """Return plain values with long texts cut, so that nobody fills the log with one request."""
    if isinstance(plain, str):
        return plain if len(plain) <= _MOST_CHARS else plain[:_MOST_CHARS] + "..."
    if isinstance(plain, dict):
        return {str(key)[:100]: cut(value) for key, value in list(plain.items())[:50]}
    if isinstance(plain, list | tuple):
        return [cut(value) for value in plain[:50]]
    return plain
