"""What reviews do in the background: give labels, recall and return batches, end waits for seconds.

Everything that is to be done stands in the database, so that a centre that was killed goes on where it
was, and several centres share the work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.centre.database.database import DatabaseError, Transaction
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.centre.review.decisions import decision, settle_overdue
from robot_recorder.floor.centre.review.labels import (
    REJECTED,
    annotated,
    decision_labels,
    recall_labels,
    recall_note,
    return_labels,
    undo_labels,
)
from robot_recorder.floor.centre.review.policy import retry_pause_ns
from robot_recorder.floor.centre.review.queue import Reviews
from robot_recorder.floor.centre.review.recalls import RecallStep, find_some, note_step, take_steps
from robot_recorder.model.errors import BagError, ConfigError, RecorderError
from robot_recorder.model.labels import LabelEvent, Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import storable

_LOGGER = logging.getLogger(__name__)
_IDLE_S, _PAUSE_S, _OVERDUE_S = 5.0, 2.0, 60.0
_LEASE_NS = 300 * NS_PER_S
_AT_ONCE = 50
_NEVER_NS = 1 << 62


class LabelledFloor(Protocol):
    """What knows and labels episodes: the centre's desk."""

    def episode(self, site: str, id: str) -> Episode:
        """Return an episode by its metadata.

        Raises:
            BagError: it is unknown.
        """

    def relabel(
        self, site: str, id: str, asked: Sequence[LabelEvent], by: str, registry_rules: bool = False
    ) -> list[LabelEvent]:
        """Append labels.

        Raises:
            ConfigError, BagError: they are rejected, or the episode is unknown.
            RecorderError: it cannot be done now.
        """


@dataclass(frozen=True)
class LabelDuty:
    """Labels that a decision has still to give.

    Attributes:
        serial: of the row.
        site, id: of the episode.
        decision: serial of the decision.
        undo: whether they are taken back.
        tries: how often it was tried, this time included.
    """

    serial: int
    site: str
    id: str
    decision: int
    undo: bool
    tries: int


class ReviewWork:
    """A thread that does the work. Its steps can be called without it, as tests do."""

    def __init__(self, reviews: Reviews, floor: LabelledFloor) -> None:
        """Prepare it.

        Args:
            reviews: the queue; setting ``reviews.woken`` makes the thread look at once.
            floor: labels episodes.
        """
        self._reviews, self._floor = reviews, floor
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="review work", daemon=True)

    def start(self) -> None:
        """Begin with what the last run has left."""
        self._thread.start()

    def close(self) -> None:
        """End after the episode that is being labelled."""
        self._ended.set()
        self._reviews.woken.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        overdue_at_ns = 0
        while not self._ended.is_set():
            self._reviews.woken.clear()
            try:
                if self._reviews.clock() >= overdue_at_ns:
                    overdue_at_ns = self._reviews.clock() + round(_OVERDUE_S * NS_PER_S)
                    settle_overdue(self._reviews)
                busy = self.step()
            except DatabaseError as error:
                log_event(_LOGGER, "review work waits", logging.WARNING, why=str(error))
                self._ended.wait(_PAUSE_S)
                continue
            except Exception as error:  # a bug must not end the work for good
                _LOGGER.error("review work failed", exc_info=error)
                self._ended.wait(_IDLE_S)
                continue
            if not busy:
                self._reviews.woken.wait(_IDLE_S)

    def step(self) -> bool:
        """Do some of the work; return whether there may be more.

        Raises:
            DatabaseError: it cannot be done now.
        """
        duties = self._duties()
        for duty in duties:
            if self._ended.is_set():
                return False
            self._label(duty)
        found = find_some(self._reviews.db)
        steps = take_steps(self._reviews.db, self._reviews.clock())
        for step in steps:
            if self._ended.is_set():
                return False
            self._recall(step)
        filled = self._reviews.fill_some()
        return bool(duties or found or steps or filled)

    # Labels of decisions

    def _duties(self) -> list[LabelDuty]:
        """Take the next labels to give, of each episode the oldest first."""
        now_ns, db = self._reviews.clock(), self._reviews.db

        def work(tx: Transaction) -> list[LabelDuty]:
            rows = tx.run(
                "SELECT serial FROM review_labels l WHERE not_before_ns <= ? AND NOT EXISTS ("
                "SELECT 1 FROM review_labels e WHERE e.site = l.site AND e.episode = l.episode "
                "AND e.serial < l.serial AND e.not_before_ns < ?) "
                f"ORDER BY serial LIMIT ? {db.skip_locked}",
                (now_ns, _NEVER_NS, _AT_ONCE),
            )
            duties = []
            for (serial,) in rows:
                row = tx.one(
                    "UPDATE review_labels SET not_before_ns = ?, tries = tries + 1 "
                    "WHERE serial = ? RETURNING serial, site, episode, decision, undo, tries",
                    (now_ns + _LEASE_NS, serial),
                )
                if row is not None:
                    serial, site, id, made, undo, tries = row
                    duties.append(LabelDuty(serial, site, id, made, bool(undo), tries))
            return duties

        return db.retrying(work)

    def _label(self, duty: LabelDuty) -> None:
        """Give or take back the labels of a decision."""
        try:
            asked, by = self._undoing(duty) if duty.undo else self._deciding(duty)
            if asked:
                self._floor.relabel(duty.site, duty.id, asked, by)
        except (ConfigError, BagError) as error:
            self._failed(duty, str(error), for_good=True)
        except RecorderError as error:
            self._failed(duty, _told(error), for_good=False)
        else:
            with self._reviews.db.transaction() as tx:
                tx.run("DELETE FROM review_labels WHERE serial = ?", (duty.serial,))

    def _deciding(self, duty: LabelDuty) -> tuple[list[LabelEvent], str]:
        """Return the labels of a decision, after a note of what they replace.

        The note of the first try stays: a second try may see its own labels.
        """
        made = decision(self._reviews.db, duty.decision)
        episode, _ = self._floor.episode(duty.site, duty.id).readable()  # as it was shown
        labels = episode.labels
        rejects = not made.judgement.usable and annotated(labels, REJECTED) is None
        with self._reviews.db.transaction() as tx:
            tx.run(
                "INSERT INTO review_applied (decision, outcome, cause, rejected) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (decision) DO NOTHING",
                (made.serial, labels.outcome.text, labels.cause, rejects),
            )
        asked = decision_labels(made, tuple(episode.events), labels, episode.span)
        return asked, made.by

    def _undoing(self, duty: LabelDuty) -> tuple[list[LabelEvent], str]:
        """Return the labels that take a decision back; none if it has given none."""
        made = decision(self._reviews.db, duty.decision)
        with self._reviews.db.reading() as tx:
            row = tx.one(
                "SELECT outcome, cause, rejected FROM review_applied WHERE decision = ?",
                (duty.decision,),
            )
        if row is None:
            return [], made.by
        labels = self._floor.episode(duty.site, duty.id).labels
        before = Outcome[row[0].upper()], row[1]
        now_ns = self._reviews.clock()
        return undo_labels(made, labels, before, bool(row[2]), now_ns), made.by

    def _failed(self, duty: LabelDuty, problem: str, for_good: bool) -> None:
        """Note durably why labels were not given."""
        log_event(
            _LOGGER, "a review's labels were not given", logging.WARNING, site=duty.site,
            episode=duty.id, decision=duty.decision, why=problem,
        )  # fmt: skip
        until_ns = _NEVER_NS if for_good else self._reviews.clock() + retry_pause_ns(duty.tries)
        with self._reviews.db.transaction() as tx:
            tx.run(
                "UPDATE review_labels SET problem = ?, not_before_ns = ? WHERE serial = ?",
                (storable(problem), until_ns, duty.serial),
            )
            if for_good and not duty.undo:  # nothing is to be taken back
                tx.run("DELETE FROM review_applied WHERE decision = ?", (duty.decision,))

    # Recalls

    def _recall(self, step: RecallStep) -> None:
        """Recall an episode, or take it back."""
        one, problem, for_good = step.recall, "", False
        note = recall_note(one.serial, one.reason)
        by = one.undone_by if step.returns else one.by
        try:
            episode = self._floor.episode(step.site, step.id)
            make: Any = return_labels if step.returns else recall_labels
            asked = make(episode.labels, episode.span, by, note, self._reviews.clock())
            if asked:
                self._floor.relabel(step.site, step.id, asked, by)
        except (ConfigError, BagError) as error:
            problem, for_good = str(error), True
        except RecorderError as error:
            problem = _told(error)
        note_step(self._reviews.db, step, problem, for_good, self._reviews.clock())


def _told(error: RecorderError) -> str:
    """Return a problem as people are told it: a database's address is for the log alone."""
    if isinstance(error, DatabaseError):
        log_event(_LOGGER, "labels wait for the database", logging.WARNING, why=str(error))
        return "the database cannot take this now: see the centre's log"
    return str(error)


def label_problems(reviews: Reviews, most: int = 50) -> list[dict[str, Any]]:
    """Return decisions whose labels could not be given, newest first, in plain form."""
    with reviews.db.reading() as tx:
        rows = tx.run(
            "SELECT site, episode, decision, who, problem FROM review_labels WHERE problem <> '' "
            "ORDER BY serial DESC LIMIT ?",
            (most,),
        )
    return [
        {"site": site, "id": id, "decision": serial, "by": by, "problem": problem}
        for site, id, serial, by, problem in rows
    ]
