"""Who may do what: users with roles, a token, sessions, and a limit on guesses."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from robot_recorder.configuration.users import UserEntry, UserRole, read_secret
from robot_recorder.model.errors import ConfigError

SESSION_S = 12 * 3600.0  # a shift
_MOST_SESSIONS = 1000
_MOST_OF_ONE = 10  # sessions of one user
_GUESSES_OF_ALL = 200  # for one name, or the token, from all addresses together
_GUESSES, _GUESS_S = 5, 60.0  # wrong ones per address, and how long they count
_MOST_GUESSERS = 10_000
_LEAST_TOKEN = 24
_HASHER = PasswordHasher()


class Right(str, Enum):
    """What a request needs."""

    LOOK = "look"
    DRIVE = "drive"  # the buttons of a shift
    REVIEW = "review"  # relabel, discard and restore any episode


_RIGHTS = {
    UserRole.OPERATOR: {Right.LOOK, Right.DRIVE},
    UserRole.INSPECTOR: {Right.LOOK, Right.REVIEW},
    UserRole.ADMIN: set(Right),
}


@dataclass(frozen=True)
class User:
    """Somebody who is logged in, or everybody on this machine when no users are asked for."""

    name: str
    role: UserRole

    def may(self, right: Right) -> bool:
        """Return whether the role has a right."""
        return right in _RIGHTS[self.role]


NOBODY = User("", UserRole.OPERATOR)  # in the log, for who is not logged in
EVERYBODY = User("", UserRole.ADMIN)


class RefusedLogin(Exception):
    """A login that failed.

    Attributes:
        status: HTTP status, 401 or 429.
    """

    def __init__(self, status: int, message: str) -> None:
        """Create it with a sentence for the user."""
        super().__init__(message)
        self.status = status


def load_token(path: Path) -> str:
    """Read a token file.

    Raises:
        ConfigError: it cannot be read, or the token is too short to be secret.
    """
    token = read_secret(path).strip()
    if len(token) < _LEAST_TOKEN:
        raise ConfigError(f"{path}: the token has {len(token)} characters, at least {_LEAST_TOKEN} are needed: "
                          "make one with `openssl rand -hex 24`")  # fmt: skip
    return token


class Access:
    """Logs users in and knows who a session belongs to. Any thread may call it."""

    def __init__(
        self,
        users: Mapping[str, UserEntry] | None = None,
        token: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            users: entries of the users file by name; None: none.
            token: that makes an operator; empty: none. Without users and token everybody is admin.
            clock: monotonic, s.
        """
        self._users = dict(users or {})
        self._token = token
        self._clock = clock
        self._sessions: OrderedDict[bytes, tuple[User, float]] = OrderedDict()
        self._guesses: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()
        # Compared with when a name is unknown, so that the time does not tell which names exist.
        self._nobody = _HASHER.hash(secrets.token_hex())

    @property
    def open(self) -> bool:
        """Return whether nobody has to log in."""
        return not self._users and not self._token

    def login(self, name: str, password: str, address: str) -> str:
        """Return a new session's secret. Takes a tenth of a second: argon2 is slow on purpose.

        Args:
            name: of the user; empty with a token.
            password: of the user, or the token.
            address: it comes from, as limits count it.

        Raises:
            RefusedLogin: it is wrong, or there were too many wrong ones.
        """
        # A name alone has a high limit: with a low one anybody could lock its user out.
        limits = {f"address {address}": _GUESSES, f"name {name}": _GUESSES_OF_ALL}
        guess = self._note_guess(limits)
        user = self._user(name, password)
        if user is None:
            raise RefusedLogin(401, "name or password is wrong" if name else "the token is wrong")
        with self._lock:
            for key in limits:
                with suppress(KeyError, ValueError):  # forgotten meanwhile
                    self._guesses[key].remove(guess)
            return self._new_session(user)

    def _note_guess(self, limits: Mapping[str, int]) -> float:
        """Count a guess before it is looked at, as others may be looked at meanwhile; return its time.

        Raises:
            RefusedLogin: there were too many.
        """
        with self._lock:
            now = self._clock()
            for key, most in limits.items():
                guesses = self._guesses.setdefault(key, deque())
                while guesses and guesses[0] < now - _GUESS_S:
                    guesses.popleft()
                if len(guesses) >= most:
                    raise RefusedLogin(429, f"too many wrong passwords: wait {_GUESS_S:g} s")
            for key in limits:
                self._guesses[key].append(now)
            while len(self._guesses) > _MOST_GUESSERS:
                self._guesses.popitem(last=False)
            return now

    def _new_session(self, user: User) -> str:
        secret = secrets.token_urlsafe(32)
        own = [key for key, (other, _) in self._sessions.items() if other == user]
        for key in own[: max(0, len(own) + 1 - _MOST_OF_ONE)]:
            del self._sessions[key]
        self._sessions[_digest(secret)] = user, self._clock() + SESSION_S
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return secret

    def _user(self, name: str, password: str) -> User | None:
        if not name:
            right = bool(self._token) and hmac.compare_digest(
                self._token.encode(), password.encode()
            )
            return User("operator", UserRole.OPERATOR) if right else None
        entry = self._users.get(name, UserEntry(UserRole.OPERATOR, self._nobody))
        try:
            _HASHER.verify(entry.hashed, password)
        except (VerificationError, InvalidHashError):
            return None
        return User(name, entry.role) if name in self._users else None

    def user(self, secret: str | None) -> User | None:
        """Return whose session a secret belongs to; None: nobody's."""
        if self.open:
            return EVERYBODY
        if not secret:
            return None
        found = self._sessions.get(_digest(secret))
        if found is None:
            return None
        if self._clock() > found[1]:
            self._sessions.pop(_digest(secret), None)
            return None
        return found[0]

    def logout(self, secret: str | None) -> None:
        """End a session."""
        if secret:
            self._sessions.pop(_digest(secret), None)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
