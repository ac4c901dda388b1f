"""The users file of the console: who may log in, in which role."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from robot_recorder.configuration.yaml_source import YamlMap
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.text import text_problem

_MOST_BYTES = 1_000_000
_MAKE = "make one with robot-recorder console user NAME"


class UserRole(str, Enum):
    """What a user is here for."""

    OPERATOR = "operator"
    INSPECTOR = "inspector"
    ADMIN = "admin"


@dataclass(frozen=True)
class UserEntry:
    """A user of the file.

    Attributes:
        role: what the user is here for.
        hashed: argon2 hash of the password.
    """

    role: UserRole
    hashed: str


def load_users(path: Path) -> dict[str, UserEntry]:
    """Read a users file.

    Raises:
        ConfigError: it cannot be read or is invalid; the message names file, line and the fix.
    """
    top = YamlMap.parse(read_secret(path), str(path))
    top.allow(("users",))
    users: dict[str, UserEntry] = {}
    for name, entry in top.map("users").items():
        entry.allow(("role", "password"))
        if problem := text_problem("by", name, "the name"):
            entry.fail(problem)
        role = UserRole(entry.choice("role", [role.value for role in UserRole]))
        hashed = entry.text("password")
        if not hashed.startswith("$argon2"):
            entry.fail_at("password", f"is no argon2 hash: {_MAKE}")
        users[name] = UserEntry(role, hashed)
    if not users:
        raise ConfigError(f"{path} names no users: {_MAKE}")
    return users


def read_secret(path: Path) -> str:
    """Read a small file of text.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                logging.getLogger(__name__).warning(
                    "%s can be read by others on this machine: chmod 600 %s", path, path
                )
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from error
