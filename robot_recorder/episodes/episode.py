"""An episode on disk, and what its metadata says.

An episode's facts live in its ``metadata.yaml`` under ``custom_data``, as text values:
docs/episodes.md lists them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.bags.bag import read_bag
from robot_recorder.bags.columns import unread_topics
from robot_recorder.bags.files import folder_bytes
from robot_recorder.bags.metadata import METADATA_FILE, custom_data_of
from robot_recorder.bags.reader import BagMessage, read_messages
from robot_recorder.episodes.label_rules import Span
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import (
    LabelEvent,
    Labels,
    fold,
    load_events,
)
from robot_recorder.model.plain_data import load_json
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.report import UNCHECKED, QualityReport

_ID = re.compile(r"(?P<robot>.+?)_\d{8}T\d{6}_\d{3}(_|-|\.|$)")  # as ``episode_id`` makes it
# Attributes that read a key of custom_data.
_READ_BY = {"start_ns": "start_ns", "stop_ns": "duration_s", "pre_roll_s": "pre_roll_s", "labels": "events",
            "quality": "quality", "sync": "certificate", "streams": "lost", "clock_jumps": "clock_jumps"}  # fmt: skip


def episode_id(robot: str, task: str, start_ns: int) -> str:
    """robot, UTC start to the millisecond, task: unique per robot, and sorts by time."""
    start = datetime.fromtimestamp(start_ns // NS_PER_S, timezone.utc)
    millis = start_ns // 1_000_000 % 1000
    return "_".join(filter(None, (robot, f"{start:%Y%m%dT%H%M%S}", f"{millis:03d}", task)))


def robot_in(id: str) -> str:
    """The robot that an episode's id begins with; empty: it is not made by ``episode_id``."""
    match = _ID.match(id)
    return match["robot"] if match else ""


