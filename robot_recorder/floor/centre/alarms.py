"""Alarms of the centre: what somebody has to look at, until they say that they did."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from robot_recorder.floor.centre.database.database import Database
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.centre.tokens import Station

_LOGGER = logging.getLogger(__name__)
_MOST = 500  # of a list
_MOST_CHARS = 500  # of a sentence
_MOST_OF_ONE = 20  # listed of a robot and kind: one robot must not hide what others have
_MOST_SUBJECTS = 1000  # of a robot and kind


class FloorAlarmKind(str, Enum):
    """What happened."""

    CONFLICT = "conflict"  # other data under the id of an episode that has a receipt
    WRONG_OBJECT = "wrong_object"  # what was read back is not what was sent
    STRUCTURE = "structure"  # the bag is damaged as the robot has it
    CLOCK = "clock"  # a robot's clock is wrong
    REFUSED = "refused"  # an offer or label that cannot be understood


@dataclass(frozen=True)
class FloorAlarm:
    """An alarm that stands.

    Attributes:
        site, robot: whose.
        kind: what happened.
        subject: episode; empty: the robot.
        sentence: what to know and do.
        first_ns, last_ns: when it came first and last, ns since the epoch.
        times: how often it came.
    """

    site: str
    robot: str
    kind: str
    subject: str
    sentence: str
    first_ns: int
    last_ns: int
    times: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


class AlarmBook:
    """The alarms of a database. Any thread may call it; methods may raise DatabaseError."""

    def __init__(self, db: Database) -> None:
        """Use a database."""
        self._db = db

    def stand(self, limit: int = _MOST) -> list[FloorAlarm]:
        """Return the alarms that stand: conflicts first, then the newest; of a robot and kind at most 20."""
        with self._db.reading() as tx:
            rows = tx.run(
                "SELECT site, robot, kind, subject, sentence, first_ns, last_ns, times, place, all_of_them"
                " FROM (SELECT floor_alarms.*,"
                " ROW_NUMBER() OVER (PARTITION BY site, robot, kind ORDER BY last_ns DESC, subject) AS place,"
                " COUNT(*) OVER (PARTITION BY site, robot, kind) AS all_of_them"
                " FROM floor_alarms WHERE cleared_ns IS NULL) AS standing WHERE place <= ?"
                " ORDER BY CASE kind WHEN ? THEN 0 ELSE 1 END, last_ns DESC LIMIT ?",
                (_MOST_OF_ONE, FloorAlarmKind.CONFLICT, min(limit, _MOST)),
            )
        found = []
        for *row, place, all_of_them in rows:
            alarm = FloorAlarm(*row)
            if place == _MOST_OF_ONE < all_of_them:
                more = f"{alarm.sentence} (and {all_of_them - place} older ones of this kind)"
                alarm = replace(alarm, sentence=more)
            found.append(alarm)
        return found

    def clear(self, site: str, robot: str, kind: str, subject: str, now_ns: int) -> bool:
        """Take an alarm as seen; return whether it stood."""
        with self._db.transaction() as tx:
            done = tx.run(
                "UPDATE floor_alarms SET cleared_ns = ? WHERE site = ? AND robot = ? AND kind = ?"
                " AND subject = ? AND cleared_ns IS NULL RETURNING kind",
                (now_ns, site, robot, kind, subject),
            )
        return bool(done)


def raise_alarm(
    tx: Any, station: Station, kind: FloorAlarmKind, subject: str, sentence: str, now_ns: int
) -> None:
    """Raise an alarm, or count it once more.

    Args:
        tx: transaction.
        station: whose.
        kind: what happened.
        subject: episode; empty: the robot.
        sentence: what to know and do.
        now_ns: ns since the epoch.
    """
    sentence = sentence[:_MOST_CHARS]
    others = tx.one(
        "SELECT count(*) FROM floor_alarms WHERE site = ? AND robot = ? AND kind = ? AND subject <> ?",
        (station.site, station.robot, kind.value, subject),
    )
    if others is not None and others[0] >= _MOST_SUBJECTS:  # the newest stands for all further ones
        subject = ""
    tx.run(
        "INSERT INTO floor_alarms (site, robot, kind, subject, sentence, first_ns, last_ns, times)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (site, robot, kind, subject) DO UPDATE SET"
        " sentence = excluded.sentence, last_ns = excluded.last_ns, times = floor_alarms.times + 1,"
        " cleared_ns = NULL",
        (station.site, station.robot, kind.value, subject, sentence, now_ns, now_ns),
    )
    log_event(
        _LOGGER, "alarm", logging.WARNING, kind=kind.value, site=station.site, robot=station.robot,
        subject=subject, sentence=sentence,
    )  # fmt: skip
