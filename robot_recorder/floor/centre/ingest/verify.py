"""Reads episodes back from the storage and signs receipts. Its queue is in the database: a crash loses nothing."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.floor.centre.alarms import FloorAlarmKind, raise_alarm
from robot_recorder.floor.centre.database.database import Database, DatabaseError
from robot_recorder.floor.centre.ingest.checkers import (
    BagCheckers,
    CheckerDiedError,
    CheckTooLongError,
)
from robot_recorder.floor.centre.ingest.ingest import (
    EpisodeLocks,
    IngestRow,
    IngestState,
    read_row,
)
from robot_recorder.floor.centre.ingest.labels import log_of
from robot_recorder.floor.centre.ingest.metadata_text import labelled, unpacked
from robot_recorder.floor.centre.ingest.structure import bag_problems
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.centre.refusals import RefusedRobot
from robot_recorder.floor.manifest import FileFact, bag_prefix
from robot_recorder.floor.receipts import Receipt, Signer
from robot_recorder.floor.storage.directory import DirectoryStorage
from robot_recorder.floor.storage.port import ObjectStorage, StorageError, StorageTrouble
from robot_recorder.model.errors import BagError

_LOGGER = logging.getLogger(__name__)
_BATCH = 50
_IDLE_S, _PAUSE_S = 5.0, 2.0  # between looks into the queue; after a failure
_MOST_DEATHS = 5
_LOCK_S = 60.0  # to wait for who works on the episode's objects
_STRUCTURE_S = 600.0
_KEEP_FREE_BYTES = 1_000_000_000


class WrongObjectError(BagError):
    """What was read back is not what was announced."""


class Verifier:
    """Works through the queue with a few threads, and as many processes that check structures.

    Attributes:
        verified, wrong, held: how many episodes, since the start.
    """

    def __init__(
        self, db: Database, storage: ObjectStorage, signer: Signer, by: str, folder: Path,
        workers: int, locks: EpisodeLocks, clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        """
        Args:
            db: the centre's database.
            storage: of the episodes.
            signer: signs receipts.
            by: name of the centre.
            folder: for temporary copies.
            workers: how many episodes at once.
            locks: of episodes, so that nobody else changes their objects meanwhile.
            clock_ns: time, ns since the epoch.
        """
        self._db, self._storage, self._signer, self._by = db, storage, signer, by
        self._folder, self._workers, self._clock_ns = folder, workers, clock_ns
        self._locks = locks
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._busy: set[tuple[str, str]] = set()
        self._guard = threading.Lock()
        self._threads = ThreadPoolExecutor(workers, "verify")
        self._checkers = BagCheckers()
        self._thread = threading.Thread(target=self._run, name="verify-queue", daemon=True)
        self.verified = self.wrong = self.held = 0

    def start(self) -> None:
        """Begin with what the last run has left."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def wake(self) -> None:
        """Look into the queue at once."""
        self._wake.set()

    def close(self) -> None:
        """End; what is being verified is verified again later."""
        self._ended.set()
        self._wake.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join(5)
        self._checkers.close()

    def waiting(self) -> int:
        """Return how many episodes wait to be verified.

        Raises:
            DatabaseError: the database does not tell.
        """
        with self._db.reading() as tx:
            row = tx.one("SELECT count(*) FROM floor_episodes WHERE state = 'verifying'")
        return int(row[0]) if row else 0

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                full = self._hand_out()
            except DatabaseError as error:
                log_event(_LOGGER, "verification waits", logging.WARNING, why=str(error))
                self._ended.wait(_PAUSE_S)
                continue
            if not full:
                self._wake.wait(_IDLE_S)
            self._wake.clear()

    def _hand_out(self) -> bool:
        """Give work to idle threads; return whether there is more than they take."""
        with self._guard:
            busy = set(self._busy)
        free = self._workers - len(busy)
        if free <= 0:
            self._wake.wait(_IDLE_S)
            return True
        with self._db.reading() as tx:
            rows = tx.run(
                "SELECT site, episode FROM floor_episodes WHERE state = 'verifying'"
                " ORDER BY queued_ns LIMIT ?",
                (_BATCH,),
            )
        todo = [(site, id) for site, id in rows if (site, id) not in busy]
        for key in todo[:free]:
            with self._guard:
                self._busy.add(key)
            self._threads.submit(self._work, *key)
        return False

    def _work(self, site: str, id: str) -> None:
        try:
            self.verify(site, id)
        except (StorageError, DatabaseError, RefusedRobot) as error:
            log_event(
                _LOGGER,
                "verification waits",
                logging.WARNING,
                site=site,
                episode=id,
                why=str(error),
            )
            self._ended.wait(_PAUSE_S)  # the storage or the database is away: it stays in the queue
        except Exception as error:  # a fault of ours: it stays in the queue, and others go on
            _LOGGER.error("verification of %s/%s failed", site, id, exc_info=error)
            self._ended.wait(_IDLE_S)
        finally:
            with self._guard:
                self._busy.discard((site, id))
            self._wake.set()

    def verify(self, site: str, id: str) -> None:
        """Verify one episode of the queue.

        Raises:
            StorageError, DatabaseError, RefusedRobot: it cannot be done now; the episode stays in the queue.
        """
        begun = time.monotonic()
        with self._db.reading() as tx:
            row = read_row(tx, site, id)
        if row is None or row.state is not IngestState.VERIFYING or row.manifest is None:
            return
        try:
            problems = self._read_back(row)
            if problems and not row.accepted:
                self._hold(row, problems)
            elif self._finish(row):
                self.verified += 1
                took = round(time.monotonic() - begun, 3)
                log_event(
                    _LOGGER, "stored", site=site, episode=id, bytes=row.size_bytes, took_s=took
                )
        except WrongObjectError as error:
            self._refuse(row, str(error))
        except CheckerDiedError:
            if self._note_death(row) < _MOST_DEATHS:
                raise
            self._hold(row, [f"its check ended the checking process {_MOST_DEATHS} times"])

    def _note_death(self, row: IngestRow) -> int:
        """Count that the process died that checked an episode; return how often it did.

        Only these deaths count: the centre itself may be killed at any moment for other reasons.
        """
        with self._db.transaction() as tx:
            tries = tx.one(
                "UPDATE floor_episodes SET tries = tries + 1 WHERE site = ? AND episode = ? RETURNING tries",
                (row.key.site, row.key.id),
            )
        return int(tries[0]) if tries else 0

    def _read_back(self, row: IngestRow) -> list[str]:
        """Hash every object and check the bag's structure; return what is wrong with the structure.

        Raises:
            WrongObjectError: an object is not what was announced.
        """
        assert row.manifest is not None
        prefix, names = bag_prefix(row.key.site, row.key.id), [f.name for f in row.manifest.files]
        if isinstance(self._storage, DirectoryStorage):  # its files need no copy
            for file in row.manifest.files:
                self._compare(prefix + file.name, file, None)
            return self._structure(row, self._storage.root / prefix, names)
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if free < (row.size_bytes or 0) + _KEEP_FREE_BYTES:
            raise StorageError(
                StorageTrouble.FULL,
                f"{self._folder} has no room for a copy of {row.key.id}: make room",
            )
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            for file in row.manifest.files:
                with open(Path(folder, file.name), "wb") as copy:
                    self._compare(prefix + file.name, file, copy)
            return self._structure(row, Path(folder), names)

    def _compare(self, key: str, file: FileFact, copy: BinaryIO | None) -> None:
        digest, size = hashlib.sha256(), 0
        try:
            for chunk in self._storage.chunks(key):
                digest.update(chunk)
                size += len(chunk)
                if size > file.size:
                    break
                if copy is not None:
                    copy.write(chunk)
        except StorageError as error:
            if error.trouble is not StorageTrouble.MISSING:
                raise
            self._storage.check()  # raises if it is the storage that is missing
            raise WrongObjectError(f"{file.name} is missing in the storage") from error
        if size != file.size:
            more = "at least " if size > file.size else ""
            raise WrongObjectError(f"{file.name} has {more}{size} bytes instead of {file.size}")
        if digest.hexdigest() != file.sha256:
            raise WrongObjectError(f"{file.name} has another SHA-256 than the robot's")

    def _structure(self, row: IngestRow, folder: Path, names: list[str]) -> list[str]:
        """Check a bag in another process, which it has alone.

        Raises:
            StorageError: the bag cannot be read now.
            CheckerDiedError: the process died.
        """
        text = self._text(row)
        try:
            return self._checkers.run(_STRUCTURE_S, bag_problems, str(folder), names, text)
        except CheckTooLongError:
            return [f"its structure could not be checked within {_STRUCTURE_S:g} s"]
        except OSError as error:
            raise StorageError(
                StorageTrouble.UNAVAILABLE, f"{folder} went away: {error}"
            ) from error

    def _text(self, row: IngestRow) -> str:
        """Return the text of the metadata.yaml with today's labels."""
        return current_text(self._db, self._storage, row.key.site, row.key.id)

    def _finish(self, row: IngestRow) -> bool:
        """Store metadata.yaml, sign a receipt and keep it; return whether it was still wanted.

        Whoever replaces objects holds the same lock, and counts the generation up before he does: if it is
        still the one that was read back, the objects are those that were hashed.
        """
        with self._locks.hold(row.key.site, row.key.id, _LOCK_S):
            with self._db.reading() as tx:
                stale = tx.one(
                    f"SELECT stale FROM floor_episodes WHERE {_STILL_WANTED}", _still_wanted(row)
                )
            if stale is None:  # nothing of the newer upload may be touched
                return False
            self._store_metadata(row)
            receipt = self._receipt_of(row)
            if not self._note_stored(row, receipt, stale[0]):
                return False
            try:
                keep_receipt(self._db, self._storage, row.key.site, row.key.id, receipt)
            except (StorageError, DatabaseError) as error:  # the rewriter does it later
                log_event(
                    _LOGGER, "receipt waits", logging.WARNING,
                    site=row.key.site, episode=row.key.id, why=str(error),
                )  # fmt: skip
        return True

    def _store_metadata(self, row: IngestRow) -> None:
        """Store metadata.yaml, and leave nothing beside it but the files that were checked."""
        id, prefix, text = row.key.id, bag_prefix(row.key.site, row.key.id), self._text(row)
        self._storage.put(prefix + METADATA_FILE, text.encode())
        if self._storage.get(prefix + METADATA_FILE) != text.encode():
            raise StorageError(
                StorageTrouble.WRONG, f"the metadata.yaml of {id} was not stored as it is"
            )
        files = row.manifest.files if row.manifest is not None else ()
        wanted = {METADATA_FILE, *(file.name for file in files)}
        for key, _ in list(self._storage.keys(prefix)):
            if key.removeprefix(prefix) not in wanted:  # of an older upload
                self._storage.delete(key)

    def _receipt_of(self, row: IngestRow) -> str:
        """Return a new receipt as JSON."""
        size = row.manifest.size_bytes if row.manifest is not None else 0
        receipt = Receipt(
            row.key.site, row.key.id, row.sha256, size, self._clock_ns(), self._by, ""
        )
        return json.dumps(self._signer.sign(receipt).to_plain())

    def _note_stored(self, row: IngestRow, receipt: str, stale: int) -> bool:
        """Give an episode its receipt, unless it is not wanted any more; return whether it has it."""
        site, id = row.key.site, row.key.id
        with self._db.transaction() as tx:
            done = tx.changed(
                "UPDATE floor_episodes SET state = 'stored', receipt = ?, receipt_due = 1, wanted = 0,"
                f" recheck = 0, problem = '', tries = 0 WHERE {_STILL_WANTED}",
                (receipt, *_still_wanted(row)),
            )
            if done:
                tx.run(
                    "UPDATE floor_episodes SET stale = 0, metadata = NULL WHERE site = ? AND episode = ?"
                    " AND stale = ?",
                    (site, id, stale),
                )
                tx.run("DELETE FROM floor_uploads WHERE site = ? AND episode = ?", (site, id))
        return bool(done)

    def _refuse(self, row: IngestRow, why: str) -> None:
        """Throw away what was read back wrong, and let the robot send it again."""
        with self._locks.hold(row.key.site, row.key.id, _LOCK_S):
            if not self._note_wrong(row, why):
                return
            self.wrong += 1
            # Not needed, as complete files replace them; but nobody should take them for the episode.
            for file in row.manifest.files if row.manifest else ():
                self._storage.delete(bag_prefix(row.key.site, row.key.id) + file.name)

    def _note_wrong(self, row: IngestRow, why: str) -> bool:
        site, id, now_ns = row.key.site, row.key.id, self._clock_ns()
        with self._db.transaction() as tx:
            done = tx.changed(
                "UPDATE floor_episodes SET state = 'uploading', recheck = 1, tries = 0, problem = ?"
                f" WHERE {_STILL_WANTED}",
                (f"sent again, since {why}"[:500], *_still_wanted(row)),
            )
            if not done:
                return False
            tx.run("DELETE FROM floor_uploads WHERE site = ? AND episode = ?", (site, id))
            raise_alarm(
                tx, row.key.station, FloorAlarmKind.WRONG_OBJECT, id,
                f"{id} was read back wrong and is sent again: {why}", now_ns,
            )  # fmt: skip
        return True

    def _hold(self, row: IngestRow, problems: list[str]) -> None:
        """Leave an episode without receipt: its bytes are those of the robot, and sending again would not help."""
        sentence = f"no receipt: {'; '.join(problems)}"[:500]
        with self._db.transaction() as tx:
            done = tx.changed(
                "UPDATE floor_episodes SET state = 'held', problem = ?, recheck = 0, wanted = 0"
                f" WHERE {_STILL_WANTED}",
                (sentence, *_still_wanted(row)),
            )
            if done:
                raise_alarm(
                    tx, row.key.station, FloorAlarmKind.STRUCTURE, row.key.id,
                    f"{row.key.id}: {sentence}; repair the robot's copy with robot-recorder recover",
                    self._clock_ns(),
                )  # fmt: skip
        self.held += 1 if done else 0


