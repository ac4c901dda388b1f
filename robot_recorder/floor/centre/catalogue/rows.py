"""Rows of the centre's catalogue: what is in a column, and how an entry becomes a row and back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from robot_recorder.catalogue.entry import Entry
from robot_recorder.floor.centre.database.database import Transaction
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

# Ids of texts in table ``names``.
TEXTS = ("site", "robot", "task", "operator", "cause", "reason", "skew_stream")
FLAGS = ("all_lost_known", "recovered", "aborted")
COLUMNS = (
    "start_ns", "duration_ms", "messages", "size_bytes", "lost", "frames", "complete", "skew_p95_us",
    "stamp_ns", *TEXTS, "outcome", "verdict", *FLAGS,
)  # fmt: skip
SELECTED = f"episode_keys.id, {', '.join(f'episodes.{c}' for c in COLUMNS)}"
FROM = "episodes JOIN episode_keys ON episode_keys.key = episodes.key"
_MOST_NAMES = 200_000  # kept in memory
_LONGEST = 500  # characters; PostgreSQL indexes no text of more than 2704 bytes
# Sums of these stay far below 2**63.
_LIMITS = {"duration_ms": 1 << 40, "size_bytes": 1 << 50}

Row = dict[str, Any]


class NameIds:
    """The texts that the catalogue knows by a number. Any thread may use it."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._lock = threading.Lock()

    def find(self, tx: Transaction, text: str) -> int | None:
        """Return the number of a text; None: no episode has it."""
        text = clean(text)
        found = self._ids.get(text)
        if found is None:
            row = tx.one("SELECT id FROM names WHERE text = ?", (text,))
            if row is None:
                return None
            found = int(row[0])
            self._keep(tx, {found: text})
        return found

    def number(self, tx: Transaction, text: str) -> int:
        """Return the number of a text, which is added if it is new."""
        found = self.find(tx, text)
        if found is None:
            tx.run(
                "INSERT INTO names(text) VALUES (?) ON CONFLICT (text) DO NOTHING", (clean(text),)
            )
            found = self.find(tx, text)
            assert found is not None
        return found

    def texts(self, tx: Transaction, ids: Iterable[int]) -> Mapping[int, str]:
        """Return the texts of numbers that exist."""
        known = self._texts
        wanted = set(ids)
        missing = [id for id in wanted if id not in known]
        found: dict[int, str] = {}
        for at in range(0, len(missing), 500):
            some = missing[at : at + 500]
            marks = ", ".join("?" * len(some))
            found |= dict(tx.run(f"SELECT id, text FROM names WHERE id IN ({marks})", some))
        self._keep(tx, found)
        return {id: known[id] if id in known else found[id] for id in wanted}

    def _keep(self, tx: Transaction, found: Mapping[int, str]) -> None:
        """Remember texts once their transaction is written: what is undone has never had a number."""
        if found:
            tx.afterwards(lambda: self._remember(found))

    def _remember(self, found: Mapping[int, str]) -> None:
        with self._lock:
            if len(self._ids) > _MOST_NAMES:
                self._ids, self._texts = {}, {}
            self._texts.update(found)
            self._ids.update({text: id for id, text in found.items()})


def clean(text: str) -> str:
    """Return a text as the catalogue holds it: short enough for an index, without the character 0."""
    text = text.replace("\0", "\ufffd")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def row_of(number: Callable[[str], int], site: str, entry: Entry) -> Row:
    """Return the row of an entry.

    Args:
        number: returns the number of a text.
        site: of the robot.
        entry: of the episode.

    Raises:
        BagError: the entry has impossible values.
        DatabaseError: the numbers of its texts cannot be found.
    """
    for column, most in _LIMITS.items():
        if getattr(entry, column) >= most:
            raise BagError(
                f"episode {entry.id} has a {column} of {getattr(entry, column)}: that is impossible"
            )
    row = {column: site if column == "site" else getattr(entry, column) for column in COLUMNS}
    row |= {column: number(row[column]) for column in TEXTS}
    return row | {column: int(row[column]) for column in ("outcome", "verdict", *FLAGS)}


def entries_of(tx: Transaction, names: NameIds, rows: list[tuple[Any, ...]]) -> list[Entry]:
    """Return the entries of rows of ``SELECTED``, in their order."""
    found = [dict(zip(COLUMNS, row[1:])) for row in rows]
    texts = names.texts(tx, (values[column] for values in found for column in TEXTS))
    return [_entry(row[0], values, texts) for row, values in zip(rows, found)]


def _entry(id: str, row: Row, texts: Mapping[int, str]) -> Entry:
    values = row | {column: texts[row[column]] for column in TEXTS}
    values |= {column: bool(row[column]) for column in FLAGS}
    values["outcome"], values["verdict"] = Outcome(row["outcome"]), Verdict(row["verdict"])
    return Entry(root=Path(values.pop("site")), name=id, id=id, **values)
