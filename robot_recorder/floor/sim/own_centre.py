"""A centre as a process of its own, to be looked at, measured and killed: for the demo, benches and tests."""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from robot_recorder.bags.files import make_folder, replace_text
from robot_recorder.floor.centre.database.database import Database, DatabaseError, open_database
from robot_recorder.floor.centre.settings import CentreSettings
from robot_recorder.floor.centre.tokens import Station, TokenBook
from robot_recorder.floor.receipts import load_signer
from robot_recorder.floor.sim.account import CentreHolding
from robot_recorder.floor.sim.faults import SimFault
from robot_recorder.floor.sim.holdings import centre_holdings
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.model.errors import RecorderError

_PROGRAM = "import sys; from robot_recorder.cli.main import main; sys.exit(main())"
_START_S = 60.0
_STOP_S = 20.0
_RESTART_S = 2.0
_MOST_TRIES = 40
_PEOPLE = (("inspector", "inspector"), ("admin", "admin"))
Breaks = tuple[Callable[[], None], Callable[[], None]]


class OwnCentre:
    """A centre that this process started. Use it with ``with``.

    Attributes:
        url: its address, the same after a restart.
        publics: its public key.
        passwords: of the users of its pages, by name; empty: nobody has to log in.
        pid: of its process; 0: it does not run.
    """

    def __init__(
        self,
        folder: Path,
        database: str = "",
        storage: str = "",
        port: int = 0,
        with_users: bool = False,
        more_breaks: Mapping[SimFault, Breaks] | None = None,
    ) -> None:
        """Prepare it; ``with`` starts it.

        Args:
            folder: of all that it keeps.
            database: its address; empty: SQLite in the folder.
            storage: its address; empty: a directory in the folder.
            port: of its pages; 0: any free one.
            with_users: whether pages ask for a password.
            more_breaks: how to break and mend what its database and storage run on.
        """
        self._settings = CentreSettings(
            folder=folder.absolute(), database=database, storage=storage, port=port or _free_port()
        )
        make_folder(folder)
        self._more_breaks = dict(more_breaks or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._db: Database | None = None
        self._lock = threading.Lock()
        self._wanted = True
        self._started_s = 0.0
        self.url = f"http://127.0.0.1:{self._settings.port}"
        self.publics: tuple[str, ...] = (load_signer(self._settings.signing_key).public,)
        self.passwords: dict[str, str] = {}
        if with_users:
            self._add_users()

    def __enter__(self) -> OwnCentre:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._process is None:
                return
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        """Return the id of its process; 0: it does not run."""
        return self._process.pid if self._process is not None else 0

    @property
    def log(self) -> Path:
        """Return the file of what it prints."""
        return self._settings.folder / "centre.log"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RecorderError: it does not start.
        """
        with self._lock:
            self._start_process()
        end = time.monotonic() + _START_S
        while not self.answers():
            if self._process is None or self._process.poll() is not None:
                raise RecorderError(f"the centre ended at its start: {self._last_words()}")
            if time.monotonic() > end:
                raise RecorderError(
                    f"the centre does not answer within {_START_S:.0f} s: see {self.log}"
                )
            time.sleep(0.05)

    def _start_process(self) -> None:
        settings = self._settings
        users = settings.folder / "users.yaml"
        command = [
            sys.executable, "-c", _PROGRAM, "centre", "--folder", str(settings.folder), "--port", str(settings.port), *(["--users", str(users)] if self.passwords else []),
        ]  # fmt: skip
        variables = {
            "ROBOT_RECORDER_DATABASE": settings.database_url,
            "ROBOT_RECORDER_STORAGE": settings.storage_url,
        }
        self._started_s = time.monotonic()
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **variables}
            )

    def answers(self) -> bool:
        """Return whether something answers at its address."""
        try:
            with urllib.request.urlopen(f"{self.url}/", timeout=2) as reply:
                return bool(reply.status)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"see {self.log}"

    def kill(self) -> None:
        """Kill it as a crash does; ``restart`` starts it again."""
        with self._lock:
            self._wanted = False
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None

    def restart(self) -> None:
        """Start it again, without waiting for it; what it needs may be away."""
        with self._lock:
            self._wanted = True
            if self._process is None or self._process.poll() is not None:
                self._start_process()

    def keep_alive(self) -> None:
        """Start it again, as systemd does, if it ended by itself: it does where its storage is away."""
        ended = self._process is None or self._process.poll() is not None
        if self._wanted and ended and time.monotonic() - self._started_s > _RESTART_S:
            logging.getLogger(__name__).warning("the centre ended: %s", self._last_words())
            self.restart()

    def token(self, site: str, robot: str) -> str:
        """Return a new token for a robot."""
        station = Station(site, robot)
        made: str = self._retrying(lambda db: TokenBook(db).add(station, "sim", time.time_ns()))
        return made

    def holdings(self) -> list[CentreHolding]:
        """Return what it has of every episode; all objects are read back."""
        storage = open_storage(self._settings.storage_url)
        found: list[CentreHolding] = self._retrying(lambda db: centre_holdings(db, storage))
        return found

    def waiting(self) -> int:
        """Return how many episodes it still reads back, or has newer labels of than its storage.

        Raises:
            DatabaseError: its database cannot be read.
        """

        def count(db: Database) -> int:
            with db.reading() as tx:
                row = tx.one(
                    "SELECT count(*) FROM floor_episodes"
                    " WHERE state = 'verifying' OR state = 'stored' AND stale <> 0"
                )
            return int(row[0]) if row is not None else 0

        found: int = self._retrying(count)
        return found

    def _retrying(self, work: Callable[[Database], Any]) -> Any:
        """Work with the database, which may have been restarted."""
        for attempt in range(_MOST_TRIES):
            try:
                if self._db is None:
                    self._db = open_database(self._settings.database_url)
                return work(self._db)
            except DatabaseError as error:
                if not error.retry or attempt == _MOST_TRIES - 1:
                    raise
                time.sleep(0.25)
        raise AssertionError("unreachable")

    # -- what can be broken

    def breaks(self) -> dict[SimFault, Breaks]:
        """Return what can be broken of it."""
        found: dict[SimFault, Breaks] = {SimFault.CENTRE_KILLED: (self.kill, self.restart)}
        folder = Path(self._settings.storage_url)
        if "://" not in self._settings.storage_url:
            away = folder.with_name(f"{folder.name}.away")
            found[SimFault.STORAGE_GONE] = (
                lambda: _move(folder, away),
                lambda: _move(away, folder),
            )
        return {**found, **self._more_breaks}

    # -- people

    def _add_users(self) -> None:
        from argon2 import PasswordHasher

        self.passwords = {name: secrets.token_urlsafe(9) for name, _ in _PEOPLE}
        users = {
            name: {"role": role, "password": PasswordHasher().hash(self.passwords[name])}
            for name, role in _PEOPLE
        }
        path = self._settings.folder / "users.yaml"
        replace_text(path, yaml.safe_dump({"users": users}))
        path.chmod(0o600)

    def invitation(self) -> list[str]:
        """Return lines that say where its pages are and who may log in."""
        people = [f"  log in as {name} with {word}" for name, word in self.passwords.items()]
        return [
            f"the wall: {self.url}/#wall",
            f"review:   {self.url}/#review",
            f"episodes: {self.url}/#episodes",
            f"trends:   {self.url}/#trends",
            *people,
        ]


def _move(source: Path, target: Path) -> None:
    """Move a storage away or back. Nothing may lie at the target; what a centre made there is put aside."""
    if not source.exists():
        return
    if target.exists():
        aside = target.with_name(f"{target.name}.{time.time_ns()}")
        target.rename(aside)
        logging.getLogger(__name__).warning(
            "%s had been made anew: it is %s now", target, aside.name
        )
    with suppress(FileNotFoundError):
        source.rename(target)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def as_json(holding: CentreHolding) -> str:
    """Return a holding as one line of JSON, for people who look for what is wrong."""
    plain = {**vars(holding), "label_ids": sorted(holding.label_ids)}
    plain["stored_labels"] = sorted(holding.stored_labels or ())
    return json.dumps(plain, ensure_ascii=False)
