"""A real centre as a process, and robots and pages that speak to it by HTTP.

Holds also: people_routes.py, probes.py, app.py, live.py, web/sessions.py.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest

for needed in ("fastapi", "uvicorn", "websockets", "alembic", "psycopg", "cryptography"):
    pytest.importorskip(needed)

from fastapi import Request
from support.centres import (
    PASSWORD,
    BareRobot,
    CentreProcess,
    DeskRobot,
    ask,
    centre,
    desk_in,
    take,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from robot_recorder.configuration.users import UserRole
from robot_recorder.episodes.label_rules import MOST_MERGED
from robot_recorder.floor.centre import agent_routes, probes
from robot_recorder.floor.centre.database.database import DatabaseError
from robot_recorder.floor.centre.live import VANISHED_S, LiveRobots, WallPages, plain_status
from robot_recorder.floor.centre.refusals import RefusedRobot, of_database
from robot_recorder.floor.centre.tokens import Station
from robot_recorder.floor.receipts import Receipt, receipt_problem
from robot_recorder.web.access import User
from robot_recorder.web.replies import SafeJson

pytestmark = pytest.mark.floor  # real centres as processes

SECRET = "the metrics token of this test"


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CentreProcess]:
    folder = tmp_path_factory.mktemp("centre")
    (folder / "metrics").write_text(SECRET)
    users = {"ann": "operator", "bob": "inspector", "root": "admin"}
    with centre(folder, users=users, metrics_token=folder / "metrics") as running:
        yield running


@pytest.fixture
def site(request: pytest.FixtureRequest) -> str:
    return f"site{abs(hash(request.node.name)) % 10**9}"


@pytest.fixture
def robot(floor: CentreProcess, site: str) -> BareRobot:
    return BareRobot(floor.url, floor.token(site, "arm"))


# -- robots


def test_an_episode_goes_all_the_way(
    floor: CentreProcess, robot: BareRobot, site: str, tmp_path: Path
) -> None:
    path = take(tmp_path, seconds=3.0)
    assert robot.offer(path)["ok"]
    manifest = robot.send(path)
    receipt = Receipt.from_plain(robot.receipt(path.name))
    publics = (floor.public_key,)
    assert not receipt_problem(
        receipt, publics, site, path.name, manifest.sha256, manifest.size_bytes
    )
    robot.ok("freed", ids=[path.name])
    status, told = floor.get(f"/api/ingest/{site}/{path.name}", floor.login("ann"))
    assert (status, told["state"]) == (200, "stored") and told["freed_ns"] is not None


def test_a_revoked_token_ends_at_once(floor: CentreProcess, robot: BareRobot, site: str) -> None:
    robot.beat()
    floor.revoke(site, "arm")
    status, plain = robot.call("beat")
    assert status == 401 and "revoked" in plain["message"]
    assert BareRobot(floor.url, floor.token(site, "arm")).beat()["ok"], "and another one works"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer x", "Basic x", "Bearer " + "x" * 5000]
)
def test_without_a_token_nothing_is_told(floor: CentreProcess, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for what in ("beat", "offer", "upload", "parts", "complete", "stored", "freed"):
        assert ask(floor.url, "POST", f"/agent/{what}", {}, headers)[0] == 401


def test_cookies_do_not_make_a_robot(floor: CentreProcess) -> None:
    cookie = floor.login("root")
    assert ask(floor.url, "POST", "/agent/beat", {}, {"Cookie": cookie})[0] == 401


def test_a_token_does_not_make_a_person(floor: CentreProcess, robot: BareRobot) -> None:
    headers = {"Authorization": f"Bearer {robot.token}"}
    assert ask(floor.url, "GET", "/api/robots", None, headers)[0] == 401


def test_a_beat_in_the_name_of_another_robot_is_refused(robot: BareRobot) -> None:
    assert robot.call("beat", robot="leg")[0] == 403
    assert robot.call("beat", robot="arm")[0] == 200


@pytest.mark.parametrize("what, body", [
    ("beat", {"cursor": -1}), ("beat", {"cursor": 1 << 70}), ("beat", {"receipts_for": ["x"] * 201}),
    ("beat", {"receipts_for": [1]}), ("beat", {"status": []}), ("beat", {"cursor": None}),
    ("offer", {}), ("offer", {"episodes": [{"id": "x"}] * 21}), ("offer", {"episodes": {}}),
    ("upload", {"id": "x", "files": []}), ("upload", {"id": "x", "files": [["a", -1, ""]]}),
    ("upload", {"id": "../../x", "files": [["a", 1, "0" * 64]]}), ("upload", {"files": 3}),
    ("parts", {"id": "x", "name": "y", "upload": "z", "parts": [[1, 2, "m"]] * 65}),
    ("parts", {"id": "x", "name": "y", "upload": "z", "parts": [["a"]]}),
    ("complete", {"id": "x", "name": "y", "upload": "z", "parts": [[1]]}),
    ("stored", {"id": "x"}), ("freed", {"ids": "x"}),
])  # fmt: skip
def test_bodies_that_are_none_are_refused(robot: BareRobot, what: str, body: Any) -> None:
    status, plain = robot.call(what, **body)
    assert status == 422 and not plain["ok"] and plain["message"]


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b"[" * 100_000, b"null", b"NaN", b'{"cursor": NaN}']
)
def test_bodies_that_are_no_json_are_refused(robot: BareRobot, raw: bytes) -> None:
    headers = {"Authorization": f"Bearer {robot.token}"}
    assert ask(robot.url, "POST", "/agent/beat", raw, headers)[0] == 422


def test_odd_ids_in_a_beat_are_passed_over(robot: BareRobot) -> None:
    odd = ["\0", "../x", "", "a" * 250, "ok"]
    assert robot.ok("beat", receipts_for=odd)["receipts"] == {}
    robot.ok("freed", ids=odd)


def test_giant_bodies_are_refused_before_they_are_read(robot: BareRobot) -> None:
    place = urlsplit(robot.url)
    head = (
        f"POST /agent/offer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {robot.token}\r\n"
        f"Content-Length: {10**12}\r\n\r\n"
    )
    with socket.create_connection((place.hostname or "", place.port or 0), 10) as told:
        told.sendall(head.encode())
        assert told.recv(12).endswith(b"413")


def test_giant_bodies_that_hide_their_size_are_cut_off(robot: BareRobot) -> None:
    place = urlsplit(robot.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=20)
    headers = {"Authorization": f"Bearer {robot.token}", "Transfer-Encoding": "chunked"}
    chunks = (b"x" * 100_000 for _ in range(100))
    try:
        connection.request("POST", "/agent/beat", chunks, headers, encode_chunked=True)
        assert connection.getresponse().status == 413
    except OSError:
        pass  # cut off while it was still sending
    finally:
        connection.close()
    robot.beat()


def test_a_broken_offer_does_not_keep_the_others_out(
    floor: CentreProcess, robot: BareRobot, site: str, tmp_path: Path
) -> None:
    path = take(tmp_path)
    text = (path / "metadata.yaml").read_text()
    bad = f"{path.name[:-5]}_bad"
    results = robot.ok("offer", episodes=[
        {"id": bad, "metadata": "{"}, {"id": path.name, "metadata": text},
    ])["results"]  # fmt: skip
    assert not results[bad]["ok"] and results[path.name]["ok"]
    alarms = floor.get("/api/alarms", floor.login("ann"))[1]["alarms"]
    assert [a["subject"] for a in alarms if a["site"] == site] == [bad]


@pytest.mark.parametrize("line", [
    "1: 2", "x: 0x" + "f" * 20_000, "x: &a [*a]", "x: !!set {a, b}",
    "a: &a " + "x" * 300_000 + "\n  b: [" + "*a, " * 3000 + "]",
])  # fmt: skip
def test_odd_metadata_never_spoils_a_request(
    robot: BareRobot, site: str, tmp_path: Path, line: str
) -> None:
    odd, good = take(tmp_path, 1), take(tmp_path, 2)
    text = (odd / "metadata.yaml").read_text()
    results = robot.ok("offer", episodes=[
        {"id": "\ud800", "metadata": text},
        {"id": odd.name, "metadata": text.replace("  version: 9", f"  {line}\n  version: 9", 1)},
        {"id": good.name, "metadata": (good / "metadata.yaml").read_text()},
    ])["results"]  # fmt: skip
    assert results[good.name]["ok"]
    assert results[odd.name]["ok"] or results[odd.name]["message"]


def test_a_beat_names_the_history_of_the_database(floor: CentreProcess, robot: BareRobot) -> None:
    history = robot.beat()["history"]
    assert type(history) is int and history > 0
    assert robot.beat()["history"] == history


def test_a_second_process_on_one_database_is_refused(floor: CentreProcess) -> None:
    for words in (("--port", "0"), ("rebuild",)):
        done = subprocess.run(
            floor._command(*words, *floor._place()), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2 and "another process is the centre" in done.stderr, done
    assert floor.get("/healthz")[0] == 200


def test_it_is_seen_who_brought_a_label(
    floor: CentreProcess, robot: BareRobot, site: str, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    bob = floor.login("bob")
    said = {"outcome": "failure", "note": "dropped"}
    assert floor.post(f"/api/episodes/{site}/{path.name}/label", said, bob)[0] == 200
    history = floor.get(f"/api/episodes/{site}/{path.name}", bob)[1]["history"]
    assert [(event["by"], event["via"]) for event in history] == [
        ("ann", "robot"), ("bob", "centre"),
    ]  # fmt: skip


def test_too_many_requests_are_slowed_down(robot: BareRobot, site: str) -> None:
    place = urlsplit(robot.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=20)
    headers = {"Authorization": f"Bearer {robot.token}"}
    seen = set()
    for _ in range(1000):
        connection.request("POST", "/agent/freed", b'{"ids": []}', headers)
        answer = connection.getresponse()
        answer.read()
        seen.add(answer.status)
        if answer.status == 429:
            break
    connection.close()
    assert seen == {200, 429}


def test_answers_on_one_connection_come_at_once(robot: BareRobot) -> None:
    place = urlsplit(robot.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=20)
    took_s = []
    for _ in range(40):
        begun_s = time.monotonic()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        took_s.append(time.monotonic() - begun_s)
    connection.close()
    assert sorted(took_s)[20] < 0.03, "each waits for a delayed acknowledgement"


# -- parts


def begun(robot: BareRobot, path: Path) -> tuple[str, str, bytes]:
    from robot_recorder.floor.manifest import read_manifest

    robot.offer(path)
    told = robot.ok("upload", id=path.name, files=read_manifest(path).to_plain())
    ((name, file),) = told["files"].items()
    return name, file["upload"], (path / name).read_bytes()


def target_of(robot: BareRobot, id: str, name: str, upload: str, data: bytes) -> Any:
    import base64
    import hashlib

    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    told = robot.ok("parts", id=id, name=name, upload=upload, parts=[[1, len(data), md5]])
    return told["targets"][0]


def test_a_part_with_other_bytes_is_refused(robot: BareRobot, tmp_path: Path) -> None:
    path = take(tmp_path)
    name, upload, data = begun(robot, path)
    target = target_of(robot, path.name, name, upload, data)
    for wrong in (data[:-1], data + b"x", data[:-1] + bytes([data[-1] ^ 1]), b""):
        status, plain, _ = robot.put(target, wrong)
        assert (status, plain["trouble"]) == (422, "wrong"), plain
    assert robot.put(target, data)[0] == 200
    assert robot.put(target, data)[0] == 200, "twice does not matter"


def test_a_forged_address_of_a_part_is_refused(robot: BareRobot, tmp_path: Path) -> None:
    path = take(tmp_path)
    name, upload, data = begun(robot, path)
    target = target_of(robot, path.name, name, upload, data)
    for old, new in (
        ("part=1", "part=2"),
        ("expires=1", "expires=9"),
        ("sig=", "sig=0"),
        (name, "x" + name),
    ):
        assert old in target["url"]
        forged = {**target, "url": target["url"].replace(old, new)}
        assert robot.put(forged, data)[0] == 403
    assert robot.put({**target, "url": "/agent/part"}, data)[0] == 403


def put_head(target: Any, size: int) -> bytes:
    return f"PUT {target['url']} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


def test_slow_parts_of_one_robot_stop_no_other(
    floor: CentreProcess, robot: BareRobot, site: str, tmp_path: Path
) -> None:
    path = take(tmp_path, 1)
    name, upload, data = begun(robot, path)
    target = target_of(robot, path.name, name, upload, data)
    place, head = urlsplit(floor.url), put_head(target, len(data))
    with ExitStack() as stack:
        for _ in range(32):
            slow = socket.create_connection((place.hostname or "", place.port or 0), 10)
            stack.enter_context(slow).sendall(head + data[:10])
        folder = Path(floor.storage_url) / ".uploads" / upload
        end_s = time.monotonic() + 5
        while len(list(folder.glob("tmp-*"))) < 32:
            assert time.monotonic() < end_s
        assert robot.put(target, data)[0] == 429
        other = BareRobot(floor.url, floor.token(site, "leg"))
        theirs = take(tmp_path, 2, robot="leg")
        other.offer(theirs)
        begun_s = time.monotonic()
        other.send(theirs)
        assert time.monotonic() - begun_s < 5
    end_s = time.monotonic() + 5
    while robot.put(target, data)[0] != 200:  # those that have gone count no more
        assert time.monotonic() < end_s
    while list(folder.glob("tmp-*")):
        assert time.monotonic() < end_s


def test_addresses_of_parts_end_with_the_last_token(
    floor: CentreProcess, robot: BareRobot, site: str, tmp_path: Path
) -> None:
    path = take(tmp_path)
    name, upload, data = begun(robot, path)
    target = target_of(robot, path.name, name, upload, data)
    floor.revoke(site, "arm")
    status, plain, _ = robot.put(target, data)
    assert status == 403 and "no valid token" in plain["message"]
    floor.token(site, "arm")
    assert robot.put(target, data)[0] == 200


class SlowBody:
    """A request whose body never comes to its end."""

    async def stream(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)


def test_a_part_that_comes_too_slowly_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_routes, "_GRACE_S", 0.3)
    with desk_in(tmp_path) as desk:
        storage, md5 = desk.storage, base64.b64encode(bytes(16)).decode()
        upload = storage.begin("bags/a/b/c")
        query = urlsplit(storage.part_target("bags/a/b/c", upload, 1, 9, md5, 60.0).url).query
        part = storage.signed_part(dict(parse_qsl(query)), time.time())
        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(agent_routes._received(desk, storage, part, cast(Any, SlowBody())))
        assert storage.parts("bags/a/b/c", upload) == {}


def test_what_one_robot_asks_of_the_storage_waits_for_its_own_turn() -> None:
    async def run() -> tuple[int, int]:
        budgets, running, most, refused = agent_routes._Budgets(), 0, 0, 0
        arm, leg = Station("berlin", "arm"), Station("berlin", "leg")

        async def slow() -> None:
            nonlocal running, most, refused
            try:
                async with budgets.turn(arm):
                    running += 1
                    most = max(most, running)
                    await asyncio.sleep(0.01)
                    running -= 1
            except RefusedRobot as error:
                assert error.status == 429
                refused += 1

        many = [asyncio.create_task(slow()) for _ in range(45)]
        await asyncio.sleep(0)
        async with budgets.turn(leg):
            assert running == 2
        await asyncio.gather(*many)
        assert not budgets._turns and not budgets._running
        return most, refused

    assert asyncio.run(run()) == (2, 5)


def test_an_episode_of_many_files_gets_a_few_uploads_at_a_time(tmp_path: Path) -> None:
    with desk_in(tmp_path / "centre") as desk:
        robot, path = DeskRobot(desk, "berlin", "arm"), take(tmp_path)
        robot.offer(path)
        files = [[f"{number:05d}", 1, "0" * 64] for number in range(10_000)]
        begun_s = time.monotonic()
        for _ in range(2):
            told = desk.ingest.upload(robot.station, path.name, files)["files"]
            assert len(told) == 10_000
            assert [name for name, file in told.items() if file["upload"]] == [
                name for name, _, _ in files[:50]
            ]
        assert time.monotonic() - begun_s < 10
        assert len(list(desk.storage.unfinished(0.0))) == 50


# -- offers


@pytest.mark.floor
def test_a_robot_offers_one_after_the_other_until_the_answer(
    floor: CentreProcess, robot: BareRobot, site: str, tmp_path: Path
) -> None:
    slow = "a: [" + "x, " * 90_000 + "x]"
    episodes = [{"id": f"arm_20260131T101500_{n:03d}_x", "metadata": slow} for n in range(8)]
    path, other = take(tmp_path), BareRobot(floor.url, floor.token(site, "leg"))
    answered: list[int] = []

    def offer() -> None:
        while not answered or answered[-1] == 429:  # the offers below may be first
            answered.append(robot.call("offer", episodes=episodes)[0])

    busy = threading.Thread(target=offer)
    busy.start()
    refused = 0
    while busy.is_alive():
        refused += robot.call("offer", episodes=[])[0] == 429
        assert other.call("offer", episodes=[])[0] == 200, "others are not concerned"
    assert refused > 1 and answered[-1] == 200
    assert robot.offer(path)["ok"]


def test_metadata_with_too_much_of_something_is_refused_quickly_without_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk_in(tmp_path / "centre") as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        large, many = take(tmp_path, 1), take(tmp_path, 2, labels="[" + "{}," * MOST_MERGED + "{}]")
        with open(large / "metadata.yaml", "a") as file:
            file.write("# " + "x" * 2_000_000)
        monkeypatch.setattr(desk.db, "retrying", lambda _: pytest.fail("a transaction"))
        assert "larger than 2000000" in robot.offer(large)["message"]
        (large / "metadata.yaml").write_text(("- " * 250 + "x\n") * 3800)
        begun_s = time.process_time()
        assert "more than 100,000 values" in robot.offer(large)["message"]
        assert time.process_time() - begun_s < 2
        assert f"labels, more than {MOST_MERGED}" in robot.offer(many)["message"]


# -- watchers


def test_strangers_do_not_hear_where_the_storage_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with desk_in(tmp_path / "centre") as desk:
        storage = desk.storage.root
        storage.rename(storage.with_name("unmounted"))
        routes: Any = probes.routes(desk, probes.CentreMetrics(desk)).routes
        (ready,) = (route.endpoint for route in routes if route.path == "/readyz")
        for client, is_told in (("127.0.0.1", True), ("192.0.2.7", False)):
            request = Request({"type": "http", "headers": [], "client": (client, 1)})
            answer = asyncio.run(ready(request))
            text = answer.body.decode()
            assert answer.status_code == 503 and "storage" in json.loads(text)["message"]
            assert (str(tmp_path) in text) is is_told
        assert str(tmp_path) in str([vars(record) for record in caplog.records])
        storage.with_name("unmounted").rename(storage)


def test_probes_and_metrics(floor: CentreProcess, robot: BareRobot) -> None:
    robot.beat()
    assert floor.get("/healthz") == (200, {"ok": True})
    assert floor.get("/readyz") == (200, {"ok": True, "message": ""})
    status, text = floor.get("/metrics")
    assert status == 200
    lines = text.decode().splitlines()
    assert 'centre_requests_total{route="/agent/beat",status="200"}' in "".join(lines)
    assert "centre_database_up 1.0" in lines
    assert not any(robot.token in line or "test_" in line for line in lines)


def test_metrics_through_a_proxy_need_the_token(floor: CentreProcess) -> None:
    afar = {"X-Forwarded-For": "1.2.3.4"}
    assert ask(floor.url, "GET", "/metrics", None, afar)[0] == 403
    wrong = {**afar, "Authorization": "Bearer wrong"}
    assert ask(floor.url, "GET", "/metrics", None, wrong)[0] == 403
    right = {**afar, "Authorization": f"Bearer {SECRET}"}
    assert ask(floor.url, "GET", "/metrics", None, right)[0] == 200


def test_logs_are_json_lines_without_secrets(floor: CentreProcess, robot: BareRobot) -> None:
    robot.beat()
    floor.login("ann")
    assert floor.events("started")
    for line in floor.log:
        json.loads(line)
    assert robot.token not in floor.text() and PASSWORD not in floor.text()


# -- people


def test_people_log_in_and_out(floor: CentreProcess) -> None:
    assert floor.get("/api/me")[0] == 401
    cookie = floor.login("bob")
    status, me = floor.get("/api/me", cookie)
    assert (me["user"], me["role"], me["login"]) == ("bob", "inspector", True)
    assert floor.post("/api/logout", {}, cookie)[0] == 200
    assert floor.get("/api/me", cookie)[0] == 401
    wrong = {"name": "bob", "password": "wrong"}
    assert floor.post("/api/login", wrong)[0] == 401


def test_roles_hold(floor: CentreProcess) -> None:
    ann, bob, root = (floor.login(name) for name in ("ann", "bob", "root"))
    want = {"site": "x", "ids": ["y"]}
    assert floor.post("/api/want", want, ann)[0] == 403
    assert floor.post("/api/want", want, bob)[0] == 200
    for cookie, status in ((ann, 403), (bob, 403), (root, 200)):
        assert floor.get("/api/tokens", cookie)[0] == status
        assert floor.get("/api/audit", cookie)[0] == status
        assert floor.post("/api/ingest/x/y/accept", {}, cookie)[0] == status


def test_tokens_are_made_and_revoked_by_admins_and_noted(floor: CentreProcess, site: str) -> None:
    root = floor.login("root")
    new = {"site": site, "robot": "arm"}
    secret = floor.post("/api/tokens/add", new, root)[1]["token"]
    robot = BareRobot(floor.url, secret)
    robot.beat()
    (listed,) = [t for t in floor.get("/api/tokens", root)[1]["tokens"] if t["site"] == site]
    assert secret not in json.dumps(listed)
    assert (
        floor.post("/api/tokens/revoke", {**new, "token_name": "00000000"}, root)[1]["ok"] is False
    )
    robot.beat()
    assert floor.post("/api/tokens/revoke", new, root)[1]["ok"]
    assert robot.call("beat")[0] == 401
    end = time.monotonic() + 10
    while time.monotonic() < end:
        noted = [
            e
            for e in floor.get("/api/audit", root)[1]["entries"]
            if e["fields"].get("site") == site
        ]
        if len(noted) == 3:
            break
    assert [(e["who"], e["what"], e["ok"]) for e in noted[::-1]] == [
        ("root", "add token", True), ("root", "revoke token", False), ("root", "revoke token", True),
    ]  # fmt: skip
    assert secret not in json.dumps(noted)


def test_pages_of_others_may_ask_nothing(floor: CentreProcess) -> None:
    headers = {"Cookie": floor.login("root"), "Origin": "http://evil.example"}
    assert ask(floor.url, "POST", "/api/want", {"site": "x", "ids": ["y"]}, headers)[0] == 403
    assert ask(floor.url, "GET", "/api/robots", None, {"Host": "evil.example"})[0] == 421


def test_an_alarm_is_seen_and_gone(floor: CentreProcess, robot: BareRobot, site: str) -> None:
    robot.ok("offer", episodes=[{"id": "odd", "metadata": "{"}])
    bob = floor.login("bob")
    (alarm,) = [a for a in floor.get("/api/alarms", bob)[1]["alarms"] if a["site"] == site]
    seen = {key: alarm[key] for key in ("site", "robot", "kind", "subject")}
    assert floor.post("/api/alarms/clear", seen, bob)[1]["ok"]
    assert not floor.post("/api/alarms/clear", seen, bob)[1]["ok"]
    robot.ok("offer", episodes=[{"id": "odd", "metadata": "{"}])
    (again,) = [a for a in floor.get("/api/alarms", bob)[1]["alarms"] if a["site"] == site]
    assert again["times"] == 2, "it came back"


# -- the wall


def test_the_wall_sees_robots_and_their_vanishing_within_five_seconds(
    floor: CentreProcess, robot: BareRobot, site: str
) -> None:
    cookie = floor.login("ann")
    url = floor.url.replace("http", "ws", 1) + "/live"
    with connect(url, origin=floor.url, additional_headers={"Cookie": cookie}) as socket_:  # type: ignore[arg-type]
        assert json.loads(socket_.recv())["user"] == "ann"
        known: dict[tuple[str, str], Any] = {}

        def own() -> Any:
            state = json.loads(socket_.recv(5))
            socket_.send('{"type": "seen"}')
            assert ("robots" in state) == (not known), "everything first, then what has changed"
            for one in state.get("robots", state.get("changed")):
                known[one["site"], one["robot"]] = one
            return known.get((site, "arm"))

        robot.beat(state="recording", taken=3, alarms=["the disk is full in 5 h"])
        heard_s = time.monotonic()
        while (seen := own()) is None or seen["vanished"]:
            assert time.monotonic() - heard_s < 2
        assert seen["status"]["state"] == "recording" and seen["status"]["taken"] == 3
        while not own()["vanished"]:
            assert time.monotonic() - heard_s < 5
        assert time.monotonic() - heard_s > VANISHED_S - 0.5


def test_the_wall_needs_a_login_and_its_own_origin(floor: CentreProcess) -> None:
    url = floor.url.replace("http", "ws", 1) + "/live"
    for cookie, origin in (("", floor.url), (floor.login("ann"), "http://evil.example")):
        with (
            pytest.raises((InvalidStatus, ConnectionClosed), match="1008|403"),
            connect(url, origin=origin, additional_headers={"Cookie": cookie}) as page,  # type: ignore[arg-type]
        ):
            page.recv(5)


def test_any_status_becomes_one_within_limits() -> None:
    odd: Any
    for odd in (None, [], {"streams": [1, {"name": 5}], "alarms": "x", "taken": True, "target": 1 << 90},
                {"disk_full_in_s": float("nan"), "state": "x" * 10**6, "task": "y" * 10**6},
                {"alarms": ["a" * 10**6] * 1000, "streams": [{"rate_hz": "fast"}] * 1000}):  # fmt: skip
        plain = plain_status(odd)
        assert len(json.dumps(plain, allow_nan=False)) < 20_000
        assert plain["taken"] is None and plain["target"] is None
        assert plain_status(plain) == plain


def test_robots_that_have_a_token_and_never_spoke_are_shown() -> None:
    now = [0.0]
    live = LiveRobots(lambda: now[0])
    arm, leg = Station("a", "arm"), Station("a", "leg")
    live.know([arm, leg])
    now_ns = 1_800_000_000_000_000_000
    live.hear(arm, plain_status({"alarms": ["hot"], "clock_ns": now_ns - 1}), now_ns)
    assert [(r["robot"], r["heard_s"], r["vanished"]) for r in live.robots()] == [
        ("arm", 0.0, False), ("leg", None, True),
    ]  # fmt: skip
    assert [a["text"] for a in live.alarms()] == ["hot", "never heard"]
    live.hear(arm, plain_status({"clock_ns": now_ns - 3600 * 10**9}), now_ns)
    assert "its clock is 3600 s behind" in live.alarms()[0]["text"]
    now[0] = VANISHED_S + 0.1
    assert live.robots()[0]["vanished"]
    live.know([leg])
    assert [r["robot"] for r in live.robots()] == ["leg"]


def test_a_page_is_told_only_what_has_changed_since_it_was_told_last() -> None:
    now = [0.0]
    live = LiveRobots(lambda: now[0])
    stations = [Station("a", f"r{number}") for number in range(3)]
    live.know(stations)

    def told(serial: int) -> tuple[list[str], list[str], int]:
        changes = live.since(serial)
        return (
            [r["robot"] for r in changes.robots],
            [s.robot for s in changes.gone],
            changes.serial,
        )

    names, gone, serial = told(-1)
    assert (names, gone) == (["r0", "r1", "r2"], [])
    assert told(serial) == ([], [], serial), "time alone changes nothing"
    live.hear(stations[1], plain_status({}), 0)
    names, gone, later = told(serial)
    assert (names, gone) == (["r1"], [])
    now[0] = VANISHED_S + 0.1
    names, gone, latest = told(later)
    assert (names, gone) == (["r1"], []) and live.robots()[1]["vanished"], "it vanished"
    assert told(serial)[0] == ["r1"], "a page that lags is told as well"
    live.know(stations[:2])
    assert told(latest)[:2] == ([], ["r2"])
    live.know(stations)
    assert told(latest)[:2] == (["r2"], []), "it has a token again"
    assert told(-1)[:2] == (["r0", "r1", "r2"], [])


class PageSocket:
    """A page's websocket that notes what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def accept(self) -> None:
        pass

    async def send_text(self, text: str) -> None:
        self.sent.append((len(text), json.loads(text)))

    async def receive_text(self) -> str:
        await asyncio.sleep(3600)
        return ""


