"""The centre's catalogue: the episodes of all robots of all sites. Everything in it comes from metadata,
so that it can be made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from itertools import islice

from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import COUNTED
from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.catalogue.stats import Stats
from robot_recorder.floor.centre.catalogue import search, sums
from robot_recorder.floor.centre.catalogue.months import MonthPartitions
from robot_recorder.floor.centre.catalogue.rows import (
    COLUMNS,
    FROM,
    SELECTED,
    NameIds,
    Row,
    entries_of,
    row_of,
)
from robot_recorder.floor.centre.catalogue.search import FloorFilter, Search
from robot_recorder.floor.centre.catalogue.stats import floor_stats
from robot_recorder.floor.centre.database.database import Database, Dialect, Transaction

__all__ = ["CentreCatalogue", "FloorFilter"]

_EVER = FloorFilter()
_INSERT = f"INSERT INTO episodes (key, {', '.join(COLUMNS)}) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
_UPDATE = (
    f"UPDATE episodes SET {', '.join(f'{c} = ?' for c in COLUMNS)} WHERE key = ? AND start_ns = ?"
)
_BEFORE = f"SELECT {', '.join(COLUMNS)} FROM episodes WHERE key = ? AND start_ns = ?"
_NAMED = ("site", "task", "robot", "operator")
_BATCH = 20_000


class CentreCatalogue:
    """The catalogue in the centre's database. Any thread may use it.

    An episode is known by its site and id: ``Entry.root`` is the site, ``Entry.name`` the id.
    """

    def __init__(self, db: Database) -> None:
        """
        Args:
            db: open database.
        """
        self._db = db
        self._names = NameIds()
        self._months = MonthPartitions(db)

    # -- changes

    def put(self, site: str, entry: Entry, tx: Transaction | None = None) -> bool:
        """Add or update an episode.

        Args:
            site: of the robot.
            entry: of the episode; its root and name do not matter.
            tx: transaction to take part in; None: one of its own, repeated after conflicts.

        Returns:
            Whether that changed anything.

        Raises:
            BagError: the entry has impossible values.
            DatabaseError: it cannot be written.
        """
        if tx is not None:
            return self._put(tx, site, entry)
        return self._db.retrying(lambda own: self._put(own, site, entry))

    def remove(self, site: str, id: str, tx: Transaction | None = None) -> bool:
        """Remove an episode; return whether it was there.

        Args:
            site: of the robot.
            id: of the episode.
            tx: transaction to take part in; None: one of its own, repeated after conflicts.

        Raises:
            DatabaseError: it cannot be written.
        """
        if tx is not None:
            return self._remove(tx, site, id)
        return self._db.retrying(lambda own: self._remove(own, site, id))

    def load(self, entries: Iterable[tuple[str, Entry]]) -> int:
        """Add many new episodes at once, and compute all sums anew; return how many.

        Nobody else may write meanwhile, and none of them may be in the catalogue.

        Args:
            entries: site and entry of each.

        Raises:
            DatabaseError: it cannot be written; nothing was added.
        """
        count, rest = 0, iter(entries)
        with self._db.transaction() as tx:
            row = tx.one("SELECT COALESCE(MAX(key), 0) FROM episode_keys")
            key = int(row[0]) + 1 if row else 1
            while batch := list(islice(rest, _BATCH)):
                self._load(tx, key + count, batch)
                count += len(batch)
            sums.rebuild(tx)
            if self._db.dialect is Dialect.POSTGRESQL and count:
                sequence = "pg_get_serial_sequence('episode_keys', 'key')"
                tx.run(f"SELECT setval({sequence}, ?)", (key + count,))
        return count

    # -- lookup

    def get(self, site: str, id: str, tx: Transaction | None = None) -> Entry | None:
        """Return an episode; None: it is not in the catalogue.

        Args:
            site: of the robot.
            id: of the episode.
            tx: transaction to take part in; None: one of its own.

        Raises:
            DatabaseError: the database cannot be read.
        """
        if tx is not None:
            return self._get(tx, site, id)
        with self._db.reading() as own:
            return self._get(own, site, id)

    def newest(self, wanted: FloorFilter = _EVER, limit: int = 50) -> list[Entry]:
        """Return the newest matching episodes, sorted oldest first.

        Raises:
            DatabaseError: the database cannot be read.
        """
        with self._db.reading() as tx:
            return Search(tx, self._names, wanted).newest(limit)

    def all(self, wanted: FloorFilter = _EVER) -> Iterator[Entry]:
        """Yield all matching episodes, oldest first, while reading; no transaction is held meanwhile.

        Raises:
            DatabaseError: the database cannot be read.
        """
        return search.every(self._db, self._names, wanted)

    def count(self, wanted: FloorFilter = _EVER, most: int = COUNTED) -> int:
        """Return the number of matching episodes, at most ``most`` + 1.

        Raises:
            DatabaseError: the database cannot be read.
        """
        with self._db.reading() as tx:
            return Search(tx, self._names, wanted).count(most)

    def stats(self, wanted: FloorFilter = _EVER) -> Stats:
        """Return the statistics of the matching episodes.

        Raises:
            ConfigError: the filter also selects by outcome, verdict or length, or its dates are not whole days.
            DatabaseError: the database cannot be read.
        """
        with self._db.reading() as tx:
            return floor_stats(self._db, tx, self._names, wanted)

    def names(self, column: str) -> list[str]:
        """Return all sites, tasks, robots or operators that occur, sorted.

        Args:
            column: ``site``, ``task``, ``robot`` or ``operator``.

        Raises:
            DatabaseError: the database cannot be read.
        """
        if column not in _NAMED:
            raise ValueError(f"{column} is not one of {', '.join(_NAMED)}")
        with self._db.reading() as tx:
            rows = tx.run(
                f"SELECT text FROM names WHERE id IN (SELECT DISTINCT {column} FROM tally) AND text <> ''"
            )
        return sorted(text for (text,) in rows)

    # -- within a transaction

    def _get(self, tx: Transaction, site: str, id: str) -> Entry | None:
        found = self._find(tx, site, id)
        if found is None:
            return None
        sql = f"SELECT {SELECTED} FROM {FROM} WHERE episodes.key = ? AND episodes.start_ns = ?"
        return entries_of(tx, self._names, tx.run(sql, found))[0]

    def _find(
        self, tx: Transaction, site: str, id: str, locked: bool = False
    ) -> tuple[int, int] | None:
        """Return an episode's key and start."""
        number = self._names.find(tx, site)
        if number is None:
            return None
        end = " FOR UPDATE" if locked and self._db.dialect is Dialect.POSTGRESQL else ""
        sql = f"SELECT key, start_ns FROM episode_keys WHERE site = ? AND id = ?{end}"
        row = tx.one(sql, (number, id))
        return None if row is None else (int(row[0]), int(row[1]))

    def _put(self, tx: Transaction, site: str, entry: Entry) -> bool:
        row = row_of(partial(self._names.number, tx), site, entry)
        self._months.prepare(tx, entry.start_ns)
        new = tx.one(
            "INSERT INTO episode_keys (site, id, start_ns) VALUES (?, ?, ?) "
            "ON CONFLICT (site, id) DO NOTHING RETURNING key", (row["site"], entry.id, entry.start_ns),
        )  # fmt: skip
        if new is not None:
            tx.run(_INSERT, (new[0], *row.values()))
            sums.sum_up(self._db, tx, None, row)
            return True
        found = self._find(tx, site, entry.id, locked=True)
        if found is None:  # removed by another transaction this moment
            return self._put(tx, site, entry)
        before = self._row(tx, found)
        if before == row:
            return False
        tx.run(_UPDATE, (*row.values(), *found))
        if found[1] != entry.start_ns:
            tx.run("UPDATE episode_keys SET start_ns = ? WHERE key = ?", (entry.start_ns, found[0]))
        sums.sum_up(self._db, tx, before, row)
        return True

    def _row(self, tx: Transaction, found: tuple[int, int]) -> Row:
        values = tx.one(_BEFORE, found)
        assert values is not None, f"episode {found} has a key, but no row"
        return dict(zip(COLUMNS, values))

    def _remove(self, tx: Transaction, site: str, id: str) -> bool:
        found = self._find(tx, site, id, locked=True)
        if found is None:
            return False
        before = self._row(tx, found)
        tx.run("DELETE FROM episodes WHERE key = ? AND start_ns = ?", found)
        tx.run("DELETE FROM episode_keys WHERE key = ?", found[:1])
        sums.sum_up(self._db, tx, before, None)
        return True

    def _load(self, tx: Transaction, key: int, batch: list[tuple[str, Entry]]) -> None:
        """Add new episodes without their sums; ``key`` is that of the first."""
        number = lru_cache(maxsize=None)(partial(self._names.number, tx))
        rows = [row_of(number, site, entry) for site, entry in batch]
        for day in {row["start_ns"] // DAY_NS for row in rows}:
            self._months.prepare(tx, day * DAY_NS)
        keys = [
            (key + i, row["site"], entry.id, entry.start_ns)
            for i, (row, (_, entry)) in enumerate(zip(rows, batch))
        ]
        tx.copy("episode_keys", ("key", "site", "id", "start_ns"), keys)
        tx.copy("episodes", ("key", *COLUMNS), [(key + i, *r.values()) for i, r in enumerate(rows)])
