"""What each episode adds to the trends: verdict, reasons, clocks, forces, taxels, by day.

An episode's contribution is kept with it. When it changes, the old one is taken off: all sums are whole
numbers (millionths), so that nothing is left of it.
"""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.centre.database.database import Transaction
from robot_recorder.model.check_result import Level
from robot_recorder.model.errors import BagError
from robot_recorder.quality.verdict import QualityReport, Verdict

MICRO = 1_000_000
_LARGEST = 1e5  # figures beyond are not of a sensor that works, and would spoil every mean
_MOST_STREAMS = 200
_MOST_TEXT = 128
_CHECKS = {
    "wrench_bias": "force_bias",
    "taxels_dead": "taxels_dead",
    "taxels_stuck": "taxels_stuck",
}
_ROBOT_CLOCK = "robot"
REJECTED = "rejected"
"""Kind of the points that count, for each stream, in how many episodes it was there and failed."""

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class EpisodeTrend:
    """What one episode adds.

    Attributes:
        day: of its start, days since the epoch (UTC).
        robot, operator, task, version: empty: unknown.
        verdict: of its quality checks.
        points: value by kind and stream.
        reasons: checks and streams that led to a review or a rejection.
    """

    day: int
    robot: str
    operator: str
    task: str
    version: str
    verdict: Verdict
    points: Mapping[tuple[str, str], float] = field(default_factory=dict)
    reasons: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, episode: Episode, entry: Entry) -> EpisodeTrend:
        """Read it from an episode; what cannot be read is left out."""
        report = _quality(episode)
        points = dict(_clock_points(episode))
        points.update(_check_points(report))
        names = sorted({stream for _, stream in points if stream} | _streams(episode))
        if entry.verdict is not Verdict.UNKNOWN:
            failed = {
                r.stream for r in (report.findings if report else ()) if r.level is Level.FAIL
            }
            rejects = entry.verdict is Verdict.REJECT
            for name in names:
                points[REJECTED, name] = float(rejects and name in failed)
        kept = set(names[:_MOST_STREAMS])
        reasons: frozenset[tuple[str, str]] = frozenset()
        if report is not None and entry.verdict >= Verdict.REVIEW:
            found = [(_short(r.check), _short(r.stream)) for r in report.findings]
            reasons = frozenset(found[: 2 * _MOST_STREAMS])
        return cls(
            entry.start_ns // DAY_NS,
            entry.robot,
            entry.operator,
            entry.task,
            _short(episode.facts.get("robot_recorder", "")),
            entry.verdict,
            {key: value for key, value in points.items() if key[1] in kept},
            reasons,
        )

    def sums(self) -> Sums:
        """Return what it adds to the tables."""
        who = (self.robot, self.operator, self.task, self.version)
        sums = Sums()
        sums.counts[(self.day, *who, int(self.verdict))] += 1
        for check, stream in self.reasons:
            sums.reasons[(self.day, *who, int(self.verdict), check, stream)] += 1
        for (kind, stream), value in self.points.items():
            sums.points[self.day, self.robot, kind, stream] += PointSum.of(value)
        return sums

    def packed(self) -> bytes:
        """Return it as it is kept with the episode."""
        plain = [
            self.day, self.robot, self.operator, self.task, self.version, int(self.verdict),
            [[kind, stream, value] for (kind, stream), value in sorted(self.points.items())],
            sorted(map(list, self.reasons)),
        ]  # fmt: skip
        return zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 1)

    @classmethod
    def unpacked(cls, data: bytes) -> EpisodeTrend:
        """Return what ``packed`` returned."""
        day, robot, operator, task, version, verdict, points, reasons = json.loads(
            zlib.decompress(data)
        )
        return cls(
            day, robot, operator, task, version, Verdict(verdict),
            {(kind, stream): value for kind, stream, value in points},
            frozenset((check, stream) for check, stream in reasons),
        )  # fmt: skip