def test_the_wall_of_a_hundred_robots_sends_little_when_little_changes() -> None:
    live = LiveRobots()
    stations = [Station("a", f"r{number}") for number in range(100)]
    status = plain_status({"task": "lift", "alarms": ["hot"], "clock_ns": time.time_ns()})
    for station in stations:
        live.hear(station, status, time.time_ns())
    wall = WallPages(live, lambda: [{"site": "a", "robot": "", "text": "of the centre"}])
    page = PageSocket()

    async def work() -> None:
        user = User("ann", UserRole.OPERATOR)
        serving = asyncio.create_task(wall.serve(page, user, lambda: True))  # type: ignore[arg-type]

        async def states(count: int) -> None:
            while len(page.sent) < 1 + count:
                await asyncio.sleep(0.01)

        await states(2)
        live.hear(stations[7], {**status, "alarms": []}, time.time_ns())
        await states(4)
        live.know(stations[1:])
        await states(6)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(work())
    (full_bytes, full), *later = page.sent[1:]
    assert len(full["robots"]) == 100 and len(full["alarms"]) == 101
    changed = [one for _, state in later for one in state["changed"]]
    assert [one["robot"] for one in changed] == ["r7"]
    assert [one for _, state in later for one in state["gone"]] == [["a", "r0"]]
    assert next(len(state["alarms"]) for _, state in later if "alarms" in state) == 100
    assert all(size < 500 for size, state in later if "alarms" not in state) and full_bytes > 20_000


