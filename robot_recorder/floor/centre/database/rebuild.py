"""Enters what lies in the storage into the database: after its loss, or after an older backup was restored.

Bags, labels and receipts are in the storage. What is not, and only in backups: tokens, reviews, jobs, alarms, the
audit table, and episodes that had no receipt yet, which robots still have and offer again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.episode import robot_in
from robot_recorder.floor.centre.database.identity import begin_history
from robot_recorder.floor.centre.desk import CentreDesk
from robot_recorder.floor.centre.ingest.ingest import IngestRow, read_row, with_labels
from robot_recorder.floor.centre.ingest.labels import EpisodeKey, LabelVia, log_of, union
from robot_recorder.floor.centre.ingest.metadata_text import (
    OfferedEpisode,
    plain_log,
    read_offered,
)
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.centre.tokens import Station, add_robot
from robot_recorder.floor.manifest import MOST_FILES, FileFact, Manifest, bag_prefix
from robot_recorder.floor.receipts import Receipt, verified_bytes
from robot_recorder.floor.storage.port import StorageError, StorageTrouble
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.plain_data import MOST_BYTES

RECEIPTS = "receipts/"
_LOGGER = logging.getLogger(__name__)


@dataclass
class Rebuilt:
    """What was done.

    Attributes:
        entered: episodes that the database did not know.
        labelled: episodes that it knew, with fewer labels.
        refused: why others were not entered, by site and id.
    """

    entered: int = 0
    labelled: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def rebuild(desk: CentreDesk, now_ns: Callable[[], int], hashed: bool = True) -> Rebuilt:
    """Enter all episodes of the storage that have a receipt, and whose data is what the receipt is for.

    Robots are told by the database's new history to offer again what they have.

    Args:
        desk: of the centre, which nobody else runs.
        now_ns: ns since the epoch.
        hashed: read all data back; False: compare only its size, which is quick.

    Raises:
        DatabaseError, StorageError: they do not answer; call it again later.
    """
    done = Rebuilt()
    with desk.db.transaction() as tx:
        begin_history(tx, renewed=True)
    for site, id in _stored(desk):
        try:
            with desk.ingest.locks.hold(site, id):
                _enter(desk, site, id, now_ns(), done, hashed)
        except (BagError, ConfigError) as error:
            done.refused[f"{site}/{id}"] = str(error)
            log_event(
                _LOGGER, "not entered", logging.WARNING, site=site, episode=id, why=str(error)
            )
    return done


def _stored(desk: CentreDesk) -> Iterator[tuple[str, str]]:
    for key, _ in desk.storage.keys(RECEIPTS):
        site, _, name = key.removeprefix(RECEIPTS).partition("/")
        if name.endswith(".json"):
            yield site, name.removesuffix(".json")


def _enter(desk: CentreDesk, site: str, id: str, now_ns: int, done: Rebuilt, hashed: bool) -> None:
    receipt = _receipt(desk, site, id)
    with desk.db.reading() as tx:
        known = read_row(tx, site, id)
    if known is None or known.receipt is None:
        _compare(desk, receipt, hashed)
    try:
        text = desk.storage.get(bag_prefix(site, id) + METADATA_FILE).decode("utf-8", "replace")
    except StorageError as error:
        if error.trouble is StorageTrouble.MISSING:
            raise BagError("it has a receipt, and no metadata.yaml: its bag was deleted") from error
        raise
    size = receipt.size_bytes + len(text.encode())
    offered = read_offered(site, id, text, size, now_ns, MOST_BYTES)

    def work(tx: Any) -> tuple[bool, bool]:
        return _take(desk, tx, offered, receipt, now_ns)

    new, more = desk.db.retrying(work)
    done.entered += new
    done.labelled += more and not new


def _receipt(desk: CentreDesk, site: str, id: str) -> Receipt:
    try:
        plain = json.loads(desk.storage.get(f"{RECEIPTS}{site}/{id}.json"))
    except ValueError as error:
        raise BagError(f"its receipt is not JSON: {error}") from error
    receipt = Receipt.from_plain(plain)
    if (receipt.site, receipt.episode) != (site, id):
        raise BagError("its receipt is for another episode")
    if not verified_bytes(receipt.signed_bytes(), receipt.signature, desk.signer.public):
        raise BagError("its receipt is not signed with this centre's key: restore receipts.key")
    return receipt


def _compare(desk: CentreDesk, receipt: Receipt, hashed: bool) -> None:
    """Compare an episode's objects with its receipt: who signed it may have been wrong, or disks since.

    Raises:
        BagError: they are others.
    """
    prefix = bag_prefix(receipt.site, receipt.episode)
    sizes = {key.removeprefix(prefix): size for key, size in desk.storage.keys(prefix)}
    sizes.pop(METADATA_FILE, None)
    if not 0 < len(sizes) <= MOST_FILES or sum(sizes.values()) != receipt.size_bytes:
        raise BagError(
            f"it has a receipt for {receipt.size_bytes} bytes, and {len(sizes)} files with {sum(sizes.values())}"
        )
    if not hashed:
        return
    files = [FileFact(name, size, _sha256(desk, prefix + name)) for name, size in sizes.items()]
    if Manifest(tuple(sorted(files))).sha256 != receipt.sha256:
        raise BagError("its data is not what its receipt is for: restore it from a backup")


def _sha256(desk: CentreDesk, key: str) -> str:
    digest = hashlib.sha256()
    for chunk in desk.storage.chunks(key):
        digest.update(chunk)
    return digest.hexdigest()


def _take(
    desk: CentreDesk, tx: Any, offered: OfferedEpisode, receipt: Receipt, now_ns: int
) -> tuple[bool, bool]:
    """Enter an episode; return whether it was unknown, and whether labels were."""
    site, id = receipt.site, receipt.episode
    row = read_row(tx, site, id)
    station = Station(site, robot_in(id) or offered.entry.robot or "unknown")
    _note_receipt(tx, row, station, offered, receipt, now_ns)
    key = EpisodeKey(station if row is None else row.key.station, id)
    new = union(tx, key, plain_log(offered.episode), now_ns, LabelVia.STORAGE)
    log = log_of(tx, site, id)
    if row is not None and len(log) > len(plain_log(offered.episode)):  # the database knows more
        tx.run(
            "UPDATE floor_episodes SET stale = stale + 1 WHERE site = ? AND episode = ?", (site, id)
        )
    if row is None or new or row.receipt is None:
        desk.sink.put(tx, site, offered.episode, with_labels(offered.entry, log))
    return row is None or row.receipt is None, bool(new)


def _note_receipt(
    tx: Any, row: IngestRow | None, station: Station, offered: OfferedEpisode, receipt: Receipt,
    now_ns: int,
) -> None:  # fmt: skip
    """Note that an episode is stored, unless that is known."""
    site, id, plain = receipt.site, receipt.episode, json.dumps(receipt.to_plain())
    if row is None:
        add_robot(tx, station)
        tx.run(
            "INSERT INTO floor_episodes (site, episode, robot, state, offered_ns, sha256, size_bytes, receipt,"
            " offered, bag) VALUES (?, ?, ?, 'stored', ?, ?, ?, ?, ?, ?)",
            (site, id, station.robot, now_ns, receipt.sha256, receipt.size_bytes, plain,
             offered.digest, offered.bag),
        )  # fmt: skip
    elif row.receipt is None:  # restored from before it was stored
        tx.run(
            "UPDATE floor_episodes SET state = 'stored', receipt = ?, receipt_due = 0, sha256 = ?, size_bytes = ?,"
            " recheck = 0, wanted = 0, problem = '', offered = ?, bag = ?, metadata = NULL,"
            " generation = generation + 1 WHERE site = ? AND episode = ?",
            (plain, receipt.sha256, receipt.size_bytes, offered.digest, offered.bag, site, id),
        )
        tx.run("DELETE FROM floor_uploads WHERE site = ? AND episode = ?", (site, id))
