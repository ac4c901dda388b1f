"""A real centre as a process, and a robot that speaks to it without an agent."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.facts import label_facts
from robot_recorder.floor.manifest import Manifest, read_manifest
from robot_recorder.model.labels import LabelEvent, LabelKind
from support.bags import NS
from support.made import bag, swings
from support.samples import T0

PASSWORD = "correct horse battery"
_RUN = "import sys; from robot_recorder.cli.main import main; sys.exit(main())"


class CentreProcess:
    """A centre that runs as a process of its own.

    Attributes:
        folder: of the centre.
        url: where it listens; the port stays the same over restarts.
        database_url, storage_url: what it uses.
        log: lines of its log so far, JSON or not.
    """

    def __init__(
        self, folder: Path, database: str, storage: str, options: Mapping[str, Any]
    ) -> None:
        self.folder = folder
        self.database_url = database or f"sqlite:///{folder / 'centre.sqlite'}"
        self.storage_url = storage or str(folder / "storage")
        self.url = ""
        self.log: list[str] = []
        self.environment: dict[str, str] = {}
        self._options = dict(options)
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Return the process."""
        assert self._process is not None
        return self._process.pid

    def _place(self) -> list[str]:
        return [
            "--folder",
            str(self.folder),
            "--database",
            self.database_url,
            "--storage",
            self.storage_url,
        ]

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", _RUN, "centre", *words]

    def start(self) -> None:
        """Start it and wait until it listens."""
        port = urlsplit(self.url).port or 0
        options: list[str] = []
        for name, value in self._options.items():
            options += [f"--{name.replace('_', '-')}", str(value)]
        self._process = subprocess.Popen(
            self._command(*self._place(), "--port", str(port), *options), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **self.environment},
        )  # fmt: skip
        assert self._process.stdout is not None and self._process.stderr is not None
        threading.Thread(target=self._collect, args=(self._process.stderr,), daemon=True).start()
        for line in self._process.stdout:
            if found := re.match(r"centre: (\S+?)/$", line):
                self.url = found[1]
                return
        raise AssertionError(f"the centre ended with {self._process.wait()}: {self.text()}")

    def _collect(self, stream: Any) -> None:
        for line in stream:
            self.log.append(line.rstrip("\n"))

    def text(self) -> str:
        """Return the log."""
        return "\n".join(self.log)

    def events(self, event: str) -> list[dict[str, Any]]:
        """Return the log's events of a name."""
        found = (json.loads(line) for line in list(self.log) if line.startswith("{"))
        return [plain for plain in found if plain["event"] == event]

    def kill(self) -> None:
        """End it as a power cut would, as far as its process is concerned."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it in order; return its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the centre did not end: {self.text()}") from None

    def restart(self) -> None:
        """Start it again at the same port, after ``kill`` or ``stop``; end it before, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
        self.start()

    def run(self, *words: str) -> str:
        """Run an action of the command line, such as ``token list``; return what it printed."""
        done = subprocess.run(
            self._command(*words, *self._place()), text=True, capture_output=True,
            env={**os.environ, **self.environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def token(self, site: str, robot: str) -> str:
        """Make a token for a robot, without a process."""
        from robot_recorder.floor.centre.database.database import open_database
        from robot_recorder.floor.centre.tokens import Station, TokenBook

        with open_database(self.database_url) as db:
            return TokenBook(db).add(Station(site, robot), "test", time.time_ns())

    def revoke(self, site: str, robot: str) -> None:
        """Revoke all tokens of a robot, without a process."""
        from robot_recorder.floor.centre.database.database import open_database
        from robot_recorder.floor.centre.tokens import Station, TokenBook

        with open_database(self.database_url) as db:
            assert TokenBook(db).revoke(Station(site, robot), "", time.time_ns())

    @property
    def public_key(self) -> str:
        """Return the key by which receipts are checked."""
        from robot_recorder.floor.receipts import load_signer

        return load_signer(self.folder / "receipts.key").public

    def login(self, user: str, password: str = PASSWORD) -> str:
        """Log in; return the value of a Cookie header."""
        status, _, headers = ask(
            self.url, "POST", "/api/login", {"name": user, "password": password}
        )
        assert status == 200, status
        return headers["set-cookie"].partition(";")[0]

    def get(self, path: str, cookie: str = "") -> tuple[int, Any]:
        """Ask as a page does."""
        status, plain, _ = ask(self.url, "GET", path, headers={"Cookie": cookie} if cookie else {})
        return status, plain

    def post(self, path: str, body: Any = None, cookie: str = "") -> tuple[int, Any]:
        """Post as a page does."""
        headers = {"Cookie": cookie} if cookie else {}
        status, plain, _ = ask(self.url, "POST", path, {} if body is None else body, headers)
        return status, plain


@contextmanager
def centre(
    folder: Path, database: str = "", storage: str = "", users: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None, **options: Any,
) -> Iterator[CentreProcess]:  # fmt: skip
    """Run a centre on a free port.

    Args:
        folder: of the centre.
        database, storage: addresses; empty: SQLite and a directory in the folder.
        users: role by name; all have the same ``PASSWORD``; None: nobody has to log in.
        environment: further variables.
        options: of the command line, with ``_`` for ``-``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if users is not None:
        options["users"] = users_file(folder / "users.yaml", users)
    running = CentreProcess(folder, database, storage, options)
    running.environment = dict(environment or {})
    running.start()
    try:
        yield running
    finally:
        running.stop()


def users_file(path: Path, roles: Mapping[str, str]) -> Path:
    """Write a users file; all have the same ``PASSWORD``."""
    import yaml
    from argon2 import PasswordHasher

    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    users = {name: {"role": role, "password": hashed} for name, role in roles.items()}
    path.write_text(yaml.safe_dump({"users": users}))
    path.chmod(0o600)
    return path


def ask(
    url: str, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any, dict[str, str]]:
    """Return status, body (JSON, else bytes) and headers (lower case) of an answer; a body is sent as JSON."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=60)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": "application/json"} if data is not None else {}
    try:
        connection.request(method, path, data, {**given, **(headers or {})})
        answer = connection.getresponse()
        raw = answer.read()
        found = {key.lower(): value for key, value in answer.getheaders()}
    finally:
        connection.close()
    try:
        return answer.status, json.loads(raw), found
    except ValueError:
        return answer.status, raw, found


def put_part(url: str, target: Mapping[str, Any], piece: bytes) -> tuple[int, Any, dict[str, str]]:
    """Send a part to its target; ``url`` is that of the centre."""
    base, path = url, target["url"]
    if "://" in path:
        place = urlsplit(path)
        base, path = f"{place.scheme}://{place.netloc}", f"{place.path}?{place.query}"
    headers = {"Content-Type": "application/octet-stream", **target["headers"]}
    return ask(base, "PUT", path, piece, headers)


class BareRobot:
    """Sends episodes of a directory to a centre, step by step, as an agent does."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def call(self, what: str, **body: Any) -> tuple[int, Any]:
        """Call ``/agent/WHAT``."""
        headers = {"Authorization": f"Bearer {self.token}"}
        status, plain, _ = ask(self.url, "POST", f"/agent/{what}", body, headers)
        return status, plain

    def ok(self, what: str, **body: Any) -> Any:
        """Call it, and insist on success."""
        status, plain = self.call(what, **body)
        assert status == 200 and plain["ok"], (what, status, plain)
        return plain

    def beat(self, cursor: int = 0, ids: list[str] | None = None, **status: Any) -> Any:
        """Beat once."""
        return self.ok("beat", status=status, cursor=cursor, receipts_for=ids or [])

    def offer(self, path: Path, discarded: bool = False) -> Any:
        """Offer an episode; return its result."""
        text = (path / METADATA_FILE).read_text()
        one = {"id": path.name, "metadata": text, "discarded": discarded}
        return self.ok("offer", episodes=[one])["results"][path.name]

    def send(self, path: Path, changed: Callable[[str, bytes], bytes] | None = None) -> Manifest:
        """Upload an episode's files and let them be verified.

        Args:
            path: of the episode.
            changed: returns what is sent instead of a file, given its name and content; the manifest
                stays that of the file.
        """
        manifest = read_manifest(path)
        is_whole = False
        while not is_whole:
            told = self.ok("upload", id=path.name, files=manifest.to_plain())
            files = {name: file for name, file in told["files"].items() if not file["done"]}
            is_whole = all(file["upload"] for file in files.values())
            for name, file in files.items():
                if not file["upload"]:  # asked for again when the others are complete
                    continue
                data = (path / name).read_bytes()
                self.send_file(path.name, name, file["upload"], changed(name, data) if changed else data,
                               told["part_bytes"], set(file["have"]))  # fmt: skip
        self.ok("stored", id=path.name, sha256=manifest.sha256)
        return manifest

    def send_file(
        self, id: str, name: str, upload: str, data: bytes, part_bytes: int, have: set[int]
    ) -> None:
        """Send the parts of a file that have not arrived, and complete it."""
        etags = {}
        pieces = [data[at : at + part_bytes] for at in range(0, max(1, len(data)), part_bytes)]
        for number, piece in enumerate(pieces, 1):
            digest = hashlib.md5(piece)
            etags[number] = digest.hexdigest()
            if number in have:
                continue
            md5 = base64.b64encode(digest.digest()).decode()
            told = self.ok(
                "parts", id=id, name=name, upload=upload, parts=[[number, len(piece), md5]]
            )
            status, plain, headers = self.put(told["targets"][0], piece)
            assert status == 200, (status, plain)
            etags[number] = headers["etag"].strip('"')
        self.ok("complete", id=id, name=name, upload=upload, parts=sorted(etags.items()))

    def put(self, target: Any, piece: bytes) -> tuple[int, Any, dict[str, str]]:
        """Send a part to its target."""
        return put_part(self.url, target, piece)

    def receipt(self, id: str, timeout_s: float = 30.0) -> Any:
        """Wait for a receipt and return it."""
        return self.told(lambda told: told["receipts"].get(id), [id], timeout_s)

    def told(
        self, wanted: Callable[[Any], Any], ids: list[str] | None = None, timeout_s: float = 30.0
    ) -> Any:
        """Beat until the answer has what is wanted; return that."""
        end = time.monotonic() + timeout_s
        while True:
            told = self.beat(ids=ids)
            if found := wanted(told):
                return found
            assert time.monotonic() < end, told
            time.sleep(0.05)


def take(
    folder: Path, number: int = 0, robot: str = "arm", seconds: float = 1.0, **facts: str
) -> Path:
    """Make a finished episode with a task, as a recorder leaves it; return its directory.

    Args:
        folder: to put it into.
        number: each has another id and another content.
        robot: in its id.
        seconds: its length.
        facts: further custom_data.
    """
    id = f"{robot}_20260131T101500_{number:03d}_lift"
    task = LabelEvent(T0, id, LabelKind.TASK, by="ann", task="lift", operator_name="ann")
    known = {
        "episode_id": id, "robot": robot, "start_ns": str(T0), "stop_ns": str(T0 + round(seconds * NS)),
        **label_facts([task]),
    }  # fmt: skip
    return bag(folder / id, {"joint_states": swings(number, seconds=seconds)}, **{**known, **facts})


def die(*_: object) -> None:
    """End this process, as a bug in a C library would."""
    os._exit(1)


@contextmanager
def desk_in(folder: Path, **settings: Any) -> Iterator[Any]:
    """Yield a centre's desk within this process: nothing is served, nothing runs in the background."""
    from robot_recorder.floor.centre.server import open_desk
    from robot_recorder.floor.centre.settings import CentreSettings

    desk = open_desk(CentreSettings(folder=folder, **settings))
    try:
        yield desk
    finally:
        desk.close()


class DeskRobot:
    """Sends episodes to a desk within this process, without HTTP."""

    def __init__(self, desk: Any, site: str, robot: str) -> None:
        from robot_recorder.floor.centre.tokens import Station, add_robot

        self.desk, self.station = desk, Station(site, robot)
        with desk.db.transaction() as tx:
            add_robot(tx, self.station)

    def offer(self, path: Path, discarded: bool = False) -> Any:
        """Offer an episode; return the result."""
        text = (path / METADATA_FILE).read_text()
        return self.desk.ingest.offer(self.station, path.name, text, discarded)

    def upload(self, path: Path, changed: Callable[[str, bytes], bytes] | None = None) -> Manifest:
        """Upload an episode's files, without ``stored``; ``changed`` as of ``BareRobot.send``."""
        ingest, manifest = self.desk.ingest, read_manifest(path)
        told = ingest.upload(self.station, path.name, manifest.to_plain())
        for name, file in told["files"].items():
            if file["done"]:
                continue
            data = (path / name).read_bytes()
            data, size, etags = changed(name, data) if changed else data, told["part_bytes"], {}
            for number, at in enumerate(range(0, max(1, len(data)), size), 1):
                etags[number] = self.part(
                    path.name, name, file["upload"], number, data[at : at + size]
                )
            ingest.complete(self.station, path.name, name, file["upload"], etags)
        return manifest

    def part(self, id: str, name: str, upload: str, number: int, piece: bytes) -> str:
        """Send a part; return its etag."""
        md5 = base64.b64encode(hashlib.md5(piece).digest()).decode()
        (target,) = self.desk.ingest.parts(
            self.station, id, name, upload, [(number, len(piece), md5)]
        )
        if "://" in target["url"]:
            status, answer, headers = put_part("", target, piece)
            assert status == 200, (status, answer)
            return headers["etag"].strip('"')
        query = dict(parse_qsl(urlsplit(target["url"]).query, keep_blank_values=True))
        return str(self.desk.storage.take_part(query, [piece], time.time()).etag)

    def send(self, path: Path, changed: Callable[[str, bytes], bytes] | None = None) -> Manifest:
        """Upload an episode and have it verified."""
        manifest = self.upload(path, changed)
        self.desk.ingest.stored(self.station, path.name, manifest.sha256)
        self.desk.verifier.verify(self.station.site, path.name)
        return manifest

    def beat(self, cursor: int = 0, ids: tuple[str, ...] = ()) -> Any:
        """Return what the robot is told."""
        with self.desk.db.reading() as tx:
            return self.desk.ingest.beat(tx, self.station, cursor, ids)
