"""The queue of jobs in the centre's database.

A worker takes jobs by lease, and keeps the lease while it works. One that dies lets it expire; then
another takes the job over. A job is named by the hash of all that its output depends on, so that asking
for the same again adds nothing, and working it twice makes the same under the same name.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from robot_recorder.configuration.version import software_version
from robot_recorder.floor.centre.database.database import Database, Dialect, Transaction
from robot_recorder.floor.centre.jobs.kinds import JobKind, is_of_labels
from robot_recorder.model.streams import NS_PER_S

MOST_TRIES = 3
PAUSE_S = 10.0
_LONGER = 6
_COUNTED = 100_000  # done jobs; more are shown as "more than"
_MANY = 200  # parameters of one statement
_FIELDS = "id, kind, key, name, sources, settings, weight, tries, lease"


class JobState(str, Enum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class JobSource:
    """An episode that a job reads.

    Attributes:
        site, episode: names.
        sha256: of its manifest.
        size_bytes: of its data files.
        labels: hash of its label events; empty: the job does not depend on them.
    """

    site: str
    episode: str
    sha256: str
    size_bytes: int = 0
    labels: str = ""


@dataclass(frozen=True)
class NewJob:
    """A job to be added.

    Attributes:
        kind: what to make.
        sources: the episodes.
        settings: of the kind, plain values for JSON.
        name: for people.
    """

    kind: JobKind
    sources: tuple[JobSource, ...]
    settings: Mapping[str, Any]
    name: str

    @property
    def key(self) -> str:
        """Return the SHA-256 of all that the output depends on."""
        plain = [
            self.kind.value, [[s.site, s.episode, s.sha256, s.labels] for s in self.sources],
            dict(self.settings), software_version(),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class LeasedJob:
    """A job that a worker has taken.

    Attributes:
        id: number of the job.
        kind, key, name, sources, settings: of the job.
        weight: bytes of its sources.
        tries: how often it was taken, this time included.
        lease: under which it is held.
    """

    id: int
    kind: JobKind
    key: str
    name: str
    sources: tuple[JobSource, ...]
    settings: Mapping[str, Any]
    weight: int
    tries: int
    lease: str


class Jobs:
    """The queue. Any thread of any process may call it."""

    def __init__(
        self, db: Database, clock_ns: Callable[[], int] | None = None, pause_s: float = PAUSE_S
    ) -> None:
        """
        Args:
            db: of the centre.
            clock_ns: time, ns since the epoch; None: the database server's, since workers' clocks may
                differ.
            pause_s: before the second try of a job, s; before the third six times as long.
        """
        self._db, self._clock_ns, self._pause_s = db, clock_ns, pause_s

    def _now_ns(self, tx: Transaction) -> int:
        if self._clock_ns is not None:
            return self._clock_ns()
        if tx.dialect is Dialect.SQLITE:
            return time.time_ns()
        row = tx.one("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
        return int(row[0]) * 1000 if row is not None else time.time_ns()

    # -- asking for jobs

    def add(self, jobs: Iterable[NewJob], by: str, priority: int = 0) -> int:
        """Add jobs that are not known yet; return how many there were.

        Args:
            jobs: to be added.
            by: who asks.
            priority: higher comes first.
        """
        sql = (
            "INSERT INTO jobs (kind, key, name, sources, settings, weight, priority, state, added_ns,"
            " added_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
        )
        rows = [
            (
                job.kind.value, job.key, job.name,
                json.dumps([[s.site, s.episode, s.sha256, s.size_bytes, s.labels] for s in job.sources]),
                json.dumps(dict(job.settings), sort_keys=True),
                sum(s.size_bytes for s in job.sources), priority, JobState.WAITING.value,
            )
            for job in jobs
        ]  # fmt: skip

        def put(tx: Transaction) -> int:
            now_ns = self._now_ns(tx)
            return sum(tx.changed(sql, (*row, now_ns, by)) for row in rows)

        return self._db.retrying(put)

    def sources(self, kind: JobKind, episodes: Sequence[tuple[str, str]]) -> list[JobSource]:
        """Return the sources of a kind of job among episodes: those that have a receipt.

        Args:
            kind: decides whether labels count.
            episodes: site and id of each.
        """
        by_site: dict[str, list[str]] = {}
        for site, id in episodes:
            by_site.setdefault(site, []).append(id)
        found: list[JobSource] = []
        with self._db.reading() as tx:
            for site, ids in by_site.items():
                for start in range(0, len(ids), _MANY):
                    found += _sources(tx, kind, site, ids[start : start + _MANY])
        return found

    def retry(self, id: int) -> bool:
        """Let a failed job be tried again; return whether there is such a job."""
        sql = (
            "UPDATE jobs SET state = ?, tries = 0, until_ns = 0, problem = '', lease = '', ended_ns = NULL"
            " WHERE id = ? AND state = ?"
        )
        values = (JobState.WAITING.value, id, JobState.FAILED.value)
        return bool(self._db.retrying(lambda tx: tx.changed(sql, values)))

    # -- working

    def lease(
        self, worker: str, count: int, lease_s: float, kinds: Sequence[JobKind] = tuple(JobKind),
        most: Mapping[JobKind, int] | None = None,
    ) -> list[LeasedJob]:  # fmt: skip
        """Take waiting jobs, first those of a higher priority, then the older ones.

        A job that was tried before comes alone: should it kill its worker, it kills no other's work.

        Args:
            worker: name of who takes them.
            count: at most so many.
            lease_s: how long they are held without ``keep``, s.
            kinds: only of these.
            most: how many of a kind may run at once, with all workers; None: no limit.
        """
        if count < 1 or not kinds:
            return []

        def take(tx: Transaction) -> list[LeasedJob]:
            now_ns = self._now_ns(tx)
            self._take_back(tx, now_ns)
            left = self._left(tx, kinds, count, most or {})
            ids = self._chosen(tx, count, left, now_ns)
            if not ids:
                return []
            lease, marks = secrets.token_hex(16), ", ".join("?" * len(ids))
            rows = tx.run(
                "UPDATE jobs SET state = ?, lease = ?, worker = ?, until_ns = ?, started_ns = ?,"
                f" tries = tries + 1 WHERE id IN ({marks}) RETURNING {_FIELDS}",
                (JobState.RUNNING.value, lease, worker, now_ns + round(lease_s * NS_PER_S), now_ns, *ids),
            )  # fmt: skip
            found = {row[0]: _job(row) for row in rows}
            return [found[id] for id in ids]

        return self._db.retrying(take)

    def _left(
        self, tx: Transaction, kinds: Sequence[JobKind], count: int, most: Mapping[JobKind, int]
    ) -> dict[str, int]:
        """Return how many of each kind may be taken."""
        running: dict[str, int] = {}
        if most:
            tx.lock("jobs at once")
            sql = "SELECT kind, COUNT(*) FROM jobs WHERE state = 'running' GROUP BY kind"
            running = dict(tx.run(sql))
        left = {
            kind.value: min(count, most[kind] - running.get(kind.value, 0))
            if kind in most
            else count
            for kind in kinds
        }
        return {kind: number for kind, number in left.items() if number > 0}

    def _chosen(self, tx: Transaction, count: int, left: dict[str, int], now_ns: int) -> list[int]:
        """Return the ids of the jobs to take, in order."""
        if not left:
            return []
        kinds = list(left)
        rows = tx.run(
            f"SELECT id, kind, tries FROM jobs WHERE state = 'waiting' AND until_ns <= ?"
            f" AND kind IN ({', '.join('?' * len(kinds))}) ORDER BY priority DESC, id LIMIT ?"
            f" {self._db.skip_locked}",
            (now_ns, *kinds, count),
        )
        chosen: list[int] = []
        for id, kind, tries in rows:
            if tries:
                return chosen or [id]
            if left[kind] > 0:
                left[kind] -= 1
                chosen.append(id)
        return chosen

    def _take_back(self, tx: Transaction, now_ns: int) -> None:
        """Let jobs whose lease has expired wait again, or fail after the last try."""
        rows = tx.run(
            f"SELECT id, tries, worker FROM jobs WHERE state = 'running' AND until_ns < ?"
            f" {self._db.skip_locked}",
            (now_ns,),
        )
        for id, tries, worker in rows:
            if tries < MOST_TRIES:
                tx.run(
                    "UPDATE jobs SET state = 'waiting', lease = '', until_ns = 0 WHERE id = ?",
                    (id,),
                )
                continue
            problem = f"{tries} workers died while they worked on it, the last was {worker}"
            tx.run(
                "UPDATE jobs SET state = 'failed', lease = '', problem = ?, ended_ns = ? WHERE id = ?",
                (problem, now_ns, id),
            )

    def keep(self, leases: Iterable[str], lease_s: float) -> int:
        """Hold leases for longer; return how many jobs are still held by them."""
        leases = list(leases)
        if not leases:
            return 0

        def hold(tx: Transaction) -> int:
            until_ns = self._now_ns(tx) + round(lease_s * NS_PER_S)
            return tx.changed(
                f"UPDATE jobs SET until_ns = ? WHERE state = 'running'"
                f" AND lease IN ({', '.join('?' * len(leases))})",
                (until_ns, *leases),
            )

        return self._db.retrying(hold)

    def done(self, job: LeasedJob, result: Mapping[str, Any]) -> bool:
        """Note the result of a job; return False if its lease was lost, which harms nothing."""
        return self._end(job, JobState.DONE, json.dumps(dict(result)), "")

    def postponed(self, job: LeasedJob, problem: str, pause_s: float) -> bool:
        """Let a job wait that could not be tried, such as when the storage is away.

        Returns:
            False if its lease was lost.
        """

        def note(tx: Transaction) -> int:
            return tx.changed(
                "UPDATE jobs SET state = 'waiting', lease = '', tries = tries - 1, problem = ?,"
                " until_ns = ? WHERE id = ? AND lease = ? AND state = 'running'",
                (problem, self._now_ns(tx) + round(pause_s * NS_PER_S), job.id, job.lease),
            )

        return bool(self._db.retrying(note))

    def failed(self, job: LeasedJob, problem: str, again: bool) -> bool:
        """Note that a job failed; return False if its lease was lost.

        Args:
            job: that failed.
            problem: why, a sentence.
            again: whether another try may succeed; after the last one the job has failed.
        """
        waits = again and job.tries < MOST_TRIES
        return self._end(job, JobState.WAITING if waits else JobState.FAILED, "", problem)

    def _end(self, job: LeasedJob, state: JobState, result: str, problem: str) -> bool:
        def note(tx: Transaction) -> int:
            now_ns, pause_s = self._now_ns(tx), self._pause_s * _LONGER ** (job.tries - 1)
            until_ns = now_ns + round(pause_s * NS_PER_S) if state is JobState.WAITING else 0
            return tx.changed(
                "UPDATE jobs SET state = ?, result = ?, problem = ?, ended_ns = ?, until_ns = ?,"
                " lease = '' WHERE id = ? AND lease = ? AND state = 'running'",
                (state.value, result, problem, now_ns, until_ns, job.id, job.lease),
            )

        return bool(self._db.retrying(note))

    def give_back(self, jobs: Iterable[LeasedJob]) -> None:
        """Let jobs wait again that were not begun, as if they had not been taken."""
        rows = [(job.id, job.lease) for job in jobs]

        def give(tx: Transaction) -> None:
            tx.many(
                "UPDATE jobs SET state = 'waiting', lease = '', until_ns = 0, tries = tries - 1"
                " WHERE id = ? AND lease = ? AND state = 'running'",
                rows,
            )

        if rows:
            self._db.retrying(give)

    # -- looking

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of jobs by state and kind; of done ones at most 100,001 a kind."""
        found: dict[str, dict[str, int]] = {}
        with self._db.reading() as tx:
            for state in JobState:
                found[state.value] = {}
                for kind in JobKind:
                    row = tx.one(
                        "SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE state = ? AND kind = ?"
                        " LIMIT ?) AS found",
                        (state.value, kind.value, _COUNTED + 1),
                    )
                    found[state.value][kind.value] = int(row[0]) if row is not None else 0
        return found

    def newest(self, state: JobState, limit: int = 50) -> list[dict[str, Any]]:
        """Return jobs in a state for people, those that ended or were begun last in front."""
        order = "ended_ns" if state in (JobState.DONE, JobState.FAILED) else "started_ns"
        with self._db.reading() as tx:
            rows = tx.run(
                "SELECT id, kind, key, name, tries, worker, added_ns, added_by, started_ns, ended_ns,"
                f" problem FROM jobs WHERE state = ? ORDER BY {order} DESC, id DESC LIMIT ?",
                (state.value, limit),
            )
        names = ("id", "kind", "key", "name", "tries", "worker", "added_ns", "added_by", "started_ns",
                 "ended_ns", "problem")  # fmt: skip
        return [dict(zip(names, row, strict=True)) for row in rows]

    def result(self, key: str) -> dict[str, Any] | None:
        """Return the result of a job that is done; None: it is not."""
        with self._db.reading() as tx:
            row = tx.one("SELECT result FROM jobs WHERE key = ? AND state = 'done'", (key,))
        return None if row is None else dict(json.loads(row[0]))

    def forget(self, older_than_s: float) -> int:
        """Delete done jobs from the queue; what they made stays, and is found if it is asked for again."""

        def delete(tx: Transaction) -> int:
            before_ns = self._now_ns(tx) - round(older_than_s * NS_PER_S)
            sql = "DELETE FROM jobs WHERE state = 'done' AND ended_ns < ?"
            return tx.changed(sql, (before_ns,))

        return self._db.retrying(delete)


