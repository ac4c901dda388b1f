"""What all routes of the centre share."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request

from robot_recorder.bags.metadata import parse_metadata, without_repeats
from robot_recorder.catalogue.entry import Entry
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.label_rules import MOST_MERGED
from robot_recorder.episodes.labelling import LabelledEpisode, decide
from robot_recorder.floor.centre.alarms import AlarmBook
from robot_recorder.floor.centre.audit import AuditBook, FloorAudit
from robot_recorder.floor.centre.catalogue.catalogue import CentreCatalogue
from robot_recorder.floor.centre.database.database import Database, DatabaseError
from robot_recorder.floor.centre.database.lease import CentreLease
from robot_recorder.floor.centre.ingest.ingest import FloorIngest, read_row
from robot_recorder.floor.centre.ingest.labels import LabelVia, log_of
from robot_recorder.floor.centre.ingest.rewriter import Rewriter
from robot_recorder.floor.centre.ingest.verify import Verifier, current_text
from robot_recorder.floor.centre.live import LiveRobots
from robot_recorder.floor.centre.local_copy import LocalCopies
from robot_recorder.floor.centre.review.queue import Reviews
from robot_recorder.floor.centre.settings import CentreSettings
from robot_recorder.floor.centre.tokens import TokenBook
from robot_recorder.floor.centre.trends.watch import TrendWatch
from robot_recorder.floor.receipts import Signer
from robot_recorder.floor.storage.port import ObjectStorage
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import checked_id
from robot_recorder.model.labels import LabelEvent, dump_plain, load_events
from robot_recorder.web.access import Access, Right, User
from robot_recorder.web.replies import RequestBody, address_of, audited
from robot_recorder.web.sessions import who_asks
from robot_recorder.web.workers import Workers

_LOGGER = logging.getLogger(__name__)
_QUICK, _SLOW, _OFFERS, _UPLOADS, _PARTS = 12, 12, 4, 12, 24  # threads
_Result = TypeVar("_Result")


class CatalogueSink:
    """Puts entries into the catalogue, and tells those who watch it, in one transaction."""

    def __init__(self, catalogue: CentreCatalogue) -> None:
        """Put them into a catalogue."""
        self._catalogue = catalogue
        self.on_episode: list[Callable[[Any, str, Episode, Entry], None]] = []
        self.on_entry: list[Callable[[Any, str, Entry], None]] = []
        self.on_removed: list[Callable[[Any, str, str], None]] = []

    def put(self, tx: Any, site: str, episode: Episode | None, entry: Entry) -> None:
        """Take a new or changed entry."""
        self._catalogue.put(site, entry, tx)
        if episode is None:
            for tell_entry in self.on_entry:
                tell_entry(tx, site, entry)
        else:
            for tell in self.on_episode:
                tell(tx, site, episode, entry)

    def get(self, tx: Any, site: str, id: str) -> Entry | None:
        """Return an entry; None: it does not exist."""
        return self._catalogue.get(site, id, tx)

    def remove(self, tx: Any, site: str, id: str) -> None:
        """Take an entry away."""
        self._catalogue.remove(site, id, tx)
        for tell in self.on_removed:
            tell(tx, site, id)


@dataclass
class CentreDesk:
    """Everything the routes share.

    Attributes:
        settings: of the centre.
        db: its database.
        lease: that no other process is the centre of the database.
        storage: of the episodes.
        catalogue: of the episodes.
        sink: puts entries into it.
        signer: signs receipts.
        access: users and sessions.
        tasks: task registry, for relabelling.
        reviews: queue and decisions of inspectors.
        trends: their alarms.
        live: what robots do now.
        tokens, alarms, audit: of the database.
        copies: of episodes on this disk, for what reads bags.
        ingest, verifier, rewriter: take episodes in.
        workers: processes for what takes long.
        metrics_token: SHA-256 of it; empty: not configured.
        ended: set when the centre ends.
        quick: threads for the database; slow: for the storage as well, of pages; offers: for what may take
            long without the storage; uploads: for what robots ask of the storage; parts: that write parts.
    """

    settings: CentreSettings
    db: Database
    lease: CentreLease
    storage: ObjectStorage
    catalogue: CentreCatalogue
    sink: CatalogueSink
    signer: Signer
    access: Access
    tasks: TaskRegistry
    reviews: Reviews
    trends: TrendWatch
    live: LiveRobots
    tokens: TokenBook
    alarms: AlarmBook
    audit: AuditBook
    copies: LocalCopies
    ingest: FloorIngest
    verifier: Verifier
    rewriter: Rewriter
    workers: Workers
    metrics_token: bytes = b""
    ended: threading.Event = field(default_factory=threading.Event)
    quick: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_QUICK, "quick"))
    slow: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_SLOW, "slow"))
    offers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_OFFERS, "offers")
    )
    uploads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_UPLOADS, "uploads")
    )
    parts: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_PARTS, "parts"))

    async def run(
        self, work: Callable[..., _Result], *arguments: Any, slow: bool = False
    ) -> _Result:
        """Run what needs the database in a thread.

        Args:
            work: to call.
            arguments: for it.
            slow: whether it may wait for the storage: beats must not wait behind it.
        """
        pool = self.slow if slow else self.quick
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)

    # -- who asks

    def user(self, request: Request, right: Right = Right.LOOK) -> User:
        """Return who asks.

        Raises:
            Refused: they are not logged in (401), or may not do that (403).
        """
        return who_asks(self.access, request, right, self.note)

    def note(
        self,
        request: Request,
        user: User,
        what: str,
        body: RequestBody | None,
        answer: dict[str, Any],
    ) -> None:
        """Write an entry of the audit log, in the background; in the event loop or in a thread."""
        message = str(answer.get("message", ""))
        entry = FloorAudit(
            user.name, address_of(request), what, audited(body), bool(answer.get("ok")), message
        )
        self.quick.submit(self._note, entry)

    def _note(self, entry: FloorAudit) -> None:
        try:
            self.audit.add(entry, time.time_ns())
        except DatabaseError as error:
            _LOGGER.error("the audit table lacks an entry, which the log has: %s", error)

    # -- episodes

    def metadata(self, site: str, id: str) -> dict[str, Any]:
        """Return the content of an episode's metadata.yaml with today's labels.

        Raises:
            BagError: the episode is unknown.
            StorageError, DatabaseError: it cannot be read now.
        """
        text = current_text(self.db, self.storage, checked_id(site), checked_id(id))
        return parse_metadata(text, Path(site) / id)

    def episode(self, site: str, id: str) -> Episode:
        """Return an episode by its metadata; its files are not on this disk.

        Raises:
            BagError, StorageError, DatabaseError: as of ``metadata``.
        """
        return Episode(Path(site) / id, without_repeats(self.metadata(site, id)))

    def relabel(
        self, site: str, id: str, asked: Sequence[LabelEvent], by: str, registry_rules: bool = False
    ) -> list[LabelEvent]:
        """Label an episode; the robot hears of it with its next beat.

        Args:
            site: of the robot.
            id: of the episode.
            asked: labels to append, checked as everywhere (``episodes.labelling.decide``); a stamp of 0
                becomes the time now.
            by: who gives them.
            registry_rules: look up tasks in the centre's registry first.

        Returns:
            The events that were appended.

        Raises:
            ConfigError: a label is rejected; nothing has changed.
            BagError: the episode is unknown.
            StorageError, DatabaseError: it cannot be done now; nothing has changed.
        """
        # Before the transaction: it may need the storage. One odd fact must not keep labels away.
        facts, _ = self.episode(site, id).readable()
        now_ns = time.time_ns()
        asked = [replace(one, by=by, stamp_ns=one.stamp_ns or now_ns) for one in asked]
        with self.db.transaction() as tx:
            tx.lock(f"labels {site}/{id}")
            row = read_row(tx, site, id)
            if row is None:
                raise BagError(f"{id} of {site} is unknown")
            log = load_events(dump_plain(log_of(tx, site, id)))
            now = LabelledEpisode(id, facts.facts, tuple(log), facts.span)
            taken = decide(asked, now, self.tasks, now_ns, registry_rules, MOST_MERGED)
            plain = [event.to_dict() for event in taken]
            self.ingest.merge_into(tx, row, plain, LabelVia.CENTRE)
        self.ingest.changed()
        return taken

    def close(self) -> None:
        """End the threads and processes, then the database."""
        self.ended.set()
        self.verifier.close()
        self.rewriter.close()
        self.workers.close()
        for pool in (self.quick, self.slow, self.offers, self.uploads, self.parts):
            pool.shutdown(wait=False, cancel_futures=True)
        self.db.close()
        self.lease.close()


def part_secret(signer: Signer) -> bytes:
    """Return the secret that signs addresses of parts: it follows from the centre's key."""
    return hashlib.sha256(b"addresses of parts" + signer.sign_bytes(b"addresses of parts")).digest()


def same_secret(given: str, digest: bytes) -> bool:
    """Return whether a secret has this SHA-256."""
    return bool(digest) and hmac.compare_digest(hashlib.sha256(given.encode()).digest(), digest)
