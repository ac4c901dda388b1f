"""The page for training in a real browser, on takes that the real recorder has recorded."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import chromium

pytest.importorskip("rclpy")
pytest.importorskip("fastapi")
pytest.importorskip("playwright")
pytest.importorskip("axe_playwright_python")
if chromium() is None:
    pytest.skip("Chromium is not installed", allow_module_level=True)

from argon2 import PasswordHasher
from geometry_msgs.msg import WrenchStamped
from playwright.sync_api import Browser
from sensor_msgs.msg import JointState
from support.console import Page, ask
from support.console_floor import RATE_HZ, ConsoleFloor, QuietableBench, write_profile
from support.robot import RecorderClient
from support.tabs import Tab

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.configuration.words import LANGUAGES
from robot_recorder.episodes.episode import Episode
from robot_recorder.skill.take_score import REFERENCE
from robot_recorder.srv import Annotate

pytestmark = pytest.mark.console

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
JOINTS = ["left_elbow_joint", "right_elbow_joint"]
PAUSE_S = 1.6  # of the halting take, before its grasp
EVIL = '<img src=x onerror="window.hacked=1">'


def smooth(at_s: float) -> float:
    """Return how far the arms are: a reach without a halt."""
    s = min(max((at_s - 0.2) / 1.6, 0), 1)
    return s**3 * (10 - 15 * s + 6 * s * s)


def halting(at_s: float) -> float:
    """Return how far the arms are: a trembling reach with a long halt in its middle."""
    trembling = 0.02 * math.sin(2 * math.pi * 5 * at_s) if smooth(at_s) not in (0, 1) else 0
    return (smooth(at_s) + smooth(at_s - 1.6 - PAUSE_S)) / 2 + trembling


class MovingBench(QuietableBench):
    """A robot whose arms go one way per take.

    Attributes:
        way: how far they are, by the time since ``begun_s``.
        begun_s: when the way begins.
    """

    def __init__(self) -> None:
        super().__init__("bench")
        self.way, self.begun_s = smooth, math.inf
        self._noise = np.random.default_rng(4)
        for topic, make in (
            ("/joint_states", self._arms),
            ("/command", self._arms),
            ("/wrist/wrench", self._force),
        ):
            self.publishers[topic] = self.publishers[topic][0], make  # fmt: skip

    def _arms(self) -> JointState:
        far = self.way(time.monotonic() - self.begun_s)
        at = np.array([0.8, -0.5]) * far + self._noise.normal(0, 1e-4, 2)
        return JointState(name=JOINTS, position=at.tolist(), effort=[1.0, 2.0])

    def _force(self) -> WrenchStamped:
        message = WrenchStamped()
        for vector in (message.wrench.force, message.wrench.torque):
            vector.x, vector.y, vector.z = self._noise.normal(0, 0.05, 3).tolist()
        return message


class TrainingFloor(ConsoleFloor):
    """A robot with recorder, operator and a console that knows two people.

    Attributes:
        address: of the console.
        ann, eve: secrets of the sessions of an operator and an inspector.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        profile = write_profile(folder / "bench.yaml")
        # A busy machine makes the robot slow, and these takes are short: neither is tested here.
        profile.write_text(profile.read_text() + "quality: {budget: {fail: 9, warn: 99}}\n")
        super().__init__(folder, stack, "bench", profile=profile)
        users = {n: {"role": r, "password": QUICK.hash(n)} for n, r in (("ann", "operator"), ("eve", "inspector"))}  # fmt: skip
        (folder / "users.yaml").write_text(json.dumps({"users": users}))
        self.bench = stack.enter_context(MovingBench())
        self.client = stack.enter_context(RecorderClient("trainer", "bench"))
        self.record(pre_roll_s=0.3)
        self.run("operator", tones=False)
        self.address = self.console(users=folder / "users.yaml")
        self.ann = self.eve = ""
        self.bench.until("recorder and operator", lambda: self.bench.ready() and self.bench.shift, 40)  # fmt: skip
        self._presses = 0

    def begin(self, page: Page) -> None:
        """Begin a shift."""
        page.hear_for(0.3)
        assert page.post("/api/hold", take=True)[1]["ok"]
        plan = {"task": "lift_box", "operator": "ann", "target": 3, "key": "b" * 16}
        begun = page.post("/api/begin", **plan)[1]
        assert begun["ok"], begun

    def take(self, page: Page, way: Any, seconds: float, good: bool = True) -> Episode:
        """Record a take with a grasp in it."""
        self.bench.way, self.bench.begun_s = way, math.inf
        page.hear_for(0.5)  # the arms are back before the pre-roll
        for _ in range(30):
            answer = self.press(page, "next")
            if answer["ok"]:
                break
            assert "not started" in answer["message"], answer
            page.hear_for(0.3)
        self.bench.begun_s = time.monotonic()
        page.hear_for(seconds - 0.6)
        noted = self.client.call(Annotate, "labeller/annotate", name="grasp")
        assert noted.success, noted.message
        page.hear_for(0.4)
        stopped = self.press(page, "next" if good else "failure")
        assert stopped["ok"], stopped
        if good:
            assert self.press(page, "success")["ok"]
        return self.episodes()[-1]

    def press(self, page: Page, command: str) -> dict[str, Any]:
        self._presses += 1
        return dict(page.post("/api/command", command=command, key=f"{self._presses:016d}")[1])


