"""The centre's pages in a real browser, on a real centre: wall, episodes, review by keyboard, trends."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import pytest
from support.browser import chromium

pytest.importorskip("fastapi")
pytest.importorskip("cv2")
pytest.importorskip("playwright")
pytest.importorskip("axe_playwright_python")
if chromium() is None:
    pytest.skip("Chromium is not installed", allow_module_level=True)

from playwright.sync_api import Browser, Route
from support.centre_pages import (
    BeatingRobots,
    add_tokens,
    send_all,
    shown_take,
    sign_in,
    watch_nexts,
)
from support.centres import BareRobot, CentreProcess, centre
from support.dataset_takes import TakeOptions, take
from support.tabs import Tab, browser

from robot_recorder.floor.centre.app import STATIC
from robot_recorder.web.static_files import SHARED

pytestmark = pytest.mark.floor

TAKES = 54
PAGES = ("wall", "episodes", "review", "trends")
SIZES = {"wall": (1920, 1080), "laptop": (1366, 768), "tablet": (820, 1180)}
EVIL = '<img src=x onerror="window.hacked=1">'
POLICY = "sample_share: 1.0\nnewcomer_first: 0\nsecond_share: 0.0\n"
REGISTRY = """
tasks:
  lift: {instruction: Please lift it., failure_causes: [slip, drop]}
