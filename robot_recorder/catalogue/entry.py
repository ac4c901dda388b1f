"""The catalogue's entry of one episode."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.bags.files import OUT_OF_FILES
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_MS
from robot_recorder.quality.verdict import Verdict

if TYPE_CHECKING:
    from robot_recorder.alignment.certificate import Certificate

LATEST_NS = 2**63 - 1  # SQLite's largest integer; rosbag2 writes it as the start of an empty bag


@dataclass(frozen=True)
class Entry:
    """One episode in lists and statistics.

    Attributes:
        root: directory that contains the episode's directory.
        name: name of the episode's directory.
        id: episode id.
        start_ns: start time since the epoch, robot clock; 0: unknown.
        duration_ms: from start to stop.
        robot, task, operator, cause: empty: unknown.
        outcome: from its labels.
        verdict: of the quality checks.
        reason: name of the check that decided the verdict; empty: none.
        messages: number of messages.
        size_bytes: size of all its files.
        lost: number of messages known to be lost.
        all_lost_known: whether ``lost`` covers all losses.
        frames, complete: numbers of frames of its sync certificate; 0 without a certificate.
        skew_p95_us: largest p95 skew of its streams; None: unknown.
        skew_stream: name of that stream.
        recovered: whether it was recovered after a crash.
        aborted: whether a write error ended it.
        stamp_ns: modification time of its metadata.
    """

    root: Path
    name: str
    id: str
    start_ns: int
    duration_ms: int
    robot: str
    task: str
    operator: str
    outcome: Outcome
    cause: str
    verdict: Verdict
    reason: str
    messages: int
    size_bytes: int
    lost: int
    all_lost_known: bool
    frames: int
    complete: int
    skew_p95_us: int | None
    skew_stream: str
    recovered: bool
    aborted: bool
    stamp_ns: int

    @property
    def path(self) -> Path:
        """The episode's directory."""
        return self.root / self.name

    @property
    def stop_ns(self) -> int:
        """Stop time since the epoch, robot clock."""
        return self.start_ns + self.duration_ms * NS_PER_MS

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with units in their names; None: unknown."""
        return {
            "episode_id": self.id,
            "path": str(self.path),
            "robot": self.robot or None,
            "task": self.task or None,
            "operator": self.operator or None,
            "outcome": self.outcome.text,
            "cause": self.cause or None,
            "verdict": self.verdict.text,
            "reason": self.reason or None,
            "start_ns": self.start_ns or None,
            "duration_s": self.duration_ms / 1000,
            "messages": self.messages,
            "size_bytes": self.size_bytes,
            "lost": self.lost,
            "all_lost_known": self.all_lost_known,
            "frames": self.frames if self.frames else None,
            "complete": self.complete if self.frames else None,
            "skew_p95_ms": None if self.skew_p95_us is None else self.skew_p95_us / 1000,
            "skew_stream": self.skew_stream or None,
            "recovered": self.recovered,
            "aborted": self.aborted,
        }


def read_entry(path: Path) -> Entry:
    """Read the entry of an episode from its directory.

    Raises:
        BagError: the episode cannot be read, or its metadata has impossible values.
    """
    stamp_ns = metadata_stamp_ns(path)  # before reading: a change meanwhile is noticed later
    return entry_of(Episode.open(path), stamp_ns)


def metadata_stamp_ns(path: Path) -> int:
    """Return when an episode's metadata was last written; 0: it is missing, or a link."""
    try:
        found = os.lstat(path / METADATA_FILE)
        return found.st_mtime_ns if stat.S_ISREG(found.st_mode) else 0
    except OSError:
        return 0


def entry_of(episode: Episode, stamp_ns: int = 0, size_bytes: int | None = None) -> Entry:
    """Return the entry of an episode that has been read.

    Args:
        episode: to enter.
        stamp_ns: when that was written.
        size_bytes: of its files, if they are elsewhere; None: look at the disk.

    Raises:
        BagError: the metadata has impossible values.
    """
    try:
        entry = _entry_of(episode, stamp_ns, size_bytes)
        for field in fields(entry):
            value = getattr(entry, field.name)
            if isinstance(value, str):
                value.encode()
            elif isinstance(value, int) and not 0 <= value <= LATEST_NS:
                raise ValueError(f"{field.name} is {value}, outside 0 to {LATEST_NS}")
        if entry.stop_ns > LATEST_NS:
            raise ValueError(f"it ends {entry.duration_ms / 1000:g} s after {entry.start_ns} ns")
    except OSError as error:
        if error.errno in OUT_OF_FILES:  # not a problem of the episode
            raise
        raise BagError(f"{episode.path} cannot be read: {error.strerror}") from error
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise BagError(
            f"{episode.path}/{METADATA_FILE} has an impossible value ({type(error).__name__}: "
            f"{error}); correct it there"
        ) from error
    return entry


def _entry_of(episode: Episode, stamp_ns: int, size_bytes: int | None) -> Entry:
    labels, facts, certificate = episode.labels, episode.facts, episode.certificate
    lost, all_lost_known = episode.lost
    skew_us, skew_stream = _worst_skew(certificate)
    verdict, reason = _quality(episode)
    start_ns = max(episode.start_ns, 0)
    return Entry(
        root=episode.path.parent,
        name=episode.path.name,
        id=episode.id,
        start_ns=0 if start_ns >= LATEST_NS else start_ns,
        duration_ms=max(round(1000 * episode.duration_s), 0),
        robot=facts.get("robot", ""),
        task=labels.task,
        operator=labels.operator_name,
        outcome=labels.outcome,
        cause=labels.cause,
        verdict=verdict,
        reason=reason,
        messages=sum(episode.counts.values()),
        size_bytes=episode.size_bytes if size_bytes is None else size_bytes,
        lost=lost,
        all_lost_known=all_lost_known,
        frames=certificate.frames if certificate is not None else 0,
        complete=certificate.complete if certificate is not None else 0,
        skew_p95_us=skew_us,
        skew_stream=skew_stream,
        recovered=episode.is_recovered,
        aborted=facts.get("aborted") == "true",
        stamp_ns=stamp_ns,
    )


def _worst_skew(certificate: Certificate | None) -> tuple[int | None, str]:
    """Return the largest p95 skew, us, and its stream; None: unknown."""
    streams = certificate.streams.items() if certificate is not None else ()
    skews = {name: s.skew_p95_ms for name, s in streams if s.skew_p95_ms is not None}
    if not skews:
        return None, ""
    worst = max(skews, key=lambda name: skews[name])
    return round(1000 * float(skews[worst])), worst


def _quality(episode: Episode) -> tuple[Verdict, str]:
    """Return the verdict and the check that decided it; invalid values are unknown."""
    try:
        verdict = Verdict[episode.facts.get("verdict", "").upper()]
    except KeyError:
        return Verdict.UNKNOWN, ""
    try:
        reasons = episode.quality.reasons
    except BagError:
        return verdict, ""
    return verdict, reasons[0] if reasons else ""