class Taught:
    """A floor on which a good, a halting and a failed take were recorded, while a page looked."""

    def __init__(self, floor: TrainingFloor, page: Page) -> None:
        self.floor, self.page = floor, page
        self.good = floor.take(page, smooth, 2.6)
        self.halting = floor.take(page, halting, 6.0)


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingFloor]:
    with ExitStack() as stack:
        floor = TrainingFloor(tmp_path_factory.mktemp("floor"), stack)
        with floor.bench.publishing(RATE_HZ):
            yield floor
        floor.end()


class TrainingTab(Tab):
    """A tab with the page for training."""

    def __enter__(self) -> TrainingTab:
        return self

    def knowing(self, secret: str) -> TrainingTab:
        """Use a session."""
        port = self.address.rpartition(":")[2]
        self.context.add_cookies(
            [{"name": f"console_{port}", "value": secret, "url": self.address}]
        )
        return self

    def sign_in(self, name: str) -> str:
        """Log in at the page for training; return the secret of the session."""
        self.page.goto(f"{self.address}/training")
        self.page.fill("#login-name", name)
        self.page.fill("#login-password", name)
        self.page.click("#login button")
        self.page.wait_for_selector("html[data-ready=yes]", state="attached")
        self.measured()
        return str(self.context.cookies()[0]["value"])

    def open_training(self, query: str = "", takes: int = 0) -> TrainingTab:
        """Show the page and wait until all takes are measured."""
        self.page.goto(f"{self.address}/training{query}")
        self.page.wait_for_selector("html[data-ready=yes]", state="attached")
        self.measured(takes)
        return self

    def measured(self, takes: int = 0) -> None:
        self.until(
            f"{takes} measured takes",
            lambda: (
                self.data("#page-training", "waiting") == "no"
                and self.page.locator(".point").count() >= takes
            ),
        )

    def shown(self) -> dict[str, str | None]:
        """Return the takes that are shown."""
        return {side: self.data(f"#side-{side}", "take") for side in ("reference", "own")}

    def said(self) -> list[str]:
        return self.page.locator("#advice-list li").all_inner_texts()

    def rows(self) -> dict[str, str]:
        """Return how each figure compares, by its English name."""
        rows = self.page.locator("#figures tbody tr")
        texts = [rows.nth(n).locator("th, td").all_inner_texts() for n in range(rows.count())]
        return {cells[0].strip(): cells[3].strip() for cells in texts}

    def pictures(self) -> list[bool]:
        """Return of each side whether its picture shows something."""
        script = """c => { const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
                           return d.some((v, i) => i % 4 < 3 && v > 60); }"""
        sides = (self.page.locator(f"#side-{side} canvas") for side in ("reference", "own"))
        return [side.count() == 1 and bool(side.evaluate(script)) for side in sides]


@pytest.fixture(scope="module")
def empty(floor: TrainingFloor, chrome: Browser) -> list[str]:
    """What the page shows before there is any take, to those who have just logged in."""
    with TrainingTab(chrome, floor.address) as tab:
        floor.eve = tab.sign_in("eve")
    with TrainingTab(chrome, floor.address) as tab:
        floor.ann = tab.sign_in("ann")
        shown = [tab.text(f"#side-{side} .film") for side in ("reference", "own")]
        shown += [tab.text("#advice-list"), str(tab.page.is_disabled("#play"))]
        assert tab.problems == []
    return shown


