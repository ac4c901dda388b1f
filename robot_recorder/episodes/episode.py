"""An episode on disk, read through its metadata.

The facts of an episode are text values in ``custom_data`` of its ``metadata.yaml``;
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
from typing import TYPE_CHECKING, Any

from robot_recorder.bags.files import folder_bytes
from robot_recorder.bags.metadata import custom_data_of
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
from robot_recorder.quality.verdict import UNCHECKED, QualityReport

if TYPE_CHECKING:
    from robot_recorder.alignment.certificate import Certificate
    from robot_recorder.bags.reader import BagMessage

_ID = re.compile(r"(?P<robot>.+?)_\d{8}T\d{6}_\d{3}(_|-|\.|$)")  # the format of ``episode_id``
_MOST_PRE_ROLL_S = 1e9
# Keys of custom_data, and the attribute of ``Episode`` that reads each.
_READ_BY = {"start_ns": "start_ns", "stop_ns": "stop_ns", "pre_roll_s": "pre_roll_s", "labels": "events",
            "quality": "quality", "sync": "certificate", "streams": "lost", "clock_jumps": "clock_jumps"}  # fmt: skip


def episode_id(robot: str, task: str, start_ns: int) -> str:
    """Return robot, UTC start to the millisecond and task: unique per robot, sorts by time."""
    start = datetime.fromtimestamp(start_ns // NS_PER_S, timezone.utc)
    millis = start_ns // 1_000_000 % 1000
    return "_".join(filter(None, (robot, f"{start:%Y%m%dT%H%M%S}", f"{millis:03d}", task)))


def robot_in(id: str) -> str:
    """Return the robot that an episode id begins with; empty: not made by ``episode_id``."""
    match = _ID.match(id)
    return match["robot"] if match else ""


@dataclass(frozen=True)
class Episode:
    """A bag and its metadata. Bags of other recorders have no facts.

    Attributes:
        path: the bag directory, or a data file without one.
        metadata: content of ``metadata.yaml``; built from the data files if it is missing.
        notes: where ``metadata.yaml`` contradicts the data files, one sentence each.
    """

    path: Path
    metadata: dict[str, Any]
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: str | Path) -> Episode:
        """Open a bag directory, with or without ``metadata.yaml``, or a data file, also of ROS 1.

        Raises:
            BagError: the path is not a bag.
        """
        # What reads bags is imported where a bag is read: recording needs none of it.
        from robot_recorder.bags.bag import bag_of, read_bag

        path = bag_of(Path(path))
        return cls(path, *read_bag(path))

    def knowing(
        self, certificate: Certificate | None = None, quality: QualityReport | None = None
    ) -> Episode:
        """Return a copy with known results set, so that they need not be parsed; None: unknown."""
        copy = Episode(self.path, self.metadata, self.notes)
        known = {"certificate": certificate, "quality": quality}
        copy.__dict__.update({name: value for name, value in known.items() if value is not None})
        return copy

    def readable(self) -> tuple[Episode, list[str]]:
        """Return a copy without unreadable custom_data, and one sentence per dropped key."""
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
                named = isinstance(error, BagError)
                problems.append(str(error) if named else str(self._invalid(key, error)))
                custom.pop(key, None)
        metadata = {**self.metadata, "custom_data": custom}
        return Episode(self.path, metadata, self.notes), problems

    @cached_property
    def facts(self) -> dict[str, str]:
        """Return custom_data, values as text."""
        return custom_data_of(self.metadata)

    @property
    def id(self) -> str:
        """Return the episode's id; for bags of other recorders the directory's name."""
        return self.facts.get("episode_id", self.path.name)

    @cached_property
    def events(self) -> list[LabelEvent]:
        """Return the log of label events, oldest first.

        Raises:
            BagError: the log is invalid.
        """
        try:
            return load_events(self.facts.get("labels", ""))
        except (ValueError, TypeError) as error:
            raise self._invalid("labels", error) from error

    @property
    def labels(self) -> Labels:
        """Return the labels that are valid now."""
        return fold(self.events)

    @property
    def start_ns(self) -> int:
        """Return the nominal start, ns; for bags of other recorders the first receive time."""
        first = self.metadata["starting_time"]["nanoseconds_since_epoch"]
        return self._int("start_ns", first)

    @property
    def pre_roll_s(self) -> float:
        """Return the length of the pre-roll, the time recorded before the start, s.

        Raises:
            BagError: the fact is invalid.
        """
        try:
            seconds = float(self.facts.get("pre_roll_s", 0))
            if not math.isfinite(seconds):
                raise ValueError(f"it is {seconds}, not a finite number of seconds")
            if abs(seconds) > _MOST_PRE_ROLL_S:
                raise ValueError(f"it is {seconds:g} s, longer than any recording")
        except ValueError as error:
            raise self._invalid("pre_roll_s", error) from error
        return seconds

    @property
    def stop_ns(self) -> int | None:
        """Return the nominal stop, ns since the epoch; None for foreign bags.

        Raises:
            BagError: the fact is invalid.
        """
        return self._int("stop_ns", 0) if "stop_ns" in self.facts else None

    @property
    def duration_s(self) -> float:
        """Return the time from start to stop, s; without facts from first to last message."""
        if self.stop_ns is not None:
            return (self.stop_ns - self.start_ns) / NS_PER_S
        return float(self.metadata["duration"]["nanoseconds"]) / NS_PER_S

    @property
    def span(self) -> Span:
        """Return the begin of the pre-roll, the start and the end, robot clock."""
        start_ns = self.start_ns
        first = int(self.metadata["starting_time"]["nanoseconds_since_epoch"])
        last = first + int(self.metadata["duration"]["nanoseconds"])
        return Span(
            start_ns, start_ns - round(self.pre_roll_s * NS_PER_S), self._int("stop_ns", last)
        )

    @cached_property
    def topics(self) -> dict[str, str]:
        """Return the message types by topic, from the metadata."""
        entries = self.metadata["topics_with_message_count"]
        return {e["topic_metadata"]["name"]: e["topic_metadata"]["type"] for e in entries}

    def messages(self, topics: Iterable[str] | None = None) -> Iterator[BagMessage]:
        """Yield the messages in order of receipt: topic, receive time (ns) and CDR bytes.

        Args:
            topics: names of the topics to read; None: all.

        Raises:
            BagError: the bag cannot be read to its end. Everything readable has been yielded before.
        """
        from robot_recorder.bags.reader import read_messages

        return read_messages(self.path, set(self.topics if topics is None else topics))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Return the message count of each topic, from the metadata."""
        found: dict[str, int] = {}
        for entry in self.metadata["topics_with_message_count"]:
            name = entry["topic_metadata"]["name"]
            found[name] = found.get(name, 0) + int(entry["message_count"])
        return found

    @cached_property
    def streams(self) -> dict[str, dict[str, Any]]:
        """Return messages ``written`` and ``lost`` (by place) of each topic; empty: unknown."""
        return dict(self._json("streams", {}))

    @property
    def lost(self) -> tuple[int, bool]:
        """Return the messages known to be lost at all places, and whether the count is complete.

        It is incomplete if the middleware does not number its messages, or nothing counted them.

        Raises:
            ValueError: a count is not an integer.
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
        """Return one sentence for each topic with messages that cannot be read."""
        from robot_recorder.bags.columns import unread_topics

        try:
            return unread_topics(self.path, self.metadata)
        except BagError:  # reported when the messages are read
            return []

    @property
    def silent(self) -> list[str]:
        """Return the topics without a message."""
        return sorted(topic for topic, count in self.counts.items() if not count)

    @property
    def is_recovered(self) -> bool:
        """Return whether the episode was recovered after its recording had ended without a stop."""
        return self.facts.get("recovered") == "true"

    @property
    def clock_jumps(self) -> list[tuple[int, int]]:
        """Return when the wall clock was set during the recording and by how much, both ns."""
        try:
            return [(int(at), int(by)) for at, by in self._json("clock_jumps", [])]
        except (TypeError, ValueError) as error:
            raise self._invalid("clock_jumps", error) from error

    def _int(self, key: str, default: Any) -> int:
        """Return a fact that is an integer.

        Raises:
            BagError: it is not an integer of 64 bits.
        """
        try:
            value = int(self.facts.get(key, default))
            if not abs(value) < 2**63:
                raise ValueError(f"{value} does not fit into 64 bits")
            return value
        except ValueError as error:
            raise self._invalid(key, error) from error

    def _invalid(self, key: str, error: Exception) -> BagError:
        return BagError(
            f"{self.path}/metadata.yaml: '{key}' of custom_data is invalid ({error});  "
            "correct it there, or remove it"
        )

    def _json(self, key: str, default: Any) -> Any:
        """Return a fact that is JSON.

        Raises:
            BagError: it is not JSON, or its type differs from that of ``default``.
        """
        try:
            value = load_json(self.facts[key]) if key in self.facts else default
            if not isinstance(value, type(default)):
                raise ValueError(f"{type(value).__name__} instead of {type(default).__name__}")
        except ValueError as error:
            raise self._invalid(key, error) from error
        return value

    @cached_property
    def certificate(self) -> Certificate | None:
        """Return the sync certificate of the recording; None: missing."""
        from robot_recorder.alignment.certificate import Certificate

        try:
            plain = self._json("sync", {})
            return Certificate.from_dict(plain) if plain else None
        except (TypeError, ValueError, AttributeError) as error:
            raise self._invalid("sync", error) from error

    @cached_property
    def quality(self) -> QualityReport:
        """Return the latest report of the quality checks; UNCHECKED: missing."""
        plain = self._json("quality", {})
        try:
            return QualityReport.from_dict(plain) if plain else UNCHECKED
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._invalid("quality", error) from error

    @property
    def size_bytes(self) -> int:
        """Return the size of all files, bytes."""
        return folder_bytes(self.path) if self.path.is_dir() else self.path.stat().st_size
