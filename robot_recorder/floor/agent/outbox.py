"""How far each episode of a root is on its way to the centre: ``<root>/.agent/outbox.sqlite``.

The bags are the truth: a lost outbox is made anew by looking at them, and everything is offered again,
which does no harm. Every step is one transaction that is on the disk before anything follows from it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import KEPT_LOG_BYTES
from robot_recorder.floor.agent.outbox_file import LOCKED_S, OutboxFile
from robot_recorder.floor.agent.priority import SEND_ORDER
from robot_recorder.floor.changes import AGENT
from robot_recorder.floor.manifest import Manifest
from robot_recorder.model.errors import BagError, ConfigError

FILE = Path(AGENT, "outbox.sqlite")
CURSOR = "cursor"  # note: number of the newest label event of the centre that is on the disk
_STATION = "station"  # note: stands for site, robot and centre that all of it is about
_VERSION = 2
_HISTORY_NS = 30 * 86_400 * 10**9  # how long a row outlives its episode
_TABLES = """
CREATE TABLE IF NOT EXISTS episodes (
  name TEXT PRIMARY KEY, state TEXT NOT NULL, start_ns INTEGER NOT NULL DEFAULT 0,
  stop_ns INTEGER NOT NULL DEFAULT 0, verdict TEXT NOT NULL DEFAULT '',
  size_bytes INTEGER NOT NULL DEFAULT 0, metadata TEXT NOT NULL DEFAULT '',
  offered TEXT NOT NULL DEFAULT '', discarded INTEGER NOT NULL DEFAULT 0,
  asked INTEGER NOT NULL DEFAULT 0, manifest TEXT NOT NULL DEFAULT '',
  files TEXT NOT NULL DEFAULT '', receipt TEXT NOT NULL DEFAULT '',
  problem TEXT NOT NULL DEFAULT '', told INTEGER NOT NULL DEFAULT 1,
  changed_ns INTEGER NOT NULL DEFAULT 0, first_ns INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
DROP INDEX IF EXISTS by_state;
CREATE INDEX IF NOT EXISTS sizes ON episodes (state, discarded, size_bytes);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_UPGRADES = {1: "ALTER TABLE episodes ADD COLUMN first_ns INTEGER NOT NULL DEFAULT 0;"}


class SendState(str, Enum):
    """How far an episode is."""

    RECORDED = "recorded"  # the centre does not know it
    OFFERED = "offered"  # the centre has its metadata
    UPLOADING = "uploading"  # some of its data has been sent
    STORED = "stored"  # all of it has been sent; the centre reads it back
    ACKNOWLEDGED = "acknowledged"  # a valid receipt is here
    DELETABLE = "deletable"  # it is being deleted from this disk
    FREED = "freed"  # it was deleted from this disk
    GONE = "gone"  # somebody else removed it from this disk


WAITING = (SendState.RECORDED, SendState.OFFERED, SendState.UPLOADING)
_ON_DISK = (*WAITING, SendState.STORED, SendState.ACKNOWLEDGED, SendState.DELETABLE)
_S = SendState
_ANY = "any"
# One that had left the disk is back: all the centre has of it is asked for anew, its labels too.
_HAD_LEFT = f"state IN ('{_S.FREED.value}', '{_S.GONE.value}')"
_BACK = (
    f"offered = CASE WHEN {_HAD_LEFT} THEN '' ELSE offered END, "
    f"state = CASE WHEN {_HAD_LEFT} THEN '{_S.RECORDED.value}' ELSE state END"
)


def _in(states: Iterable[SendState]) -> str:
    """Return a condition: an index over some episodes is used for a question with the same text."""
    return f"state IN ({', '.join(repr(state.value) for state in states)})"


_TO_SEND = f"{_in((_S.OFFERED, _S.UPLOADING))} AND discarded = 0"
# Also if nothing was offered: the answer to an offer may have been lost.
_TO_OFFER = (
    f"{_in(_ON_DISK)} AND (discarded = 0 AND metadata != '' AND offered != metadata "
    "OR discarded = 1 AND offered != 'discarded')"
)
_INDICES = f"""
CREATE INDEX IF NOT EXISTS to_send ON episodes ({SEND_ORDER}) WHERE {_TO_SEND};
CREATE INDEX IF NOT EXISTS to_offer ON episodes ({SEND_ORDER}) WHERE {_TO_OFFER};
"""


@dataclass(frozen=True)
class SeenEpisode:
    """What the agent saw of an episode on the disk.

    Attributes:
        start_ns, stop_ns: ns since the epoch; 0: unknown.
        verdict: of its quality report, as text.
        size_bytes: of its data files.
        metadata: stands for the content of ``metadata.yaml``; another text: it was changed.
    """

    start_ns: int
    stop_ns: int
    verdict: str
    size_bytes: int
    metadata: str


@dataclass(frozen=True)
class OutboxRow:
    """An episode in the outbox.

    Attributes:
        name: of its directory, which is its id.
        state: how far it is.
        seen: what was seen of it last.
        offered: ``offer_key`` of what the centre took last; empty: nothing.
        is_discarded: whether it is in the trash.
        is_asked: whether somebody waits for its data.
        manifest: of its data files as plain JSON; empty: not hashed yet.
        files: what stands for the unchanged files that were hashed.
        receipt: the valid receipt as plain JSON; empty: none.
        problem: why the last step did not work; empty: it did.
        first_ns: when it was seen first, ns since the epoch; 0: unknown.
    """

    name: str
    state: SendState
    seen: SeenEpisode
    offered: str
    is_discarded: bool
    is_asked: bool
    manifest: str
    files: str
    receipt: str
    problem: str
    first_ns: int = 0

    @property
    def offer_key(self) -> str:
        """Return what stands for all that the centre has to be told of it."""
        return "discarded" if self.is_discarded else self.seen.metadata

    @property
    def is_offered(self) -> bool:
        """Return whether the centre knows its present metadata, or that it was discarded."""
        return self.offered == self.offer_key


_COLUMNS = (
    "name, state, start_ns, stop_ns, verdict, size_bytes, metadata, offered, discarded, asked, "
    "manifest, files, receipt, problem, first_ns"
)


def _row(values: Sequence[Any]) -> OutboxRow:
    name, state, start_ns, stop_ns, verdict, size, metadata, offered, discarded, asked, *rest = (
        values
    )
    seen = SeenEpisode(start_ns, stop_ns, verdict, size, metadata)
    return OutboxRow(name, SendState(state), seen, offered, bool(discarded), bool(asked), *rest)


@dataclass(frozen=True)
class UnfinishedEpisodes:
    """The episodes that are not acknowledged, or not as they are known at the centre.

    Attributes:
        count: how many.
        are_sendable: whether only the data of all of them is missing.
        problem: of one of them, if all have one; empty: one has none.
    """

    count: int
    are_sendable: bool
    problem: str


class Outbox:
    """The outbox of one root. Any thread may use it, and so may other processes."""

    def __init__(self, root: Path, is_owner: bool = False) -> None:
        """Open the outbox; create it if it is missing.

        Args:
            root: directory of the episodes.
            is_owner: whether it may be set aside and made anew: by the agent alone, under its lock.

        Raises:
            ConfigError: a newer version made it.
            BagError: the disk fails, or it is damaged and not this one's to set aside.
        """
        self.path = root / FILE
        self._file = OutboxFile(root, self.path, _opened, is_owner)

    @property
    def made(self) -> int:
        """Return how often it was opened; another number: what it held before may be gone."""
        return self._file.made

    def close(self) -> None:
        """Close the database."""
        self._file.close()

    def look(self) -> str:
        """Make it anew if somebody deleted it; return what a person must see to, if anything."""
        self._file.look()
        if aside := self._file.set_aside():
            return (
                f"the outbox was damaged, and everything was offered again: see to the disk, then delete "
                f"{self.path.parent / aside[-1]}"
            )
        return ""

    def trouble_now(self) -> str:
        """Return why it cannot be used; empty: it can. Keeps room for a full disk."""
        self._file.keep_reserve()
        if self._file.problem:
            with suppress(BagError), self._file.writing() as db:  # tells, and ends it
                db.execute("DELETE FROM notes WHERE name = ''")
        return self._file.problem

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._file.writing()

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._file.read(sql, values)

    def _step(
        self, names: Iterable[str], into: SendState, of: Iterable[SendState], extra: str = "",
        values: Sequence[Any] = (),
    ) -> list[str]:  # fmt: skip
        """Put episodes into a state if they are in one of others; return those that were."""
        states = [state.value for state in of]
        places = ",".join("?" * len(states))
        moved = []
        with self._writing() as db:
            for name in names:
                done = db.execute(
                    f"UPDATE episodes SET state = ?, changed_ns = ?{extra} WHERE name = ? AND state IN ({places})",
                    (into.value, time.time_ns(), *values, name, *states),
                )
                if done.rowcount:
                    moved.append(name)
        return moved

    # -- what is on the disk

    def see(self, name: str, seen: SeenEpisode, first_ns: int = 0) -> None:
        """Note an episode that is on the disk, is new or was changed.

        One that was deleted or is back from the trash begins again where the centre will say it is.

        Args:
            name: of its directory.
            seen: what was seen of it.
            first_ns: when, if it is new, ns since the epoch; 0: unknown.
        """
        with self._writing() as db:
            db.execute(
                "INSERT INTO episodes (name, state, start_ns, stop_ns, verdict, size_bytes, metadata, changed_ns, first_ns) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                f"{_BACK}, start_ns = excluded.start_ns, stop_ns = excluded.stop_ns, discarded = 0, "
                "verdict = excluded.verdict, size_bytes = excluded.size_bytes, metadata = excluded.metadata",
                (
                    name, _S.RECORDED.value, seen.start_ns, seen.stop_ns, seen.verdict, seen.size_bytes,
                    seen.metadata, time.time_ns(), first_ns,
                ),
            )  # fmt: skip

    def discard(self, name: str) -> None:
        """Note that an episode is in the trash; it may be unknown."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO episodes (name, state, discarded, changed_ns) VALUES (?, ?, 1, ?) "
                f"ON CONFLICT (name) DO UPDATE SET {_BACK}, discarded = 1",
                (name, _S.RECORDED.value, time.time_ns()),
            )

    def lose(self, name: str) -> SendState | None:
        """Note that an episode is neither on the disk nor in the trash.

        Returns:
            FREED: this agent deleted it, and was ended before it noted that; GONE: somebody else
            removed it; None: that was known.
        """
        if self._step([name], _S.FREED, [_S.DELETABLE], ", told = 0"):
            return _S.FREED
        rest = [state for state in _ON_DISK if state is not _S.DELETABLE]
        return _S.GONE if self._step([name], _S.GONE, rest) else None

    # -- the way to the centre

    def offer(
        self, taken: Iterable[tuple[str, str]], before: Mapping[str, str] | None = None
    ) -> None:
        """Note what the centre took.

        Args:
            taken: names, and the ``offer_key`` of what was sent; empty: it is offered once more.
            before: what ``offered`` was of each when it was sent; where it is another text now, somebody
                wants it offered once more, and it stays. None: nobody does.
        """
        with self._writing() as db:
            db.executemany(
                f"UPDATE episodes SET offered = CASE WHEN ? IN (offered, '{_ANY}') THEN ? ELSE offered END, problem = '', state = CASE WHEN state = '{_S.RECORDED.value}' "
                f"THEN '{_S.OFFERED.value}' ELSE state END, changed_ns = ? WHERE name = ?",
                [
                    (before.get(name, _ANY) if before else _ANY, key, time.time_ns(), name)
                    for name, key in taken
                ],
            )

    def offer_again(self, name: str) -> None:
        """Have an episode's metadata offered once more: its labels may differ from the centre's."""
        with self._writing() as db:
            db.execute("UPDATE episodes SET offered = ? WHERE name = ?", (_again(), name))

    def upload(self, name: str, manifest: Manifest, files: str) -> bool:
        """Note that sending an episode's data begins, and what it is."""
        text = json.dumps(manifest.to_plain())
        before = (_S.OFFERED, _S.UPLOADING)
        return bool(
            self._step([name], _S.UPLOADING, before, ", manifest = ?, files = ?", (text, files))
        )

    @contextmanager
    def unsent(self, name: str) -> Iterator[bool]:
        """Yield whether nobody has begun to send an episode's data; nobody begins while the block runs."""
        with self._writing() as db:
            row = db.execute(
                "SELECT state, manifest FROM episodes WHERE name = ?", (name,)
            ).fetchone()
            yield row is None or (row[0] in (_S.RECORDED.value, _S.OFFERED.value) and not row[1])

    def store(self, name: str) -> bool:
        """Note that all data of an episode has been sent."""
        return bool(self._step([name], _S.STORED, [_S.UPLOADING], ", asked = 0, problem = ''"))

    def acknowledge(self, name: str, receipt: str) -> bool:
        """Note a valid receipt."""
        before = [_S.UPLOADING, _S.STORED]
        extra = ", receipt = ?, asked = 0, problem = ''"
        return bool(self._step([name], _S.ACKNOWLEDGED, before, extra, (receipt,)))

    def send_again(self, name: str, problem: str) -> bool:
        """Note that what the centre has is wrong, so that the data must be sent once more."""
        before = [_S.UPLOADING, _S.STORED, _S.ACKNOWLEDGED]
        extra = ", receipt = '', manifest = '', files = '', problem = ?"
        return bool(self._step([name], _S.OFFERED, before, extra, (problem,)))

    def begin_again(self) -> None:
        """Have everything on the disk offered and confirmed once more, and take all labels again."""
        states = (_S.UPLOADING.value, _S.STORED.value, _S.ACKNOWLEDGED.value)
        with self._writing() as db:
            db.execute("UPDATE episodes SET offered = ?", (_again(),))
            db.execute(
                "UPDATE episodes SET state = ?, receipt = '' WHERE state IN (?, ?, ?)",
                (_S.OFFERED.value, *states),
            )
            db.execute("DELETE FROM notes WHERE name = ?", (CURSOR,))

    def belong(self, site: str, robot: str, centre: str) -> bool:
        """Begin again if what the outbox holds was agreed on as another one, or with another centre.

        To be called before anything else uses it.

        Args:
            site, robot: who speaks from now on.
            centre: the address of whom it speaks with.

        Returns:
            Whether it began again.
        """
        text = json.dumps([site, robot, centre])
        mark = int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)  # a note is a whole number
        known = self.note(_STATION)
        is_other = known not in (None, mark)
        if is_other:
            for row in self.rows(_S.DELETABLE):  # the process ended meanwhile
                if (self.path.parent.parent / row.name).is_dir():
                    self.keep(row.name)
            self.begin_again()
        if known != mark:
            self.set_note(_STATION, mark)
        return is_other

    def begin_free(self, name: str) -> bool:
        """Note that an episode is about to be deleted from this disk."""
        return bool(self._step([name], _S.DELETABLE, [_S.ACKNOWLEDGED, _S.DELETABLE]))

    def keep(self, name: str, files: str = "") -> None:
        """Note that an episode was not deleted after all; ``files``: what now stands for its files."""
        extra, values = (", files = ?", (files,)) if files else ("", ())
        self._step([name], _S.ACKNOWLEDGED, [_S.DELETABLE, _S.ACKNOWLEDGED], extra, values)

    def free(self, name: str) -> bool:
        """Note that an episode was deleted from this disk."""
        return bool(self._step([name], _S.FREED, [_S.DELETABLE], ", told = 0"))

    def tell(self, names: Iterable[str]) -> None:
        """Note that the centre knows which episodes were deleted from this disk."""
        with self._writing() as db:
            db.executemany("UPDATE episodes SET told = 1 WHERE name = ?", [(n,) for n in names])

    def trouble(self, name: str, problem: str) -> None:
        """Note why the last step of an episode did not work."""
        with self._writing() as db:
            db.execute("UPDATE episodes SET problem = ? WHERE name = ?", (problem[:1000], name))

    def ask(self, names: Iterable[str]) -> None:
        """Note that somebody waits for episodes; those that were sent already are left alone."""
        states = ",".join(f"'{state.value}'" for state in WAITING)
        with self._writing() as db:
            for name in names:
                db.execute(
                    "INSERT INTO episodes (name, state, asked) VALUES (?, ?, 1) "
                    f"ON CONFLICT (name) DO UPDATE SET asked = 1 WHERE state IN ({states})",
                    (name, _S.RECORDED.value),
                )

    def forget_old(self, now_ns: int) -> None:
        """Delete the history of episodes that have left this disk long ago."""
        with self._writing() as db:
            db.execute(
                "DELETE FROM episodes WHERE state IN (?, ?) AND told = 1 AND changed_ns < ?",
                (_S.FREED.value, _S.GONE.value, now_ns - _HISTORY_NS),
            )

    # -- questions

    def row(self, name: str) -> OutboxRow | None:
        """Return an episode; None: unknown."""
        found = self._read(f"SELECT {_COLUMNS} FROM episodes WHERE name = ?", (name,))
        return _row(found[0]) if found else None

    def rows(self, *states: SendState) -> list[OutboxRow]:
        """Return the episodes in some states, sorted by name; without states, all on the disk."""
        wanted = [state.value for state in states or _ON_DISK]
        places = ",".join("?" * len(wanted))
        sql = f"SELECT {_COLUMNS} FROM episodes WHERE state IN ({places}) ORDER BY name"
        return [_row(values) for values in self._read(sql, wanted)]

    def names(self, *states: SendState) -> list[str]:
        """Return the names of the episodes in some states, sorted."""
        sql = f"SELECT name FROM episodes WHERE {_in(states)} ORDER BY name"
        return [name for (name,) in self._read(sql)]

    def seen(self) -> dict[str, str]:
        """Return what stands for the metadata of each episode that is on the disk and not in the trash."""
        places = ",".join("?" * len(_ON_DISK))
        sql = f"SELECT name, metadata FROM episodes WHERE discarded = 0 AND state IN ({places})"
        return dict(self._read(sql, [state.value for state in _ON_DISK]))

    def to_offer(self, most: int, leave_out: Iterable[str] = ()) -> list[OutboxRow]:
        """Return episodes of which the centre does not know the present metadata, in order of sending.

        Args:
            most: at most so many.
            leave_out: names.
        """
        return self._next("to_offer", _TO_OFFER, most, leave_out)

    def to_send(self, leave_out: Iterable[str] = ()) -> OutboxRow | None:
        """Return the episode whose data is sent next; None: none waits.

        Args:
            leave_out: names.
        """
        return next(iter(self._next("to_send", _TO_SEND, 1, leave_out)), None)

    def _next(self, index: str, which: str, most: int, leave_out: Iterable[str]) -> list[OutboxRow]:
        sql = f"SELECT {_COLUMNS} FROM episodes INDEXED BY {index} WHERE {which} ORDER BY {SEND_ORDER}"
        return [_row(values) for values in self._file.read(sql, (), most, frozenset(leave_out))]

    def unfinished(self) -> UnfinishedEpisodes:
        """Return what is not acknowledged, or not as it is known at the centre."""
        left = f"({_in((*WAITING, _S.STORED))} AND discarded = 0 OR {_TO_OFFER})"
        ((count, sendable, troubled),) = self._read(
            f"SELECT count(*), sum({_in((_S.OFFERED, _S.UPLOADING))}), sum(problem != '') "
            f"FROM episodes WHERE {left}"
        )
        first = ""
        if count and troubled == count:
            first = "{}: {}".format(
                *self._read(f"SELECT name, problem FROM episodes WHERE {left} LIMIT 1")[0]
            )
        return UnfinishedEpisodes(count, sendable == count, first)

    def untold(self) -> list[str]:
        """Return which episodes were deleted from this disk without the centre knowing."""
        sql = "SELECT name FROM episodes WHERE state = ? AND told = 0 ORDER BY name LIMIT 200"
        return [name for (name,) in self._read(sql, (_S.FREED.value,))]

    def counts(self) -> dict[SendState, tuple[int, int]]:
        """Return how many episodes are in each state, and their bytes; discarded ones are left out."""
        sql = "SELECT state, count(*), sum(size_bytes) FROM episodes WHERE discarded = 0 GROUP BY state"
        return {SendState(state): (n, size) for state, n, size in self._read(sql)}

    def waiting(self) -> tuple[int, int]:
        """Return how many episodes are still to be sent, and their bytes."""
        counts = self.counts()
        found = [counts.get(state, (0, 0)) for state in WAITING]
        return sum(n for n, _ in found), sum(size for _, size in found)

    def problems(self) -> dict[str, str]:
        """Return why the last step of an episode did not work, by name."""
        places = ",".join("?" * len(_ON_DISK))
        sql = f"SELECT name, problem FROM episodes WHERE problem != '' AND state IN ({places}) ORDER BY name"
        return dict(self._read(sql, [state.value for state in _ON_DISK]))

    def note(self, name: str) -> int | None:
        """Return a whole number that was noted; None: it was not."""
        found = self._read("SELECT value FROM notes WHERE name = ?", (name,))
        return found[0][0] if found else None

    def set_note(self, name: str, value: int) -> None:
        """Note a whole number."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )


def _again() -> str:
    """Return an ``offered`` that no metadata has; each another, so that an offer that is under way shows."""
    return f"again {time.time_ns()}"


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA journal_size_limit = {KEPT_LOG_BYTES}")
        db.execute("PRAGMA synchronous = FULL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise ConfigError(
                f"the outbox {path} is of version {version}, made by a newer robot-recorder: install that one"
            )
        db.executescript(
            f"BEGIN IMMEDIATE;{_UPGRADES.get(version, '')}{_TABLES}{_INDICES}PRAGMA user_version = {_VERSION};COMMIT;"
        )
    except BaseException:
        db.close()
        raise
    return db