@pytest.fixture(scope="module")
def taught(floor: TrainingFloor, empty: list[str]) -> Iterator[Taught]:
    with Page(floor.address, floor.ann) as page:
        floor.begin(page)
        yield Taught(floor, page)


@pytest.fixture(scope="module")
def opened(taught: Taught, chrome: Browser) -> Iterator[TrainingTab]:
    with TrainingTab(chrome, taught.floor.address).knowing(taught.floor.eve) as tab:
        yield tab


@pytest.fixture
def tab(opened: TrainingTab) -> Iterator[TrainingTab]:
    """The page with all takes; nothing may go wrong in its scripts."""
    yield opened.open_training(takes=2)
    assert opened.problems == [], opened.problems
    assert opened.page.evaluate("window.hacked") is None


def test_before_the_first_take_the_page_says_what_is_missing(empty: list[str]) -> None:
    reference, own, advice, no_play = empty
    assert "No reference yet" in reference and "No take yet" in own
    assert "nothing to compare" in advice and no_play == "True"


def test_the_best_take_is_the_reference_and_the_newest_is_beside_it_with_what_to_do_better(
    taught: Taught, tab: TrainingTab
) -> None:
    assert tab.shown() == {"reference": taught.good.id, "own": taught.halting.id}
    assert "Best of" in tab.text("#side-reference .why") and "ann" in tab.text("#side-own .why")
    rows = tab.rows()
    assert {rows[name] for name in ("Time", "Smoothness (0: best)", "Pauses")} == {"worse"}
    told = [text for text in tab.said() if text.startswith("You stood still for ")]
    assert len(told) == 1 and "before “grasp”" in told[0], tab.said()
    assert float(told[0].split()[4]) == pytest.approx(PAUSE_S, abs=0.9)
    assert 0 < int(tab.text("#training-percent").split()[0]) < 90
    assert tab.text("#progress-title") == "1 of 3 takes at reference level"
    assert tab.page.locator(".lane .pause").count() >= 3
    assert tab.page.locator(".lane .phase").all_inner_texts() == ["grasp", "grasp"]


def test_space_plays_both_takes_in_step_and_the_shorter_one_waits_at_its_end(
    tab: TrainingTab,
) -> None:
    tab.until("pictures of both takes", lambda: all(tab.pictures()))
    tab.page.locator("body").press(" ")
    tab.until("both takes to play", lambda: float(tab.page.input_value("#scrub")) > 0.3)
    assert tab.data("#page-training", "plays") == "yes"
    tab.key(" ")
    tab.until("a pause", lambda: tab.data("#page-training", "plays") == "no")
    at = tab.page.input_value("#scrub")
    tab.page.focus("#scrub")
    tab.key("End")
    assert tab.page.input_value("#scrub") > at
    lines = tab.page.locator(".lane .now").evaluate_all("all => all.map(one => one.style.left)")
    assert lines == ["100%", "100%"]
    tab.key(" ")  # plays again from the beginning
    tab.until("the beginning", lambda: 0 < float(tab.page.input_value("#scrub")) < 2)


def test_a_take_that_ends_appears_by_itself_and_a_point_shows_an_earlier_one(
    taught: Taught, tab: TrainingTab
) -> None:
    failed = taught.floor.take(taught.page, smooth, 2.6, good=False)
    tab.until("the new take", lambda: tab.shown()["own"] == failed.id, 30)
    tab.measured(3)
    tab.until("its outcome", lambda: tab.said()[0].startswith("The take failed"))
    assert tab.text("#progress-title") == "1 of 3 takes at reference level"
    tab.page.click(f".point[data-episode='{taught.good.id}']")
    tab.until("the first take", lambda: tab.shown()["own"] == taught.good.id)
    tab.until("praise", lambda: tab.said() == ["As good as the reference in all that is measured."])
    assert taught.good.id in tab.page.url
    tab.page.fill("#goal-target", "1")
    tab.key("Enter")
    tab.until("the target", lambda: tab.data("#progress-title", "reached") == "yes")


