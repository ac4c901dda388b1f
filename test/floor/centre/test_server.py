"""A real centre that is killed, cut off from its storage, filled with connections, and started again."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

for needed in ("fastapi", "uvicorn", "alembic", "psycopg", "cryptography"):
    pytest.importorskip(needed)

from support.centres import PASSWORD, BareRobot, CentreProcess, ask, centre, take
from support.postgres import postgres

from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.manifest import read_manifest
from robot_recorder.floor.receipts import Receipt, receipt_problem

pytestmark = pytest.mark.floor


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[CentreProcess]:
    with centre(tmp_path / "centre") as running:
        yield running


@pytest.fixture
def robot(floor: CentreProcess) -> BareRobot:
    return BareRobot(floor.url, floor.token("berlin", "arm"))


def announced_part(robot: BareRobot, path: Path) -> tuple[dict[str, Any], bytes]:
    """Offer an episode of one file; return where its only part goes, and the part."""
    robot.offer(path)
    told = robot.ok("upload", id=path.name, files=read_manifest(path).to_plain())
    ((name, file),) = told["files"].items()
    data = (path / name).read_bytes()
    parts = [[1, len(data), base64.b64encode(hashlib.md5(data).digest()).decode()]]
    asked = {"id": path.name, "name": name, "upload": file["upload"], "parts": parts}
    return robot.ok("parts", **asked)["targets"][0], data


def test_a_centre_that_is_killed_while_it_verifies_gives_all_receipts_later(
    floor: CentreProcess, robot: BareRobot, tmp_path: Path
) -> None:
    paths = [take(tmp_path / "robot", number) for number in range(12)]
    manifests = {}
    for path in paths:
        robot.offer(path)
        manifests[path.name] = robot.send(path)
        if len(manifests) in (4, 8):
            floor.kill()
            floor.restart()
    floor.kill()
    floor.restart()
    for path in paths:
        receipt, manifest = Receipt.from_plain(robot.receipt(path.name)), manifests[path.name]
        assert not receipt_problem(
            receipt, (floor.public_key,), "berlin", path.name, manifest.sha256, manifest.size_bytes
        )
    root = Path(floor.storage_url) / "bags" / "berlin"
    assert sorted(p.name for p in root.iterdir()) == sorted(p.name for p in paths)
    for path in root.iterdir():
        assert read_manifest(path).sha256 == manifests[path.name].sha256
        assert Episode.open(path).id == path.name


def test_a_centre_that_is_killed_between_upload_and_complete_goes_on(
    floor: CentreProcess, robot: BareRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    plain = read_manifest(path).to_plain()
    told = robot.ok("upload", id=path.name, files=plain)
    floor.kill()
    floor.restart()
    again = robot.ok("upload", id=path.name, files=plain)
    assert again["files"] == told["files"]
    robot.send(path)
    assert robot.receipt(path.name)


def test_labels_that_were_not_written_before_a_kill_are_written_after_it(
    floor: CentreProcess, robot: BareRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    robot.receipt(path.name)
    stored = Path(floor.storage_url) / "bags" / "berlin" / path.name
    event = {"kind": "outcome", "stamp_ns": time.time_ns(), "outcome": "success", "by": "bob"}
    from robot_recorder.episodes.store import EpisodeStore

    EpisodeStore(tmp_path).merge_labels(path, [event])
    robot.offer(path)
    floor.kill()
    floor.restart()
    end = time.monotonic() + 20
    while Episode.open(stored).facts.get("outcome") != "success":
        assert time.monotonic() < end, floor.text()
        time.sleep(0.1)


def test_a_storage_that_is_away_acknowledges_nothing_and_comes_back(
    floor: CentreProcess, robot: BareRobot, tmp_path: Path
) -> None:
    waiting, path = take(tmp_path, 1), take(tmp_path, 2)
    storage = Path(floor.storage_url)
    for one in (waiting, path):
        robot.offer(one)
    aside = storage.with_name("unmounted")
    storage.rename(aside)
    try:
        plain = read_manifest(path).to_plain()
        status, told = robot.call("upload", id=path.name, files=plain)
        assert status == 503 and told["trouble"] in ("missing", "unavailable"), told
        assert floor.get("/healthz")[0] == 200, "it lives"
        end = time.monotonic() + 15
        while floor.get("/readyz")[0] != 503:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert robot.beat()["ok"], "beats need no storage"
        assert robot.offer(take(tmp_path, 3))["ok"], "nor do metadata and labels"
        assert not storage.exists(), "it is not made anew beside the disk that is away"
    finally:
        if storage.exists():
            shutil.rmtree(storage)
        aside.rename(storage)
    for one in (waiting, path):
        robot.send(one)
        assert robot.receipt(one.name)
    end = time.monotonic() + 15
    while floor.get("/readyz")[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_database_that_is_killed_acknowledges_nothing_and_comes_back(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pg_", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with postgres(folder / "server") as server, ExitStack() as stack:
            url = server.new_database()
            floor = stack.enter_context(centre(tmp_path / "centre", database=url))
            robot = BareRobot(floor.url, floor.token("berlin", "arm"))
            paths = [take(tmp_path / "robot", number) for number in range(3)]
            for path in paths:
                robot.offer(path)
            robot.send(paths[0])
            manifest = read_manifest(paths[1])
            robot.ok("upload", id=paths[1].name, files=manifest.to_plain())
            server.kill9()
            for what, body in (
                ("beat", {}),
                ("stored", {"id": paths[1].name, "sha256": manifest.sha256}),
                ("offer", {"episodes": [{"id": paths[2].name, "metadata": "x"}]}),
            ):
                status, told = robot.call(what, **body)
                assert (status, told["trouble"]) == (503, "unavailable"), told
            assert floor.get("/healthz")[0] == 200
            server.start()
            end = time.monotonic() + 30
            while robot.call("beat")[0] != 200:
                assert time.monotonic() < end
                time.sleep(0.2)
            for path in paths[1:]:
                robot.send(path)
            assert all(robot.receipt(path.name) for path in paths)
    finally:
        shutil.rmtree(folder)


def test_a_slow_robot_may_take_long_and_one_that_stalls_is_dropped(
    floor: CentreProcess, robot: BareRobot, tmp_path: Path
) -> None:
    path = take(tmp_path, seconds=5.0)
    target, data = announced_part(robot, path)
    place = urlsplit(floor.url)
    head = (
        f"PUT {target['url']} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    )
    with socket.create_connection((place.hostname or "", place.port or 0), 60) as slow:
        slow.sendall(head)
        step = len(data) // 24 + 1
        for at in range(
            0, len(data), step
        ):  # longer than the whole of a browser's request may take
            slow.sendall(data[at : at + step])
            time.sleep(0.5)
        assert b" 200 " in slow.recv(100)
    with socket.create_connection((place.hostname or "", place.port or 0), 60) as stalled:
        begun_s = time.monotonic()
        stalled.sendall(head + data[:100])
        assert stalled.recv(100) == b""
        assert 20 < time.monotonic() - begun_s < 45


def test_strangers_who_send_slowly_are_dropped(floor: CentreProcess) -> None:
    place = urlsplit(floor.url)
    asked = (
        "POST /agent/offer", "PUT /agent/part?x=1", "POST /api/login", "GET /readyz", "POST /nothing",
    )  # fmt: skip
    open_ = []
    with ExitStack() as stack:
        for what in asked * 4:
            one = socket.create_connection((place.hostname or "", place.port or 0), 10)
            stack.enter_context(one).sendall(
                f"{what} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
                "Content-Length: 60000\r\n\r\n{".encode()
            )
            one.setblocking(False)
            open_.append((what, one))
        end_s = time.monotonic() + 35
        while open_ and time.monotonic() < end_s:
            time.sleep(0.5)
            open_ = [(what, one) for what, one in open_ if drips(one)]
        assert not open_, [what for what, _ in open_]


def drips(one: socket.socket) -> bool:
    """Send a byte; return whether the connection is still there."""
    try:
        one.send(b" ")
        while one.recv(10_000):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def test_it_ends_soon_although_robots_send_slowly_and_much(
    floor: CentreProcess, robot: BareRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    target, data = announced_part(robot, path)
    url, place = target["url"], urlsplit(floor.url)
    head = f"PUT {url} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    text = "a: [" + "x, " * 90_000 + "x]"
    with ExitStack() as stack:
        for _ in range(30):
            one = socket.create_connection((place.hostname or "", place.port or 0), 10)
            stack.enter_context(one).sendall(head + b"x")
        for number in range(8):
            other = BareRobot(floor.url, floor.token("berlin", f"r{number}"))
            episodes = [{"id": f"r{number}_x_{n}", "metadata": text} for n in range(20)]
            body = json.dumps({"episodes": episodes}).encode()
            one = socket.create_connection((place.hostname or "", place.port or 0), 10)
            one.sendall(
                f"POST /agent/offer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {other.token}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            stack.enter_context(one)
        begun_s = time.monotonic()
        assert floor.stop() in (0, -15)
        assert time.monotonic() - begun_s < 20


def test_many_robots_behind_one_address_are_served(floor: CentreProcess) -> None:
    robots = [BareRobot(floor.url, floor.token("berlin", f"r{number}")) for number in range(100)]
    place, open_ = urlsplit(floor.url), []
    took_s: list[float] = []
    try:
        for _ in range(300):  # idle connections of their agents
            open_.append(socket.create_connection((place.hostname or "", place.port or 0), 10))

        def beat(robot: BareRobot) -> None:
            for _ in range(3):
                begun_s = time.monotonic()
                robot.beat(state="idle")
                took_s.append(time.monotonic() - begun_s)

        threads = [threading.Thread(target=beat, args=(robot,)) for robot in robots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for one in open_:
            one.close()
    assert len(took_s) == 300, "all were answered"
    assert floor.get("/api/robots")[1]["robots"].__len__() == 100


def test_it_ends_in_order_and_starts_again_with_the_same_key(
    floor: CentreProcess, robot: BareRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    first, key = robot.receipt(path.name), floor.public_key
    assert floor.stop() in (0, -15) and floor.events("ended")
    floor.start()
    assert robot.beat(ids=[path.name])["receipts"][path.name] == first
    assert floor.public_key == key == floor.run("key")


def test_the_command_line_makes_lists_and_revokes_tokens_of_a_running_centre(
    floor: CentreProcess,
) -> None:
    secret = floor.run("token", "add", "paris", "arm")
    robot = BareRobot(floor.url, secret)
    robot.beat()
    assert "paris  arm  valid" in floor.run("token", "list")
    floor.run("token", "revoke", "paris", "arm")
    assert robot.call("beat")[0] == 401
    what = [e["what"] for e in floor.get("/api/audit")[1]["entries"] if e["address"] == "shell"]
    assert what == ["revoke token", "add token"]


def test_a_port_that_is_taken_is_said(floor: CentreProcess, tmp_path: Path) -> None:
    port = str(urlsplit(floor.url).port)
    done = subprocess.run(
        floor._command("--folder", str(tmp_path / "other"), "--port", port),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "give another port" in done.stderr, done


def test_a_part_address_of_before_a_restart_still_works(
    floor: CentreProcess, robot: BareRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    target, data = announced_part(robot, path)
    floor.kill()
    floor.restart()
    assert robot.put(target, data)[0] == 200
    robot.send(path)
    assert robot.receipt(path.name)


def test_a_key_in_use_is_not_readable_by_others(floor: CentreProcess) -> None:
    assert (floor.folder / "receipts.key").stat().st_mode & 0o077 == 0
    assert ask(floor.url, "GET", "/static/../receipts.key")[0] == 404


def test_only_the_named_proxy_is_believed_that_a_browser_speaks_https(tmp_path: Path) -> None:
    users = {"ann": "inspector"}
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9",
            "Host": "centre.example", "Origin": "https://centre.example"}  # fmt: skip
    for number, proxy in enumerate(("127.0.0.1", "192.0.2.1", "")):
        options: dict[str, Any] = {"proxy": proxy} if proxy else {}
        with centre(
            tmp_path / str(number), users=users, allowed_host="centre.example", **options
        ) as c:
            body = {"name": "ann", "password": PASSWORD}
            status, plain, headers = ask(c.url, "POST", "/api/login", body, told)
            if proxy == "127.0.0.1":
                assert status == 200 and "strict-transport-security" in headers, plain
                cookie = headers["set-cookie"]
                assert cookie.startswith("__Host-") and "Secure" in cookie
            else:
                assert status == 403 and "another site" in plain["message"]


def test_a_proxy_without_users_would_open_the_centre_to_everybody(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from robot_recorder.cli.main import main; sys.exit(main())",
         "centre", "--folder", str(tmp_path), "--port", "0", "--proxy", "127.0.0.1"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and "lets other machines reach" in done.stderr


def test_a_relabel_at_the_centre_reaches_the_robots_copy_and_an_update_of_a_dataset(
    floor: CentreProcess, robot: BareRobot, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    from robot_recorder.cli.main import main

    path = take(tmp_path / "robot")
    robot.offer(path)
    robot.send(path)
    assert robot.receipt(path.name)
    site, out = floor.folder / "storage/bags/berlin", tmp_path / "dataset"

    def outcomes() -> list[str]:
        lock = json.loads((out / "export.lock.json").read_text())
        return [source["laid_out"]["facts"]["outcome"] for source in lock["sources"]]

    wide = ["--outcome", "any", "--verdict", "any", "--format", "npz"]
    assert main(["export", str(site), "--out", str(out), *wide]) == 0
    assert outcomes() == ["unlabelled"]
    label = {"outcome": "success", "cause": "", "note": "seen again"}
    status, plain = floor.post(f"/api/episodes/berlin/{path.name}/label", label)
    assert status == 200, plain
    end = time.monotonic() + 20
    while Episode.open(site / path.name).labels.outcome_text != "success":
        assert time.monotonic() < end, floor.text()
        time.sleep(0.05)
    assert main(["export", str(site), "--update", str(out)]) == 0
    assert outcomes() == ["success"]
    told = robot.told(lambda told: told["labels"].get(path.name))
    copy = EpisodeStore(path.parent).merge_labels(path, told)
    assert copy.labels.outcome_text == "success"
