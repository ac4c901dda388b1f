"""The console's server as a process, beside a real recorder and operator: state, pictures, commands, roles.

Holds also: app.py, commands.py, link.py, live.py, previews.py, prepare.py, requests.py, review.py.
Holds also: server.py, sessions.py, settings.py, snapshot.py, web/replies.py, web/pages.py, web/serve.py, web/settings.py, report/made.py.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")
pytest.importorskip("fastapi")
pytest.importorskip("websockets")

from argon2 import PasswordHasher
from support.console import Page, ask, console
from support.robot import LATCHED, PROFILE, process
from support.shifts import ShiftBench
from websockets.exceptions import ConnectionClosed, InvalidStatus

from robot_recorder.episodes.episode import Episode
from robot_recorder.model.labels import LabelKind, Outcome

JPEG = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Floor:
    """A bench that publishes in the background, with a recorder, an operator and two consoles."""

    def __init__(self, bench: ShiftBench, folder: Path, stack: ExitStack) -> None:
        self.bench, self.root = bench, folder / "episodes"
        profile = folder / "bench.yaml"
        profile.write_text(PROFILE)
        users = {
            name: {"role": role, "password": QUICK.hash(f"password of {name}")}
            for name, role in (("ann", "operator"), ("eve", "inspector"), ("bob", "admin"))
        }
        (folder / "users.yaml").write_text(yaml.safe_dump({"users": users}))
        common: dict[str, Any] = {"profile": profile, "root": self.root}
        publisher, _ = bench.publishers["/camera/image/compressed"]
        from sensor_msgs.msg import CompressedImage

        bench.publishers["/camera/image/compressed"] = (
            publisher, lambda: CompressedImage(format="jpeg", data=JPEG))  # fmt: skip
        stack.enter_context(process("record", check=False, **common))
        stack.enter_context(process("operator", tones=False, **common))
        self.open = stack.enter_context(console(**common))
        (folder / "users.yaml").chmod(0o600)
        self.closed = stack.enter_context(console(users=folder / "users.yaml", **common))
        bench.until("recorder and operator", lambda: bench.ready() and bench.shift is not None, 40)
        stack.enter_context(bench.publishing())

    def login(self, name: str) -> str:
        """Return a session's cookie."""
        import urllib.request

        body = json.dumps({"name": name, "password": f"password of {name}"}).encode()
        request = urllib.request.Request(
            self.closed + "/api/login", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            header = answer.headers["Set-Cookie"]
        assert "HttpOnly" in header and "SameSite=strict" in header
        assert header.startswith(f"console_{self.closed.rpartition(':')[2]}=")
        return str(header.split("=", 1)[1].split(";")[0])


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    with ExitStack() as stack:
        bench = stack.enter_context(ShiftBench())
        yield Floor(bench, tmp_path_factory.mktemp("floor"), stack)


KEYS = iter(f"press-{n:06}" for n in range(10**6))


def press(page: Page, command: str, **more: str) -> Any:
    return page.post("/api/command", command=command, **{"key": next(KEYS), **more})


def until(page: Page, what: str, condition: Any, timeout_s: float = 15) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited for {what}: {page.state}"
        page.hear(2)


def shift(page: Page) -> Any:
    return page.state.get("shift") or {}


def take(page: Page) -> str:
    """Start a take, as soon as a busy machine's streams are fit for it."""
    for _ in range(30):
        until(
            page, "streams", lambda: all(s["health"] == "ok" for s in page.state.get("streams", []))
        )
        status, answer = press(page, "next")
        if answer["ok"]:
            return str(answer["episode_id"])
        page.hear_for(0.3)
    raise AssertionError(answer)


@pytest.fixture
def page(floor: Floor) -> Iterator[Page]:
    """A page with a shift that has just begun, and holds the buttons."""
    with Page(floor.open) as page:
        until(page, "a state", lambda: page.state.get("shift"))
        assert page.post("/api/hold", take=True)[1]["ok"]
        if shift(page)["state"] == "recording":
            press(page, "discard")
        press(page, "end")
        status, begun = page.post(
            "/api/begin", task="lift_box", operator="ann", station="A1", target=0, key=next(KEYS)
        )
        assert begun["ok"], begun
        until(page, "the shift", lambda: shift(page).get("state") == "ready")
        yield page


def test_a_state_comes_four_times_a_second_and_says_what_is_unknown_as_null(page: Page) -> None:
    page.hear_for(0.1)
    came = []
    end = time.monotonic() + 2
    while time.monotonic() < end:
        if page.hear(1) == "state":
            came.append(time.monotonic())
    assert max(b - a for a, b in pairwise(came)) < 0.8
    streams = {s["name"]: s for s in page.state["streams"]}
    assert streams["camera"]["camera"] and not streams["joints"]["camera"]
    assert streams["description"]["expected_hz"] is None
    assert streams["description"]["clock_offset_s"] is None and streams["joints"]["age_s"] < 2
    assert shift(page)["remaining_s"] is None
    assert page.state["recorder"]["heard"] and page.state["holder"]["me"]


def test_two_commands_make_a_take_and_its_label_says_who(floor: Floor, page: Page) -> None:
    id = take(page)
    until(page, "recording", lambda: shift(page)["state"] == "recording")
    time.sleep(0.6)
    status, answer = press(page, "success")
    assert status == 200 and answer["ok"] and answer["episode_id"] == id
    until(page, "the take to count", lambda: shift(page)["counted"] == 1)
    events = Episode.open(floor.root / id).events
    assert [(e.by, e.outcome) for e in events if e.kind is LabelKind.OUTCOME] == [
        ("ann", Outcome.SUCCESS)
    ]
    until(
        page,
        "what is said",
        lambda: {"start", "stop", "success"} <= {s["event"] for s in page.said},
    )


def test_a_command_sent_again_with_its_key_is_carried_out_once(page: Page) -> None:
    id = take(page)
    answers = [press(page, "discard", key="the-same-key")[1] for _ in range(3)]
    assert all(a == answers[0] and a["ok"] and a["episode_id"] == id for a in answers)


def test_one_console_holds_the_buttons_and_a_takeover_is_audited(floor: Floor, page: Page) -> None:
    with Page(floor.open) as other:
        status, answer = press(other, "pause")
        assert status == 409 and "another console has the buttons" in answer["message"]
        until(other, "a state", lambda: other.state.get("holder"))
        assert not other.state["holder"]["me"] and other.state["holder"]["client"] == ""
        until(other, "both", lambda: other.state["viewers"] == 2)
        assert other.post("/api/hold", take=True)[1]["ok"]
        assert press(other, "pause")[1]["ok"]
        assert press(page, "pause")[0] == 409
        until(page, "the loss", lambda: not page.state["holder"]["me"])
    until(page, "the buttons to be free", lambda: page.state["holder"] is None)
    assert press(page, "pause")[1]["ok"]
    audit = (floor.root / ".shift" / "bench.audit.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in audit]
    assert any(e["what"] == "hold" and e["ok"] and e["fields"] == {"take": True} for e in told)
    assert any(e["what"] == "command pause" and not e["ok"] for e in told)


def test_a_page_that_goes_changes_nothing_on_the_robot(floor: Floor, page: Page) -> None:
    id = take(page)
    with Page(floor.open) as gone:
        gone.socket.close()
    page.hear_for(0.5)
    assert shift(page)["state"] == "recording" and shift(page)["episode_id"] == id
    assert press(page, "discard")[1]["ok"]
    forged = ask(
        floor.open,
        "/api/command",
        {"command": "next", "key": next(KEYS)},
        X_Console="0123456789abcdef",
    )
    assert forged[0] == 409, "only a connected page may press"


def test_a_page_that_does_not_show_its_pictures_gets_no_more_of_them(page: Page) -> None:
    page.tell(type="watch", streams=["camera", "no such camera"])
    page.hear_for(1.5)
    assert [header["stream"] for header, _ in page.pictures] == ["camera"]
    for _ in range(5):
        page.tell(type="shown", stream="camera")
        count = len(page.pictures)
        until(page, "the next picture", lambda n=count: len(page.pictures) > n)
    newest = page.pictures[-1][0]["stamp_ms"]
    assert time.time() * 1000 - newest < 1000
    page.tell(type="watch", streams=[])
    page.hear_for(0.3)
    page.pictures.clear()
    page.tell(type="shown", stream="camera")
    page.hear_for(0.5)
    assert page.pictures == []


@pytest.mark.parametrize(
    "text",
    ["x", "[]", "{}", '{"type": "watch"}', '{"type":"watch","streams":5}', "[" * 3000, "x" * 5000],
)
def test_a_page_that_speaks_nonsense_is_cut_off_and_others_go_on(
    floor: Floor, page: Page, text: str
) -> None:
    with Page(floor.open) as bad:
        bad.socket.send(text)
        with pytest.raises(ConnectionClosed):
            bad.hear_for(3)
            bad.hear(1)
    page.hear(1)


def test_bars_show_the_force_of_every_wrench(page: Page) -> None:
    until(page, "a bar", lambda: page.state["bars"])
    bar = page.state["bars"][0]
    assert (
        bar["name"] == "wrench"
        and bar["kind"] == "force"
        and bar["value"] == 0
        and bar["unit"] == "N"
    )


def test_a_bar_forgets_its_value_when_its_stream_falls_silent(floor: Floor, page: Page) -> None:
    def value() -> Any:
        return next((bar["value"] for bar in page.state["bars"] if bar["name"] == "wrench"), "")

    until(page, "a force", lambda: value() == 0)
    floor.bench.publishers = dict(floor.bench.publishers)  # another thread goes through the old one
    silent = floor.bench.publishers.pop("/wrist/wrench")
    try:
        until(page, "an unknown force", lambda: value() is None)
    finally:
        floor.bench.publishers = {**floor.bench.publishers, "/wrist/wrench": silent}
    until(page, "the force again", lambda: value() == 0)


def test_the_station_check_and_the_tasks_are_those_of_the_recorder(
    floor: Floor, page: Page
) -> None:
    until(page, "streams", lambda: page.state["streams"])
    status, check = ask(floor.open, "/api/check")
    named = {f["name"] for f in check["findings"]}
    assert status == 200 and {"joints", "camera", "recorder", "disk"} <= named
    assert {c["name"]: c["offset_ms"] for c in check["clocks"]}["description"] is None
    status, prepared = ask(floor.open, "/api/prepare")
    tasks = {t["id"]: t for t in prepared["tasks"]}
    assert tasks["lift_box"]["failure_causes"] and tasks["lift_box"]["target"]
    assert prepared["current"]["operator"] == "ann"


def test_the_profile_check_listens_to_the_running_robot(floor: Floor, page: Page) -> None:
    status, answer = page.post("/api/check/profile")
    assert status == 200 and answer["ok"], answer
    assert any("joint_states" in line for line in answer["lines"])


def test_an_episode_is_listed_seen_relabelled_discarded_and_restored(
    floor: Floor, page: Page
) -> None:
    ids = []
    for _ in range(2):
        ids.append(take(page))
        time.sleep(0.7)
        assert press(page, "success")[1]["ok"]
    id = ids[1]
    status, listed = ask(floor.open, f"/api/episodes?task=lift_box&text={id}&limit=5")
    assert [e["id"] for e in listed["episodes"]] == [id]
    older = ask(floor.open, f"/api/episodes?before={id}")[1]["episodes"]
    assert id not in [e["id"] for e in older] and ids[0] in [e["id"] for e in older]
    status, picture = ask(floor.open, f"/api/episodes/{id}/thumbnail.jpg")
    assert status == 200 and picture.startswith(b"\xff\xd8")
    status, report = ask(floor.open, f"/api/episodes/{id}/report")
    assert status == 200 and b"<html" in report
    status, compared = ask(floor.open, f"/api/compare.png?id={ids[0]}&id={id}")
    assert status == 200 and compared.startswith(b"\x89PNG")
    status, answer = page.post(
        f"/api/episodes/{id}/label", outcome="failure", cause="drop", note="seen\nagain"
    )
    assert answer["ok"], answer
    told = ask(floor.open, f"/api/episodes/{id}")[1]
    assert (told["outcome"], told["cause"]) == ("failure", "drop")
    assert (
        told["history"][-1]["note"] == "seen\nagain"
        and told["history"][-1]["previous"] == "success"
    )
    assert page.post(f"/api/episodes/{id}/discard", note="twice")[1]["ok"]
    trash = ask(floor.open, "/api/episodes?trash=1")[1]["episodes"]
    assert id in [e["id"] for e in trash if e["trashed"]]
    assert page.post(f"/api/episodes/{id}/restore")[1]["ok"]
    assert Episode.open(floor.root / id).labels.annotations == ()
    today = ask(floor.open, "/api/today")[1]
    assert today["episodes"] >= 2 and sum(today["verdicts"].values()) == today["episodes"]


@pytest.mark.parametrize(
    "id", ["..%2f..%2fetc", "%2e%2e", ".shift", "a%00b", "no_such_episode", "x" * 300, "%ff"]
)
def test_no_id_reaches_anything_but_an_episode(floor: Floor, page: Page, id: str) -> None:
    for path in ("", "/report", "/thumbnail.jpg"):
        status, answer = ask(floor.open, f"/api/episodes/{id}{path}")
        assert status in (404, 422) and "/etc" not in str(answer), answer
    status, answer = page.post(f"/api/episodes/{id}/discard")
    assert status in (200, 404, 405, 422) and not answer.get("ok")


@pytest.mark.parametrize("path", [
    "/static/../main.py", "/static/..%2fmain.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/docs", "/openapi.json",
    "/words/..%2f..%2ftasks.json", "/tones/..%2fx.wav", "/static/",
])  # fmt: skip
def test_no_path_reaches_the_disk(floor: Floor, path: str) -> None:
    status, answer = ask(floor.open, path)
    assert status == 404, answer


@pytest.mark.parametrize("body", [
    {}, {"command": "next"}, {"command": "next", "key": "short"}, {"command": 5, "key": "12345678"}, [], "x",
    {"command": "next", "key": "12345678", "by": "the boss"}, {"command": "x" * 5000, "key": "12345678"},
    {"command": "next", "key": "../../../etc"},
])  # fmt: skip
def test_a_body_that_is_not_a_command_is_refused_with_its_reason(page: Page, body: Any) -> None:
    status, answer = ask(page.address, "/api/command", body, X_Console=page.client)
    assert status == 422 and not answer["ok"] and "not understood" in answer["message"]


def test_a_text_with_hidden_characters_is_refused_by_the_recorders_rules(page: Page) -> None:
    status, answer = press(page, "failure", cause="a\u202eb")
    assert not answer["ok"] and "not allowed" in answer["message"]


def test_nothing_is_told_to_who_is_not_logged_in(floor: Floor) -> None:
    for path in (
        "/api/me",
        "/api/prepare",
        "/api/check",
        "/api/episodes",
        "/api/today",
        "/api/episodes/x/report",
    ):
        assert ask(floor.closed, path) == (401, {"ok": False, "message": "log in first"})
    for path in (
        "/api/command",
        "/api/begin",
        "/api/hold",
        "/api/episodes/x/label",
        "/api/check/profile",
    ):
        body = {"command": "next", "key": "12345678", "take": True, "outcome": "success"}
        assert ask(floor.closed, path, body)[0] in (401, 422)
    with pytest.raises(InvalidStatus):
        Page(floor.closed)
    for cookie in ("x", "' OR 1=1", "x" * 5000):
        assert ask(floor.closed, "/api/me", cookie=cookie)[0] == 401


def test_roles_may_what_they_are_here_for(floor: Floor, page: Page) -> None:
    ann, eve = floor.login("ann"), floor.login("eve")
    id = take(page)
    time.sleep(0.6)
    press(page, "success")
    with Page(floor.closed, ann) as operator, Page(floor.closed, eve) as inspector:
        assert operator.post(f"/api/episodes/{id}/label", outcome="failure", cause="drop")[0] == 403
        assert operator.post(f"/api/episodes/{id}/discard")[0] == 403
        assert (
            press(inspector, "pause")[0] == 403 and inspector.post("/api/hold", take=True)[0] == 403
        )
        assert inspector.post(f"/api/episodes/{id}/label", outcome="failure", cause="drop")[1]["ok"]
        assert press(operator, "pause")[1]["ok"], "another console's holder is another matter"
        stolen = ask(
            floor.closed,
            "/api/command",
            {"command": "pause", "key": next(KEYS)},
            eve,
            X_Console=operator.client,
        )
        assert stolen[0] == 403
        assert ask(floor.closed, "/api/logout", {}, ann)[1]["ok"]
        assert ask(floor.closed, "/api/me", cookie=ann)[0] == 401
    events = Episode.open(floor.root / id).events
    assert events[-1].by == "eve" and events[-1].outcome is Outcome.FAILURE


def test_a_logout_ends_the_page_and_frees_its_buttons(floor: Floor) -> None:
    cookie = floor.login("bob")
    with Page(floor.closed, cookie) as page:
        assert page.post("/api/hold", take=True)[1]["ok"]
        assert page.post("/api/logout")[1]["ok"]
        with pytest.raises(ConnectionClosed):
            page.hear_for(5)
    with Page(floor.closed, floor.login("bob")) as page:
        until(page, "the buttons to be free", lambda: page.state.get("holder", 0) is None)


def test_the_audit_log_has_logins_refusals_and_no_secrets(floor: Floor) -> None:
    log = floor.root / ".shift" / "bench.audit.jsonl"
    cookie = floor.login("eve")
    ask(floor.closed, "/api/login", {"name": "eve", "password": "not her secret"})
    ask(floor.closed, "/api/hold", {"take": True}, cookie)

    def found(what: str, **more: Any) -> bool:
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        return any(e["what"] == what and more.items() <= e.items() for e in entries)

    end = time.monotonic() + 10
    while not found("/api/hold", user="eve", ok=False):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert found("login", user="eve", ok=True) and found("login", ok=False, fields={"name": "eve"})
    assert "not her secret" not in log.read_text()


def test_one_user_cannot_take_all_pages(floor: Floor) -> None:
    cookie = floor.login("eve")
    with ExitStack() as stack:
        pages = [stack.enter_context(Page(floor.closed, cookie)) for _ in range(12)]
        with pytest.raises(ConnectionClosed):
            Page(floor.closed, cookie)
        assert pages[0].hear(2)
        stack.enter_context(Page(floor.closed, floor.login("ann")))


def test_a_take_that_is_recorded_is_not_for_the_review(floor: Floor, page: Page) -> None:
    id = take(page)
    until(page, "the recorder to say so", lambda: page.state["recorder"]["episode_id"] == id)
    status, answer = page.post(f"/api/episodes/{id}/discard")
    assert status == 409 and "is being recorded" in answer["message"]
    assert press(page, "discard")[1]["ok"]
    assert ask(floor.open, f"/api/episodes/{id}/restore", {})[0] == 409, "a page must be connected"


@pytest.mark.parametrize("since", ["99999999999999999999", "9999-12-31", "-1", "yesterday", "1e9"])
def test_a_day_that_does_not_exist_is_refused(floor: Floor, since: str) -> None:
    status, answer = ask(floor.open, f"/api/episodes?since={since}")
    assert status == 422 and "does not exist" in answer["message"]


def test_a_status_of_unknown_values_cuts_no_page_off(floor: Floor, page: Page) -> None:
    from robot_recorder.msg import EpisodeStatus, ShiftStatus, StreamStatus

    bad: list[tuple[Any, Any]] = [
        (EpisodeStatus, EpisodeStatus(streams=[StreamStatus(health=77)])),
        (EpisodeStatus, EpisodeStatus(verdict=99)), (ShiftStatus, ShiftStatus(state=99, outcome=99)),
    ]  # fmt: skip
    topics = {EpisodeStatus: "recorder/status", ShiftStatus: "shift/status"}
    publishers = {k: floor.bench.node.create_publisher(k, t, LATCHED) for k, t in topics.items()}
    for kind, publisher in publishers.items():
        end = time.monotonic() + 10
        while publisher.get_subscription_count() < 3 and time.monotonic() < end:
            time.sleep(0.05)
        for _ in range(5):
            for other, message in bad:
                if other is kind:
                    publisher.publish(message)
    for publisher in publishers.values():
        floor.bench.node.destroy_publisher(publisher)
    page.hear_for(1)
    until(page, "a state", lambda: shift(page).get("state") == "ready")


def test_connections_that_say_nothing_keep_nobody_out(floor: Floor) -> None:
    port = int(floor.closed.rpartition(":")[2])
    idle: list[socket.socket] = []
    try:
        for number in range(60):
            idle.append(
                socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
            )
            if number % 2:
                idle[-1].send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for _ in range(3):
            assert ask(floor.closed, "/api/me")[0] == 401
        end = time.monotonic() + 20
        while any(_open(one) for one in idle):
            assert time.monotonic() < end, "they are closed when they do not ask in time"
            time.sleep(0.2)
    finally:
        for one in idle:
            one.close()


def _open(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1000) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_guesses_are_slowed_down(floor: Floor) -> None:
    found = [
        ask(floor.closed, "/api/login", {"name": "mallory", "password": "x"})[0] for _ in range(7)
    ]
    assert found[:4] == [401] * 4 and found[5:] == [429] * 2  # others may have guessed before


@pytest.mark.parametrize("parameters, told", [
    ({"host": "0.0.0.0"}, "lets other machines reach the server"),
    ({"host": "no.such.host.invalid", "token": "TOKEN"}, "cannot listen on"),
    ({"certificate": "/nowhere.pem"}, "belong together"),
    ({"users": "/nowhere.yaml"}, "/nowhere.yaml cannot be read"),
    ({"language": "xx"}, "unknown language"),
    ({"buttons": "no_such"}, "no_such"),
])  # fmt: skip
def test_a_console_that_would_be_unsafe_or_wrong_does_not_start(
    tmp_path: Path, parameters: dict[str, object], told: str
) -> None:
    (tmp_path / "token").write_text("x" * 32)
    given: dict[str, Any] = {
        k: tmp_path / "token" if v == "TOKEN" else v for k, v in parameters.items()
    }
    with process("console", port=0, root=tmp_path, **given) as running:
        assert running.wait(30) == 2
        assert running.stdout is not None and told in running.stdout.read()


def test_without_its_packages_it_says_how_to_install_them(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *p: None if name == 'fastapi' else find(name, *p)\n"
    )
    with process("console", environment={"PYTHONPATH": str(tmp_path)}, root=tmp_path) as running:
        assert running.wait(30) == 2
        assert running.stdout is not None
        assert "needs fastapi: pip install -r requirements/console.txt" in running.stdout.read()


def test_with_a_certificate_it_speaks_https_and_its_cookie_is_secure(tmp_path: Path) -> None:
    certificate, key, token = tmp_path / "c.pem", tmp_path / "k.pem", tmp_path / "token"
    token.write_text("a token of thirty-two characters")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=robot7"], check=True, capture_output=True,
    )  # fmt: skip
    with console(
        root=tmp_path, host="0.0.0.0", certificate=certificate, key=key, token=token
    ) as address:
        local = address.replace("0.0.0.0", "127.0.0.1")
        assert local.startswith("https://")
        assert ask(local, "/api/me")[0] == 401
        assert ask(local, "/api/login", {"token": "a token of thirty-two characterx"})[0] == 401
        assert ask(local, "/api/login", {"token": "a token of thirty-two characters"})[1]["ok"]