def test_an_inspector_chooses_the_reference_and_takes_it_back_and_an_operator_may_not(
    taught: Taught, chrome: Browser
) -> None:
    floor, id = taught.floor, taught.halting.id
    with TrainingTab(chrome, floor.address).knowing(floor.eve) as tab:
        tab.open_training(f"?take={id}", 3)
        tab.page.click("#mark")
        tab.until("the reference", lambda: tab.shown()["reference"] == id)
        assert "Chosen by eve" in tab.text("#side-reference .why")
        labels = Episode.open(taught.halting.path).labels
        [event] = [one for one in labels.annotations if one.name == REFERENCE]
        assert event.by == "eve" and event.end_ns > event.start_ns
        tab.page.click("#unmark")
        tab.until("the best again", lambda: tab.shown()["reference"] == taught.good.id)
        assert tab.problems == []
    with TrainingTab(chrome, floor.address).knowing(floor.ann) as tab:
        tab.open_training(takes=3)
        assert not tab.page.is_visible("#mark")
        assert tab.post(f"/api/episodes/{id}/reference", on=True)["status"] == 403
    for path in ("/api/training", f"/api/episodes/{id}/film.json"):
        assert ask(floor.address, path)[0] == 401


def test_a_damaged_take_says_so_and_one_without_camera_is_still_measured(
    taught: Taught, chrome: Browser
) -> None:
    floor = taught.floor
    floor.bench.silent = frozenset({"/camera/image/compressed"})
    client = floor.client
    client.start()
    floor.bench.way, floor.bench.begun_s = smooth, time.monotonic()
    taught.page.hear_for(2.0)
    client.stop()
    floor.bench.silent = frozenset()
    dark = floor.episodes()[-1]
    torn = floor.root / "bench_29990101T000000_000_lift_box"
    shutil.copytree(taught.good.path, torn)
    text = (torn / METADATA_FILE).read_text()
    (torn / METADATA_FILE).write_text(text.replace(taught.good.id, torn.name))
    for file in torn.glob("*.mcap"):
        file.write_bytes(file.read_bytes()[:2000])
    try:
        with TrainingTab(chrome, floor.address).knowing(floor.eve) as tab:
            tab.open_training(f"?take={dark.id}", 4)
            tab.until("the dark take", lambda: "No pictures" in tab.text("#side-own .film"))
            assert tab.rows()["Pauses"] in ("better", "worse", "alike")
            tab.page.click(f".point[data-episode='{torn.name}']")
            tab.until("the torn take", lambda: "Not measured" in tab.text("#side-own .badges"))
            assert tab.text("#training-percent") == "" and "Not measured" in tab.said()[0]
            assert tab.problems == []
    finally:
        shutil.rmtree(torn)


def test_names_that_are_meant_to_do_harm_are_shown_as_text_and_unknown_ones_are_no_error(
    taught: Taught, tab: TrainingTab
) -> None:
    tab.open_training(f"?task={EVIL}&operator={EVIL}&take={EVIL}&level=x&target=-4")
    assert EVIL in tab.page.locator("#training-task option").all_inner_texts()
    assert "No take yet" in tab.text("#side-own .film")
    for path in ("film.json", "film/camera/0.jpg"):
        assert ask(tab.address, f"/api/episodes/none/{path}", cookie=taught.floor.ann)[0] == 404


def test_it_fits_on_a_laptop_and_a_tablet_in_every_language_and_axe_finds_nothing(
    tab: TrainingTab,
) -> None:
    for language in LANGUAGES:
        tab.speak(language)
        tab.measured(2)
        for width, height in ((1366, 768), (1024, 768), (820, 1180)):
            tab.page.set_viewport_size({"width": width, "height": height})
            assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, language
            if width == 1366:  # below a line of 53 px: names that are long make two of it
                high = tab.page.evaluate("document.querySelector('#page-training').scrollHeight")
                assert high <= height - 53, language
        assert "training." not in tab.page.inner_text("body")
        assert tab.violations() == []


def test_every_page_leads_to_it(tab: TrainingTab) -> None:
    tab.open()
    tab.page.click("nav a[href='/training']")
    tab.page.wait_for_selector("#page-training[data-waiting=no]")
    tab.page.click("nav a[href='/#review']")
    tab.page.wait_for_selector("#page-review:not([hidden])")