@dataclass(frozen=True)
class PointSum:
    """Number of values, their sum, and the sum of their squares, both in millionths."""

    n: int = 0
    total: int = 0
    squares: int = 0

    @classmethod
    def of(cls, value: float) -> PointSum:
        """Return the sums of one value."""
        return cls(1, round(value * MICRO), round(value * value * MICRO))

    def __add__(self, other: PointSum) -> PointSum:
        return PointSum(self.n + other.n, self.total + other.total, self.squares + other.squares)

    def __neg__(self) -> PointSum:
        return PointSum(-self.n, -self.total, -self.squares)

    @property
    def mean(self) -> float | None:
        """Return the mean; None: there are no values."""
        return self.total / MICRO / self.n if self.n > 0 else None

    @property
    def std(self) -> float | None:
        """Return the standard deviation; None: fewer than two values."""
        if self.n < 2:
            return None
        mean = self.total / MICRO / self.n
        return math.sqrt(max(0.0, self.squares / MICRO / self.n - mean * mean))


class _PointSums(dict[Key, PointSum]):
    def __missing__(self, key: Key) -> PointSum:
        return PointSum()


@dataclass
class Sums:
    """What is added to each row of the three tables, by key without site."""

    counts: Counter[Key] = field(default_factory=Counter)
    reasons: Counter[Key] = field(default_factory=Counter)
    points: _PointSums = field(default_factory=_PointSums)

    def minus(self, other: Sums) -> Sums:
        """Return the difference, without what is zero."""
        found = Sums()
        for mine, theirs, into in (
            (self.counts, other.counts, found.counts),
            (self.reasons, other.reasons, found.reasons),
        ):
            for key in mine.keys() | theirs.keys():
                if change := mine[key] - theirs[key]:
                    into[key] = change
        for key in self.points.keys() | other.points.keys():
            more = self.points[key] + -other.points[key]
            if more != PointSum():
                found.points[key] = more
        return found


def _quality(episode: Episode) -> QualityReport | None:
    try:
        return episode.quality
    except BagError:
        return None


def _streams(episode: Episode) -> set[str]:
    """Return the names of the streams of an episode's certificate."""
    try:
        certificate = episode.certificate
    except BagError:
        return set()
    return set(map(_short, certificate.streams)) if certificate is not None else set()


def _clock_points(episode: Episode) -> Iterable[tuple[tuple[str, str], float]]:
    """Yield what the sync certificate says about clocks."""
    try:
        certificate = episode.certificate
    except BagError:
        return
    for name, stream in certificate.streams.items() if certificate is not None else ():
        # The offset of a device's own clock is any number, and corrected.
        by_robot = stream.clock == _ROBOT_CLOCK
        for kind, value in (
            ("clock_offset_ms", stream.offset_ms if by_robot else None),
            ("clock_drift_ppm", stream.drift_ppm),
            ("skew_p95_ms", stream.skew_p95_ms),
        ):
            if _is_usual(value):
                yield (kind, _short(name)), float(value or 0.0)


def _check_points(report: QualityReport | None) -> Iterable[tuple[tuple[str, str], float]]:
    """Yield the figures of checks, passed or not."""
    for result in report.results if report is not None else ():
        kind = _CHECKS.get(result.check)
        if kind is not None and result.stream and _is_usual(result.figure):
            yield (kind, _short(result.stream)), float(result.figure)


