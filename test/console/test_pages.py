"""The console's pages in a real browser, on real processes: whole shifts, what breaks, what is hostile, how it looks.

With RECORD_PICTURES=1 it also records docs/images/console.png.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml
from support.browser import chromium

pytest.importorskip("rclpy")
pytest.importorskip("fastapi")
pytest.importorskip("playwright")
pytest.importorskip("axe_playwright_python")
if chromium() is None:
    pytest.skip("Chromium is not installed", allow_module_level=True)

from argon2 import PasswordHasher
from playwright.sync_api import APIResponse, Browser, Route
from std_srvs.srv import SetBool
from support.console_floor import RATE_HZ, ConsoleFloor, QuietableBench, write_profile
from support.real_time import in_real_time
from support.robot import RecorderClient
from support.tabs import Tab

from robot_recorder.configuration.find import config_directory
from robot_recorder.configuration.words import LANGUAGES
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.agent_status import STATUS_FILE
from robot_recorder.model.labels import LabelKind, Outcome
from robot_recorder.msg import Said
from robot_recorder.quality.verdict import Verdict
from robot_recorder.srv import PerformTask

pytestmark = pytest.mark.console

PAGES = ("operate", "prepare", "review", "today")
PICTURE = Path(__file__).parents[2] / "docs/images/console.png"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

# What a person or a robot may be called, and what a note may say.
EVIL = '<img src=x onerror="window.hacked=1">'
SCRIPT = '"><script>window.hacked=1</script>'
TEMPLATE = "{{7*7}} ${7*7} {counted} [{target}] %s"
CHINESE = "把箱子放回桌上，再放一次"
LONG = "Wirtschaftsinformatikerprüfungskommission" * 3


class Floor(ConsoleFloor):
    """The bench's robot with recorder, operator and two consoles, one of which wants a login."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        profile = write_profile(folder / "bench.yaml")
        super().__init__(folder, stack, "bench", profile=profile, tasks=_tasks(folder / "tasks.yaml"))  # fmt: skip
        users = {n: {"role": r, "password": QUICK.hash(f"password of {n}")} for n, r in
                 (("ann", "operator"), ("eve", "inspector"))}  # fmt: skip
        (folder / "users.yaml").write_text(yaml.safe_dump({"users": users}))
        self.bench = stack.enter_context(QuietableBench("bench"))
        self.record()
        self.run("operator", tones=False)
        self.open = self.console()
        self.closed = self.console(users=folder / "users.yaml")
        self.bench.until("recorder and operator", lambda: self.bench.ready() and self.bench.shift, 40)  # fmt: skip

    def record(self, **parameters: object) -> None:
        # The bench's robot never moves, which the checks would reject.
        super().record(check=False, **parameters)

    def start_anew(self, number: int = signal.SIGINT, **parameters: object) -> None:
        """End the recorder by a signal, and start it with other parameters."""
        self.recorder.send_signal(number)
        self.recorder.wait(20)
        self.record(**parameters)


def _tasks(path: Path) -> Path:
    """Write the registry of every robot, with tasks that are named to do harm."""
    registry = yaml.safe_load((config_directory() / "tasks.yaml").read_text())
    registry["programmes"]["evil"] = {"title": SCRIPT, "description": EVIL}
    common = {"programme": "evil", "failure_causes": ["onerror_alert_1", "x" * 64]}
    registry["tasks"]["evil"] = {
        "instruction": f"{EVIL}{SCRIPT}{TEMPLATE}", **common, "variants": {"de": [EVIL], "zh": [CHINESE + SCRIPT]},
    }  # fmt: skip
    registry["tasks"]["long"] = {"instruction": (LONG + " ") * 8, **common}
    registry["tasks"]["free"] = {"instruction": CHINESE}
    path.write_text(yaml.safe_dump(registry, allow_unicode=True))
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    with ExitStack() as stack:
        floor = Floor(tmp_path_factory.mktemp("floor"), stack)
        yield floor
        floor.end()


@pytest.fixture
def floor(shared: Floor) -> Iterator[Floor]:
    """The shared one, whose robot publishes."""
    with shared.bench.publishing(RATE_HZ):
        yield shared
        shared.bench.silent = frozenset()


@pytest.fixture
def tab(floor: Floor, chrome: Browser) -> Iterator[Tab]:
    """An operator's console with a shift that has just begun; nothing may go wrong in its scripts."""
    with Tab(chrome, floor.open) as tab:
        tab.open()
        tab.begin()
        yield tab
        assert tab.problems == []


# -- a shift

ONE_ROUND = ("success", "failure", "success", "discard", "late", "restored", "success", "retry", "undone")  # fmt: skip
TARGET = 21  # of three rounds