@dataclass(frozen=True)
class Episode:
    """A bag and what its metadata says. Foreign bags simply have no facts.

    Attributes:
        path: the bag directory, or a data file that has none around it.
        metadata: content of ``metadata.yaml``, or what the data files say where there is none.
        notes: what ``metadata.yaml`` says and the data files do not, one sentence each.
    """

    path: Path
    metadata: dict[str, Any]
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: str | Path) -> Episode:
        """Look at a bag directory, one without ``metadata.yaml``, or a data file.

        Raises:
            BagError: not a bag.
        """
        path = Path(path)
        if path.is_file() and (path.parent / METADATA_FILE).is_file():
            path = path.parent
        return cls(path, *read_bag(path))

    def knowing(
        self, certificate: Certificate | None = None, quality: QualityReport | None = None
    ) -> Episode:
        """A copy that need not parse what its metadata was just written from; None: not known."""
        copy = Episode(self.path, self.metadata, self.notes)
        known = {"certificate": certificate, "quality": quality}
        copy.__dict__.update({name: value for name, value in known.items() if value is not None})
        return copy

    def readable(self) -> tuple[Episode, list[str]]:
        """A copy without unreadable custom_data, and one sentence per dropped key."""
        custom, problems = dict(self.metadata.get("custom_data") or {}), []
        for key, name in _READ_BY.items():
            try:
                getattr(self, name)
            except (
                BagError,
                ArithmeticError,
                AttributeError,
                LookupError,
                TypeError,
                ValueError,
            ) as error:
                said = isinstance(error, BagError)
                problems.append(str(error) if said else str(self._rubbish(key, error)))
                custom.pop(key, None)
        metadata = {**self.metadata, "custom_data": custom}
        return Episode(self.path, metadata, self.notes), problems

    @cached_property
    def facts(self) -> dict[str, str]:
        """custom_data, as text."""
        return custom_data_of(self.metadata)

    @property
    def id(self) -> str:
        """The episode's id; the directory's name for foreign bags."""
        return self.facts.get("episode_id", self.path.name)

    @cached_property
    def events(self) -> list[LabelEvent]:
        """The label event log.

        Raises:
            BagError: it is none.
        """
        try:
            return load_events(self.facts.get("labels", ""))
        except (ValueError, TypeError) as error:
            raise self._rubbish("labels", error) from error

    @property
    def labels(self) -> Labels:
        """What holds now."""
        return fold(self.events)

    @property
    def start_ns(self) -> int:
        """Nominal start; the first message's receive stamp for foreign bags."""
        first = self.metadata["starting_time"]["nanoseconds_since_epoch"]
        return self._int("start_ns", first)

    @property
    def pre_roll_s(self) -> float:
        """How much of it was received before its start.

        Raises:
            BagError: nobody can say.
        """
        try:
            seconds = float(self.facts.get("pre_roll_s", 0))
            if not math.isfinite(seconds):
                raise ValueError(f"it is {seconds}")
        except ValueError as error:
            raise self._rubbish("pre_roll_s", error) from error
        return seconds

    @property
    def duration_s(self) -> float:
        """From start to stop; from first to last message for foreign bags."""
        if "stop_ns" in self.facts:
            return (self._int("stop_ns", 0) - self.start_ns) / NS_PER_S
        return float(self.metadata["duration"]["nanoseconds"]) / NS_PER_S

    @property
    def span(self) -> Span:
        """From the beginning of its pre-roll to its end, on the robot clock."""
        start_ns = self.start_ns
        first = int(self.metadata["starting_time"]["nanoseconds_since_epoch"])
        last = first + int(self.metadata["duration"]["nanoseconds"])
        return Span(
            start_ns, start_ns - round(self.pre_roll_s * NS_PER_S), self._int("stop_ns", last)
        )

    @cached_property
    def topics(self) -> dict[str, str]:
        """Message types by topic, from the metadata."""
        entries = self.metadata["topics_with_message_count"]
        return {e["topic_metadata"]["name"]: e["topic_metadata"]["type"] for e in entries}

    def messages(self, topics: Iterable[str] | None = None) -> Iterator[BagMessage]:
        """Yield messages in order of receipt: topic, stamp of receipt (ns) and CDR bytes.

        Args:
            topics: only these; None: all.

        Raises:
            BagError: the bag cannot be read to its end; what could be read has been yielded.
        """
        return read_messages(self.path, set(self.topics if topics is None else topics))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Messages per topic, from the metadata."""
        found: dict[str, int] = {}
        for entry in self.metadata["topics_with_message_count"]:
            name = entry["topic_metadata"]["name"]
            found[name] = found.get(name, 0) + int(entry["message_count"])
        return found

    @cached_property
    def streams(self) -> dict[str, dict[str, Any]]:
        """Per topic messages ``written`` and ``lost`` by place; empty for foreign bags."""
        return dict(self._json("streams", {}))

    @property
    def lost(self) -> tuple[int, bool]:
        """Messages known to be lost, wherever, and whether that is all.

        It is not all where a middleware does not number its messages, or nobody counted.

        Raises:
            ValueError: a number of messages is none.
        """
        streams = self.streams.values()
        for count in (n for s in streams for n in s.get("lost", {}).values()):
            if count is not None and type(count) is not int:
                raise ValueError(f"{count!r} messages lost")
        lost = [n for s in streams if s["written"] for n in s.get("lost", {"": None}).values()]
        lost += [n for s in streams if not s["written"] for n in s.get("lost", {}).values() if n]
        return sum(filter(None, lost)), bool(streams) and None not in lost

    @cached_property
    def unread(self) -> list[str]:
        """Messages that nothing here reads, one sentence for each topic."""
        try:
            return unread_topics(self.path, self.metadata)
        except BagError:  # who reads the others says so
            return []

    @property
    def silent(self) -> list[str]:
        """Topics without a message."""
        return sorted(topic for topic, count in self.counts.items() if not count)

    @property
    def is_recovered(self) -> bool:
        """It was put together after its recording had ended without a stop."""
        return self.facts.get("recovered") == "true"

    @property
    def clock_jumps(self) -> list[tuple[int, int]]:
        """When the wall clock was set while it was recorded, and by how much, ns."""
        try:
            return [(int(at), int(by)) for at, by in self._json("clock_jumps", [])]
        except (TypeError, ValueError) as error:
            raise self._rubbish("clock_jumps", error) from error

    def _int(self, key: str, default: Any) -> int:
        """A fact that is a whole number.

        Raises:
            BagError: it is none.
        """
        try:
            return int(self.facts.get(key, default))
        except ValueError as error:
            raise self._rubbish(key, error) from error

    def _rubbish(self, key: str, error: Exception) -> BagError:
        return BagError(
            f"{self.path}/metadata.yaml: '{key}' of custom_data is not what it should be ({error}); "
            "correct it there, or remove it"
        )

    def _json(self, key: str, default: Any) -> Any:
        """A fact that is JSON.

        Raises:
            BagError: it is none, or of another kind than ``default``.
        """
        try:
            value = load_json(self.facts[key]) if key in self.facts else default
            if not isinstance(value, type(default)):
                raise ValueError(f"{type(value).__name__} instead of {type(default).__name__}")
        except ValueError as error:
            raise self._rubbish(key, error) from error
        return value

    @cached_property
    def certificate(self) -> Certificate | None:
        """How well it is aligned, as its recording says; None: nobody has said."""
        try:
            plain = self._json("sync", {})
            return Certificate.from_dict(plain) if plain else None
        except (TypeError, ValueError, AttributeError) as error:
            raise self._rubbish("sync", error) from error

    @cached_property
    def quality(self) -> QualityReport:
        """What its checks found, as its recording or a later check says; UNCHECKED: nobody has."""
        plain = self._json("quality", {})
        try:
            return QualityReport.from_dict(plain) if plain else UNCHECKED
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._rubbish("quality", error) from error

    @property
    def size_bytes(self) -> int:
        """Bytes of all its files."""
        return folder_bytes(self.path) if self.path.is_dir() else self.path.stat().st_size