# -- odd texts


def test_half_a_character_of_one_robot_does_not_hide_the_others(
    floor: CentreProcess, robot: BareRobot, site: str
) -> None:
    odd = {"task": "\ud800", "alarms": ["x\udfff"], "streams": [{"name": "\ud800"}]}
    assert robot.call("beat", status=odd)[0] == 200
    status, plain = floor.get("/api/robots", floor.login("ann"))
    (own,) = [r for r in plain["robots"] if r["site"] == site]
    assert status == 200 and own["status"]["task"] == "?"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/trends?robot=%00", None), ("/api/episodes?site=%00", None), ("/api/ingest/%00/x", None),
        ("/api/review/history?site=%00&id=%00", None), ("/api/want", {"site": "\0", "ids": ["x"]}),
        ("/api/review/recall", {"filter": {"robot": "x\0"}, "reason": "r"}),
        ("/api/review/ask", {"site": "x", "ids": ["\ud800"]}), ("/api/jobs", {"kind": "check", "settings": {"a": ["\0"]}}),
    ],
)  # fmt: skip
def test_texts_that_no_database_takes_are_refused_at_the_door(
    floor: CentreProcess, path: str, body: Any
) -> None:
    cookie = {"Cookie": floor.login("root")}
    status, plain, _ = ask(floor.url, "GET" if body is None else "POST", path, body, cookie)
    assert (status in (400, 422) and "half of a character" in str(plain)) or "NUL" in str(plain)


def test_an_answer_can_always_be_sent() -> None:
    answer = SafeJson({"a": "\ud800ü", "b": [float("nan"), 1.5], "c": {"d": float("inf")}})
    assert json.loads(bytes(answer.body)) == {"a": "?ü", "b": [None, 1.5], "c": {"d": None}}


def test_an_answer_does_not_say_where_the_database_is() -> None:
    for retry in (False, True):
        told = of_database(
            DatabaseError("the database postgresql://u@host:1/d refuses this", retry)
        )
        assert "host" not in str(told) and told.status == (503 if retry else 500)


@pytest.mark.parametrize("path", ["/agent/beat", "/agent/offer", "/api/login"])
def test_a_robot_or_page_that_goes_amid_its_request_is_no_fault(
    floor: CentreProcess, robot: BareRobot, path: str
) -> None:
    place = urlsplit(floor.url)
    head = (f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {robot.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")  # fmt: skip
    before = len(floor.log)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(head.encode())
        time.sleep(0.2)
    robot.beat()
    time.sleep(0.3)
    assert [line for line in floor.log[before:] if "failed" in line] == []
