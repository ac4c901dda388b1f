"""The queue of episodes that people review: filled as episodes arrive, claimed with a lease."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.centre.database.database import Database, Transaction
from robot_recorder.floor.centre.review import recalls
from robot_recorder.floor.centre.review.policy import ReviewPolicy, ReviewStage, ReviewWhy
from robot_recorder.floor.centre.review.quotas import count_review, is_full
from robot_recorder.floor.centre.trends import trends
from robot_recorder.model.errors import RecorderError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.verdict import Verdict

MOST_AT_ONCE = 5  # claimed by one request
_SKIP_S = 600.0
_FILLED_AT_ONCE = 200
_WAITING = (ReviewStage.FIRST, ReviewStage.SECOND, ReviewStage.ADJUDICATE)
_COLUMNS = "site, episode, task, why, stage, claim, claim_until_ns"


class ReviewConflict(RecorderError):
    """Somebody else was faster: the claim is lost, or the episode is decided."""


@dataclass(frozen=True)
class QueueFilter:
    """Which episodes an inspector wants; empty, None: any.

    Attributes:
        site, task, why: equal to.
    """

    site: str = ""
    task: str = ""
    why: ReviewWhy | None = None

    def condition(self, stage: ReviewStage) -> tuple[str, list[Any]]:
        """Return a condition on rows of a stage, such that one of the indexes fits."""
        where: list[str] = [f"stage = {stage:d}"]
        values: list[Any] = []
        for column, text in (("site", self.site), ("task", self.task)):
            if text:
                where.append(f"{column} = ?")
                values.append(text)
        if self.why is not None:
            where.append("why = ?")
            values.append(self.why.value)
            if stage is not ReviewStage.ADJUDICATE:  # which has a priority of its own
                where.append("priority = ?")
                values.append(self.why.priority)
        return " AND ".join(where), values


@dataclass(frozen=True)
class ReviewCandidate:
    """What decides whether an episode is queued.

    Attributes:
        id, task, operator: of the episode.
        start_ns: of the episode.
        verdict: of its quality checks.
    """

    id: str
    task: str
    operator: str
    start_ns: int
    verdict: Verdict

    @classmethod
    def of(cls, entry: Entry) -> ReviewCandidate:
        """Return it of an entry of the catalogue."""
        return cls(entry.id, entry.task, entry.operator, entry.start_ns, entry.verdict)


@dataclass(frozen=True)
class ClaimedItem:
    """An episode that somebody reviews.

    Attributes:
        site, id, task: of the episode.
        why: why it is queued.
        stage: which decision it waits for. Whoever makes a second one must not be told.
        claim: secret of the claim.
        until_ns: when it ends unless it is extended.
    """

    site: str
    id: str
    task: str
    why: ReviewWhy
    stage: ReviewStage
    claim: str
    until_ns: int


@dataclass(frozen=True)
class QueueCounts:
    """How many episodes wait.

    Attributes:
        by_stage: all, by stage; RESTED included.
        by_why, by_task, by_site: those that wait for a decision.
        claimed: how many of them somebody reviews now.
        oldest_ns: start of the oldest of them; None: none waits.
    """

    by_stage: dict[ReviewStage, int]
    by_why: dict[str, int]
    by_task: dict[str, int]
    by_site: dict[str, int]
    claimed: int
    oldest_ns: int | None


class Reviews:
    """The queue of a centre. Any thread may call it; methods may raise DatabaseError.

    Attributes:
        db: of the centre.
        policy: what is queued.
        clock: returns ns since the epoch.
        woken: set when there is something to do in the background.
    """

    def __init__(
        self, db: Database, policy: ReviewPolicy, clock: Callable[[], int] = time.time_ns
    ) -> None:
        """Use a database; the clock returns ns since the epoch."""
        self.db = db
        self.policy = policy
        self.clock = clock
        self.woken = threading.Event()
        self._filled = False

    # What arrives

    def on_episode(self, tx: Transaction, site: str, episode: Episode, entry: Entry) -> None:
        """Take note of an episode that is new or has changed.

        Args:
            tx: the transaction in which its entry is put into the catalogue.
            site: where it was recorded.
            episode: parsed.
            entry: of the catalogue.
        """
        trend = trends.on_episode(tx, site, episode, entry)
        recalls.on_episode(tx, site, entry, trend.version)
        self.on_entry(tx, site, entry)

    def on_entry(self, tx: Transaction, site: str, entry: Entry) -> None:
        """Queue an episode if the policy says so; ``on_episode`` calls it.

        Args:
            tx: the transaction in which its entry is put into the catalogue.
            site: where it was recorded.
            entry: of the catalogue.
        """
        self._look_at(tx, site, ReviewCandidate.of(entry))

    def _look_at(self, tx: Transaction, site: str, entry: ReviewCandidate) -> None:
        newcomer = self._is_newcomer(tx, site, entry)
        why = self.policy.why(site, entry.id, entry.task, entry.verdict, newcomer)
        row = tx.one(
            "SELECT stage, verdict, why, claim_until_ns FROM review_items WHERE site = ? AND episode = ?",
            (site, entry.id),
        )
        if row is None:
            if why is not None:
                self._queue(tx, site, entry, why)
            return
        stage, before = ReviewStage(row[0]), Verdict(row[1])
        if stage is ReviewStage.DONE:
            if why is not None and entry.verdict >= Verdict.REVIEW and entry.verdict > before:
                self._queue(tx, site, entry, why)  # judged before the checks had found this
        elif stage in (ReviewStage.FIRST, ReviewStage.RESTED) and row[2] != ReviewWhy.ASKED.value:
            if why is not None:
                self._queue(tx, site, entry, why, keep_claim=True)
            elif row[3] <= self.clock():
                self.on_removed(tx, site, entry.id)

    def on_removed(self, tx: Transaction, site: str, id: str) -> None:
        """Take an episode that is removed or discarded off the queue; decisions stay."""
        tx.run(
            "DELETE FROM review_items WHERE site = ? AND episode = ? AND stage <> ?",
            (site, id, int(ReviewStage.DONE)),
        )

    def fill_some(self) -> bool:
        """Look at the next known episodes with a policy that is new; tell whether there may be more."""
        if self._filled:
            return False
        digest = self.policy.digest

        def work(tx: Transaction) -> bool:
            tx.run(
                "INSERT INTO review_fills (policy, at_ns) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (digest, self.clock()),
            )
            row = tx.one(
                "SELECT cursor_site, cursor_episode FROM review_fills WHERE policy = ? AND done = 0 "
                f"{self.db.skip_locked}",
                (digest,),
            )
            if row is None:
                return False
            known = tx.run(
                "SELECT site, episode, start_ns, data FROM trend_episodes "
                "WHERE (site, episode) > (?, ?) ORDER BY site, episode LIMIT ?",
                (*row, _FILLED_AT_ONCE),
            )
            for site, id, start_ns, data in known:
                trend = trends.EpisodeTrend.unpacked(bytes(data))
                one = ReviewCandidate(id, trend.task, trend.operator, start_ns, trend.verdict)
                self._look_at(tx, site, one)
            cursor = known[-1][:2] if known else row
            tx.run(
                "UPDATE review_fills SET cursor_site = ?, cursor_episode = ?, done = ? WHERE policy = ?",
                (*cursor, len(known) < _FILLED_AT_ONCE, digest),
            )
            return len(known) == _FILLED_AT_ONCE

        more = self.db.retrying(work)
        self._filled = not more
        return more

    def _is_newcomer(self, tx: Transaction, site: str, entry: ReviewCandidate) -> bool:
        """Tell whether an episode is one of the first of its operator that came."""
        if not entry.operator or not self.policy.newcomer_first:
            return False
        key = (site, entry.operator)
        first = tx.run("SELECT episode FROM review_newcomers WHERE site = ? AND operator = ?", key)
        if (entry.id,) in first:
            return True
        if len(first) >= self.policy.newcomer_first:
            return False
        tx.run(
            "INSERT INTO review_newcomers (site, operator, episode) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (*key, entry.id),
        )  # fmt: skip
        return True

    def _queue(
        self,
        tx: Transaction,
        site: str,
        entry: ReviewCandidate,
        why: ReviewWhy,
        keep_claim: bool = False,
    ) -> None:
        """Let an episode wait for a first decision."""
        day, stage = entry.start_ns // DAY_NS, ReviewStage.FIRST
        if why is ReviewWhy.SAMPLE and is_full(tx, site, entry.task, day):
            stage = ReviewStage.RESTED
        if not keep_claim:
            self._uncount(tx, site, entry.id)
        fresh = "" if keep_claim else (
            ", claim = '', claimed_by = '', claim_until_ns = 0, first_by = '', second_by = '', winner = 0"
        )  # fmt: skip
        # A claimed one is not rested under the hands of its inspector.
        kept = (
            f"CASE WHEN review_items.claim_until_ns > {self.clock()} THEN review_items.stage "
            "ELSE excluded.stage END"
        )
        tx.run(
            "INSERT INTO review_items "
            "(site, episode, task, verdict, start_ns, day, why, priority, stage, blind) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (site, episode) DO UPDATE SET "
            "task = excluded.task, verdict = excluded.verdict, start_ns = excluded.start_ns, "
            "day = excluded.day, why = excluded.why, priority = excluded.priority, "
            f"stage = {kept if keep_claim else 'excluded.stage'}{fresh}",
            (site, entry.id, entry.task, entry.verdict, entry.start_ns, day, why, why.priority,
             int(stage), self.policy.needs_second(site, entry.id)),
        )  # fmt: skip

    def _uncount(self, tx: Transaction, site: str, id: str) -> None:
        """Take an episode that is reviewed again off the quotas."""
        row = tx.one(
            "SELECT i.task, i.day, d.outcome, d.usable FROM review_items i "
            "JOIN review_decisions d ON d.serial = i.winner WHERE i.site = ? AND i.episode = ?",
            (site, id),
        )
        if row is not None:
            good = bool(row[3]) and row[2] == Outcome.SUCCESS.text
            count_review(tx, site, row[0], row[1], good, -1, self.clock())

    def ask(self, site: str, entries: Sequence[Entry]) -> None:
        """Put episodes at the front of the queue, decided ones as well."""
        with self.db.transaction() as tx:
            for entry in sorted(map(ReviewCandidate.of, entries), key=lambda e: e.id):
                row = tx.one(
                    "SELECT stage FROM review_items WHERE site = ? AND episode = ?",
                    (site, entry.id),
                )
                if row is None or row[0] == ReviewStage.DONE:
                    self._queue(tx, site, entry, ReviewWhy.ASKED)
                elif row[0] in (ReviewStage.FIRST, ReviewStage.RESTED):
                    self._queue(tx, site, entry, ReviewWhy.ASKED, keep_claim=True)

    # Claims

    def next(self, user: str, count: int, wanted: QueueFilter) -> list[ClaimedItem]:
        """Claim the most urgent episodes for somebody; those claimed already come first.

        Args:
            user: who reviews.
            count: how many, 1 to ``MOST_AT_ONCE``.
            wanted: which.
        """
        count = max(1, min(count, MOST_AT_ONCE))
        now_ns = self.clock()
        until_ns = now_ns + self._lease_ns
        return self.db.retrying(lambda tx: self._claimed(tx, user, count, wanted, now_ns, until_ns))

    def _claimed(
        self,
        tx: Transaction,
        user: str,
        count: int,
        wanted: QueueFilter,
        now_ns: int,
        until_ns: int,
    ) -> list[ClaimedItem]:
        own = tx.run(
            f"SELECT {_COLUMNS} FROM review_items WHERE claimed_by = ? AND claimed_by <> '' "
            "AND claim_until_ns > ? AND stage <= 3 ORDER BY priority, start_ns",
            (user, now_ns),
        )
        items = [item for item in map(_item, own) if _fits(item, wanted)][:count]
        for item in items:
            tx.run(
                "UPDATE review_items SET claim_until_ns = ? WHERE site = ? AND episode = ?",
                (until_ns, item.site, item.id),
            )
        while len(items) < count:
            more = self._take(tx, user, wanted, now_ns, until_ns)
            if more is None:
                break
            items.append(more)
        return items

    def _take(
        self, tx: Transaction, user: str, wanted: QueueFilter, now_ns: int, until_ns: int
    ) -> ClaimedItem | None:
        """Claim the first free episode of the stage whose first is the most urgent."""
        heads = []
        for stage in _WAITING:
            tail, values = self._free(stage, user, wanted, now_ns)
            row = tx.one(f"SELECT priority, start_ns {tail}", values)
            if row is not None:
                heads.append((row[0], row[1], stage))
        for _, _, stage in sorted(heads):
            tail, values = self._free(stage, user, wanted, now_ns)
            # Those that others are taking at this moment are passed over, not waited for.
            row = tx.one(f"SELECT site, episode {tail} {self.db.skip_locked}", values)
            if row is None:
                continue
            taken = tx.one(
                "UPDATE review_items SET claim = ?, claimed_by = ?, claim_until_ns = ? "
                f"WHERE site = ? AND episode = ? RETURNING {_COLUMNS}",
                (secrets.token_hex(16), user, until_ns, *row),
            )
            if taken is not None:
                return _item(taken)
        return None

    def _free(
        self, stage: ReviewStage, user: str, wanted: QueueFilter, now_ns: int
    ) -> tuple[str, list[Any]]:
        """Return the end of a SELECT of the first episode of a stage that somebody may have."""
        where, values = wanted.condition(stage)
        where += " AND claim_until_ns <= ?"
        values.append(now_ns)
        others = {
            ReviewStage.SECOND: ("first_by",),
            ReviewStage.ADJUDICATE: ("first_by", "second_by"),
        }
        for column in others.get(stage, ()):
            where += f" AND {column} <> ?"
            values.append(user)
        return f"FROM review_items WHERE {where} ORDER BY priority, start_ns LIMIT 1", values

    def keep(self, user: str, claims: Sequence[str]) -> tuple[int, list[str]]:
        """Extend claims; return until when (ns), and those that are lost."""
        until_ns = self.clock() + self._lease_ns
        with self.db.transaction() as tx:
            kept = {
                claim
                for claim in sorted(set(claims))
                if claim and tx.run(
                    "UPDATE review_items SET claim_until_ns = ? WHERE claim = ? AND claim <> '' "
                    "AND claimed_by = ? AND stage <= 3 RETURNING claim",
                    (until_ns, claim, user),
                )
            }  # fmt: skip
        return until_ns, [claim for claim in claims if claim not in kept]

    def release(self, user: str, claim: str, skip: bool) -> None:
        """Give a claimed episode back; with ``skip`` nobody gets it for ten minutes.

        Raises:
            ReviewConflict: somebody else has it.
        """
        until_ns = self.clock() + round(_SKIP_S * NS_PER_S) if skip else 0
        with self.db.transaction() as tx:
            done = tx.run(
                "UPDATE review_items SET claim = '', claimed_by = '', claim_until_ns = ? "
                "WHERE claim = ? AND claim <> '' AND claimed_by = ? AND stage <= 3 RETURNING episode",
                (until_ns, claim, user),
            )
        if not done:
            raise ReviewConflict("somebody else has this episode now, or it is decided")

    @property
    def _lease_ns(self) -> int:
        return round(self.policy.lease_s * NS_PER_S)

    # What waits

    def counts(self, wanted: QueueFilter) -> QueueCounts:
        """Return how many episodes wait."""
        counts: dict[ReviewStage, int] = dict.fromkeys(ReviewStage, 0)
        by_why: dict[str, int] = {}
        by_task: dict[str, int] = {}
        by_site: dict[str, int] = {}
        where, values = ["1 = 1"], []
        for column, text in (("site", wanted.site), ("task", wanted.task)):
            if text:
                where.append(f"{column} = ?")
                values.append(text)
        rest = " AND ".join(where)
        with self.db.reading() as tx:
            rows = tx.run(
                "SELECT stage, why, task, site, COUNT(*), MIN(start_ns) "
                f"FROM review_items WHERE stage <= 3 AND {rest} GROUP BY stage, why, task, site",
                values,
            )
            claimed = tx.one(
                "SELECT COUNT(*) FROM review_items WHERE claimed_by <> '' AND claim_until_ns > ? "
                f"AND stage <= 3 AND {rest}",
                (self.clock(), *values),
            )
            rested = tx.one(
                "SELECT COUNT(*) FROM review_items "
                f"WHERE why = 'sample' AND stage IN (1, 5) AND stage = 5 AND {rest}", values,
            )  # fmt: skip
        oldest_ns = None
        for stage, why, task, site, count, first_ns in rows:
            counts[ReviewStage(stage)] += count
            for side, name in zip((by_why, by_task, by_site), (why, task, site), strict=True):
                side[name] = side.get(name, 0) + count
            oldest_ns = first_ns if oldest_ns is None else min(oldest_ns, first_ns)
        counts[ReviewStage.RESTED] = rested[0] if rested is not None else 0
        taken = int(claimed[0]) if claimed is not None else 0
        return QueueCounts(counts, by_why, by_task, by_site, taken, oldest_ns)


def _item(row: tuple[Any, ...]) -> ClaimedItem:
    site, id, task, why, stage, claim, until_ns = row
    return ClaimedItem(site, id, task, ReviewWhy(why), ReviewStage(stage), claim, until_ns)


def _fits(item: ClaimedItem, wanted: QueueFilter) -> bool:
    return (
        wanted.site in ("", item.site)
        and wanted.task in ("", item.task)
        and wanted.why in (None, item.why)
    )
