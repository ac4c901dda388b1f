"""Tokens of robots: who may send episodes of which robot."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from robot_recorder.floor.centre.database.database import Database
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.ids import id_problem
from robot_recorder.model.text import text_problem, visible

_MOST_CHARS = 200
_MOST_OF_ONE = 20  # valid ones of a robot
_SHOWN = 8  # digits of a digest


@dataclass(frozen=True)
class Station:
    """Who a token belongs to.

    Attributes:
        site: where the robot is.
        robot: its name, as in the ids of its episodes.
    """

    site: str
    robot: str


@dataclass(frozen=True)
class TokenFact:
    """A token, without its secret.

    Attributes:
        name: the first digits of its SHA-256, by which it is revoked.
        station: whose it is.
        made_ns: when it was made, ns since the epoch.
        made_by: who made it.
        revoked_ns: when it was revoked; None: it is valid.
    """

    name: str
    station: Station
    made_ns: int
    made_by: str
    revoked_ns: int | None


def digest_of(token: str) -> str:
    """Return what the database keeps of a token.

    A token has 256 random bits, so that a plain hash cannot be guessed, and a look-up by the hash
    tells nobody by its time how much of a token is right.
    """
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class TokenBook:
    """The tokens of a database. Any thread may call it; methods may raise DatabaseError."""

    def __init__(self, db: Database) -> None:
        """Use a database."""
        self._db = db

    def add(self, station: Station, by: str, now_ns: int) -> str:
        """Make a token and return its secret, which is kept nowhere.

        Raises:
            ConfigError: a name is invalid, or the robot has too many tokens.
        """
        for called, name in (("site", station.site), ("robot", station.robot)):
            if problem := id_problem(name) or text_problem("robot", name, "it"):
                raise ConfigError(f"the {called} {visible(name[:60])!r} is invalid: {problem}")
        secret = secrets.token_urlsafe(32)
        with self._db.transaction() as tx:
            valid = tx.one(
                "SELECT count(*) FROM robot_tokens WHERE site = ? AND robot = ? AND revoked_ns IS NULL",
                (station.site, station.robot),
            )
            if valid is not None and valid[0] >= _MOST_OF_ONE:
                raise ConfigError(
                    f"{station.robot} at {station.site} has {valid[0]} tokens: revoke some"
                )
            tx.run(
                "INSERT INTO robot_tokens (digest, site, robot, made_ns, made_by) VALUES (?, ?, ?, ?, ?)",
                (digest_of(secret), station.site, station.robot, now_ns, by),
            )
            add_robot(tx, station)
        return secret

    def revoke(self, station: Station, name: str, now_ns: int) -> int:
        """Revoke tokens at once; return how many were valid.

        Args:
            station: whose they are.
            name: of one token; empty: all of the robot.
            now_ns: ns since the epoch.
        """
        with self._db.transaction() as tx:
            done = tx.run(
                "UPDATE robot_tokens SET revoked_ns = ? WHERE site = ? AND robot = ?"
                " AND revoked_ns IS NULL AND (? = '' OR substr(digest, 1, ?) = ?) RETURNING digest",
                (now_ns, station.site, station.robot, name, _SHOWN, name),
            )
        return len(done)

    def tokens(self) -> list[TokenFact]:
        """Return all tokens, by site, robot and time."""
        with self._db.reading() as tx:
            rows = tx.run(
                "SELECT digest, site, robot, made_ns, made_by, revoked_ns FROM robot_tokens"
                " ORDER BY site, robot, made_ns"
            )
        return [
            TokenFact(d[:_SHOWN], Station(s, r), made, by, rev) for d, s, r, made, by, rev in rows
        ]

    def station(self, tx: Any, token: str) -> Station | None:
        """Return whose a token is; None: it is unknown or revoked.

        Args:
            tx: transaction in which to look.
            token: as the robot sent it.
        """
        if not token or len(token) > _MOST_CHARS:
            return None
        row = tx.one(
            "SELECT site, robot FROM robot_tokens WHERE digest = ? AND revoked_ns IS NULL",
            (digest_of(token),),
        )
        return None if row is None else Station(row[0], row[1])


def add_robot(tx: Any, station: Station) -> None:
    """Make a robot known, unless it is."""
    tx.run(
        "INSERT INTO floor_robots (site, robot, serial) VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
        (station.site, station.robot),
    )
