"""Labels at the centre: unions of events, told to robots in the order in which they arrived.

An event is in the log of an episode once, whoever sends it how often (``label_events`` has one row
per event id). Each robot's events are numbered in the order in which they become visible: the row of
the robot is locked while a number is taken, so no smaller number appears later, and a robot that has
seen a number has seen all before.

Events with a stamp in the future are taken, as a label must not be lost because a clock is wrong; but
as the order of labels follows stamps, the centre raises an alarm that names the robot and its clock.
Only stamps after the year 2116, which no clock has, are refused: those after them would have no number.

A robot may bring a part of a log only, by number and by size: the rest is for people and other copies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from robot_recorder.episodes.label_rules import MOST_LABELS, MOST_MERGED
from robot_recorder.floor.centre.alarms import FloorAlarmKind, raise_alarm
from robot_recorder.floor.centre.tokens import Station
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import (
    LabelEvent,
    Labels,
    dump_plain,
    event_id,
    fold,
    load_events,
    merged,
    stamps_problem,
)
from robot_recorder.model.streams import NS_PER_S

Plain = dict[str, Any]
_MOST_EVENT_BYTES = 32_000
# Of a log, as JSON: it is a part of a metadata.yaml, which may have MOST_METADATA_BYTES.
_MOST_ROBOT_BYTES, _MOST_LOG_BYTES = 600_000, 1_200_000
_AHEAD_NS = 300 * NS_PER_S  # that a robot's clock may be ahead
_NS_PER_US = 1000
MOST_TOLD = 500  # events in the answer to a beat


class LabelVia(str, Enum):
    """Who brought a label event to the centre; ``by`` is only what the event itself says."""

    ROBOT = "robot"  # with an offer, by the token of the episode's robot
    CENTRE = "centre"  # somebody who is logged in here
    COPY = "copy"  # another copy of the episode
    STORAGE = "storage"  # read back from the storage after the database was lost


@dataclass(frozen=True)
class EpisodeKey:
    """An episode at the centre.

    Attributes:
        station: site and robot that offered it.
        id: of the episode.
    """

    station: Station
    id: str

    @property
    def site(self) -> str:
        """Return the site."""
        return self.station.site

    @property
    def robot(self) -> str:
        """Return the robot that offered it."""
        return self.station.robot


def whole_text(value: Any) -> Any:
    """Return plain data in which each half of a character that texts hold is a ``?``.

    Recorders on other systems write such halves (lone surrogates) into labels and quality, and neither
    UTF-8 nor PostgreSQL takes them. The data is good, so the text gives way.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {whole_text(key): whole_text(item) for key, item in value.items()}
    return [whole_text(item) for item in value] if isinstance(value, list) else value


def event_problem(plain: Any) -> str:
    """Return why something cannot be a label event; empty: it can."""
    if not isinstance(plain, dict):
        return "a label event is a mapping"
    try:
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
        if len(text.encode()) > _MOST_EVENT_BYTES:
            return f"a label event has {len(text)} characters, more than {_MOST_EVENT_BYTES}"
        if "\\u0000" in text:
            return "a label event has a NUL character"
        LabelEvent.from_dict(plain)
    except KeyError:  # of a newer version
        stamp_ns = plain.get("stamp_ns", 0)
        if type(stamp_ns) is not int or not -(1 << 63) <= stamp_ns < 1 << 63:
            return f"the stamp of a label event is {stamp_ns!r:.60}"
    except (ValueError, TypeError, RecursionError) as error:
        return f"a label event is invalid: {error}"
    return ""


def log_of(tx: Any, site: str, id: str) -> list[Plain]:
    """Return the label log of an episode, in the order of all its copies."""
    rows = tx.run("SELECT plain FROM label_events WHERE site = ? AND episode = ?", (site, id))
    return merged([json.loads(row[0]) for row in rows])


def labels_of(log: Sequence[Plain]) -> Labels:
    """Return the labels that are valid now."""
    return fold(load_events(dump_plain(log)))


