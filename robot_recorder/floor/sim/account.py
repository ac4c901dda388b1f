"""Counts bag by bag and label by label what light robots recorded and what the centre has of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.manifest import Manifest, read_manifest
from robot_recorder.floor.receipts import Receipt, receipt_problem
from robot_recorder.floor.sim.recorder import SimJournal, label_ids
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import Labels, fold, load_events

_MOST_COMPLAINTS = 20


@dataclass(frozen=True)
class CentreHolding:
    """What a centre has of one episode.

    Attributes:
        site, episode: its key.
        listed: how often the catalogue lists it.
        listed_labels: task, outcome and cause in the catalogue; empty: it is not listed.
        labels: the log of its label events as JSON text, merged.
        label_ids: of its label events.
        stored_labels: ids of the label events in the stored ``metadata.yaml``; None: there is none.
        objects: size and SHA-256 of each stored data file by name, read back.
        receipt: in plain form; None: there is none.
        offered_ns: when the centre heard of it first, clock of the centre; None: unknown.
        discarded: whether the robot said that it is in its trash.
    """

    site: str
    episode: str
    listed: int = 0
    listed_labels: tuple[str, str, str] | None = None
    labels: str = "[]"
    label_ids: frozenset[str] = frozenset()
    stored_labels: frozenset[str] | None = None
    objects: dict[str, tuple[int, str]] = field(default_factory=dict)
    receipt: dict[str, Any] | None = None
    offered_ns: int | None = None
    discarded: bool = False


@dataclass(frozen=True)
class RobotTruth:
    """What one robot recorded, by its journal, and what is on its disk.

    Attributes:
        site, robot: its names.
        bags: manifest of each recorded episode.
        recorded_ns: when each was finished, this machine's clock.
        labels: ids of the label events that were given to each.
        on_disk, trashed: directories of those that are there, by id.
    """

    site: str
    robot: str
    bags: dict[str, Manifest]
    recorded_ns: dict[str, int]
    labels: dict[str, set[str]]
    on_disk: dict[str, Path]
    trashed: dict[str, Path]


def read_truth(site: str, robot: str, root: Path, journal: Path) -> RobotTruth:
    """Read a robot's journal and disk; nobody may write them meanwhile.

    Args:
        site, robot: its names.
        root: directory of its episodes.
        journal: file of its journal.
    """
    truth = RobotTruth(site, robot, {}, {}, {}, {}, {})
    store = EpisodeStore(root)
    truth.on_disk.update({path.name: path for path in store.paths()})
    truth.trashed.update({path.name: path for path in store.trashed()})
    for line in SimJournal(journal).lines():
        id = line["id"]
        if "files" in line:
            truth.bags[id] = Manifest.from_plain(line["files"])
            truth.recorded_ns.setdefault(id, line["at_ns"])
        given = truth.labels.setdefault(id, set())
        given.update(line.get("labels", ()), line.get("relabelled", ()))
    for (
        id,
        path,
    ) in truth.on_disk.items():  # between a label and its line in the journal it was killed
        truth.labels.setdefault(id, set()).update(label_ids(path))
        if id not in truth.bags:
            truth.bags[id] = read_manifest(path)
    return truth


@dataclass
class FloorAccount:
    """The result of counting.

    Attributes:
        recorded: episodes that robots finished.
        discarded: of those, in a robot's trash now.
        at_centre: of which the centre knows metadata and labels.
        stored: whose data is at the centre, read back and equal to the last byte.
        acknowledged: with a valid receipt.
        freed: that robots deleted.
        waiting: on a robot's disk and not acknowledged.
        lost: neither on the robot nor intact at the centre.
        damaged: whose copy on the robot has changed.
        doubled: listed twice, stored under another name, or never recorded.
        strange_objects: stored files that belong to no manifest.
        freed_without_receipt: deleted although no valid receipt covers them.
        labels: label events that were given on robots.
        labels_lost: of those, that the centre does not know; of a discarded episode, neither its trash.
        labels_differ: episodes whose labels at the centre, in its catalogue, in the stored metadata and on
            the robot are not all the same.
        complaints: the first sentences about what is wrong.
    """

    recorded: int = 0
    discarded: int = 0
    at_centre: int = 0
    stored: int = 0
    acknowledged: int = 0
    freed: int = 0
    waiting: int = 0
    lost: int = 0
    damaged: int = 0
    doubled: int = 0
    strange_objects: int = 0
    freed_without_receipt: int = 0
    labels: int = 0
    labels_lost: int = 0
    labels_differ: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """Return how many things are as they must never be."""
        return (
            self.lost + self.damaged + self.doubled + self.strange_objects
            + self.freed_without_receipt + self.labels_lost + self.labels_differ
        )  # fmt: skip

    def complain(self, name: str, sentence: str) -> None:
        """Count something that is wrong."""
        setattr(self, name, getattr(self, name) + 1)
        if len(self.complaints) < _MOST_COMPLAINTS:
            self.complaints.append(f"{name}: {sentence}")

    def rows(self) -> list[tuple[str, int]]:
        """Return name and number of all counts."""
        return [(name, n) for name, n in vars(self).items() if isinstance(n, int)]


def count_floor(
    truths: Iterable[RobotTruth], holdings: Iterable[CentreHolding], publics: tuple[str, ...]
) -> FloorAccount:
    """Compare what robots recorded with what the centre has.

    Args:
        truths: of all robots.
        holdings: all of the centre.
        publics: public keys of the centre, base64.
    """
    account, held = FloorAccount(), {(h.site, h.episode): h for h in holdings}
    known = set()
    for truth in truths:
        for id, manifest in sorted(truth.bags.items()):
            known.add((truth.site, id))
            holding = held.get((truth.site, id), CentreHolding(truth.site, id))
            _count_bag(account, truth, id, manifest, holding, publics)
            _count_labels(account, truth, id, holding)
    for key in sorted(held.keys() - known):
        account.complain("doubled", f"{key[1]} is at the centre, but was never recorded")
    contents = Counter(fact for holding in held.values() for fact in holding.objects.values())
    for (size, sha256), times in contents.items():
        if times > 1:
            account.complain("doubled", f"{times} objects of {size} bytes are the same: {sha256}")
    return account


def _count_bag(
    account: FloorAccount, truth: RobotTruth, id: str, manifest: Manifest, held: CentreHolding,
    publics: tuple[str, ...],
) -> None:  # fmt: skip
    account.recorded += 1
    account.at_centre += bool(held.listed)
    if held.listed > 1:
        account.complain("doubled", f"{id} is listed {held.listed} times")
    expected = {file.name: (file.size, file.sha256) for file in manifest.files}
    intact = expected == {name: held.objects.get(name) for name in expected}
    account.stored += intact
    for name in sorted(held.objects.keys() - expected.keys()):
        account.complain("strange_objects", f"{id}/{name}")
    problem = _receipt_problem(truth.site, id, manifest, held, publics)
    account.acknowledged += not problem
    if not problem and not intact:
        account.complain("lost", f"{id} has a receipt, but its data at the centre is not intact")
    copy = truth.on_disk.get(id) or truth.trashed.get(id)
    account.discarded += id in truth.trashed
    if copy is None:
        account.freed += 1
        if problem:
            account.complain("freed_without_receipt", f"{id}: {problem}")
        if not intact:
            account.complain("lost", f"{id} is neither on {truth.robot} nor intact at the centre")
    else:
        account.waiting += bool(problem) and id in truth.on_disk
        if not _is_whole(copy, manifest):
            account.complain("damaged", f"{copy} is not what was recorded")


def _is_whole(copy: Path, manifest: Manifest) -> bool:
    try:
        return read_manifest(copy) == manifest
    except BagError:
        return False


def _receipt_problem(
    site: str, id: str, manifest: Manifest, held: CentreHolding, publics: tuple[str, ...]
) -> str:
    if held.receipt is None:
        return "it has no receipt"
    try:
        receipt = Receipt.from_plain(held.receipt)
    except ConfigError as error:
        return str(error)
    return receipt_problem(receipt, publics, site, id, manifest.sha256, manifest.size_bytes)


def _count_labels(account: FloorAccount, truth: RobotTruth, id: str, held: CentreHolding) -> None:
    given = truth.labels.get(id, set())
    account.labels += len(given)
    known = held.label_ids
    if id in truth.trashed:  # the centre hears no more of it, until it is restored
        known |= frozenset(label_ids(truth.trashed[id]))
    for _ in range(len(given - known)):
        account.complain("labels_lost", f"a label of {id} is not at the centre")
    for where, labels in _copies_of_labels(truth, id, held):
        if labels != held.label_ids:
            account.complain(
                "labels_differ", f"{id} has {len(held.label_ids)} label events at the centre, but {len(labels)} {where}"
            )  # fmt: skip
            return
    now = fold(load_events(held.labels))
    if held.listed_labels is not None and held.listed_labels != as_listed(now):
        account.complain(
            "labels_differ", f"{id} is listed as {held.listed_labels}, but its log says {as_listed(now)}"
        )  # fmt: skip


def _copies_of_labels(
    truth: RobotTruth, id: str, held: CentreHolding
) -> Iterator[tuple[str, frozenset[str]]]:
    if held.stored_labels is not None:
        yield "in its stored metadata", held.stored_labels
    if id in truth.on_disk:
        yield f"on {truth.robot}", frozenset(label_ids(truth.on_disk[id]))


def as_listed(labels: Labels) -> tuple[str, str, str]:
    """Return task, outcome and cause as a catalogue lists them."""
    return labels.task, labels.outcome.text, labels.cause
