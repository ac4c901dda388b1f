"""A PostgreSQL server of its own: Debian's package, a cluster in a folder, stopped at the end."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

APT = "apt-get install -y --no-install-recommends postgresql-15"
_LOCK = Path("/tmp/robot_recorder_postgresql.lock")
_WAIT_S = 60.0


class PostgresServer:
    """A running server.

    Attributes:
        folder: of its files.
        port: on 127.0.0.1, and the name of its socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = _free_port()
        self._bin = programs()
        _own(folder)
        _run(
            self._bin / "initdb",
            "-D",
            self.data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        )
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{folder}'\n"
                "fsync = on\nmax_connections = 60\nshared_buffers = 256MB\nmax_wal_size = 2GB\n"
            )
        self.start()

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database over the unix socket."""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str = "postgres") -> str:
        """Return the address of a database over TCP, for proxies and the like."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database and return its address."""
        name = f"db_{secrets.token_hex(6)}"
        self.psql(f"CREATE DATABASE {name}")
        return self.url(name)

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser and return what psql prints."""
        return _run(
            self._bin / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", self.url(database), "-c", sql
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        _run(
            self._bin / "pg_ctl",
            "-D",
            self.data,
            "-l",
            self.folder / "log",
            "-w",
            "-t",
            int(_WAIT_S),
            "start",
        )

    def stop(self) -> None:
        """Stop it; open connections are cut."""
        _run(self._bin / "pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def kill9(self) -> None:
        """Kill all its processes as a power cut would; ``start`` recovers it."""
        pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGSTOP)  # so that it makes no more children
        children = _children(pid)
        for one in (pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        until = time.monotonic() + _WAIT_S
        while any(_lives(one) for one in (pid, *children)):
            assert time.monotonic() < until, "the server does not die"
            time.sleep(0.01)
        # A dead process that nobody has collected yet would look like a running server.
        for lock in (self.data / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)

    @property
    def runs(self) -> bool:
        """Whether the server runs."""
        return (self.data / "postmaster.pid").exists()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[PostgresServer]:
    """Run a server within a folder that is readable by its user (below ``/tmp``, short path).

    Skips the test where the package is missing and cannot be installed.
    """
    server = PostgresServer(folder)
    try:
        yield server
    finally:
        if server.runs:
            server.stop()


@functools.cache
def programs() -> Path:
    """Return the folder of the server's programs; install them as root, else skip the test."""
    found = _programs()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with open(_LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", "update", "-qq"], env=environment)
            subprocess.run(APT.split(), env=environment)
        found = _programs()
    if found is None:
        pytest.skip(f"PostgreSQL is missing: sudo {APT}")
    return found


def _programs() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((f for f in reversed(folders) if (f / "initdb").exists()), None)


def _own(folder: Path) -> None:
    """Make the folder one that the server's user may use."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)


def _run(*command: object) -> str:
    """Run a program as the server's user: initdb refuses root."""
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    # Files, not pipes: the server inherits them and would keep a pipe open.
    with open(os.devnull) as nothing, _scratch() as (out, path):
        done = subprocess.run(words, stdin=nothing, stdout=out, stderr=out, cwd="/")
        text = path.read_text()
    assert done.returncode == 0, f"{' '.join(words)}: {text}"
    return text.strip()


@contextlib.contextmanager
def _scratch() -> Iterator[tuple[IO[str], Path]]:
    path = Path(f"/tmp/.postgres_{os.getpid()}_{secrets.token_hex(4)}")
    with open(path, "w") as file:
        try:
            yield file, path
        finally:
            path.unlink()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(status.parent.name))
    return found


def _lives(pid: int) -> bool:
    """Return whether a process still runs; zombies do not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
