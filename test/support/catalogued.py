"""The whole content of a catalogue, and entries to fill one with."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import Filter, Query
from robot_recorder.catalogue.schema import DAY_NS, FILE, HOUR_NS
from robot_recorder.catalogue.sync import sync
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.quality.verdict import Verdict
from support.samples import T0


def content(root: Path) -> tuple[list[Entry], list[tuple], list[tuple], list[str]]:
    """Return the whole content of a root's catalogue, with ids replaced by their texts."""
    with Catalogue(root) as catalogue:
        sync(catalogue)
        catalogue.connection.execute("BEGIN")  # in one transaction: others may be writing
        text = dict(catalogue.connection.execute("SELECT id, text FROM names"))
        tally = [
            (day, text[robot], text[operator], text[task], *sums)
            for day, robot, operator, task, *sums in catalogue.connection.execute(
                "SELECT * FROM tally"
            )
        ]
        hours = [
            (text[robot], *rest)
            for robot, *rest in catalogue.connection.execute("SELECT * FROM hours")
        ]
        entries = sorted(Query(catalogue, Filter()).all(), key=lambda e: e.name)
        catalogue.connection.execute("COMMIT")
        return entries, sorted(tally), sorted(hours), sorted(catalogue.unreadable())


def from_the_bags(root: Path) -> tuple[list[Entry], list[tuple], list[tuple], list[str]]:
    """Return the content of a newly built catalogue."""
    shutil.rmtree(root / FILE.parent)
    return content(root)


def event(path: Path, outcome: Outcome, cause: str = "") -> LabelEvent:
    return LabelEvent(T0, path.name, LabelKind.OUTCOME, by="test", outcome=outcome, cause=cause)


def change(path: Path, **facts: str) -> None:
    """Change an episode without telling the catalogue, as a copy from elsewhere would."""
    EpisodeStore(path.parent).amend(path, lambda _: facts)


def floor(seed: int, number: int, root: Path = Path("/nowhere")) -> list[Entry]:
    """Return random entries of a floor with three robots, without directories."""
    rng = random.Random(seed)
    base = make_base(root)
    entries = []
    for i in range(number):
        outcome, verdict = Outcome(rng.randrange(3)), Verdict(rng.randrange(4))
        start_ns = T0 + rng.randrange(9 * DAY_NS // 60) * 60 if rng.random() < 0.3 else (
            T0 + rng.randrange(3) * DAY_NS + rng.randrange(5 * HOUR_NS)
        )  # fmt: skip
        entries.append(replace(
            base, name=f"e{i}", id=f"e{i}", start_ns=start_ns, duration_ms=rng.choice([0, 500, 8000, rng.randrange(10**5)]),
            robot=rng.choice(["r1", "r2", "r3"]), task=rng.choice(["fold", "lift", "carry", ""]),
            operator=rng.choice(["ann", "bob", ""]), outcome=outcome, verdict=verdict,
            cause=rng.choice(["", "slip", "drop"]) if outcome is Outcome.FAILURE else "",
            reason=rng.choice(["", "gap", "rate"]) if verdict >= Verdict.REVIEW else "",
            size_bytes=rng.randrange(10**6),
        ))  # fmt: skip
    return entries


def make_base(root: Path) -> Entry:
    return Entry(
        root, "", "", 0, 0, "", "", "", Outcome.UNLABELLED, "", Verdict.UNKNOWN, "", 5, 0, 0, True, 0, 0, None,
        "", False, False, 1,
    )  # fmt: skip


def matches(entry: Entry, filter: Filter) -> bool:
    words = ("task", "robot", "operator", "outcome", "verdict")
    return (
        all(getattr(filter, w) in (None, getattr(entry, w)) for w in words)
        and (filter.since_ns is None or entry.start_ns >= filter.since_ns)
        and (filter.until_ns is None or entry.start_ns < filter.until_ns)
        and (filter.longer_ms is None or entry.duration_ms >= filter.longer_ms)
        and (filter.shorter_ms is None or entry.duration_ms < filter.shorter_ms)
    )
