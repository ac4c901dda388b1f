"""A centre with robots and takes for tests of its pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from robot_recorder.floor.centre.database.database import open_database
from robot_recorder.floor.centre.tokens import Station, TokenBook
from support.centres import PASSWORD, BareRobot, CentreProcess
from support.tabs import Tab

# Notes how long it takes from a key to the next take with its picture.
_WATCH = """
window.nexts = [];
let pressed_ms = 0, shown = document.querySelector("#review-take").dataset.id;
addEventListener("keydown", () => { pressed_ms = performance.now(); }, true);
const look = () => {
  const id = document.querySelector("#review-take").dataset.id;
  if (id !== shown && [...document.querySelectorAll("#film canvas")].some((one) => one.frame)) {
    shown = id;
    window.nexts.push(performance.now() - pressed_ms);
  }
  requestAnimationFrame(look);
};
look();
"""


class BeatingRobots:
    """Robots that beat once a second, each with a status that a test changes."""

    def __init__(self, centre: CentreProcess) -> None:
        self._centre = centre
        self._robots: dict[str, BareRobot] = {}
        self.status: dict[str, dict[str, Any]] = {}
        self._silent: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def add(self, site: str, robot: str, **status: Any) -> BareRobot:
        """Let a robot beat; return it."""
        bare = BareRobot(self._centre.url, self._centre.token(site, robot))
        self.status[robot] = {"state": "idle", "waiting_episodes": 0, "waiting_bytes": 0,
                              "streams": [], "alarms": [], "version": "1", **status}  # fmt: skip
        self._robots[robot] = bare
        return bare

    def silence(self, robot: str) -> float:
        """Let a robot vanish; return when, monotonic s."""
        self._silent.add(robot)
        return time.monotonic()

    def _beat(self) -> None:
        while not self._ended.wait(0.5):
            for name, robot in list(self._robots.items()):
                if name not in self._silent:
                    try:
                        robot.call("beat", status=self.status[name], cursor=0, receipts_for=[])
                    except OSError:
                        continue  # the centre is down: a test's doing

    @contextmanager
    def beating(self) -> Iterator[BeatingRobots]:
        """Beat while a test runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            self._thread.join()


def add_tokens(centre: CentreProcess, site: str, robots: Sequence[str]) -> None:
    """Make the centre know robots that never beat."""
    with open_database(centre.database_url) as db:
        book = TokenBook(db)
        for robot in robots:
            book.add(Station(site, robot), "test", time.time_ns())


def send_all(centre: CentreProcess, site: str, robot: str, takes: Sequence[Path]) -> BareRobot:
    """Send takes of a robot and wait for the receipt of the last."""
    bare = BareRobot(centre.url, centre.token(site, robot))
    for take in takes:
        bare.offer(take)
        bare.send(take)
    for take in takes:
        bare.receipt(take.name, 120)
    return bare


def sign_in(browser: Browser, url: str, user: str, width: int = 1366, height: int = 768) -> Tab:
    """Return a tab in which somebody has logged in."""
    tab = Tab(browser, url, width, height)
    tab.open("wall", ready="login")
    tab.page.fill("#login-name", user)
    tab.page.fill("#login-password", PASSWORD)
    tab.page.click("#login button")
    tab.page.wait_for_selector("html[data-ready=yes]", state="attached")
    tab.failed.clear()  # the 401 that asked for the login
    return tab


def watch_nexts(tab: Tab) -> None:
    """Note from now on how long next takes need."""
    tab.page.evaluate(_WATCH)


def shown_take(tab: Tab) -> str:
    """Return the id of the take that is under review; empty: none."""
    return str(tab.page.evaluate(
        "document.querySelector('#review-take').hidden ? '' : document.querySelector('#review-take').dataset.id ?? ''"
    ))  # fmt: skip
