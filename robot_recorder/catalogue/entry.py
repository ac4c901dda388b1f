"""What the catalogue knows of one episode."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.bags.files import OUT_OF_FILES
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_MS
from robot_recorder.quality.report import Verdict

LATEST_NS = 2**63 - 1  # what SQLite can hold, and what rosbag2 writes as the start of an empty bag


@dataclass(frozen=True)
class Entry:
    """One episode, as listed and counted.

    Attributes:
        root: the folder its directory is in.
        name: of its directory.
        id: episode id.
        start_ns: since the epoch, robot clock; 0: not known.
        duration_ms: from start to stop.
        robot, task, operator, cause: empty: not known.
        reason: name of the quality check that weighed most; empty: none did.
        size_bytes: of all its files.
        lost: messages known to be missing.
        all_lost_known: whether ``lost`` is all of them.
        frames, complete: of its sync certificate; 0 where it has none.
        skew_p95_us: of the stream with the largest; None: not known.
        skew_stream: which one that is.
        recovered: put together after a crash.
        aborted: ended by a write error.
        stamp_ns: when its metadata was last written, by the file system.
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
        """Its directory."""
        return self.root / self.name

    @property
    def stop_ns(self) -> int:
        """When it ended."""
        return self.start_ns + self.duration_ms * NS_PER_MS

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in their names; None: not known."""
        return {
            "episode_id": self.id,
            "path": str(self.path),
            "robot": self.robot,
            "task": self.task,
            "operator": self.operator,
            "outcome": self.outcome.text,
            "cause": self.cause,
            "verdict": self.verdict.text,
            "reason": self.reason,
            "start_ns": self.start_ns or None,
            "duration_s": self.duration_ms / 1000,
            "messages": self.messages,
            "size_bytes": self.size_bytes,
            "lost": self.lost,
            "all_lost_known": self.all_lost_known,
            "frames": self.frames,
            "complete": self.complete,
            "skew_p95_ms": None if self.skew_p95_us is None else self.skew_p95_us / 1000,
            "skew_stream": self.skew_stream,
            "recovered": self.recovered,
            "aborted": self.aborted,
        }


def read_entry(path: Path) -> Entry:
    """Look at an episode's directory.

    Raises:
        BagError: it can not be read, or says of itself what can not be.
    """
    stamp_ns = metadata_stamp_ns(path)  # before reading: a change meanwhile is seen the next time
    return entry_of(Episode.open(path), stamp_ns)


def metadata_stamp_ns(path: Path) -> int:
    """When the metadata of an episode was last written; 0: there is none, or it is a link."""
    try:
        found = os.lstat(path / METADATA_FILE)
        return found.st_mtime_ns if stat.S_ISREG(found.st_mode) else 0
    except OSError:
        return 0


def entry_of(episode: Episode, stamp_ns: int = 0) -> Entry:
    """The entry of an episode whose metadata is at hand.

    Args:
        stamp_ns: when that was written.

    Raises:
        BagError: it says of itself what can not be.
    """
    try:
        entry = _entry_of(episode, stamp_ns)
        for field in fields(entry):
            value = getattr(entry, field.name)
            if isinstance(value, str):
                value.encode()
            elif isinstance(value, int) and not 0 <= value <= LATEST_NS:
                raise ValueError(f"{field.name} is {value}")
        if entry.stop_ns > LATEST_NS:
            raise ValueError(f"it ends {entry.duration_ms / 1000:g} s after {entry.start_ns} ns")
    except OSError as error:
        if error.errno in OUT_OF_FILES:  # it says nothing about the episode
            raise
        raise BagError(f"{episode.path} can not be read: {error.strerror}") from error
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise BagError(
            f"{episode.path}/{METADATA_FILE} says what can not be ({type(error).__name__}: {error}); "
            "correct it there"
        ) from error
    return entry


def _entry_of(episode: Episode, stamp_ns: int) -> Entry:
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
        size_bytes=episode.size_bytes,
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
    streams = certificate.streams.items() if certificate is not None else ()
    skews = {name: s.skew_p95_ms for name, s in streams if s.skew_p95_ms is not None}
    if not skews:
        return None, ""
    worst = max(skews, key=lambda name: skews[name])
    return round(1000 * float(skews[worst])), worst


def _quality(episode: Episode) -> tuple[Verdict, str]:
    """Return the verdict and the check that weighed most. Anybody's tool may have written them: rubbish is unknown."""
    try:
        verdict = Verdict[episode.facts.get("verdict", "").upper()]
    except KeyError:
        return Verdict.UNKNOWN, ""
    try:
        reasons = episode.quality.reasons
    except BagError:
        return verdict, ""
    return verdict, reasons[0] if reasons else ""