class Worker:
    """An operator who works by keyboard alone, and notes what the takes should have become."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.expected: dict[str, tuple[Outcome, str, bool]] = {}  # outcome, cause, in the trash

    def take(self, kind: str, reached: bool = False) -> None:
        """Record one take; ``reached`` is whether the target is reached by it."""
        self.start(" ")
        getattr(self, kind)("done" if reached else "ready")

    def start(self, key: str) -> None:
        self.tab.press(key, "recording")
        self.a_while()
        self.is_to_be(Outcome.UNLABELLED)

    def a_while(self) -> None:
        # The clock alone may still be that of the take before.
        since_s = time.monotonic()
        self.tab.until("a while", lambda: time.monotonic() > since_s + 0.7)
        self.tab.until("the clock", lambda: self.tab.text("#clock") >= "0:00.7")

    def is_to_be(self, outcome: Outcome, cause: str = "", trashed: bool = False) -> None:
        self.expected[self.tab.newest()["shift"]["episode_id"]] = outcome, cause, trashed

    def success(self, after: str) -> None:
        self.tab.press(" ", after)
        self.is_to_be(Outcome.SUCCESS)

    def late(self, after: str) -> None:
        self.tab.press("n", "verdict")
        self.tab.press("s", after)
        self.is_to_be(Outcome.SUCCESS)

    def failure(self, after: str) -> None:
        self.tab.press("f", after)
        self.tab.page.wait_for_selector("#causes [data-cause=drop]")
        self.tab.key("2")
        self.tab.until("the cause", lambda: "drop" in self.tab.text("#outcome"))
        self.is_to_be(Outcome.FAILURE, "drop")

    def discard(self, after: str) -> None:
        self.is_to_be(Outcome.UNLABELLED, "", True)
        self.tab.press("d", after)

    def restored(self, after: str) -> None:
        self.discard("ready")
        self.tab.press("u", "verdict")
        self.tab.press("s", after)
        self.is_to_be(Outcome.SUCCESS)

    def retry(self, after: str) -> None:
        first = self.tab.newest()["shift"]["episode_id"]
        self.is_to_be(Outcome.UNLABELLED, "", True)
        self.tab.key("r")
        self.tab.until("the next take", lambda: self.is_after(first) or self.is_refused())
        if self.is_refused():  # a busy machine may have made the streams slow
            self.tab.press(" ", "recording")
        self.a_while()
        self.success(after)

    def is_after(self, id: str) -> bool:
        return bool(self.tab.newest()["shift"]["episode_id"] != id)

    def is_refused(self) -> bool:
        return self.tab.data("#answer", "answer") == "refused"

    def undone(self, after: str) -> None:
        self.tab.key(" ", held_ms=700)  # a long press: failure
        self.tab.until("failure", lambda: self.tab.data("#outcome", "outcome") == "failure")
        self.tab.press("u", "verdict")
        self.tab.press("s", after)
        self.is_to_be(Outcome.SUCCESS)


def begin_by_keyboard(tab: Tab) -> None:
    """Go through the page Prepare without a mouse."""
    tab.tab_to("#to-prepare")
    tab.key("Enter")
    tab.page.wait_for_selector("#page-prepare:not([hidden])")
    tab.tab_to("#task-search")
    tab.page.keyboard.type("tray spot")
    tab.tab_to("#task-list input")
    tab.key(" ")
    for name, text in (("operator", "ann"), ("station", "A1"), ("target", str(TARGET))):
        tab.tab_to(f"#plan-{name}")
        tab.key("Control+A")
        tab.page.keyboard.type(text)
    tab.until("the button", lambda: tab.page.is_enabled("#begin"))
    tab.key("Enter")
    tab.page.wait_for_selector("#page-operate:not([hidden])")
    tab.until("the shift", lambda: tab.state() == "ready")


def test_a_shift_of_thirty_takes_is_worked_by_keyboard_alone_and_its_target_ends_it(
    floor: Floor, chrome: Browser
) -> None:
    with Tab(chrome, floor.open) as tab:
        tab.open()
        begin_by_keyboard(tab)
        assert "carry" in tab.text("#task").lower() and "ann" in tab.text("#task-operator")
        worker, kinds = Worker(tab), ONE_ROUND * 3
        for number, kind in enumerate(kinds, 1):
            worker.take(kind, reached=number == len(kinds))
        assert len(worker.expected) == 30
        tab.key(" ")
        tab.until("the answer", lambda: tab.data("#answer", "answer") == "refused")
        assert "target" in tab.text("#answer").lower() and "target" in tab.said()
        check_numbers(tab, floor, worker.expected)
        tab.key("e", held_ms=700)
        tab.page.wait_for_selector("dialog #dialog-yes")
        tab.key("Enter")
        tab.until("the end", lambda: tab.state() == "idle")
        assert tab.problems == [] and tab.failed == []


def check_numbers(tab: Tab, floor: Floor, expected: dict[str, Any]) -> None:
    """Compare what the pages count with what is on the disk, and that with what was pressed."""
    kept = {e.path.name: e for e in floor.episodes() if e.labels.task == "carry_tray"}
    assert kept.keys() == {id for id, (_, _, trashed) in expected.items() if not trashed}
    for id, episode in kept.items():
        assert (episode.labels.outcome, episode.labels.cause) == expected[id][:2], id
        by = {e.by for e in episode.events if e.kind is LabelKind.OUTCOME}
        assert by == {"ann"}, id
    trash = {p.name for p in floor.root.rglob("bench*") if p.parent != floor.root and p.is_dir()}
    assert {id for id, (_, _, trashed) in expected.items() if trashed} <= trash
    counts = Counter(episode.labels.outcome for episode in kept.values())
    assert counts == {Outcome.SUCCESS: TARGET, Outcome.FAILURE: 3}
    assert tab.text("#counted") == str(TARGET) and tab.text("#of") == f"of {TARGET}"
    assert tab.text("#pace").startswith(f"{len(kept)} recorded")
    tab.go("today")
    tab.until("the day", lambda: tab.text("[data-tile=episodes] strong") == str(len(kept)))
    assert tab.text("[data-tile=failures] strong") == "3"
    assert f"{TARGET} good of {len(kept)}" in tab.text("#today-operators")
    tab.go("review")
    tab.until("the list", lambda: tab.page.locator("[data-episode]").count() == len(kept))
    tab.go("operate")


def test_a_cause_is_taken_while_the_answer_to_the_failure_is_still_on_its_way(tab: Tab) -> None:
    held: list[tuple[Route, APIResponse]] = []
    worker = Worker(tab)
    worker.start(" ")
    tab.page.route("**/api/command", lambda route: held.append((route, route.fetch())), times=1)
    tab.press("f", "ready")
    tab.page.wait_for_selector("#causes [data-cause=drop]")
    tab.key("2")
    tab.until("the cause", lambda: "drop" in tab.text("#outcome"))
    ((route, response),) = held
    route.fulfill(response=response)


# -- what breaks


def test_a_stream_that_dies_in_mid_take_is_seen_and_said(floor: Floor, tab: Tab) -> None:
    lamp = "[data-stream=wrench]"
    tab.until("the lamp", lambda: tab.data(lamp, "health") == "ok")
    tab.press(" ", "recording")
    fine = tab.page.inner_html(f"{lamp} .icon")
    floor.bench.silent = frozenset({"/wrist/wrench"})
    tab.until("the lamp to change", lambda: tab.data(lamp, "health") == "stale", 5)
    assert tab.page.inner_html(f"{lamp} .icon") != fine, "its shape, not only its colour"
    assert "silent" in (tab.page.get_attribute(lamp, "aria-label") or "")
    tab.until("it to be said", lambda: "lost" in tab.said(), 5)
    assert "wrench" in tab.text("#streams .troubles")
    assert tab.state() == "recording", "a limping stream does not end a take"
    floor.bench.silent = frozenset()
    tab.until("it is back", lambda: "back" in tab.said() and tab.data(lamp, "health") == "ok", 8)
    tab.press("d", "ready")


def test_a_full_disk_refuses_the_start_and_the_page_says_why(floor: Floor, tab: Tab) -> None:
    before = {e.path.name for e in floor.episodes()}
    floor.start_anew(min_free_mb=10**9)
    tab.until("the full disk", lambda: tab.data("#disk", "disk") == "full", 15)
    assert "full" in tab.text("#disk").lower() and "full" in tab.text("#state .hint").lower()
    tab.key(" ")
    tab.until("the answer", lambda: tab.data("#answer", "answer") == "refused")
    assert "reserved" in tab.text("#answer") and "make room" in tab.text("#answer")
    assert tab.page.get_attribute("#answer .refused", "role") == "alert"
    assert (tab.state(), tab.text("#counted")) == ("ready", "0")
    assert tab.text("#pace").startswith("0 recorded")
    assert {e.path.name for e in floor.episodes()} == before
    floor.start_anew()
    tab.until("room", lambda: tab.data("#disk", "disk") == "ok", 15)
    tab.press(" ", "recording")
    tab.press("d", "ready")


def test_a_refusal_of_a_pedal_is_shown_at_the_desk(floor: Floor, tab: Tab) -> None:
    said = floor.bench.node.create_publisher(Said, "shift/said", 50)
    tab.until("the console", lambda: said.get_subscription_count() > 0)
    said.publish(Said(event="refused", names=["why"], values=["the wrist camera is silent"]))
    tab.until("it", lambda: "Not possible: the wrist camera is silent." in tab.text("#answer"))
    floor.bench.node.destroy_publisher(said)


def test_the_alarms_of_the_agent_are_shown_beside_the_disk(floor: Floor, tab: Tab) -> None:
    status = floor.root / STATUS_FILE
    status.parent.mkdir(exist_ok=True)
    alarms = ["nothing was sent for 3.0 h though 9 episodes wait <b>", "its clock is wrong"]
    try:
        status.write_text(json.dumps({"alarms": alarms, "at_ns": time.time_ns()}))
        tab.until("the alarm", lambda: f"{alarms[0]} (+1)" in tab.text("#agent"), 15)
        status.write_text(json.dumps({"alarms": alarms, "at_ns": time.time_ns() - 100 * 10**9}))
        tab.until("its end", lambda: tab.page.is_hidden("#agent"), 15)
    finally:
        shutil.rmtree(status.parent)


def test_a_recorder_that_is_killed_in_mid_take_is_said_and_the_shift_goes_on(
    floor: Floor, tab: Tab
) -> None:
    tab.press(" ", "recording")
    tab.until("some data", lambda: tab.text("#clock") > "0:01.2")
    floor.recorder.kill()
    floor.recorder.wait()
    tab.until("the loss", lambda: tab.data("#state", "trouble") == "yes", 6)
    assert "recorder" in tab.text("#state .hint").lower()
    tab.until("it to be said", lambda: "recorder_lost" in tab.said(), 6)
    floor.record()
    tab.until("the return", lambda: {"recorder_back", "aborted"} <= set(tab.said()), 20)
    tab.until("its lamps", lambda: tab.data("#state", "trouble") == "no", 10)
    assert tab.state() == "verdict", "the take that was cut off waits for its outcome"
    tab.start_take()
    tab.press(" ", "ready")
    tab.until("the count", lambda: tab.text("#counted") == "1")


# -- two consoles


def test_one_of_two_consoles_has_the_buttons_and_a_takeover_is_asked_and_audited(
    floor: Floor, tab: Tab, chrome: Browser
) -> None:
    with Tab(chrome, floor.open, 820, 1180) as other:
        other.open()
        other.until("the holder", lambda: other.data("#holder", "holder") == "other")
        tab.until("both", lambda: "2" in tab.text("#holder"))
        assert other.enabled() == set() and "has the buttons" in other.text("#answer")
        other.key(" ")
        other.until("the refusal", lambda: other.data("#answer", "answer") == "refused")
        refused = other.post("/api/command", command="step")
        assert refused["status"] == 409 and "another console has the buttons" in refused["message"]
        assert tab.state() == other.state() == "ready"

        other.page.click("#take-over")
        assert "Take them over?" in other.text("dialog")
        other.key("Escape")
        assert other.data("#holder", "holder") == "other", "not without a yes"
        other.page.click("#take-over")
        other.key("Enter")
        other.until("the buttons", lambda: other.data("#holder", "holder") == "me")
        tab.until("the loss", lambda: tab.data("#holder", "holder") == "other")
        assert tab.enabled() == set()
        other.start_take()
        other.press(" ", "ready")
        numbers = ("#counted", "#pace", "#state .word", "#verdict .word", "#outcome")
        tab.until("the same", lambda: all(tab.text(n) == other.text(n) for n in numbers))
        assert tab.text("#counted") == "1"
        clients = [t.page.evaluate("window.spied.client") for t in (tab, other)]
        assert other.problems == []
    audit = (floor.root / ".shift" / "bench.audit.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in audit]
    did = {(e["client"], e["what"], e["ok"]) for e in told}
    assert {(clients[0], "begin", True), (clients[1], "command step", False),
            (clients[1], "hold", True), (clients[1], "command step", True)} <= did  # fmt: skip
    tab.until("the buttons to be free", lambda: tab.data("#holder", "holder") == "nobody", 6)


# -- what is between the page and the console


def lag_s(tab: Tab) -> tuple[float, float]:
    """Return how old the newest state and the picture on the screen are, s."""
    script = """() => [Date.now() / 1000 - JSON.parse(window.spied.state).now_s,
      (Date.now() - Number(document.querySelector("canvas[data-camera]").dataset.stampMs)) / 1000]"""
    state_s, picture_s = tab.page.evaluate(script)
    return float(state_s), float(picture_s)


def test_a_slow_network_carries_a_press_once_and_shows_no_old_pictures(
    floor: Floor, tab: Tab, chrome: Browser
) -> None:
    with Tab(chrome, floor.open) as fast:
        fast.open()
        for one in (tab, fast):
            one.page.wait_for_selector("canvas[data-stamp-ms]")
        tab.throttle(latency_ms=400, bytes_per_s=50_000)
        tab.press(" ", "recording")
        id = tab.newest()["shift"]["episode_id"]
        tab.page.wait_for_timeout(3000)
        slow_state_s, slow_picture_s = lag_s(tab)
        assert slow_state_s < 1.5 and slow_picture_s < 2.0
        state_s, picture_s = lag_s(fast)
        assert state_s < 0.7 and picture_s < 0.7
        tab.press(" ", "ready")
        assert tab.newest()["shift"]["episode_id"] == id, "one press, one take"
        tab.until("the count", lambda: tab.text("#counted") == "1")
        assert tab.text("#pace").startswith("1 recorded")
        tab.throttle()
        assert fast.problems == []


def test_a_long_press_counts_by_how_long_it_was_held_however_busy_the_page_is(tab: Tab) -> None:
    tab.press(" ", "recording")
    tab.page.keyboard.down(" ")
    tab.page.evaluate(
        "setTimeout(() => { const end = performance.now() + 1200; while (performance.now() < end); })"
    )
    tab.page.wait_for_timeout(750)
    tab.page.keyboard.up(" ")
    tab.until("failure", lambda: tab.data("#outcome", "outcome") == "failure")


def test_two_presses_are_a_double_one_by_when_they_were_however_busy_the_page_is(tab: Tab) -> None:
    """With pedals a double press discards a take."""
    script = """async () => {
      const { Gestures } = await import("/static/keys.js");
      window.said = [];
      const bound = { q: { press: "step", double: "discard" } };
      new Gestures(bound, () => true, (what) => window.said.push(what));
    }"""
    tab.page.evaluate(script)
    tab.page.keyboard.press("q")
    tab.page.evaluate(
        "setTimeout(() => { const end = performance.now() + 1500; while (performance.now() < end); })"
    )
    tab.page.wait_for_timeout(800)
    tab.page.keyboard.press("q")
    tab.until("two presses", lambda: tab.page.evaluate("said.join()") == "step,step")
    press = """() => ["keydown", "keyup"].forEach((kind) =>
      document.body.dispatchEvent(new KeyboardEvent(kind, { key: "q", bubbles: true })))"""
    tab.page.evaluate(f"() => {{ ({press})(); setTimeout({press}, 100); }}")
    tab.until("a double press", lambda: tab.page.evaluate("said.join()") == "step,step,discard")


def test_a_lost_connection_is_said_within_a_second_and_changes_nothing(
    floor: Floor, tab: Tab, chrome: Browser
) -> None:
    with Tab(chrome, floor.open) as other:
        other.open()
        tab.press(" ", "recording")
        tab.throttle(offline=True)  # a busy browser takes a while for that
        began_ms = tab.page.evaluate("Date.now()")
        tab.until("the loss", lambda: tab.data("#connection", "link") == "lost", 5)
        took_s = (tab.page.evaluate("window.spied.lost[0]") - began_ms) / 1000
        assert took_s < 1.1
        assert tab.enabled() == set() and tab.text("#lost")
        tab.key(" ")
        tab.until("the refusal", lambda: tab.data("#answer", "answer") == "refused")
        other.page.wait_for_timeout(3000)  # longer than the page waits for its old connection
        assert other.state() == "recording"
        tab.throttle()
        tab.until("the connection", lambda: tab.data("#connection", "link") == "ok", 10)
        tab.until("the truth", lambda: tab.state() == "recording" and "step" in tab.enabled(), 3)
        assert tab.text("#lost") == ""
        tab.press(" ", "ready")
        assert other.problems == []


def test_a_tab_that_slept_shows_the_truth_when_it_wakes(
    floor: Floor, tab: Tab, chrome: Browser
) -> None:
    with Tab(chrome, floor.open) as other:
        other.open()
        other.page.click("#take-over")
        other.key("Enter")
        tab.tell("Page.setWebLifecycleState", state="frozen")
        other.press(" ", "recording")
        other.until("some data", lambda: other.text("#clock") > "0:02.0")
        other.press(" ", "ready")
        other.until("the count", lambda: other.text("#counted") == "1")
        tab.tell("Page.setWebLifecycleState", state="active")
        tab.until("the truth", lambda: tab.text("#counted") == "1" and tab.state() == "ready", 4)
        tab.until("it is alive", lambda: tab.data("#connection", "link") == "ok", 4)
        assert lag_s(tab)[0] < 1
        assert other.problems == []


# -- what is hostile

INJECTED = """() => [typeof window.hacked, document.querySelectorAll("img[src=x], script:not([src]), [onerror], iframe:not([sandbox])").length]"""  # fmt: skip
TOO_WIDE = "document.scrollingElement.scrollWidth - innerWidth"


def shown(tab: Tab) -> str:
    """Return all text that the page has."""
    return str(tab.page.evaluate("document.body.innerText"))


def test_names_and_notes_that_are_meant_to_do_harm_are_shown_as_text(
    floor: Floor, tab: Tab
) -> None:
    said = floor.bench.node.create_publisher(Said, "shift/said", 50)
    refused = tab.post("/api/hold", take=True) and tab.post("/api/begin", task="evil", operator="a\u202eb")  # fmt: skip
    assert not refused["ok"]
    tab.begin(task="evil", operator=EVIL, station=SCRIPT, instruction=f"{EVIL}{SCRIPT}{TEMPLATE}{CHINESE}")  # fmt: skip
    tab.start_take()
    harm = tab.post("/api/command", command="failure", cause="onerror_alert_1", note=EVIL + SCRIPT)
    assert harm["ok"], harm
    said.publish(Said(event="reject", language="en", text=EVIL, names=["why", "stream"], values=[EVIL, SCRIPT]))  # fmt: skip
    tab.until("what is said", lambda: "reject" in tab.said())
    for text in (EVIL, SCRIPT, "{{7*7}} ${7*7} {counted} [{target}] %s", CHINESE):
        assert text in shown(tab), text
    relabel_without_causes(floor, tab)
    for language in LANGUAGES:
        tab.speak(language)
        for page in PAGES:
            tab.go(page)
            tab.until("it", lambda: EVIL in shown(tab) or SCRIPT in shown(tab), 5)
            assert tab.page.evaluate(INJECTED) == ["undefined", 0], (language, page)
            assert tab.page.evaluate(TOO_WIDE) <= 0, (language, page)
    look_at_report(tab)


def relabel_without_causes(floor: Floor, tab: Tab) -> None:
    """Record a take whose task allows any cause, and call it something nasty."""
    tab.begin(task="free", operator=EVIL, station=SCRIPT)
    tab.start_take()
    tab.press(" ", "ready")
    id = tab.newest()["shift"]["episode_id"]
    marked = tab.post(f"/api/episodes/{id}/label", outcome="failure", cause=EVIL, note=f"{SCRIPT}\n{LONG}")  # fmt: skip
    assert marked["ok"], marked
    tab.until("the cause", lambda: EVIL in tab.text("#outcome"))
    assert Episode.open(floor.root / id).labels.cause == EVIL


def look_at_report(tab: Tab) -> None:
    """Open the newest take in Review, its history and its report, which is a page of its own."""
    tab.go("review")
    tab.page.wait_for_selector("[data-episode]")
    tab.tab_to("#takes")
    tab.key("ArrowDown")
    tab.until("the history", lambda: EVIL in tab.text("#take") and SCRIPT in tab.text("#take"))
    tab.key("Enter")
    tab.until("the report", lambda: len(tab.page.frames) == 2 and "/report" in tab.page.frames[1].url, 30)  # fmt: skip
    tab.page.frames[1].wait_for_selector("h1", state="attached", timeout=30_000)
    assert tab.page.frames[1].evaluate("typeof window.hacked") == "undefined"
    assert tab.page.evaluate(INJECTED) == ["undefined", 0]
    assert tab.page.get_attribute("#report iframe", "sandbox") == "allow-scripts"


def test_texts_of_any_length_break_no_page(floor: Floor, tab: Tab) -> None:
    tab.begin(task="long", operator=LONG[:128], station=LONG[:128], instruction=(LONG + " ") * 15)
    tab.start_take()
    tab.press("f", "ready")
    tab.page.wait_for_selector("#causes [data-cause]")
    for width, height in SIZES:
        tab.page.set_viewport_size({"width": width, "height": height})
        assert spills(tab) == [], (width, height)
        for page in PAGES:
            tab.go(page)
            tab.page.wait_for_timeout(100)
            assert tab.page.evaluate(TOO_WIDE) <= 0, (page, width)
        tab.go("operate")


# -- how it looks

SIZES = ((1366, 768), (1280, 800), (820, 1180))
SPILLS = """() => {
  const spilled = [], page = document.scrollingElement;
  if (page.scrollWidth > innerWidth) spilled.push(`page ${page.scrollWidth} px wide`);
  if (innerWidth > innerHeight && page.scrollHeight > innerHeight) spilled.push(`page ${page.scrollHeight} px high`);
  for (const button of document.querySelectorAll("[data-command]")) {
    const {left, top, right, bottom, width} = button.getBoundingClientRect();
    if (!width || left < 0 || top < 0 || right > innerWidth + 0.5 || bottom > innerHeight + 0.5) spilled.push(button.dataset.command);
    if (button.scrollWidth > button.clientWidth + 1) spilled.push(`text of ${button.dataset.command}`);
  }
  return spilled;
}"""


def spills(tab: Tab) -> list[str]:
    """Return what of Operate is not on the screen."""
    tab.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # fmt: skip
    return [str(one) for one in tab.page.evaluate(SPILLS)]


def test_axe_finds_nothing_on_any_page_in_any_language(
    floor: Floor, tab: Tab, chrome: Browser
) -> None:
    found = {"ready": tab.violations()}
    tab.press(" ", "recording")
    found["recording"] = tab.violations()
    tab.until("a while", lambda: tab.text("#clock") > "0:00.6")
    tab.press("f", "ready")
    with Tab(chrome, floor.closed) as login:
        login.open(ready="login")
        for language in LANGUAGES:
            login.speak(language)
            found[f"login {language}"] = login.violations()
            tab.choose(language)
            for page in PAGES:
                tab.go(page)
                for part, show in PARTS.get(page, WHOLE).items():
                    show(tab)
                    found[f"{page} {part} {language}"] = tab.violations()
                tab.key("Escape")
    assert {page: wrong for page, wrong in found.items() if wrong} == {}


def show_causes(tab: Tab) -> None:
    tab.page.wait_for_selector("#causes [data-cause]")


def ask_for_the_end(tab: Tab) -> None:
    tab.key("e", held_ms=700)
    tab.page.wait_for_selector("dialog[open]")


def choose_a_take(tab: Tab) -> None:
    tab.page.wait_for_selector("[data-episode]")
    tab.tab_to("#takes")
    tab.key("ArrowDown")
    tab.page.wait_for_selector("[data-act=failure]")
    tab.until("its history", lambda: tab.page.locator("#take .history").count())


def ask_for_the_cause(tab: Tab) -> None:
    tab.key("f")
    tab.page.wait_for_selector("dialog input[name=cause]")


def show_all(tab: Tab) -> None:
    tab.page.wait_for_timeout(300)


# What is looked at on a page, in turn.
WHOLE = {"whole": show_all}
PARTS = {
    "operate": {"causes": show_causes, "question": ask_for_the_end},
    "review": {"take": choose_a_take, "cause": ask_for_the_cause},
}


# -- who one is


def log_in(tab: Tab, name: str, password: str) -> None:
    tab.page.fill("#login-name", name)
    tab.page.fill("#login-password", password)
    tab.key("Enter")


def test_one_logs_in_with_the_right_password_and_sees_what_the_role_may(
    floor: Floor, tab: Tab, chrome: Browser
) -> None:
    tab.start_take()
    tab.press(" ", "ready")
    with Tab(chrome, floor.closed) as ann, Tab(chrome, floor.closed) as eve:
        ann.open(ready="login")
        log_in(ann, "ann", "a guess")
        ann.until("the refusal", lambda: "wrong" in ann.text("#login-refused"))
        assert ann.page.input_value("#login-password") == ""
        log_in(ann, "ann", "password of ann")
        ann.page.wait_for_selector("html[data-ready=yes]", state="attached")
        ann.until("the buttons", lambda: "step" in ann.enabled())
        eve.open(ready="login")
        log_in(eve, "eve", "password of eve")
        eve.page.wait_for_selector("html[data-ready=yes]", state="attached")
        assert eve.enabled() == set() and not eve.page.is_visible("#take-over")
        eve.key(" ")
        eve.until("the refusal", lambda: eve.data("#answer", "answer") == "refused")
        assert eve.state() == "ready"
        relabel(ann, "s")
        ann.until("the refusal", lambda: "may not" in ann.text("#take-said"))
        relabel(eve, "f")
        eve.until("the label", lambda: "eve" in eve.text("#take .history"))
        eve.go("prepare")
        eve.until("a note", lambda: eve.text("#begin-note") != "")
        assert not eve.page.is_enabled("#begin")
        assert ann.problems == eve.problems == []
    newest = max(floor.episodes(), key=lambda e: e.path.name)
    assert [e.by for e in newest.events if e.kind is LabelKind.OUTCOME] == ["ann", "eve"]


def relabel(tab: Tab, key: str) -> None:
    """Give the newest take another outcome on the page Review."""
    tab.go("review")
    choose_a_take(tab)
    tab.key(key)
    tab.page.wait_for_selector("dialog input[name=note]")
    tab.page.click("dialog button[value=yes]")


# -- with the simulated robot


class RobotFloor(ConsoleFloor):
    """The simulated robot with recorder, operator and console."""

    def __init__(self, folder: Path, stack: ExitStack, cache: Path) -> None:
        super().__init__(folder, stack, profile="g1_sim")
        self.client = stack.enter_context(RecorderClient("whoever_moves_the_robot"))
        self._run("sim_robot", {"cache": cache})
        self.record()
        self.run("operator", tones=False)
        self.address = self.console()
        self.client.wait("the simulated robot", self.client.ready, 90)

    def perform(self, seed: int, **more: bool) -> None:
        """Let the robot lift the box."""
        done = self.client.call(PerformTask, "sim/perform", task="lift_box", seed=seed, **more)
        assert done.success, done.message


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[RobotFloor]:
    with ExitStack() as stack:
        robot = RobotFloor(tmp_path_factory.mktemp("robot"), stack, model_cache)
        yield robot
        robot.end()


@pytest.fixture
def live(robot: RobotFloor, chrome: Browser) -> Iterator[Tab]:
    """A console of the simulated robot with a shift that has just begun."""
    with Tab(chrome, robot.address) as tab:
        tab.open()
        tab.begin(target=200, station="A1")
        yield tab
        assert tab.problems == []


@in_real_time
def test_a_take_of_the_robot_gets_its_verdict_on_the_screen(robot: RobotFloor, live: Tab) -> None:
    id = lift_the_box(robot, live, seed=1)
    live.until("its verdict", lambda: live.data("#verdict", "verdict") not in ("none", "unknown"))
    quality = Episode.open(robot.root / id).quality
    assert live.data("#verdict", "verdict") == quality.verdict.text, "as on the disk"
    assert live.text("#verdict .sentence") in quality.sentence
    counts = quality.verdict is not Verdict.REJECT  # as it is on a busy machine
    live.until("the count", lambda: live.text("#counted") == str(int(counts)))


def lift_the_box(robot: RobotFloor, live: Tab, seed: int, picture: Path | None = None) -> str:
    """Record the robot lifting the box and mark it as a success; return the id of the episode."""
    robot.perform(seed, only_reset=True)
    live.press(" ", "recording")
    id = str(live.newest()["shift"]["episode_id"])
    robot.perform(seed)
    live.until("the box in the air", lambda: live.text("#clock") > "0:04.5")
    if picture is not None:
        live.page.screenshot(path=picture, animations="disabled")
    live.press(" ", "ready")
    return id


@in_real_time
@pytest.mark.skipif(not os.environ.get("RECORD_PICTURES"), reason="RECORD_PICTURES is not set")
def test_the_picture_of_the_documentation_is_recorded(
    robot: RobotFloor, live: Tab, tmp_path: Path
) -> None:
    raw = tmp_path / "raw.png"
    for seed in range(1, 9):
        before = live.text("#counted")
        lift_the_box(robot, live, seed, raw)
        if int(before) >= 3 and live.text("#counted") != before:
            break
    else:
        raise AssertionError("the robot's takes are rejected: is this machine busy?")
    smallest = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, 1]
    shown = cv2.imread(str(raw))
    assert shown is not None and shown.shape == (768, 1366, 3)
    cv2.imwrite(str(PICTURE), shown, smallest)
    assert PICTURE.stat().st_size < 250_000


@in_real_time
def test_a_headset_that_is_taken_off_in_mid_take_is_seen_and_said(
    robot: RobotFloor, live: Tab
) -> None:
    lamp = "[data-stream=vr_head]"
    live.press(" ", "recording")
    try:
        assert robot.client.call(SetBool, "sim/wear_headset", data=False).success
        live.until("the lamp", lambda: live.data(lamp, "health") == "still", 10)
        live.until("the trouble", lambda: "vr_head" in live.text("#streams .troubles"), 5)
        assert "headset" in live.text("#streams .troubles"), "and what to do"
        live.until("it to be said", lambda: "lost" in live.said(), 5)
        live.press("d", "ready")
        live.key(" ")
        live.until("the refusal", lambda: live.data("#answer", "answer") == "refused")
        assert "vr_head" in live.text("#answer") and "headset" in live.text("#answer")
    finally:
        assert robot.client.call(SetBool, "sim/wear_headset", data=True).success
    live.until("the lamp", lambda: live.data(lamp, "health") == "ok", 10)
    live.until("it to be said", lambda: "back" in live.said(), 5)


@in_real_time
def test_two_cameras_and_all_streams_are_not_late_on_a_slow_network(
    robot: RobotFloor, live: Tab
) -> None:
    """States and pictures are more than it carries, so some must be left out."""
    live.page.wait_for_selector("canvas[data-stamp-ms]")
    live.throttle(latency_ms=400, bytes_per_s=50_000)
    lags = []
    for _ in range(20):
        live.page.wait_for_timeout(500)
        lags.append(lag_s(live))
    # What piles up would be ten seconds late at the end.
    assert max(state_s for state_s, _ in lags) < 4.0, lags
    assert max(picture_s for _, picture_s in lags) < 6.0, lags
    assert live.page.evaluate("window.spied.lost") == []
    live.throttle()


@in_real_time
def test_operate_fits_on_every_screen_in_every_language_and_differs_by_more_than_colour(
    robot: RobotFloor, live: Tab
) -> None:
    seen = set()
    for key, state in ((" ", "recording"), ("n", "verdict"), ("f", "ready")):
        live.press(key, state)
        for language in LANGUAGES:
            live.choose(language)
            for width, height in SIZES:
                live.page.set_viewport_size({"width": width, "height": height})
                assert spills(live) == [], (state, language, width, height)
            if language == "en":
                seen.add((live.text("#state .word"), live.page.inner_html("#state .icon")))
    words, shapes = ({one[n] for one in seen} for n in (0, 1))
    assert len(words) == len(shapes) == 3
    for lamp in live.page.locator(".lamp").all():
        assert lamp.get_attribute("data-health") and lamp.locator("svg").count() == 1
        assert ":" in (lamp.get_attribute("aria-label") or "")
