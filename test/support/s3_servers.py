"""S3 servers of this machine: Ceph's radosgw, and moto: quick, but it checks no MD5, no signature."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.child.sitecustomize import FILE

PACKAGES = "radosgw ceph-mon ceph-osd ceph-common"
APT = f"apt-get install -y --no-install-recommends {PACKAGES}"
_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool")
_START_S = 120.0
_ENVIRONMENT = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")


@dataclass(frozen=True)
class S3User:
    """Who asks.

    Attributes:
        key, secret: the credentials.
    """

    key: str
    secret: str

    def environment(self) -> dict[str, str]:
        """Return the variables that boto3 takes the credentials from."""
        return {
            "AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Let storages that are opened meanwhile have these credentials."""
        with pytest.MonkeyPatch.context() as patch:
            for name in _ENVIRONMENT:
                patch.delenv(name, raising=False)
            for name, value in self.environment().items():
                patch.setenv(name, value)
            yield


@dataclass(frozen=True)
class S3Server:
    """A server that runs.

    Attributes:
        endpoint: its URL.
        user: who owns the buckets.
        admin: runs radosgw-admin and returns what it says; moto has none.
    """

    endpoint: str
    user: S3User
    admin: Callable[..., str] = field(default=lambda *_: pytest.skip("moto has no quotas"))

    def url(self, bucket: str, prefix: str = "") -> str:
        """Return the URL of a storage."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region=us-east-1"

    def bucket(self, prefix: str = "b") -> str:
        """Make a bucket; return its name."""
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        import boto3

        with self.user.asking():
            client = boto3.session.Session().client(
                "s3", endpoint_url=self.endpoint, region_name="us-east-1"
            )
        client.create_bucket(Bucket=name)
        client.close()
        return name

    def new_user(self, name: str) -> S3User:
        """Make another user, who may not use the buckets of the first."""
        user = S3User(f"key-{name}", uuid.uuid4().hex)
        self.admin(
            "user", "create", f"--uid={name}", f"--display-name={name}",
            f"--access-key={user.key}", f"--secret-key={user.secret}",
        )  # fmt: skip
        return user

    def limit(self, bucket: str, most_bytes: int) -> None:
        """Give a bucket a quota."""
        self.admin("quota", "set", "--quota-scope=bucket", f"--bucket={bucket}",
                   f"--max-size={most_bytes}B")  # fmt: skip
        self.admin("quota", "enable", "--quota-scope=bucket", f"--bucket={bucket}")


def free_port() -> int:
    """Return a port that nobody listens at now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def moto_server(folder: Path) -> Iterator[S3Server]:
    """Run moto as a process; it forgets all at the end, and takes any credentials."""
    pytest.importorskip("moto")
    with ExitStack() as stack:
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = stack.enter_context(_running(command, folder / "moto.log"))
        _wait(process, folder / "moto.log", lambda: _answers(port))
        yield S3Server(f"http://127.0.0.1:{port}", S3User("someone", "something"))


@contextmanager
def radosgw(folder: Path) -> Iterator[S3Server]:
    """Run Ceph's S3 server with a monitor and an object store in memory; all is gone at the end.

    As root the packages are installed if they are missing; else the test is skipped.

    Args:
        folder: for configuration and logs.
    """
    install_ceph()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        cluster = _Cluster(folder, stack)
        cluster.start_monitor()
        cluster.start_store()
        user = S3User("floorkey", uuid.uuid4().hex)
        cluster.admin(
            "user", "create", "--uid=floor", "--display-name=floor",
            f"--access-key={user.key}", f"--secret-key={user.secret}",
        )  # fmt: skip
        port = cluster.start_gateway()
        yield S3Server(f"http://127.0.0.1:{port}", user, cluster.admin)


def install_ceph() -> None:
    """Install the packages as root, or skip the test."""
    if all(shutil.which(program) for program in _PROGRAMS):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (APT, "apt-get update", APT):
            words = [*command.split(), "-q", "-o", "DPkg::Lock::Timeout=300"]
            done = subprocess.run(words, env=quiet, capture_output=True)
            if command == APT and done.returncode == 0:
                return
    pytest.skip(f"needs Ceph: {APT}")


class _Cluster:
    """One monitor, one store, one gateway."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._port, self._old_port = free_port(), free_port()
        self._conf = folder / "ceph.conf"
        self._fsid = str(uuid.uuid4())
        self._conf.write_text(
            f"""[global]
fsid = {self._fsid}
mon host = [v2:127.0.0.1:{self._port},v1:127.0.0.1:{self._old_port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}
admin socket =
log file = {folder}/$name.log
log to stderr = false
err to stderr = true
mon data = {folder}/mon
mon cluster log file = {folder}/cluster.log
mon allow pool size one = true
mon data avail warn = 0
mon data avail crit = 0
mon max pg per osd = 1000
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
ms mon client mode = crc
rgw thread pool size = 64
rgw bucket quota ttl = 0
"""
        )

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [words[0], "--conf", str(self._conf), *words[1:]],
            capture_output=True, text=True, timeout=_START_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def _serve(self, *words: str) -> tuple[subprocess.Popen[bytes], Path]:
        log = self._folder / f"{words[0]}.out"
        command = [words[0], "--conf", str(self._conf), "-f", *words[1:]]
        return self._stack.enter_context(_running(command, log)), log

    def start_monitor(self) -> None:
        monmap = str(self._folder / "monmap")
        subprocess.run(
            ["monmaptool", "--create", "--fsid", self._fsid, "--addv", "a",
             f"[v2:127.0.0.1:{self._port},v1:127.0.0.1:{self._old_port}]", "--enable-all-features", monmap],
            check=True, capture_output=True,
        )  # fmt: skip
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        process, log = self._serve("ceph-mon", "-i", "a")
        _wait(process, log, lambda: _answers(self._port))

    def start_store(self) -> None:
        name = str(uuid.uuid4())
        number = self._run("ceph", "osd", "new", name).strip()
        (self._folder / "osd").mkdir()
        self._run("ceph-osd", "--mkfs", "-i", number, "--osd-uuid", name)
        process, log = self._serve("ceph-osd", "-i", number)
        _wait(process, log, lambda: " 1 up" in self._run("ceph", "osd", "stat"))

    def start_gateway(self) -> int:
        port = free_port()
        frontend = f"--rgw-frontends=beast endpoint=127.0.0.1:{port}"
        process, log = self._serve("radosgw", "-n", "client.gateway", frontend)
        _wait(process, log, lambda: _answers(port))
        return port

    def admin(self, *words: str) -> str:
        """Run radosgw-admin."""
        return self._run("radosgw-admin", "-n", "client.gateway", *words)


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    # What a stand-in logs is its own affair, not a complaint of the test.
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", FILE)}
    if guard := shutil.which("setpriv"):  # else a killed test run leaves its servers
        command = [guard, "--pdeathsig", "KILL", *command]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=clean, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1)
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _wait(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_S
    while not ready():
        said = log.read_text(errors="replace")[-2000:]
        assert process.poll() is None, f"{process.args!r} ended: {said}"
        assert time.monotonic() < deadline, f"{process.args!r} does not answer: {said}"
        time.sleep(0.05)