"""


@dataclass(frozen=True)
class PageFloor:
    """A centre with the takes of one robot.

    Attributes:
        centre: as a process.
        robot: that sent them.
        takes: on its disk.
    """

    centre: CentreProcess
    robot: BareRobot
    takes: list[Path]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageFloor]:
    folder = tmp_path_factory.mktemp("floor")
    (folder / "review.yaml").write_text(POLICY)
    (folder / "tasks.yaml").write_text(REGISTRY)
    root = folder / "robot"
    root.mkdir()
    takes = [
        take(root, number, TakeOptions(seconds=1.5), operator="ann" if number % 3 else "bob",
             verdict="reject" if number % 9 == 0 else "accept")
        for number in range(TAKES)
    ]  # fmt: skip
    roles = {"ann": "operator", "eve": "inspector", "kim": "inspector", "root": "admin"}
    with centre(
        folder / "centre", users=roles, review=folder / "review.yaml", tasks=folder / "tasks.yaml"
    ) as running:
        yield PageFloor(running, send_all(running, "berlin", "arm", takes), takes)


@pytest.fixture
def eve(floor: PageFloor, chrome: Browser) -> Iterator[Tab]:
    with sign_in(chrome, floor.centre.url, "eve") as tab:
        yield tab
        assert tab.problems == []


def test_every_text_that_the_pages_name_is_there() -> None:
    keys = set(re.findall(r'^  "?([\w.]+)"?:', (STATIC / "words_en.js").read_text(), re.M))
    named = set(re.findall(r'data-word(?:-\w+)?="([\w.]+)"', (STATIC / "index.html").read_text()))
    for script in (*STATIC.glob("*.js"), *SHARED.glob("*.js")):
        named |= set(re.findall(r'\bword\(\s*"([\w.]+)"', script.read_text()))
    assert len(named) > 100 and named <= keys, named - keys


# -- signing in


def test_a_wrong_password_is_refused_and_an_operator_may_look_but_not_review(
    floor: PageFloor, chrome: Browser
) -> None:
    with Tab(chrome, floor.centre.url) as tab:
        tab.open("wall", ready="login")
        tab.page.fill("#login-name", "eve")
        tab.page.fill("#login-password", "wrong")
        tab.page.click("#login button")
        tab.until("the refusal", lambda: "wrong" in tab.text("#login-refused"))
    with sign_in(chrome, floor.centre.url, "ann") as tab:
        tab.go("review")
        assert tab.page.is_visible("#review-forbidden") and not tab.page.is_visible("#review-desk")
        tab.page.evaluate(f"location.hash = 'episodes/berlin/{floor.takes[0].name}'")
        tab.page.wait_for_selector("#episode .content:not([hidden])")
        assert not tab.page.is_visible("#relabel")
        assert tab.problems == []


# -- the wall


def test_a_robot_that_vanishes_is_seen_within_five_seconds(floor: PageFloor, eve: Tab) -> None:
    robots = BeatingRobots(floor.centre)
    robots.add("berlin", "g1_01", state="recording", task="pick_cup", taken=12, target=50,
               disk_full_in_s=18_000.0, waiting_episodes=3)  # fmt: skip
    robots.add("berlin", "g1_02", state="idle", alarms=["nothing sent for 2 h"],
               streams=[{"name": "head", "health": "slow", "rate_hz": 11.0, "expected_hz": 30.0}])  # fmt: skip
    tile = ".tile:has-text('{}')"
    with robots.beating():
        eve.page.wait_for_selector(tile.format("g1_01") + "[data-state=recording]", timeout=30_000)
        text = eve.text(tile.format("g1_01"))
        assert (
            "Recording" in text and "pick cup" in text and "12 of 50" in text and "5 h left" in text
        )
        eve.page.wait_for_selector(tile.format("g1_02") + "[data-state=idle]", timeout=30_000)
        assert "nothing sent for 2 h" in eve.text("#wall-alarms")
        gone_s = robots.silence("g1_01")
        eve.page.wait_for_selector(tile.format("g1_01") + "[data-state=vanished]")
        assert time.monotonic() - gone_s < 5
        assert "VANISHED" in eve.text(tile.format("g1_01")).upper()
        eve.page.click(tile.format("g1_02"))
        assert "head, slow, 11.0 Hz of 30 Hz" in eve.text("dialog")
        eve.key("Escape")


def test_what_a_robot_says_is_shown_as_text(floor: PageFloor, eve: Tab) -> None:
    robots = BeatingRobots(floor.centre)
    robots.add("berlin", "g1_03", state="recording", task=EVIL, operator=EVIL, alarms=[EVIL])
    with robots.beating():
        eve.page.wait_for_selector(".tile:has-text('g1_03')[data-state=recording]", timeout=30_000)
        eve.page.click(".tile:has-text('g1_03')")
        assert EVIL in eve.text("dialog")
        assert eve.page.evaluate("window.hacked") is None
        assert eve.page.locator("dialog img").count() == 0


def test_a_lost_connection_is_said_within_a_second_and_found_again(
    floor: PageFloor, eve: Tab
) -> None:
    eve.page.wait_for_selector("html[data-link=ok]", state="attached")
    lost_s = time.time()
    floor.centre.kill()
    eve.page.wait_for_selector("html[data-link=lost]", state="attached")
    assert eve.page.evaluate("window.spied.lost.at(-1)") / 1000 - lost_s < 1.0
    assert "lost" in eve.text("#lost")
    floor.centre.restart()
    # Sessions are kept in memory: who looks logs in again.
    eve.page.wait_for_selector("html[data-ready=login]", state="attached", timeout=30_000)


@pytest.mark.parametrize("sites", [1, 6, 40])
def test_a_hundred_robots_are_on_one_screen(tmp_path: Path, chrome: Browser, sites: int) -> None:
    with centre(tmp_path / "centre") as running:
        for site in range(sites):
            names = [f"robot_{n:03d}" for n in range(100) if n % sites == site]
            add_tokens(running, f"site_{site:02d}", names)
        running.restart()
        with Tab(chrome, running.url, 1920, 1080) as tab:
            tab.open("wall")
            tab.until("all tiles", lambda: tab.page.locator(".tile").count() == 100)
            hidden = tab.page.eval_on_selector_all(
                ".tile",
                "all => all.filter(t => t.getBoundingClientRect().bottom > innerHeight).length",
            )
            assert hidden == 0
            assert tab.page.evaluate(
                "(h => h.scrollHeight <= h.clientHeight + 1)(document.querySelector('#wall-sites'))"
            )


# -- episodes


def test_an_episode_is_found_read_and_relabelled_with_a_reason_that_its_robot_hears(
    floor: PageFloor, eve: Tab
) -> None:
    newest = floor.takes[-1]
    eve.go("episodes")
    eve.page.wait_for_selector("#list li")
    assert eve.text("#count") == f"{TAKES} episodes"
    eve.page.click("#more")
    eve.until("all takes", lambda: eve.page.locator("#list li").count() == TAKES)
    eve.page.select_option("[name=verdict]", "reject")
    eve.until("the filter", lambda: eve.text("#count") == "6 episodes")
    eve.page.click("#filters button[type=reset]")
    eve.until("no filter", lambda: eve.text("#count") == f"{TAKES} episodes")
    eve.page.click(f"#list li:has(a[href$='{newest.name}']) a")
    eve.page.wait_for_selector("#episode .content:not([hidden])")
    receipt = floor.robot.receipt(newest.name)
    assert receipt["sha256"] in eve.text("#receipt") and "Please lift it." in eve.text("#episode")
    eve.page.click("#relabel")
    eve.page.select_option("#relabel-outcome", "failure")
    eve.page.fill("#relabel-cause", "slip")
    eve.page.click("dialog button.primary")
    assert eve.page.is_visible("dialog")  # a reason is needed
    eve.page.fill("#relabel-reason", f"it slides {EVIL}")
    eve.page.click("dialog button.primary")
    eve.page.wait_for_selector("dialog", state="detached")
    eve.until("the history", lambda: EVIL in eve.text("#history"))
    assert (
        "eve" in eve.text("#history li:last-child") and eve.page.evaluate("window.hacked") is None
    )
    heard = floor.robot.told(lambda told: told["labels"].get(newest.name))
    assert any(e.get("cause") == "slip" and e["by"] == "eve" for e in heard)


# -- review


def _await_take(tab: Tab, other_than: str = "") -> str:
    """Wait until another take is shown with its picture; return its id."""
    tab.page.wait_for_function(
        """before => {
          const box = document.querySelector("#review-take");
          const drawn = [...document.querySelectorAll("#film canvas")].some((one) => one.frame);
          return !box.hidden && drawn && box.dataset.id !== before;
        }""",
        arg=other_than, timeout=150_000,  # films are made by a process that yields to others
    )  # fmt: skip
    return shown_take(tab)


def test_fifty_takes_are_reviewed_by_keyboard_alone_each_at_once_after_the_other(
    floor: PageFloor, chrome: Browser
) -> None:
    decided: dict[str, tuple[str, str, bool, str]] = {}
    with sign_in(chrome, floor.centre.url, "kim", *SIZES["wall"]) as tab:
        tab.tab_to("#nav a[data-page=review]")
        tab.key("Enter")
        id = _await_take(tab)
        watch_nexts(tab)
        for number in range(50):
            assert id not in decided
            tab.until("the next film", lambda: tab.data("#review-desk", "ahead") in ("1", "2"), 60)
            for key in ("ArrowRight", "l", "k", "]", "End", "Home"):
                tab.key(key)
            if number % 5 == 3:
                tab.key("n")
                tab.page.keyboard.type("seen twice")
                tab.key("Enter")
            note = "seen twice" if number % 5 == 3 else ""
            if number % 5 == 1:
                tab.key("f")
                tab.key("1")
                decided[id] = ("failure", "slip", True, note)
            elif number % 5 == 2:
                tab.key("u")
                tab.key("4")
                decided[id] = ("success", "", False, note)
            else:
                tab.key("s")
                decided[id] = ("success", "", True, note)
            id = _await_take(tab, id)
        tab.key("z")  # the last one, and again
        tab.until("the take to be back", lambda: shown_take(tab) == list(decided)[-1], 30)
        tab.key("f")
        tab.key("2")
        decided[list(decided)[-1]] = ("failure", "drop", True, "")
        tab.until("the answer", lambda: tab.text("#session").startswith("50 "), 30)
        waits_ms = sorted(tab.page.evaluate("window.nexts"))
        assert tab.problems == []
    assert quantiles(waits_ms, n=20)[18] < 200, waits_ms
    cookie = floor.centre.login("kim")
    _, told = floor.centre.get("/api/review/history?limit=100", cookie)
    stand = {
        one["id"]: (one["outcome"], one["cause"], one["usable"], one["note"])
        for one in told["decisions"]
        if not one["undone"]
    }
    assert stand == decided


def test_an_order_whose_answer_is_lost_is_repeated_and_counts_once(
    floor: PageFloor, eve: Tab
) -> None:
    eve.go("review")
    id = _await_take(eve)
    lost: list[int] = []

    def lose(route: Route) -> None:
        if not lost:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    eve.page.route("**/api/review/decide", lose)
    eve.key("s")
    eve.until("the answer", lambda: eve.text("#session").startswith("1 "), 30)
    assert lost == [200]
    _, told = floor.centre.get("/api/review/history?limit=100", floor.centre.login("eve"))
    assert [one["id"] for one in told["decisions"]].count(id) == 1
    eve.key("z")
    eve.until("the take to be back", lambda: shown_take(eve) == id, 30)


def test_a_recall_shows_how_many_takes_come_back_before_it_is_done(
    floor: PageFloor, eve: Tab
) -> None:
    eve.go("review")
    eve.key("p")
    eve.until("the panels to be filled", lambda: eve.text("#queue-open"))  # they move the button
    eve.page.click("#recall")
    eve.page.fill("#recall-task", "lift")
    eve.page.fill("#recall-reason", "the wrist was mounted upside down")
    eve.until("the preview", lambda: str(TAKES) in eve.text("#recall-count"))
    assert str(TAKES) in eve.text("#recall-go")
    eve.key("Escape")


# -- all pages


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    floor: PageFloor, chrome: Browser, size: str
) -> None:
    with sign_in(chrome, floor.centre.url, "root", *SIZES[size]) as tab:
        for page in PAGES:
            tab.go(page)
            if page == "review":
                tab.until("review", lambda: tab.page.is_visible("#review-desk"))
            tab.page.wait_for_timeout(300)
            assert tab.violations() == [], page
            assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page
        tab.page.evaluate(f"location.hash = 'episodes/berlin/{floor.takes[0].name}'")
        tab.page.wait_for_selector("#episode .content:not([hidden])")
        assert tab.violations() == []
        assert tab.problems == []
    with Tab(chrome, floor.centre.url, *SIZES[size]) as tab:
        assert tab.open("wall", ready="login").violations() == []
