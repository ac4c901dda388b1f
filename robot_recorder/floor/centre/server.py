"""Runs the centre: opens database and storage, starts what works in the background, serves until a signal."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from robot_recorder.bags.files import make_folder
from robot_recorder.configuration.find import load_tasks
from robot_recorder.configuration.users import load_users
from robot_recorder.floor.centre.alarms import AlarmBook
from robot_recorder.floor.centre.app import application
from robot_recorder.floor.centre.audit import AuditBook
from robot_recorder.floor.centre.catalogue.catalogue import CentreCatalogue
from robot_recorder.floor.centre.database.database import Database, DatabaseError, open_database
from robot_recorder.floor.centre.database.identity import begin_history, recognise
from robot_recorder.floor.centre.database.lease import CentreLease
from robot_recorder.floor.centre.desk import CatalogueSink, CentreDesk, part_secret
from robot_recorder.floor.centre.ingest.ingest import FloorIngest
from robot_recorder.floor.centre.ingest.rewriter import Rewriter
from robot_recorder.floor.centre.ingest.verify import Verifier
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.centre.live import LiveRobots, WallPages
from robot_recorder.floor.centre.local_copy import LocalCopies
from robot_recorder.floor.centre.review.policy import load_policy
from robot_recorder.floor.centre.review.queue import Reviews
from robot_recorder.floor.centre.review.work import ReviewWork
from robot_recorder.floor.centre.settings import CentreSettings
from robot_recorder.floor.centre.tokens import Station, TokenBook
from robot_recorder.floor.centre.trends.watch import TrendWatch
from robot_recorder.floor.receipts import load_signer
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.floor.storage.port import StorageError
from robot_recorder.model.errors import ConfigError
from robot_recorder.web.access import Access, load_token
from robot_recorder.web.connections import ConnectionLimits
from robot_recorder.web.serve import serve_pages
from robot_recorder.web.workers import Workers

_LOGGER = logging.getLogger(__name__)
# Many robots may be behind one address, each with an agent that sends several parts at once; a robot's body
# may take long on a slow link, as long as it moves: it is read only with a valid token or address.
MACHINES = ConnectionLimits(ask_s=20.0, of_one=1500, most=2000, slow_path="/agent/")
_MOST_MESSAGE_BYTES = 8000  # of a page
_KNOW_S, _ALARM_S, _HEARD_S = 5.0, 1.0, 60.0  # between looks into the database
_TREND_S = 5.0  # between two questions whether the trends are due
_LEASE_S = 2.0  # between two looks whether this is still the centre of its database
_SWEEP_S = 3600.0
_MADE_S = 600.0  # that a film may take
_WAIT_S = 10.0  # for the database: robots are told soon that it is away, and try again
_OLD_UPLOAD_S = 7 * 86_400.0


def open_desk(settings: CentreSettings) -> CentreDesk:
    """Open everything that a centre needs.

    Raises:
        ConfigError: a setting is invalid, or another process is the centre of the database.
        DatabaseError, StorageError: database or storage cannot be used.
    """
    settings.check()
    make_folder(settings.folder)
    lease = CentreLease(settings.database_url)  # before its tables are changed
    try:
        return _open_desk(settings, lease)
    except BaseException:
        lease.close()
        raise


def _open_desk(settings: CentreSettings, lease: CentreLease) -> CentreDesk:
    signer = load_signer(settings.signing_key)
    storage = open_storage(settings.storage_url, part_secret(signer))
    storage.check()
    users = None if settings.users is None else load_users(settings.users)
    token = "" if settings.token is None else load_token(settings.token)
    metrics = settings.metrics_token
    db = open_database(settings.database_url, _WAIT_S)
    recognise(db, storage)
    with db.transaction() as tx:
        begin_history(tx)
    catalogue = CentreCatalogue(db)
    sink = CatalogueSink(catalogue)
    reviews = Reviews(db, load_policy(settings.review))
    sink.on_episode.append(reviews.on_episode)
    sink.on_entry.append(reviews.on_entry)
    sink.on_removed.append(reviews.on_removed)
    ingest = FloorIngest(db, storage, sink, settings.part_bytes)
    verifier = Verifier(
        db,
        storage,
        signer,
        settings.name,
        settings.folder / "verify",
        settings.verifiers,
        ingest.locks,
    )
    rewriter = Rewriter(db, storage, ingest.locks)
    ingest.queued, ingest.changed = verifier.wake, rewriter.wake
    return CentreDesk(
        settings=settings, db=db, lease=lease, storage=storage, catalogue=catalogue, sink=sink, signer=signer,
        access=Access(users, token),
        tasks=load_tasks(settings.tasks), reviews=reviews, trends=TrendWatch(reviews),
        live=LiveRobots(), tokens=TokenBook(db), alarms=AlarmBook(db), audit=AuditBook(db),
        copies=LocalCopies(storage, settings.folder / "copies", settings.cache_bytes),
        ingest=ingest, verifier=verifier, rewriter=rewriter, workers=Workers(_MADE_S),
        metrics_token=b"" if metrics is None else hashlib.sha256(load_token(metrics).encode()).digest(),
    )  # fmt: skip


def serve(settings: CentreSettings, told: Callable[[str], None]) -> None:
    """Run a centre until SIGINT or SIGTERM.

    Args:
        settings: of it.
        told: called with the address, once it listens.

    Raises:
        RecorderError: it cannot start.
    """
    asyncio.run(_serve(settings, told))


async def _serve(settings: CentreSettings, told: Callable[[str], None]) -> None:
    desk = open_desk(settings)
    background = CentreBackground(desk)
    reviewing = ReviewWork(desk.reviews, desk)
    wall = WallPages(desk.live, lambda: background.alarms)
    try:
        await asyncio.to_thread(background.look)
        desk.verifier.start()
        desk.rewriter.start()
        reviewing.start()
        work = asyncio.create_task(background.run())
        log_event(
            _LOGGER,
            "started",
            database=desk.db.shown,
            storage=desk.storage.url,
            key=desk.signer.key_id,
        )
        await serve_pages(
            application(desk, wall),
            settings,
            "centre",
            told,
            MACHINES,
            ws_max_size=_MOST_MESSAGE_BYTES,
        )
        work.cancel()
    finally:
        reviewing.close()
        desk.close()
        log_event(_LOGGER, "ended")


class CentreBackground:
    """What the centre does from time to time.

    Attributes:
        alarms: the newest that stand, for the wall.
    """

    def __init__(self, desk: CentreDesk) -> None:
        """Work for a desk."""
        self._desk = desk
        self.alarms: list[dict[str, Any]] = []

    def look(self) -> None:
        """Learn who may speak."""
        valid = [t.station for t in self._desk.tokens.tokens() if t.revoked_ns is None]
        self._desk.live.know(valid)

    async def run(self) -> None:
        """Work until it is cancelled."""
        await asyncio.gather(self._run_steps(), self._watch_trends())

    async def _watch_trends(self) -> None:
        """Look at the trends now and then, apart from the rest: it may take seconds."""
        while True:
            await self._do(self._desk.trends.look)
            await asyncio.sleep(_TREND_S)

    async def _run_steps(self) -> None:
        steps: list[tuple[float, Callable[[], Any]]] = [
            (_LEASE_S, self._keep_lease), (_KNOW_S, self.look), (_ALARM_S, self.look_for_alarms),
            (_HEARD_S, self._note_heard), (_SWEEP_S, self._sweep),
        ]  # fmt: skip
        loop = asyncio.get_running_loop()
        due = [loop.time() + pause_s for pause_s, _ in steps]
        while True:
            await asyncio.sleep(_ALARM_S)
            for number, (pause_s, step) in enumerate(steps):
                if loop.time() >= due[number]:
                    due[number] = loop.time() + pause_s
                    await self._do(step)

    async def _do(self, step: Callable[[], Any]) -> None:
        try:
            await self._desk.run(step, slow=True)
        except (DatabaseError, StorageError) as error:
            log_event(
                _LOGGER, "background waits", logging.WARNING, what=step.__name__, why=str(error)
            )

    def _keep_lease(self) -> None:
        """End if another process has become the centre, while the database was away."""
        try:
            self._desk.lease.keep()
        except ConfigError as error:
            log_event(_LOGGER, "another centre took over", logging.ERROR, why=str(error))
            os.kill(os.getpid(), signal.SIGTERM)

    def look_for_alarms(self) -> None:
        """Learn which alarms stand: what has happened first, then trends."""
        stand = [
            {
                "site": a.site,
                "robot": a.robot,
                "text": a.sentence,
                "kind": a.kind,
                "subject": a.subject,
            }
            for a in self._desk.alarms.stand(50)
        ]
        self.alarms = [*stand, *self._desk.trends.wall()]

    def _note_heard(self) -> None:
        """Write who was heard, for the time after a restart."""
        heard: list[Station] = self._desk.live.heard()
        now_ns = time.time_ns()
        with self._desk.db.transaction() as tx:
            tx.many(
                "UPDATE floor_robots SET heard_ns = ? WHERE site = ? AND robot = ?",
                [(now_ns, s.site, s.robot) for s in heard],
            )

    def _sweep(self) -> None:
        """Abort uploads that nobody continues."""
        with self._desk.db.reading() as tx:
            rows = tx.run("SELECT upload FROM floor_uploads WHERE done = 0")
        known = {upload for (upload,) in rows}
        for key, upload in list(self._desk.storage.unfinished(_OLD_UPLOAD_S)):
            if upload not in known:
                self._desk.storage.abort(key, upload)


def open_books(settings: CentreSettings) -> Database:
    """Open the database alone, for the command line.

    Raises:
        ConfigError, DatabaseError: it cannot be used.
    """
    make_folder(settings.folder)
    return open_database(settings.database_url)