def _is_usual(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and abs(value) <= _LARGEST


def _short(text: str) -> str:
    """Return a text that every engine stores: episodes come from anybody."""
    return text[:_MOST_TEXT].replace("\0", " ").encode("utf-8", "replace").decode()


def on_episode(tx: Transaction, site: str, episode: Episode, entry: Entry) -> EpisodeTrend:
    """Add an episode to the trends, in place of what it had added before.

    Args:
        tx: the transaction in which its entry is put into the catalogue.
        site: where it was recorded.
        episode: parsed.
        entry: of the catalogue.
    """
    now = EpisodeTrend.of(episode, entry)
    data = now.packed()
    # The row is locked before it is read: two servers may get the same episode at once.
    kept = tx.one(
        "INSERT INTO trend_episodes (site, episode, start_ns, robot, operator, task, version, data) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (site, episode) DO UPDATE SET site = excluded.site RETURNING data",
        (site, entry.id, entry.start_ns, now.robot, now.operator, now.task, now.version, b""),
    )
    before = bytes(kept[0]) if kept is not None else b""
    if before == data:
        return now
    tx.run(
        "UPDATE trend_episodes SET start_ns = ?, robot = ?, operator = ?, task = ?, version = ?, data = ? "
        "WHERE site = ? AND episode = ?",
        (entry.start_ns, now.robot, now.operator, now.task, now.version, data, site, entry.id),
    )  # fmt: skip
    old = EpisodeTrend.unpacked(before).sums() if before else Sums()
    _add(tx, site, now.sums().minus(old))
    return now


def _add(tx: Transaction, site: str, change: Sums) -> None:
    """Add to the rows, in the order of their keys so that no two transactions wait for each other."""
    counts = [(site, *key, n) for key, n in sorted(change.counts.items())]
    _upsert(tx, "trend_counts", "site, day, robot, operator, task, version, verdict", "n", counts)
    reasons = [(site, *key, n) for key, n in sorted(change.reasons.items())]
    columns = "site, day, robot, operator, task, version, verdict, check_name, stream"
    _upsert(tx, "trend_reasons", columns, "n", reasons)
    _add_points(tx, site, change.points)


def _add_points(tx: Transaction, site: str, change: Mapping[Key, PointSum]) -> None:
    """Add to the figures of robots and days: a row each, as an episode has a hundred figures."""
    by_row: dict[tuple[int, str], list[tuple[str, str, PointSum]]] = {}
    for (day, robot, kind, stream), more in change.items():
        by_row.setdefault((int(day), str(robot)), []).append((str(kind), str(stream), more))
    for (day, robot), added in sorted(by_row.items()):
        row = tx.one(  # locks it before it is read
            "INSERT INTO trend_points (day, site, robot, data) VALUES (?, ?, ?, '{}') "
            "ON CONFLICT (day, site, robot) DO UPDATE SET site = excluded.site RETURNING data",
            (day, site, robot),
        )
        points = points_of(row[0] if row is not None else "{}")
        for kind, stream, more in added:
            points[kind, stream] = points.get((kind, stream), PointSum()) + more
        plain: dict[str, dict[str, list[int]]] = {}
        for (kind, stream), one in sorted(points.items()):
            if one != PointSum():
                plain.setdefault(kind, {})[stream] = [one.n, one.total, one.squares]
        tx.run(
            "UPDATE trend_points SET data = ? WHERE day = ? AND site = ? AND robot = ?",
            (json.dumps(plain, separators=(",", ":")), day, site, robot),
        )


def points_of(text: str) -> dict[tuple[str, str], PointSum]:
    """Return the figures of a robot on a day, by kind and stream."""
    return {
        (kind, stream): PointSum(*sums)
        for kind, streams in json.loads(text).items()
        for stream, sums in streams.items()
    }


_ROWS = 500  # of a statement; SQLite allows 32,766 values


def _upsert(
    tx: Transaction, table: str, keys: str, sums: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Add to the sums of rows that may be new."""
    marks = f"({', '.join('?' * (keys.count(',') + sums.count(',') + 2))})"
    sets = ", ".join(f"{s} = {table}.{s} + excluded.{s}" for s in sums.split(", "))
    for begin in range(0, len(rows), _ROWS):
        part = rows[begin : begin + _ROWS]
        tx.run(
            f"INSERT INTO {table} ({keys}, {sums}) VALUES {', '.join([marks] * len(part))} "
            f"ON CONFLICT ({keys}) DO UPDATE SET {sets}",
            tuple(value for row in part for value in row),
        )
