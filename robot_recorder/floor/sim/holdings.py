"""What a centre has of every episode, counted from its database and its storage alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from robot_recorder.bags.metadata import METADATA_FILE, custom_data_of, parse_metadata
from robot_recorder.catalogue.entry import Entry
from robot_recorder.floor.centre.catalogue.catalogue import CentreCatalogue, FloorFilter
from robot_recorder.floor.centre.database.database import Database
from robot_recorder.floor.sim.account import CentreHolding
from robot_recorder.floor.storage.port import ObjectStorage
from robot_recorder.model.labels import dump_plain, event_id, load_plain, merged


def centre_holdings(db: Database, storage: ObjectStorage) -> list[CentreHolding]:
    """Return what a centre has: every object of its storage is read back and hashed.

    Args:
        db: of the centre.
        storage: of the centre.

    Raises:
        DatabaseError, StorageError: it cannot be read.
    """
    found: dict[tuple[str, str], CentreHolding] = {}
    for holding in (*_listed(db), *_offered(db), *_labelled(db), *_stored(storage)):
        key = holding.site, holding.episode
        before = found.get(key, CentreHolding(*key))
        default = CentreHolding(*key)
        news = {
            name: value for name, value in vars(holding).items() if value != getattr(default, name)
        }
        found[key] = replace(before, **news)
    return list(found.values())


def _listed(db: Database) -> Iterator[CentreHolding]:
    entries = list(CentreCatalogue(db).all(FloorFilter()))
    times = Counter((str(e.root), e.name) for e in entries)
    for entry in entries:
        key = str(entry.root), entry.name
        yield CentreHolding(*key, listed=times[key], listed_labels=_labels_of(entry))


def _labels_of(entry: Entry) -> tuple[str, str, str]:
    return entry.task, entry.outcome.text, entry.cause


def _offered(db: Database) -> Iterator[CentreHolding]:
    with db.reading() as tx:
        rows = tx.run("SELECT site, episode, receipt, offered_ns, discarded FROM floor_episodes")
    for site, episode, receipt, offered_ns, discarded in rows:
        plain = json.loads(receipt) if receipt else None
        yield CentreHolding(
            site, episode, receipt=plain, offered_ns=offered_ns, discarded=bool(discarded)
        )


def _labelled(db: Database) -> Iterator[CentreHolding]:
    with db.reading() as tx:
        rows = tx.run("SELECT site, episode, event_id, plain FROM label_events")
    logs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for site, episode, id, plain in rows:
        logs[site, episode].append((id, plain))
    for (site, episode), events in logs.items():
        log = dump_plain(merged([json.loads(plain) for _, plain in events]))
        yield CentreHolding(site, episode, labels=log, label_ids=frozenset(id for id, _ in events))


def _stored(storage: ObjectStorage) -> Iterator[CentreHolding]:
    objects: dict[tuple[str, str], dict[str, tuple[int, str]]] = defaultdict(dict)
    labels: dict[tuple[str, str], frozenset[str]] = {}
    for key, size in storage.keys("bags/"):
        _, site, episode, name = key.split("/", 3)
        if name == METADATA_FILE:
            text = storage.get(key).decode()
            log = custom_data_of(parse_metadata(text, Path(key))).get("labels", "")
            labels[site, episode] = frozenset(event_id(plain) for plain in load_plain(log))
            continue
        digest = hashlib.sha256()
        for chunk in storage.chunks(key):
            digest.update(chunk)
        objects[site, episode][name] = size, digest.hexdigest()
    for site, episode in objects.keys() | labels.keys():
        yield CentreHolding(
            site,
            episode,
            objects=objects.get((site, episode), {}),
            stored_labels=labels.get((site, episode)),
        )
