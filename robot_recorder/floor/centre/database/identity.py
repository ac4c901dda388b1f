"""Whether a storage is the one that a database belongs to: not an empty folder below which no disk is mounted, no
other bucket. And which history a database has: robots offer everything again to one that may have forgotten.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any

from robot_recorder.floor.centre.database.database import Database
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.storage.port import ObjectStorage, StorageError, StorageTrouble
from robot_recorder.model.errors import ConfigError

KEY = "centre/identity.txt"
_LOGGER = logging.getLogger(__name__)
_MOST_CHARS = 100
_HISTORY = "history"
_HISTORY_BITS = 53  # so that every reader of JSON can hold it


def recognise(db: Database, storage: ObjectStorage) -> None:
    """Let database and storage know each other at the first start; later check that they do.

    A database that knows no storage takes any, also one of a centre whose database was lost.

    Raises:
        ConfigError: the storage is not that of the database.
        DatabaseError, StorageError: they do not answer.
    """
    with db.reading() as tx:
        row = tx.one("SELECT value FROM floor_identity WHERE name = 'storage'")
    found = _read(storage)
    if row is not None:
        if found != row[0]:
            kept = "has another identity" if found else "has none"
            raise ConfigError(
                f"the storage {storage.url} is not the one of the database {db.shown}: {KEY} there {kept}. Is the "
                "disk mounted, is it the right bucket? If the storage was lost, begin with a new database"
            )
        return
    if found:
        log_event(
            _LOGGER, "storage of another database taken over: run robot-recorder centre rebuild",
            logging.WARNING, storage=storage.url,
        )  # fmt: skip
    else:
        found = secrets.token_hex(16)
        storage.put(KEY, found.encode())  # first, as a database without it takes it over
    with db.transaction() as tx:
        tx.run(
            "INSERT INTO floor_identity (name, value) VALUES ('storage', ?) ON CONFLICT DO NOTHING",
            (found,),
        )


def history_of(tx: Any) -> int:
    """Return the number of the database's history, which changes when it may have forgotten something."""
    row = tx.one("SELECT value FROM floor_identity WHERE name = ?", (_HISTORY,))
    return 0 if row is None else int(row[0])


def begin_history(tx: Any, renewed: bool = False) -> None:
    """Give a database a history.

    Args:
        tx: transaction.
        renewed: in place of the one that it has: it was restored, or made again from the storage.
    """
    known = tx.one("SELECT 1 FROM floor_identity WHERE name = ?", (_HISTORY,))
    if known is None or renewed:
        tx.run(
            "INSERT INTO floor_identity (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (_HISTORY, str(1 + secrets.randbits(_HISTORY_BITS))),
        )


def _read(storage: ObjectStorage) -> str:
    try:
        return storage.get(KEY).decode("ascii", "replace")[:_MOST_CHARS]
    except StorageError as error:
        if error.trouble is not StorageTrouble.MISSING:
            raise
        return ""