def _job(row: tuple[Any, ...]) -> LeasedJob:
    id, kind, key, name, sources, settings, weight, tries, lease = row
    found = tuple(JobSource(*source) for source in json.loads(sources))
    return LeasedJob(
        id, JobKind(kind), key, name, found, json.loads(settings), weight, tries, lease
    )


def _sources(tx: Transaction, kind: JobKind, site: str, ids: Sequence[str]) -> list[JobSource]:
    marks = ", ".join("?" * len(ids))
    rows = tx.run(
        "SELECT episode, sha256, size_bytes FROM floor_episodes"
        f" WHERE site = ? AND episode IN ({marks}) AND receipt IS NOT NULL AND discarded = 0",
        (site, *ids),
    )
    labels: dict[str, str] = {}
    if is_of_labels(kind):
        events: dict[str, list[str]] = {}
        for episode, event in tx.run(
            f"SELECT episode, event_id FROM label_events WHERE site = ? AND episode IN ({marks})",
            (site, *ids),
        ):
            events.setdefault(episode, []).append(event)
        labels = {
            episode: hashlib.sha256(" ".join(sorted(ids)).encode()).hexdigest()
            for episode, ids in events.items()
        }
    known = {row[0]: row for row in rows}
    return [
        JobSource(site, id, known[id][1], known[id][2] or 0, labels.get(id, ""))
        for id in ids
        if id in known
    ]
