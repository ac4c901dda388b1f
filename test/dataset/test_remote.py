"""Episodes from, and datasets to, a real S3 server of this machine."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("obstore", reason="obstore is not installed (requirements/remote.txt)")
pytest.importorskip("moto.server", reason="moto is not installed (requirements/remote.txt)")

from obstore.store import S3Store

from robot_recorder.dataset import remote
from robot_recorder.dataset.lock import LOCK
from robot_recorder.dataset.pool import JobProgress
from robot_recorder.dataset.remote import Uploaded
from robot_recorder.model.errors import ConfigError, DiskError, RecorderError

URL = "s3://bucket/data"


class Wire:
    """What stands between client and server: counts, refuses and cuts connections."""

    def __init__(self, server: int) -> None:
        self._server, self.cut_after, self.refuses, self.cuts = server, 0, False, 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                if self.refuses:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._server))
                threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, answer: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(1 << 16):
                passed += len(data)
                if answer and 0 < self.cut_after < passed:
                    self.cut_after, self.cuts = 0, self.cuts + 1
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of the server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < end and process.poll() is None, "it does not start"
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def wire(server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The way to the server, with an empty bucket."""
    for method, path in (("POST", "moto-api/reset"), ("PUT", "bucket")):
        request = urllib.request.Request(f"http://127.0.0.1:{server}/{path}", method=method)
        urllib.request.urlopen(request, timeout=10).close()
    found = Wire(server)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{found.port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setattr(remote, "_PIECE", 1 << 20)
    yield found
    found.close()


@pytest.fixture
def bucket(wire: Wire) -> Any:
    return S3Store("bucket")


def content(bucket: Any) -> dict[str, bytes]:
    """All objects below the url."""
    found = [o["path"] for many in bucket.list("data") for o in many]
    return {path.removeprefix("data/"): bytes(bucket.get(path).bytes()) for path in found}


def put_episode(bucket: Any, name: str, *sizes: int) -> dict[str, bytes]:
    files = {"metadata.yaml": b"a: 1\n"}
    files |= {f"{name}_{n}.mcap": os.urandom(size) for n, size in enumerate(sizes)}
    for path, data in files.items():
        bucket.put(f"data/{name}/{path}", data)
    return files


def files_of(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def write_dataset(folder: Path, files: dict[str, bytes]) -> None:
    """Make the folder a dataset of these files, and of nothing else."""
    hashes = {p: (len(data), hashlib.sha256(data).hexdigest()) for p, data in files.items()}
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / LOCK).write_text(json.dumps({"files": hashes}))


def test_episodes_are_found_below_a_url(bucket: Any) -> None:
    names = ["b", "a", "day 1/c", "day 1/ü #1", "day 1/c/inner", ".trash/gone", "d.partial"]
    for name in names:
        bucket.put(f"data/{name}/metadata.yaml", b"a: 1\n")
    bucket.put("data/notes/readme.txt", b"no bag")
    bucket.put("database/e/metadata.yaml", b"beside the prefix")
    expected = [f"{URL}/{n}" for n in ("a", "b", "day 1/c", "day 1/c/inner", "day 1/ü #1")]
    assert remote.list_episodes(URL) == remote.list_episodes(f"{URL}/") == expected
    assert remote.list_episodes(f"{URL}/a") == [f"{URL}/a"]
    assert remote.list_episodes(f"{URL}/nowhere") == []
    assert remote.is_remote(URL) and not remote.is_remote("data/a")


def test_an_episode_is_fetched_once_until_it_changes(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = put_episode(bucket, "ep", 3_500_000, 0, 10)
    bucket.put("data/ep/sub/more", b"deeper")
    before = remote.fingerprint(f"{URL}/ep")
    assert {path: size for path, (size, _) in before.items()} == {
        "metadata.yaml": 5, "ep_0.mcap": 3_500_000, "ep_1.mcap": 0, "ep_2.mcap": 10, "sub/more": 6,
    }  # fmt: skip
    found = remote.fetched(f"{URL}/ep/", tmp_path / "cache")
    assert found == tmp_path / "cache" / "ep"
    assert files_of(found) == {**files, "sub/more": b"deeper"}
    with monkeypatch.context() as patch:
        patch.setattr(remote, "_download", lambda *_: pytest.fail("fetched again"))
        assert remote.fetched(f"{URL}/ep", tmp_path / "cache") == found
    bucket.put("data/ep/ep_2.mcap", b"0123456789")
    bucket.delete("data/ep/sub/more")
    changed = remote.fingerprint(f"{URL}/ep")
    assert changed["ep_2.mcap"][0] == 10 and changed["ep_2.mcap"] != before["ep_2.mcap"]
    assert remote.fetched(f"{URL}/ep", tmp_path / "cache") == found
    assert files_of(found) == {**files, "ep_2.mcap": b"0123456789"}


def test_fetching_goes_on_where_it_was_and_never_mixes_two_states(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = put_episode(bucket, "ep", 2_500_000, 2_500_000)
    pieces: list[tuple[str, int]] = []
    piece = remote._piece

    def counted(store: Any, path: str, begin: int, end: int, mark: str) -> Any:
        if len(pieces) == 5:  # of seven
            raise OSError(28, "No space left on device")
        pieces.append((path, begin))
        return piece(store, path, begin, end, mark)

    monkeypatch.setattr(remote, "_THREADS", 1)
    monkeypatch.setattr(remote, "_piece", counted)
    with pytest.raises(DiskError, match=f"{URL}/ep cannot be stored in .*No space left.*free"):
        remote.fetched(f"{URL}/ep", tmp_path)
    assert not (tmp_path / "ep").exists()
    bucket.put("data/ep/ep_0.mcap", b"x" * 2_500_000)  # changed meanwhile, with the same size
    first, pieces[:] = list(pieces), []
    assert files_of(remote.fetched(f"{URL}/ep", tmp_path)) == {
        **files, "ep_0.mcap": b"x" * 2_500_000,
    }  # fmt: skip
    assert {path for path, _ in first} == {"ep_0.mcap", "ep_1.mcap"}
    assert ("ep_0.mcap", 0) in pieces and ("ep_1.mcap", 0) not in pieces
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["ep"]


def test_what_changes_while_it_is_fetched_is_not_taken(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_episode(bucket, "ep", 100)
    download = remote._download

    def late(*arguments: Any) -> None:
        bucket.put("data/ep/ep_0.mcap", b"y" * 100)
        download(*arguments)

    monkeypatch.setattr(remote, "_download", late)
    with pytest.raises(ConfigError, match=f"{URL}/ep changed while it was read"):
        remote.fetched(f"{URL}/ep", tmp_path)
    assert not (tmp_path / "ep").exists()


def test_two_episodes_of_one_name_do_not_share_a_folder(bucket: Any, tmp_path: Path) -> None:
    for name in ("monday/ep", "tuesday/ep"):
        bucket.put(f"data/{name}/metadata.yaml", name.encode())
    remote.fetched(f"{URL}/monday/ep", tmp_path)
    with pytest.raises(ConfigError, match=f"holds {URL}/monday/ep, which has the same name"):
        remote.fetched(f"{URL}/tuesday/ep", tmp_path)
    assert (tmp_path / "ep" / "metadata.yaml").read_text() == "monday/ep"


def test_a_connection_that_breaks_is_taken_up_again(
    bucket: Any, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = put_episode(bucket, "ep", 3_000_000)
    wire.cut_after = 300_000
    assert files_of(remote.fetched(f"{URL}/ep", tmp_path)) == files
    assert wire.cuts == 1
    write_dataset(tmp_path / "set", {"a": os.urandom(3_000_000)})
    tries: list[float] = []

    def nap(seconds: float) -> None:
        tries.append(seconds)
        wire.refuses = len(tries) < 2

    monkeypatch.setattr(time, "sleep", nap)
    told: list[int] = []

    def tell(progress: JobProgress) -> None:
        told.append(progress.finished)
        wire.refuses = wire.refuses or not tries

    monkeypatch.setattr(remote, "_put_state", lambda *_: setattr(wire, "refuses", True))
    remote.uploaded(tmp_path / "set", f"{URL}/set", tell)
    assert tries[:2] == [1.0, 2.0]
    assert content(bucket)["set/a"] == (tmp_path / "set" / "a").read_bytes()


def listed(url: str, results: Any) -> None:
    results.put(remote.list_episodes(url))


def test_a_fork_of_a_process_that_used_the_store_can_use_it_too(bucket: Any) -> None:
    put_episode(bucket, "ep", 10)
    expected = remote.list_episodes(URL)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=listed, args=(URL, results))
    child.start()
    try:
        assert results.get(timeout=60) == expected
    finally:
        child.kill()
        child.join()


def test_a_dataset_is_uploaded_and_only_what_changed_the_next_time(
    bucket: Any, tmp_path: Path
) -> None:
    files = {"meta/info.json": b"{}", "data/0.parquet": os.urandom(2_000_000), "data/1": b"old"}
    write_dataset(tmp_path, files)
    (tmp_path / ".export").mkdir()
    (tmp_path / ".export" / "work").write_bytes(b"not part of it")
    told: list[tuple[float, int]] = []

    def tell(progress: JobProgress) -> None:
        told.append((progress.done, progress.finished))

    assert remote.uploaded(tmp_path, URL, tell) == Uploaded(3, 0, 0)
    assert told[-1] == (2_000_005.0, 3)
    assert content(bucket) == {**files, LOCK: (tmp_path / LOCK).read_bytes()}
    assert remote.uploaded(tmp_path, URL) == Uploaded(0, 3, 0)
    del files["data/1"]
    files |= {"meta/info.json": b"[]", "data/2": b"new"}
    write_dataset(tmp_path, files)
    assert remote.uploaded(tmp_path, URL) == Uploaded(2, 1, 1)
    assert content(bucket) == {**files, LOCK: (tmp_path / LOCK).read_bytes()}


@pytest.mark.parametrize("replaces", [False, True])
def test_nobody_takes_half_an_upload_for_whole(
    bucket: Any, tmp_path: Path, replaces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path, {"a": b"1", "b": b"1", "z": b"1"})
    remote.uploaded(tmp_path, URL)
    old = (tmp_path / LOCK).read_bytes()
    (tmp_path / "z").unlink()
    new = {"a": b"2" if replaces else b"1", "b": b"1", "c": b"2", "d": b"2"}
    write_dataset(tmp_path, new)
    monkeypatch.setattr(remote, "_THREADS", 1)
    put, failing = S3Store.put, True

    def breaks(self: Any, path: str, *rest: Any, **more: Any) -> Any:
        if path == "d" and failing:
            raise KeyboardInterrupt
        return put(self, path, *rest, **more)

    monkeypatch.setattr(S3Store, "put", breaks)
    with pytest.raises(KeyboardInterrupt):
        remote.uploaded(tmp_path, URL)
    found = content(bucket)
    assert found.get(LOCK) == (None if replaces else old)
    assert found["z"] == b"1" and found["c"] == b"2"
    failing = False
    assert remote.uploaded(tmp_path, URL) == Uploaded(1, 3, 1)
    assert content(bucket) == {**new, LOCK: (tmp_path / LOCK).read_bytes()}


def test_what_did_not_arrive_is_named(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path, {"a": b"123"})
    put = S3Store.put

    def loses(self: Any, path: str, data: Any, **more: Any) -> Any:
        return put(self, path, b"12" if path == "a" else data, **more)

    monkeypatch.setattr(S3Store, "put", loses)
    with pytest.raises(RecorderError, match="1 files did not arrive whole, such as a"):
        remote.uploaded(tmp_path, URL)
    assert LOCK not in content(bucket)


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers that access is denied."""

    def do_GET(self) -> None:
        self.send_error(403)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


def test_missing_and_wrong_keys_are_named(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{refusing.server_port}")
        with pytest.raises(ConfigError, match=f"{URL} cannot be .* 403 .*set AWS_ACCESS_KEY_ID"):
            remote.list_episodes(URL)
        refusing.shutdown()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ConfigError, match=f"{URL} cannot be .*set AWS_ACCESS_KEY_ID"):
        remote.list_episodes(URL)


def test_what_is_wrong_is_named_with_the_fix(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="names no bucket: write s3://"):
        remote.list_episodes("s3://")
    with pytest.raises(ConfigError, match=f"{URL}/nowhere: there is nothing"):
        remote.fetched(f"{URL}/nowhere", tmp_path)
    with pytest.raises(ConfigError, match="s3://other cannot be reached: .*does not exist"):
        remote.list_episodes("s3://other")
    with pytest.raises(ConfigError, match=f"is no dataset: its {LOCK} cannot be read"):
        remote.uploaded(tmp_path, URL)
    write_dataset(tmp_path, {"a": b"123"})
    (tmp_path / "a").write_bytes(b"12")
    with pytest.raises(ConfigError, match=f"a is not what {LOCK} says: export again"):
        remote.uploaded(tmp_path, URL)
    wire.refuses = True
    with pytest.raises(ConfigError, match=f"{URL} cannot be reached: .*AWS_ENDPOINT_URL"):
        remote.list_episodes(URL)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'robot_recorder\[remote\]'"):
        remote.list_episodes(URL)