def union(
    tx: Any, key: EpisodeKey, events: Sequence[Mapping[str, Any]], now_ns: int, via: LabelVia
) -> list[Plain]:
    """Take events into the log of an episode; return those that it lacked.

    Of what a robot brings beyond its part of the log the oldest are taken, with an alarm: its data must
    not stay on the robot for ever because of labels.

    Args:
        tx: transaction.
        key: of the episode, whose robot is known.
        events: in plain form, from anybody.
        now_ns: ns since the epoch.
        via: who brings them.

    Raises:
        BagError: an event is invalid, or the log would be too long; nothing is to be kept.
    """
    if len(events) > MOST_MERGED:  # before each is looked at
        raise BagError(f"{key.id} would have {len(events)} labels, more than {MOST_MERGED}")
    for event in events:
        if problem := event_problem(event):
            raise BagError(f"labels of {key.id} are refused: {problem}")
    rows = tx.run(
        "SELECT event_id, stamp_ns, length(plain), via FROM label_events WHERE site = ? AND episode = ?",
        (key.site, key.id),
    )
    known = {row[0] for row in rows}
    new = {event_id(event): dict(event) for event in events}
    new = {id: event for id, event in new.items() if id not in known}
    if not new:
        return []
    stamps = [{"stamp_ns": row[1]} for row in rows]
    if problem := stamps_problem(stamps, list(new.values())):
        raise BagError(f"labels of {key.id} are refused: {problem}")
    texts = {id: json.dumps(event) for id, event in new.items()}
    brought = [(row[2], row[3]) for row in rows]
    if via is LabelVia.ROBOT:
        texts = _fitting(tx, key, new, texts, brought, now_ns)
    elif (count := len(brought) + len(texts)) > MOST_MERGED or (
        sum(size for size, _ in brought) + sum(map(len, texts.values())) > _MOST_LOG_BYTES
    ):
        raise BagError(
            f"{key.id} would have {count} labels, more than {MOST_MERGED} or than {_MOST_LOG_BYTES} bytes"
        )
    new = {id: new[id] for id in texts}
    if not new:
        return []
    first = _serials(tx, key.station, len(new), now_ns)
    tx.many(
        "INSERT INTO label_events (site, episode, event_id, robot, serial, stamp_ns, plain, via)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (key.site, key.id, id, key.station.robot, first + number, _stamp_ns(event), texts[id], via.value)
            for number, (id, event) in enumerate(new.items())
        ],
    )  # fmt: skip
    _warn_of_clock(tx, key, new, now_ns)
    return list(new.values())


def _stamp_ns(event: Mapping[str, Any]) -> int:
    return int(event.get("stamp_ns", 0))


def _fitting(
    tx: Any, key: EpisodeKey, new: Mapping[str, Plain], texts: Mapping[str, str],
    brought: Sequence[tuple[int, str]], now_ns: int,
) -> dict[str, str]:  # fmt: skip
    """Return what of a robot's events fits into its part of the log, oldest first; alarm of the rest."""
    own = [size for size, via in brought if via == LabelVia.ROBOT.value]
    count = min(MOST_LABELS - len(own), MOST_MERGED - len(brought))
    size = min(_MOST_ROBOT_BYTES - sum(own), _MOST_LOG_BYTES - sum(size for size, _ in brought))
    fitting: dict[str, str] = {}
    for id in sorted(texts, key=lambda id: (_stamp_ns(new[id]), id)):
        size -= len(texts[id])
        if size < 0 or len(fitting) >= count:
            break
        fitting[id] = texts[id]
    if left := len(texts) - len(fitting):
        raise_alarm(
            tx, key.station, FloorAlarmKind.REFUSED, key.id,
            f"{left} labels of {key.id} were left out, which has {len(brought) + len(fitting)}: a robot brings "
            f"at most {MOST_LABELS}; look at who gave them, and whether {key.station.robot} is sound", now_ns,
        )  # fmt: skip
    return fitting


def _warn_of_clock(tx: Any, key: EpisodeKey, new: Mapping[str, Plain], now_ns: int) -> None:
    ahead_ns = max(map(_stamp_ns, new.values())) - now_ns
    if ahead_ns > _AHEAD_NS:
        raise_alarm(
            tx, key.station, FloorAlarmKind.CLOCK, "",
            f"a label of {key.id} is stamped {ahead_ns // NS_PER_S} s in the future: check the clock of "
            f"{key.station.robot}; it is kept, but labels that are given before that time count as older",
            now_ns,
        )  # fmt: skip


def brought_via(tx: Any, site: str, id: str) -> dict[str, str]:
    """Return who brought the label events of an episode, by their ids: values of ``LabelVia``."""
    return dict(
        tx.run("SELECT event_id, via FROM label_events WHERE site = ? AND episode = ?", (site, id))
    )


def _serials(tx: Any, station: Station, count: int, now_ns: int) -> int:
    """Take numbers for events of a robot; return the first.

    They are not below the microseconds since the epoch: a robot's cursor is below all numbers that are
    taken later, even by a database that was restored from a backup.
    """
    row = tx.one(
        "UPDATE floor_robots SET serial = CASE WHEN serial > ? THEN serial ELSE ? END + ?"
        " WHERE site = ? AND robot = ? RETURNING serial",
        (now_ns // _NS_PER_US, now_ns // _NS_PER_US, count, station.site, station.robot),
    )
    if row is None:
        raise BagError(f"the robot {station.robot} of {station.site} is unknown")
    return int(row[0]) - count + 1


def events_since(tx: Any, station: Station, cursor: int) -> tuple[int, dict[str, list[Plain]]]:
    """Return the new cursor and the events by episode that arrived after a cursor, at most 500.

    Those that the robot sent itself are among them: it takes the union anyway.
    """
    rows = tx.run(
        "SELECT serial, episode, plain FROM label_events WHERE site = ? AND robot = ? AND serial > ?"
        " ORDER BY serial LIMIT ?",
        (station.site, station.robot, cursor, MOST_TOLD),
    )
    told: dict[str, list[Plain]] = {}
    for serial, episode, plain in rows:
        cursor = serial
        told.setdefault(episode, []).append(json.loads(plain))
    return cursor, told