# What is checked must still be what is wanted: another upload, or other metadata, may have come meanwhile.
_STILL_WANTED = "site = ? AND episode = ? AND state = 'verifying' AND sha256 = ? AND generation = ?"


def _still_wanted(row: IngestRow) -> tuple[str, str, str, int]:
    return row.key.site, row.key.id, row.sha256, row.generation


def keep_receipt(db: Database, storage: ObjectStorage, site: str, id: str, receipt: str) -> None:
    """Put a receipt of the database beside the bags too, so that receipts survive the loss of the database.

    Robots are given it only after this: what a robot deletes its copy for must not be forgotten.

    Raises:
        StorageError, DatabaseError: it cannot be done now, and stays marked.
    """
    storage.put(receipt_key(site, id), receipt.encode())
    with db.transaction() as tx:
        tx.run(
            "UPDATE floor_episodes SET receipt_due = 0 WHERE site = ? AND episode = ?", (site, id)
        )


def receipt_key(site: str, id: str) -> str:
    """Return where the storage keeps the receipt of an episode."""
    return f"receipts/{bag_prefix(site, id)[5:-1]}.json"


def current_text(db: Database, storage: ObjectStorage, site: str, id: str) -> str:
    """Return the text of an episode's metadata.yaml with today's labels.

    Raises:
        BagError: the episode is unknown.
        StorageError, DatabaseError: it cannot be read.
    """
    with db.reading() as tx:
        row = tx.one(
            "SELECT metadata FROM floor_episodes WHERE site = ? AND episode = ?", (site, id)
        )
        log = log_of(tx, site, id)
    if row is None:
        raise BagError(f"{id[:200]} of {site[:64]} is unknown")
    if row[0] is not None:
        text = unpacked(row[0])
    else:
        text = storage.get(bag_prefix(site, id) + METADATA_FILE).decode("utf-8", "replace")
    return labelled(text, log)
