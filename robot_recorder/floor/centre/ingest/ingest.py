"""Takes episodes in: offers, uploads, and what robots are told about them.

Each step of an episode is one transaction, and repeating a step is harmless: a robot that has lost an
answer asks again. ``verify.py`` takes over when all files are complete.

    offered -> uploading -> verifying -> stored (with a receipt)
                   ^            |  `-> held (damaged as the robot has it: a person decides)
                   `------------'  (other bytes than announced: the robot sends it again)
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

from robot_recorder.catalogue.entry import Entry
from robot_recorder.episodes.episode import Episode, robot_in
from robot_recorder.floor.centre.alarms import FloorAlarmKind, raise_alarm
from robot_recorder.floor.centre.database.database import Database, DatabaseError
from robot_recorder.floor.centre.database.identity import history_of
from robot_recorder.floor.centre.ingest.labels import (
    EpisodeKey,
    LabelVia,
    Plain,
    events_since,
    labels_of,
    log_of,
    union,
    whole_text,
)
from robot_recorder.floor.centre.ingest.metadata_text import (
    OfferedEpisode,
    packed,
    plain_log,
    read_offered,
)
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.centre.refusals import UNKNOWN, RefusedRobot, send_again
from robot_recorder.floor.centre.tokens import Station, add_robot
from robot_recorder.floor.manifest import Manifest, bag_prefix
from robot_recorder.floor.storage.port import ObjectStorage, StorageError, StorageTrouble
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import checked_id
from robot_recorder.model.labels import event_id
from robot_recorder.model.text import visible

_LOGGER = logging.getLogger(__name__)
_MOST_PARTS = 9000  # of a file
_VALID_S = 600.0  # addresses of parts
_MOST_UPLOADS = 50  # of an episode that are told in one answer
_MOST_SUBJECT = 200
MIB = 1 << 20


class IngestState(str, Enum):
    """How far an episode has come."""

    OFFERED = "offered"
    UPLOADING = "uploading"
    VERIFYING = "verifying"
    HELD = "held"
    STORED = "stored"


class EntrySink(Protocol):
    """Where entries of episodes go: the catalogue, and who watches it. Within the transaction."""

    def put(self, tx: Any, site: str, episode: Episode | None, entry: Entry) -> None:
        """Take a new or changed entry; ``episode`` is None when only its labels have changed."""

    def get(self, tx: Any, site: str, id: str) -> Entry | None:
        """Return an entry; None: it does not exist."""

    def remove(self, tx: Any, site: str, id: str) -> None:
        """Take an entry away."""


@dataclass(frozen=True)
class IngestRow:
    """What the database knows of an episode on its way in.

    Attributes:
        key: of the episode.
        state: how far it has come.
        manifest: of its data files; None: not announced yet.
        sha256: of the manifest; empty: not announced yet.
        size_bytes: of its data files; None: unknown.
        part_bytes: of its uploads; None: not announced yet.
        receipt: in plain form; None: not signed yet.
        offered: digest of the metadata that was offered last.
        discarded: whether it lies in the robot's trash.
        accepted: whether a person wants a receipt although its structure is damaged.
        tries: how often the process died that checked its structure.
        generation: grows whenever its objects or what they are checked against may become others: who has
            read them back may sign only for the generation that he read.
        bag: digest of what the metadata says of the bag; empty: unknown.
        freed_ns: when the robot deleted its copy; None: it has it.
    """

    key: EpisodeKey
    state: IngestState
    manifest: Manifest | None
    sha256: str
    size_bytes: int | None
    part_bytes: int | None
    receipt: dict[str, Any] | None
    offered: str
    discarded: bool
    accepted: bool
    tries: int
    generation: int
    bag: str
    freed_ns: int | None


_COLUMNS = (
    "site, robot, episode, state, manifest, sha256, size_bytes, part_bytes, receipt, offered, discarded,"
    " accepted, tries, generation, bag, freed_ns"
)


def read_row(tx: Any, site: str, id: str) -> IngestRow | None:
    """Return what is known of an episode; None: nothing."""
    row = tx.one(
        f"SELECT {_COLUMNS} FROM floor_episodes WHERE site = ? AND episode = ?", (site, id)
    )
    return None if row is None else row_of(row)


def row_of(row: Sequence[Any]) -> IngestRow:
    """Return a row of ``_COLUMNS``."""
    (
        site,
        robot,
        id,
        state,
        manifest,
        sha,
        size,
        part_bytes,
        receipt,
        offered,
        discarded,
        accepted,
        tries,
        generation,
        bag,
        freed_ns,
    ) = row
    return IngestRow(
        EpisodeKey(Station(site, robot), id), IngestState(state),
        None if manifest is None else Manifest.from_plain(json.loads(manifest)),
        sha or "", size, part_bytes, None if receipt is None else json.loads(receipt), offered,
        bool(discarded), bool(accepted), tries, generation, bag, freed_ns,
    )  # fmt: skip


class EpisodeLocks:
    """One lock an episode, within this process."""

    def __init__(self) -> None:
        """Hold none."""
        self._guard = threading.Condition()
        self._held: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def hold(self, site: str, id: str, wait_s: float = 5.0) -> Iterator[None]:
        """Wait until nobody else works on an episode.

        Raises:
            RefusedRobot: that takes too long.
        """
        key = site, id
        with self._guard:
            if not self._guard.wait_for(lambda: not self._held[key], wait_s):
                raise RefusedRobot(
                    503, f"{id} is busy: try again", StorageTrouble.UNAVAILABLE.value
                )
            self._held[key] = 1
        try:
            yield
        finally:
            with self._guard:
                del self._held[key]
                self._guard.notify_all()


class FloorIngest:
    """The machine API's logic. Any thread may call it; methods raise RefusedRobot, StorageError, DatabaseError."""

    def __init__(
        self,
        db: Database,
        storage: ObjectStorage,
        sink: EntrySink,
        part_bytes: int,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """
        Args:
            db: the centre's database.
            storage: where episodes go.
            sink: gets the entries.
            part_bytes: size of parts, at least.
            clock_ns: time, ns since the epoch.
        """
        self._db = db
        self._storage = storage
        self._sink = sink
        self._part_bytes = part_bytes
        self._clock_ns = clock_ns
        self.locks = EpisodeLocks()
        self.queued: Callable[[], None] = lambda: None  # called when there is something to verify
        self.changed: Callable[[], None] = lambda: None  # called when a metadata.yaml became stale

    # -- what robots are told

    def beat(self, tx: Any, station: Station, cursor: int, ids: Sequence[str]) -> dict[str, Any]:
        """Return what a robot is told with each beat.

        Args:
            tx: reading transaction.
            station: which robot.
            cursor: number of the newest event that it has.
            ids: episodes whose receipts it waits for.
        """
        now, labels = events_since(tx, station, cursor)
        receipts: dict[str, Any] = {}
        if ids:
            marks = ", ".join("?" * len(ids))
            rows = tx.run(
                "SELECT episode, receipt FROM floor_episodes WHERE site = ? AND robot = ?"
                f" AND receipt IS NOT NULL AND receipt_due = 0 AND episode IN ({marks})",
                (station.site, station.robot, *ids),
            )
            receipts = {id: json.loads(receipt) for id, receipt in rows}
        told = tx.run(
            "SELECT episode, problem, wanted, recheck FROM floor_episodes WHERE site = ? AND robot = ?"
            " AND (wanted = 1 OR recheck = 1 OR problem <> '') ORDER BY episode LIMIT 500",
            (station.site, station.robot),
        )
        return {
            "now_ns": self._clock_ns(),
            "history": history_of(tx),
            "cursor": now,
            "labels": labels,
            "receipts": receipts,
            "problems": {id: problem for id, problem, _, _ in told if problem},
            "wanted": [id for id, _, wanted, _ in told if wanted],
            "recheck": [id for id, _, _, recheck in told if recheck],
        }

    # -- metadata and labels

    def offer(self, station: Station, id: str, text: str, discarded: bool) -> dict[str, Any]:
        """Take an episode's metadata and labels; return the labels that the robot lacks.

        Args:
            station: which robot offers it.
            id: of the episode.
            text: of its ``metadata.yaml``; may be empty when it is discarded.
            discarded: whether it lies in the robot's trash.

        Returns:
            ``ok``, ``message``, ``labels``.
        """
        try:
            checked_id(id)
            if not text and discarded:
                with self._db.transaction() as tx:
                    refused = self._discard(tx, self._owned(tx, station, id))
                return {"ok": not refused, "message": refused, "labels": []}
            size = self._known_size(station.site, id, text)
            offered = read_offered(station.site, id, text, size, self._clock_ns())
            labels, refused = self._db.retrying(
                lambda tx: self._take_offer(tx, station, offered, discarded)
            )
            self.changed()
            self.queued()
            # What was refused of an episode that is stored is no reason to offer it for ever.
            return {"ok": not (refused and discarded), "message": refused, "labels": labels}
        except RefusedRobot as error:
            if error.trouble == UNKNOWN:  # it was discarded before it was ever offered
                return {"ok": True, "message": "", "labels": []}
            return {"ok": False, "message": str(error), "labels": []}
        except BagError as error:
            return self._refused(station, id, str(error))
        except DatabaseError as error:
            if error.retry:
                raise
            log_event(_LOGGER, "the database refused an offer", logging.ERROR, why=str(error))
            return self._refused(station, id, f"the database refuses a value of {id}")
        except Exception as error:  # a fault of ours: the others of the request are taken
            _LOGGER.error("the offer of %s failed", visible(id)[:_MOST_SUBJECT], exc_info=error)
            return self._refused(station, id, f"the centre failed at {id}: see its log")

    def _refused(self, station: Station, id: str, why: str) -> dict[str, Any]:
        self._note_refusal(station, id, why)
        return {"ok": False, "message": why, "labels": []}

    def _known_size(self, site: str, id: str, text: str) -> int:
        """Return the size of an episode as far as it is known: its files are counted when announced."""
        with self._db.reading() as tx:
            row = read_row(tx, site, id)
        return len(text.encode("utf-8", "replace")) + ((row and row.size_bytes) or 0)

    def _take_offer(
        self, tx: Any, station: Station, offered: OfferedEpisode, discarded: bool
    ) -> tuple[list[Plain], str]:
        """Return the labels that the robot lacks, and what of its offer was not taken; empty: all was."""
        id, now_ns = offered.entry.name, self._clock_ns()
        self._must_be_of(station, id, offered.entry.robot)
        row = read_row(tx, station.site, id)
        if row is None:
            add_robot(tx, station)
            tx.run(
                "INSERT INTO floor_episodes (site, episode, robot, state, offered_ns)"
                " VALUES (?, ?, ?, ?, ?)",
                (station.site, id, station.robot, IngestState.OFFERED.value, now_ns),
            )
        elif row.key.station != station:
            raise RefusedRobot(403, f"{id} belongs to {row.key.station.robot}")
        own = plain_log(offered.episode)
        new = union(tx, EpisodeKey(station, id), own, now_ns, LabelVia.ROBOT)
        if refused := "" if row is None else _not_taken(row, offered, discarded):
            raise_alarm(tx, station, FloorAlarmKind.CONFLICT, id, refused, now_ns)
            self._relabelled(tx, EpisodeKey(station, id), new)
        else:
            self._take_metadata(tx, station, row, offered, new, discarded)
        known = {event_id(event) for event in own}
        log = log_of(tx, station.site, id)
        return [event for event in log if event_id(event) not in known], refused

    def _take_metadata(
        self, tx: Any, station: Station, row: IngestRow | None, offered: OfferedEpisode,
        new: Sequence[Plain], discarded: bool,
    ) -> None:  # fmt: skip
        """Keep metadata that was offered, and enter the episode into the catalogue."""
        site, id = station.site, offered.entry.name
        changed = row is None or row.offered != offered.digest
        if changed:
            tx.run(
                "UPDATE floor_episodes SET offered = ?, bag = ?, metadata = ?, stale = stale + 1, problem = ''"
                " WHERE site = ? AND episode = ?",
                (offered.digest, offered.bag, packed(offered.text), site, id),
            )
            if row is not None and (
                row.state is IngestState.HELD  # it may fit the files now
                or (row.state is IngestState.VERIFYING and row.bag != offered.bag)
            ):
                self._queue(tx, row.key)
        elif new:
            _mark_stale(tx, EpisodeKey(station, id))
        tx.run(
            "UPDATE floor_episodes SET discarded = ? WHERE site = ? AND episode = ?",
            (int(discarded), site, id),
        )
        if discarded:
            self._sink.remove(tx, site, id)
        elif row is None or changed or new or row.discarded:
            log = log_of(tx, site, id)
            self._sink.put(tx, site, offered.episode, with_labels(offered.entry, log))

    def _must_be_of(self, station: Station, id: str, fact: str) -> None:
        for robot in (robot_in(id), fact):
            if robot and robot != station.robot:
                raise RefusedRobot(
                    403,
                    f"{id} is an episode of {robot[:64]}, and the token is that of {station.robot}: make one "
                    f"with robot-recorder centre token add {station.site} {robot[:64]}",
                )

    def _discard(self, tx: Any, row: IngestRow) -> str:
        """Take an episode out of the catalogue; return why not: empty: it is done."""
        if refused := _not_discarded(row):
            kind = FloorAlarmKind.CONFLICT
            raise_alarm(tx, row.key.station, kind, row.key.id, refused, self._clock_ns())
            return refused
        tx.run(
            "UPDATE floor_episodes SET discarded = 1, wanted = 0 WHERE site = ? AND episode = ?",
            (row.key.site, row.key.id),
        )
        self._sink.remove(tx, row.key.site, row.key.id)
        return ""

    def _note_refusal(self, station: Station, id: str, sentence: str) -> None:
        subject, sentence = visible(id)[:_MOST_SUBJECT], visible(sentence)
        with self._db.transaction() as tx:
            add_robot(tx, station)
            tx.run(
                "UPDATE floor_episodes SET problem = ? WHERE site = ? AND episode = ? AND robot = ?",
                (sentence[:500], station.site, subject, station.robot),
            )
            raise_alarm(tx, station, FloorAlarmKind.REFUSED, subject, sentence, self._clock_ns())

    def merge(self, site: str, id: str, events: Sequence[Plain]) -> list[Plain]:
        """Take label events of another copy, such as another site's; return those that were new.

        Raises:
            BagError: an event is invalid, or the episode is unknown.
        """
        with self._db.transaction() as tx:
            row = read_row(tx, site, id)
            if row is None:
                raise BagError(f"{id[:200]} of {site[:64]} is unknown")
            new = self.merge_into(tx, row, whole_text(list(events)), LabelVia.COPY)
        self.changed()
        return new

    def merge_into(
        self, tx: Any, row: IngestRow, events: Sequence[Plain], via: LabelVia
    ) -> list[Plain]:
        """Do the same within a transaction; call ``changed`` after it."""
        new = union(tx, row.key, events, self._clock_ns(), via)
        self._relabelled(tx, row.key, new)
        return new

    def _relabelled(self, tx: Any, key: EpisodeKey, new: Sequence[Plain]) -> None:
        """Bring new labels into the catalogue, and later into the storage."""
        if not new:
            return
        _mark_stale(tx, key)
        entry = self._sink.get(tx, key.site, key.id)
        if entry is not None:
            self._sink.put(tx, key.site, None, with_labels(entry, log_of(tx, key.site, key.id)))

    # -- data

    def upload(self, station: Station, id: str, files: Any) -> dict[str, Any]:
        """Announce an episode's files, or ask what has arrived.

        Args:
            station: which robot.
            id: of the episode.
            files: manifest in plain form.

        Returns:
            ``state``, ``part_bytes``, ``files``; the robot asks again for files without ``upload``, when it has
            sent the others.
        """
        manifest = Manifest.from_plain(files)
        with self.locks.hold(station.site, id):
            dropped: list[tuple[str, str]] = []
            with self._db.transaction() as tx:
                row = self._owned(tx, station, id)
                conflict = row.receipt is not None and row.sha256 != manifest.sha256
                if conflict:
                    self._note_conflict(tx, row, manifest)
                elif row.sha256 != manifest.sha256 or row.state is IngestState.OFFERED:
                    dropped, row = self._announce(tx, row, manifest)
            if conflict:
                raise RefusedRobot(409, _conflict(row, manifest))
            for key, upload in dropped:
                self._storage.abort(key, upload)
            if row.state is IngestState.STORED:
                return self._state("stored", row)
            if row.state in (IngestState.VERIFYING, IngestState.HELD):
                return self._state("verifying", row)
            return {**self._state("upload", row), "files": self._uploads(row, manifest)}

    def _state(self, state: str, row: IngestRow) -> dict[str, Any]:
        return {"state": state, "part_bytes": row.part_bytes or self._part_bytes, "files": {}}

    def _announce(
        self, tx: Any, row: IngestRow, manifest: Manifest
    ) -> tuple[list[tuple[str, str]], IngestRow]:
        """Replace the manifest of an episode without a receipt; return uploads to abort."""
        site, id = row.key.site, row.key.id
        old = tx.run(
            "DELETE FROM floor_uploads WHERE site = ? AND episode = ? RETURNING name, upload, done",
            (site, id),
        )
        largest = max(file.size for file in manifest.files)
        part_bytes = max(self._part_bytes, -(-largest // (_MOST_PARTS * MIB)) * MIB)
        plain = json.dumps(manifest.to_plain())
        tx.run(
            "UPDATE floor_episodes SET state = ?, manifest = ?, sha256 = ?, size_bytes = ?, part_bytes = ?,"
            " queued_ns = NULL, tries = 0, accepted = 0, problem = '', generation = generation + 1"
            " WHERE site = ? AND episode = ?",
            (IngestState.UPLOADING.value, plain, manifest.sha256, manifest.size_bytes, part_bytes, site, id),
        )  # fmt: skip
        entry = self._sink.get(tx, site, id)
        if entry is not None and not row.discarded:
            known = entry.size_bytes - (row.size_bytes or 0)
            entry = replace(entry, size_bytes=known + manifest.size_bytes)
            self._sink.put(tx, site, None, entry)
        prefix = bag_prefix(site, id)
        now = replace(
            row, state=IngestState.UPLOADING, manifest=manifest, sha256=manifest.sha256,
            size_bytes=manifest.size_bytes, part_bytes=part_bytes,
        )  # fmt: skip
        return [(prefix + name, upload) for name, upload, done in old if not done], now

    def _note_conflict(self, tx: Any, row: IngestRow, manifest: Manifest) -> None:
        sentence = _conflict(row, manifest)
        tx.run(
            "UPDATE floor_episodes SET problem = ? WHERE site = ? AND episode = ?",
            (sentence, row.key.site, row.key.id),
        )
        raise_alarm(
            tx, row.key.station, FloorAlarmKind.CONFLICT, row.key.id, sentence, self._clock_ns()
        )

    def _uploads(self, row: IngestRow, manifest: Manifest) -> dict[str, Any]:
        """Return per file its upload and what has arrived; begin uploads that lack.

        Both may cost the storage much, so it is done for a few files: the upload of further ones is empty.
        """
        site, id = row.key.site, row.key.id
        with self._db.reading() as tx:
            rows = tx.run(
                "SELECT name, upload, done FROM floor_uploads WHERE site = ? AND episode = ?",
                (site, id),
            )
        known = {name: (upload, bool(done)) for name, upload, done in rows}
        told: dict[str, Any] = {}
        open_ = 0
        for file in manifest.files:
            upload, done = known.get(file.name, ("", False))
            key, have = bag_prefix(site, id) + file.name, []
            open_ += not done
            if not done and open_ > _MOST_UPLOADS:
                told[file.name] = {"upload": "", "have": [], "done": False}
                continue
            if upload and not done:
                try:
                    have = sorted(self._storage.parts(key, upload))
                except StorageError as error:
                    if error.trouble is not StorageTrouble.MISSING:
                        raise
                    upload = ""
            if not upload:
                upload = self._begin(row.key, file.name, key)
            told[file.name] = {"upload": upload, "have": have, "done": done}
        return told

    def _begin(self, of: EpisodeKey, name: str, key: str) -> str:
        upload = self._storage.begin(key)
        with self._db.transaction() as tx:
            tx.run(
                "INSERT INTO floor_uploads (site, episode, name, upload) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (site, episode, name) DO UPDATE SET upload = excluded.upload, done = 0",
                (of.site, of.id, name, upload),
            )
        return upload

    def parts(
        self,
        station: Station,
        id: str,
        name: str,
        upload: str,
        asked: Sequence[tuple[int, int, str]],
    ) -> list[dict[str, Any]]:
        """Return where to send parts.

        Args:
            station: which robot.
            id: of the episode.
            name: of the file.
            upload: its id.
            asked: number, size and MD5 (base64) of each part.
        """
        with self._db.reading() as tx:
            row = self._owned(tx, station, id)
            size, done = self._file(tx, row, name, upload)
        if done:
            raise RefusedRobot(409, f"{name} of {id} is complete")
        part_bytes = row.part_bytes or self._part_bytes
        most = max(1, -(-size // part_bytes))
        targets = []
        for number, part_size, md5 in asked:
            whole = part_bytes if number < most else size - (most - 1) * part_bytes
            if not 1 <= number <= most or part_size != whole:
                raise RefusedRobot(
                    422,
                    f"part {number} of {name} has {part_size} bytes: the {most} parts have {part_bytes} each, "
                    "the last the rest",
                )
            target = self._storage.part_target(
                bag_prefix(station.site, id) + name, upload, number, part_size, md5, _VALID_S
            )
            targets.append({"number": number, "url": target.url, "headers": dict(target.headers)})
        return targets

    def _file(self, tx: Any, row: IngestRow, name: str, upload: str) -> tuple[int, bool]:
        """Return the size of a file that is being uploaded, and whether it is complete."""
        sizes = {} if row.manifest is None else {f.name: f.size for f in row.manifest.files}
        if name not in sizes:
            raise RefusedRobot(422, f"{name[:200]!r} is no file of {row.key.id}")
        found = tx.one(
            "SELECT upload, done FROM floor_uploads WHERE site = ? AND episode = ? AND name = ?",
            (row.key.site, row.key.id, name),
        )
        if found is None or found[0] != upload:
            raise send_again(f"the upload of {name} of {row.key.id} is not known any more")
        return sizes[name], bool(found[1]) or row.state is not IngestState.UPLOADING

    def complete(
        self, station: Station, id: str, name: str, upload: str, parts: Mapping[int, str]
    ) -> None:
        """Put the parts of a file together.

        Args:
            station: which robot.
            id: of the episode.
            name: of the file.
            upload: its id.
            parts: etag by number.
        """
        with self.locks.hold(station.site, id):
            with self._db.reading() as tx:
                row = self._owned(tx, station, id)
                size, done = self._file(tx, row, name, upload)
            if done:
                return
            key = bag_prefix(station.site, id) + name
            if problem := self._put_together(key, upload, parts, size):
                self._forget_upload(row.key, name, upload)
                self._storage.abort(key, upload)
                raise send_again(f"{name} of {id} is incomplete: {problem}")
            with self._db.transaction() as tx:
                tx.run(
                    "UPDATE floor_uploads SET done = 1 WHERE site = ? AND episode = ? AND name = ?"
                    " AND upload = ?",
                    (station.site, id, name, upload),
                )

    def _put_together(self, key: str, upload: str, parts: Mapping[int, str], size: int) -> str:
        """Complete an upload; return why it has to be sent again: empty: it is complete."""
        try:
            self._storage.complete(key, upload, parts)
        except StorageError as error:
            if error.trouble is StorageTrouble.WRONG:  # whatever object is there is of other parts
                return str(error)
            if error.trouble is not StorageTrouble.MISSING:
                raise
            self._storage.check()  # raises if it is the storage that is missing
            # It may have been completed by a request whose answer was lost; it is read back anyway.
            if self._storage.size(key) != size:
                return str(error)
        found = self._storage.size(key)
        return "" if found == size else f"it has {found} bytes instead of {size}"

    def _forget_upload(self, key: EpisodeKey, name: str, upload: str) -> None:
        with self._db.transaction() as tx:
            tx.run(
                "DELETE FROM floor_uploads WHERE site = ? AND episode = ? AND name = ? AND upload = ?",
                (key.site, key.id, name, upload),
            )

    def stored(self, station: Station, id: str, sha256: str) -> str:
        """Let an episode be verified, as all its files are complete; return its state."""
        with self.locks.hold(station.site, id), self._db.transaction() as tx:
            row = self._owned(tx, station, id)
            if row.sha256 != sha256:
                raise RefusedRobot(
                    409, f"{id} was announced with other files: ask again with /agent/upload"
                )
            if row.state is IngestState.UPLOADING and row.manifest is not None:
                lacking = self._lacking(tx, row)
                if lacking:
                    raise send_again(f"{lacking[0]} of {id} is not complete")
                self._queue(tx, row.key)
        self.queued()
        return "stored" if row.state is IngestState.STORED else "verifying"

    def _queue(self, tx: Any, key: EpisodeKey) -> None:
        tx.run(
            "UPDATE floor_episodes SET state = ?, queued_ns = ?, tries = 0, recheck = 0, problem = '',"
            " generation = generation + 1 WHERE site = ? AND episode = ?",
            (IngestState.VERIFYING.value, self._clock_ns(), key.site, key.id),
        )

    def _lacking(self, tx: Any, row: IngestRow) -> list[str]:
        rows = tx.run(
            "SELECT name FROM floor_uploads WHERE site = ? AND episode = ? AND done = 1",
            (row.key.site, row.key.id),
        )
        done = {name for (name,) in rows}
        return [f.name for f in row.manifest.files if f.name not in done] if row.manifest else []

    def freed(self, station: Station, ids: Sequence[str]) -> None:
        """Note that the robot deleted its copies."""
        with self._db.transaction() as tx:
            for id in ids:
                row = read_row(tx, station.site, id)
                if row is None or row.key.station != station:
                    continue
                tx.run(
                    "UPDATE floor_episodes SET freed_ns = ? WHERE site = ? AND episode = ?"
                    " AND freed_ns IS NULL",
                    (self._clock_ns(), station.site, id),
                )
                if row.receipt is None:
                    raise_alarm(
                        tx, station, FloorAlarmKind.CONFLICT, id,
                        f"{station.robot} deleted {id}, for which there is no receipt", self._clock_ns(),
                    )  # fmt: skip
        log_event(_LOGGER, "freed", site=station.site, robot=station.robot, episodes=len(ids))

    # -- people

    def want(self, site: str, ids: Sequence[str]) -> list[str]:
        """Ask robots to send episodes first; return those that can be asked for."""
        with self._db.transaction() as tx:
            return [
                id
                for id in ids
                if tx.run(
                    "UPDATE floor_episodes SET wanted = 1 WHERE site = ? AND episode = ?"
                    " AND state <> 'stored' AND freed_ns IS NULL RETURNING episode",
                    (site, id),
                )
            ]

    def accept(self, site: str, id: str) -> bool:
        """Let a damaged episode that is held back have a receipt; return whether it was held back."""
        with self._db.transaction() as tx:
            done = tx.changed(
                "UPDATE floor_episodes SET state = ?, accepted = 1, queued_ns = ?, tries = 0, problem = '',"
                " generation = generation + 1 WHERE site = ? AND episode = ? AND state = ?",
                (IngestState.VERIFYING.value, self._clock_ns(), site, id, IngestState.HELD.value),
            )
        self.queued()
        return bool(done)

    def on_their_way(self) -> list[dict[str, Any]]:
        """Return how many episodes of each robot are in which state, without those that are stored."""
        with self._db.reading() as tx:
            rows = tx.run(
                "SELECT site, robot, state, count(*), coalesce(sum(size_bytes), 0) FROM floor_episodes"
                " WHERE state <> 'stored' AND discarded = 0 GROUP BY site, robot, state"
                " ORDER BY site, robot, state"
            )
        names = ("site", "robot", "state", "episodes", "bytes")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def told(self, site: str, id: str) -> dict[str, Any] | None:
        """Return how far an episode has come, in plain form; None: it is unknown."""
        with self._db.reading() as tx:
            row = tx.one(
                "SELECT robot, state, offered_ns, sha256, size_bytes, receipt, discarded, wanted, problem,"
                " freed_ns, stale FROM floor_episodes WHERE site = ? AND episode = ?",
                (site, id),
            )
        if row is None:
            return None
        (
            robot,
            state,
            offered_ns,
            sha256,
            size,
            receipt,
            discarded,
            wanted,
            problem,
            freed,
            stale,
        ) = row
        return {
            "site": site, "id": id, "robot": robot, "state": state, "offered_ns": offered_ns,
            "sha256": sha256, "size_bytes": size, "discarded": bool(discarded), "wanted": bool(wanted),
            "receipt": None if receipt is None else json.loads(receipt), "problem": problem,
            "freed_ns": freed, "stale": bool(stale),
        }  # fmt: skip

    def _owned(self, tx: Any, station: Station, id: str) -> IngestRow:
        """Return an episode of a robot.

        Raises:
            RefusedRobot: it is unknown (404) or another's (403).
        """
        row = read_row(tx, station.site, checked_id(id))
        if row is None:
            raise RefusedRobot(404, f"{id} is unknown here: offer it first", UNKNOWN)
        if row.key.station != station:
            raise RefusedRobot(403, f"{id} belongs to {row.key.station.robot}")
        return row


def _not_discarded(row: IngestRow) -> str:
    """Return why an episode is not taken out of the catalogue; empty: it may be."""
    if row.receipt is None or row.freed_ns is None:
        return ""
    return (
        f"{row.key.robot} says that {row.key.id} is in its trash, and has deleted it before: the only copy, here, "
        "stays in the catalogue; look who has its token"
    )


def _not_taken(row: IngestRow, offered: OfferedEpisode, discarded: bool) -> str:
    """Return what of an offer is not taken, as the episode is stored; empty: all is. Labels always are."""
    if row.receipt is None:
        return ""
    if discarded and (refused := _not_discarded(row)):
        return refused
    if row.freed_ns is not None and row.offered != offered.digest:
        return (
            f"{row.key.robot} offers {row.key.id} with other metadata after it has deleted it: only labels are "
            "taken; look who has its token, or where that copy comes from"
        )
    if row.bag and row.bag != offered.bag:
        return (
            f"{row.key.robot} offers {row.key.id} with other files, topics or counts than the ones that were "
            "checked and stored: only labels are taken; look what has changed its metadata.yaml"
        )
    return ""


def _mark_stale(tx: Any, key: EpisodeKey) -> None:
    tx.run(
        "UPDATE floor_episodes SET stale = stale + 1 WHERE site = ? AND episode = ?",
        (key.site, key.id),
    )


def _conflict(row: IngestRow, manifest: Manifest) -> str:
    return (
        f"{row.key.id} is stored with other data (SHA-256 {row.sha256[:12]}..., now "
        f"{manifest.sha256[:12]}...): nothing is overwritten; rename the robot's copy, and look how two "
        "episodes came to have one id"
    )


def with_labels(entry: Entry, log: Sequence[Plain]) -> Entry:
    """Return an entry with the labels of a log; without events as it is."""
    if not log:
        return entry
    labels = labels_of(log)
    return replace(
        entry, task=labels.task or entry.task, operator=labels.operator_name or entry.operator,
        outcome=labels.outcome, cause=labels.cause,
    )  # fmt: skip
