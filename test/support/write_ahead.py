"""A reader that keeps its view of a SQLite file, for which the write-ahead log has to grow."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


def log_bytes(path: Path) -> int:
    """Return the size of a file's write-ahead log."""
    return path.with_name(f"{path.name}-wal").stat().st_size


@contextmanager
def long_reader(path: Path) -> Iterator[None]:
    """Keep one view of a file, as a listing does whose pager waits for a key."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield
