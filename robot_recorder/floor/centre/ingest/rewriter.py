"""Writes labels into the metadata.yaml of stored episodes, some time after they came.

What has to be written is marked in the database (``stale``), in the transaction that takes the label, so
that a crash loses nothing. Several labels that come together are written at once.
"""

from __future__ import annotations

import logging
import threading

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.floor.centre.database.database import Database, DatabaseError
from robot_recorder.floor.centre.ingest.ingest import EpisodeLocks
from robot_recorder.floor.centre.ingest.metadata_text import digest_of_text
from robot_recorder.floor.centre.ingest.verify import current_text, keep_receipt
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.centre.refusals import RefusedRobot
from robot_recorder.floor.manifest import bag_prefix
from robot_recorder.floor.storage.port import ObjectStorage, StorageError, StorageTrouble
from robot_recorder.model.errors import BagError

_LOGGER = logging.getLogger(__name__)
_WAIT_S, _IDLE_S, _PAUSE_S = 0.5, 10.0, 2.0  # for more labels; between looks; after a failure
_BATCH = 200
_MOST_OLDER = 20  # metadata.yaml of an episode that are kept


class Rewriter:
    """A thread that rewrites metadata.yaml objects, and writes receipts that could not be written at once."""

    def __init__(self, db: Database, storage: ObjectStorage, locks: EpisodeLocks) -> None:
        """Use the centre's database, storage and locks of episodes."""
        self._db, self._storage, self._locks = db, storage, locks
        self._wake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="rewriter", daemon=True)
        self._broken: dict[tuple[str, str], int] = {}  # marks of those that cannot be rewritten
        self.written = 0

    def start(self) -> None:
        """Begin with what the last run has left."""
        self._thread.start()

    def wake(self) -> None:
        """Look soon."""
        self._wake.set()

    def close(self) -> None:
        """End after the object that is being written."""
        self._ended.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                more = self.work()
            except (StorageError, DatabaseError, RefusedRobot) as error:
                log_event(_LOGGER, "labels wait", logging.WARNING, why=str(error))
                self._ended.wait(_PAUSE_S)
                continue
            except Exception as error:  # a fault of ours: the thread goes on
                _LOGGER.error("rewriting failed", exc_info=error)
                self._ended.wait(_IDLE_S)
                continue
            if not more:
                self._wake.wait(_IDLE_S)
            self._ended.wait(_WAIT_S)
            self._wake.clear()

    def work(self) -> bool:
        """Go once through all that is stale; return whether some of it was busy or has changed meanwhile.

        Raises:
            StorageError, DatabaseError: it cannot be done now.
        """
        self._keep_receipts()
        more, after = False, ("", "")
        while rows := self._stale(after):
            for site, id, stale in rows:
                if self._ended.is_set():
                    return False
                if self._broken.get((site, id)) != stale:  # else it was tried as it is
                    more |= not self._rewritten(site, id, stale)
            after = rows[-1][0], rows[-1][1]
        return more

    def _stale(self, after: tuple[str, str]) -> list[tuple[str, str, int]]:
        """Return the next episodes: one that cannot be rewritten must not keep the others waiting."""
        with self._db.reading() as tx:
            return tx.run(
                "SELECT site, episode, stale FROM floor_episodes WHERE stale <> 0 AND state = 'stored'"
                " AND (site > ? OR (site = ? AND episode > ?)) ORDER BY site, episode LIMIT ?",
                (after[0], *after, _BATCH),
            )

    def _keep_receipts(self) -> None:
        """Write receipts beside the bags that the storage did not take when they were signed."""
        with self._db.reading() as tx:
            rows = tx.run(
                "SELECT site, episode, receipt FROM floor_episodes WHERE receipt_due <> 0"
                " AND receipt IS NOT NULL LIMIT ?",
                (_BATCH,),
            )
        for site, id, receipt in rows:
            keep_receipt(self._db, self._storage, site, id, receipt)

    def _rewritten(self, site: str, id: str, stale: int) -> bool:
        """Rewrite one; return whether there is nothing more to do at it now."""
        try:
            with self._locks.hold(site, id, 0.0):
                return self._rewrite(site, id, stale)
        except RefusedRobot:  # somebody works at it
            return False
        except StorageError as error:
            if error.trouble is not StorageTrouble.MISSING:
                raise
            self._storage.check()  # raises if it is the storage that is missing
            self._give_up(site, id, stale, str(error))
        except DatabaseError:
            raise
        except Exception as error:  # a bug in one episode must not keep the labels of all others
            if not isinstance(error, BagError):
                _LOGGER.error("rewriting of %s/%s failed", site, id, exc_info=error)
            self._give_up(site, id, stale, str(error))
        return True

    def _give_up(self, site: str, id: str, stale: int, why: str) -> None:
        """Leave one as it is until something of it changes: a person has to look."""
        self._broken[site, id] = stale
        log_event(_LOGGER, "metadata.yaml is broken", logging.ERROR, site=site, episode=id, why=why)

    def _rewrite(self, site: str, id: str, stale: int) -> bool:
        """Rewrite one; return whether no other label came meanwhile: else it is still stale."""
        text = current_text(self._db, self._storage, site, id)
        self._keep_older(site, id, text)
        self._storage.put(bag_prefix(site, id) + METADATA_FILE, text.encode())
        with self._db.transaction() as tx:
            done = tx.changed(
                "UPDATE floor_episodes SET stale = 0, metadata = NULL WHERE site = ? AND episode = ?"
                " AND stale = ?",
                (site, id, stale),
            )
        self.written += 1
        self._broken.pop((site, id), None)
        return bool(done)

    def _keep_older(self, site: str, id: str, text: str) -> None:
        """Keep a metadata.yaml that the robot replaces after the receipt by another one, but for labels.

        The first ones are kept: who has stolen a token cannot push them out.
        """
        with self._db.reading() as tx:
            row = tx.one(
                "SELECT 1 FROM floor_episodes WHERE site = ? AND episode = ? AND metadata IS NOT NULL",
                (site, id),
            )
        if row is None:  # only labels have changed
            return
        try:
            old = self._storage.get(bag_prefix(site, id) + METADATA_FILE)
        except StorageError as error:
            if error.trouble is not StorageTrouble.MISSING:
                raise
            return
        digest = digest_of_text(old.decode("utf-8", "replace"))
        if digest == digest_of_text(text):
            return
        folder = older_prefix(site, id)
        key = f"{folder}{digest[:16]}.yaml"
        kept = [name for name, _ in self._storage.keys(folder)]
        if key not in kept and len(kept) < _MOST_OLDER:
            self._storage.put(key, old)


def older_prefix(site: str, id: str) -> str:
    """Return where the storage keeps what the metadata.yaml of an episode was before it was replaced."""
    return f"metadata/{bag_prefix(site, id)[5:]}"
