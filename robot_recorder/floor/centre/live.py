"""What robots are doing now, kept in memory alone: the next beat tells it anew."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from robot_recorder.floor.centre.tokens import Station
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import storable
from robot_recorder.web.access import User

VANISHED_S = 3.0  # without a beat
_CLOCK_OFF_S = 10.0
STATE_S = 0.25  # between two states of a page
_MOST_ROBOTS = 2000
_MOST_STREAMS, _MOST_ALARMS, _MOST_CHARS = 50, 20, 300
_MOST_VIEWERS, _MOST_OF_ONE = 200, 20
_MOST_UNSEEN = 8  # states on their way to a page
_CHECK_S = 1.0  # between two looks whether a user is still logged in
_MOST_TEXT = 4000  # characters of a page's message
_GONE = (WebSocketDisconnect, RuntimeError)  # what sending to a page that has gone raises
_STATES = ("idle", "recording", "finalising", "unknown")
_TEXTS = ("episode", "task", "operator")
_WHOLE = ("taken", "target", "disk_free_bytes", "sent_ns")
_ALWAYS_WHOLE = ("waiting_episodes", "waiting_bytes", "clock_ns")


@dataclass
class LiveRobot:
    """A robot of the floor.

    Attributes:
        station: site and name.
        status: of its last beat; None: none since this centre began.
        heard_s: when that was, clock of ``LiveRobots``; None: never.
        changes: number of its last change, counted over all robots.
        vanished: whether it is shown as vanished.
    """

    station: Station
    status: dict[str, Any] | None = None
    heard_s: float | None = None
    changes: int = 0
    vanished: bool = True


@dataclass(frozen=True)
class LiveChanges:
    """What has changed since a page was told last.

    Attributes:
        serial: of the newest change, to ask with the next time.
        robots: in plain form, by site and name.
        gone: those whose tokens were revoked.
    """

    serial: int
    robots: list[dict[str, Any]]
    gone: list[Station]


class LiveRobots:
    """All robots that have a token or have been heard. Any thread may call it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know none; ``clock`` is monotonic, s."""
        self._clock = clock
        self._robots: dict[Station, LiveRobot] = {}
        self._gone: dict[Station, int] = {}  # number of the change, oldest first
        self._lock = threading.Lock()
        self._changes = 0

    def know(self, stations: Iterable[Station]) -> None:
        """Take robots that may speak: those that do not are shown as vanished."""
        with self._lock:
            wanted = set(stations)
            for station in wanted - self._robots.keys():
                if len(self._robots) < _MOST_ROBOTS:
                    self._changes += 1
                    self._robots[station] = LiveRobot(station, changes=self._changes)
                    self._gone.pop(station, None)
            for station in self._robots.keys() - wanted:  # its token is revoked
                del self._robots[station]
                self._changes += 1
                self._gone[station] = self._changes
            while len(self._gone) > _MOST_ROBOTS:
                del self._gone[next(iter(self._gone))]

    def hear(self, station: Station, status: dict[str, Any], now_ns: int) -> None:
        """Take the status of a beat.

        Args:
            station: which robot.
            status: as ``plain_status`` returned it.
            now_ns: time here, ns since the epoch; compared with the robot's clock.
        """
        clock_ns = status["clock_ns"]
        off_s = None if clock_ns is None else (clock_ns - now_ns) / NS_PER_S
        if off_s is not None and abs(off_s) > _CLOCK_OFF_S:
            which = "ahead of" if off_s > 0 else "behind"
            text = f"its clock is {abs(off_s):.0f} s {which} the centre's: labels follow clocks"
            status = {**status, "alarms": [*status["alarms"], text]}
        with self._lock:
            robot = self._robots.get(station)
            if robot is None:
                if len(self._robots) >= _MOST_ROBOTS:
                    return
                robot = self._robots[station] = LiveRobot(station)
                self._gone.pop(station, None)
            self._changes += 1
            robot.status, robot.heard_s, robot.changes = status, self._clock(), self._changes
            robot.vanished = False

    def heard(self) -> list[Station]:
        """Return the robots that were heard within the last minute."""
        now_s = self._clock()
        with self._lock:
            return [
                robot.station
                for robot in self._robots.values()
                if robot.heard_s is not None and now_s - robot.heard_s < 60
            ]

    def robots(self) -> list[dict[str, Any]]:
        """Return all robots in plain form, by site and name."""
        return self.since(-1).robots

    def since(self, serial: int) -> LiveChanges:
        """Return what has changed since a change; -1: everything.

        That time passes since a robot was heard is no change; that it has vanished is one.
        """
        now_s = self._clock()
        with self._lock:
            for robot in self._robots.values():
                gone = robot.heard_s is None or now_s - robot.heard_s > VANISHED_S
                if gone != robot.vanished:
                    self._changes += 1
                    robot.vanished, robot.changes = gone, self._changes
            robots = [
                self._plain(self._robots[station], now_s)
                for station in sorted(self._robots, key=lambda s: (s.site, s.robot))
                if self._robots[station].changes > serial
            ]
            gone_since = [] if serial < 0 else [s for s, at in self._gone.items() if at > serial]
            return LiveChanges(self._changes, robots, gone_since)

    def _plain(self, robot: LiveRobot, now_s: float) -> dict[str, Any]:
        age_s = None if robot.heard_s is None else round(max(0.0, now_s - robot.heard_s), 2)
        return {
            "site": robot.station.site,
            "robot": robot.station.robot,
            "heard_s": age_s,
            "vanished": robot.vanished,
            "status": robot.status,
        }

    def alarms(self, with_vanished: bool = True) -> list[dict[str, str]]:
        """Return what robots complain about now, and which have vanished, unless a page sees that itself."""
        found = []
        for robot in self.robots():
            name = {"site": robot["site"], "robot": robot["robot"]}
            if robot["vanished"] and not with_vanished:
                continue
            if robot["vanished"]:
                heard = robot["heard_s"]
                since = "never heard" if heard is None else f"not heard for {heard:.0f} s"
                found.append({**name, "text": since})
            else:
                found += [{**name, "text": text} for text in (robot["status"] or {})["alarms"]]
        return found


def plain_status(plain: Any) -> dict[str, Any]:
    """Return a status with only what is known of it, in its limits; what is unknown is None.

    Args:
        plain: from a robot: anything.
    """
    given = plain if isinstance(plain, dict) else {}
    state = given.get("state")
    status: dict[str, Any] = {"state": state if state in _STATES else "unknown"}
    status |= {name: _text(given.get(name)) for name in _TEXTS}
    status |= {name: _whole(given.get(name)) for name in (*_WHOLE, *_ALWAYS_WHOLE)}
    status["disk_full_in_s"] = _number(given.get("disk_full_in_s"))
    status["version"] = _text(given.get("version")) or ""
    streams, alarms = given.get("streams"), given.get("alarms")
    status["streams"] = [
        {
            "name": _text(stream.get("name")) or "",
            "health": _text(stream.get("health")) or "",
            "rate_hz": _number(stream.get("rate_hz")),
            "expected_hz": _number(stream.get("expected_hz")),
        }
        for stream in (streams if isinstance(streams, list) else [])[:_MOST_STREAMS]
        if isinstance(stream, dict)
    ]
    texts = map(_text, (alarms if isinstance(alarms, list) else [])[:_MOST_ALARMS])
    status["alarms"] = [text for text in texts if text]
    return status


def _text(value: Any) -> str | None:
    return storable(value[:_MOST_CHARS]) if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int and abs(value) < 1 << 63 else None


def _number(value: Any) -> float | None:
    is_number = type(value) in (int, float) and abs(value) < 1e18
    return float(value) if is_number and math.isfinite(value) else None


class _WallPage:
    """One page that looks."""

    def __init__(self, socket: WebSocket, user: User) -> None:
        self.socket, self.user = socket, user
        self.sent = self.seen = 0
        self.serial = -1  # of the last change of a robot that it was told
        self.alarms: int = -1  # number of the last alarms that it was told

    @property
    def lags(self) -> bool:
        """Return whether as many states as may be are on their way; a page that confirms none is sent all."""
        return self.seen > 0 and self.sent - self.seen >= _MOST_UNSEEN


class WallPages:
    """The pages that show all robots. Its methods belong to the server's event loop."""

    def __init__(self, robots: LiveRobots, alarms: Callable[[], list[dict[str, Any]]]) -> None:
        """
        Args:
            robots: to show.
            alarms: returns the centre's own alarms, at once.
        """
        self._robots, self._alarms = robots, alarms
        self._pages: set[_WallPage] = set()
        self._made_s = -STATE_S
        self._texts: dict[
            tuple[int, int], tuple[str, int]
        ] = {}  # with its serial, by what is known
        self._told: list[dict[str, Any]] = []
        self._alarms_number = 0

    async def serve(self, socket: WebSocket, user: User, valid: Callable[[], bool]) -> None:
        """Serve one page until it goes, or its user is not logged in any more.

        Args:
            socket: the websocket, not accepted yet.
            user: who is logged in.
            valid: returns whether they still are.
        """
        await socket.accept()
        own = sum(page.user == user for page in self._pages)
        if len(self._pages) >= _MOST_VIEWERS or (user.name and own >= _MOST_OF_ONE):
            await socket.close(1013, "too many pages")
            return
        page = _WallPage(socket, user)
        self._pages.add(page)
        hello = {
            "type": "hello",
            "client": secrets.token_hex(8),
            "user": user.name,
            "role": user.role.value,
        }
        tasks = []
        try:
            await socket.send_text(json.dumps(hello))
            tasks = [
                asyncio.create_task(self._read(page)),
                asyncio.create_task(self._write(page, valid)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pages.discard(page)
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, _GONE):
                    logging.getLogger(__name__).error("a page was cut off", exc_info=ended)

    async def _read(self, page: _WallPage) -> None:
        try:
            while True:
                text = await page.socket.receive_text()
                if len(text) > _MOST_TEXT:
                    await page.socket.close(1003, "not understood")
                    return
                page.seen += 1
        except (WebSocketDisconnect, RuntimeError, KeyError):  # gone, or binary
            return

    async def _write(self, page: _WallPage, valid: Callable[[], bool]) -> None:
        checked_s = -_CHECK_S
        while True:
            now_s = time.monotonic()
            if now_s - checked_s >= _CHECK_S:
                checked_s = now_s
                if not valid():
                    await page.socket.close(1008, "logged out")
                    return
            if not page.lags:
                page.sent += 1
                await page.socket.send_text(self._state(page))
            await asyncio.sleep(STATE_S)

    def _state(self, page: _WallPage) -> str:
        """Return what a page does not know yet: first everything, later what has changed.

        It is made once for all pages that know the same and ask at the same time.
        """
        now_s = time.monotonic()
        if now_s - self._made_s >= STATE_S / 2:
            self._made_s, self._texts = now_s, {}
            alarms = [*self._robots.alarms(with_vanished=False), *self._alarms()]
            if alarms != self._told or not self._alarms_number:
                self._told, self._alarms_number = alarms, self._alarms_number + 1
        known = page.serial, page.alarms
        if known not in self._texts:
            self._texts[known] = self._made(page)
        text, page.serial = self._texts[known]
        page.alarms = self._alarms_number
        return text

    def _made(self, page: _WallPage) -> tuple[str, int]:
        """Return the text for pages that know what this one does, and what they know then."""
        changes = self._robots.since(page.serial)
        state: dict[str, Any] = {"type": "state", "link": True, "now_s": time.time()}
        if page.serial < 0:
            state["robots"] = changes.robots
        else:
            state["changed"] = changes.robots
            state["gone"] = [[s.site, s.robot] for s in changes.gone]
        if page.alarms != self._alarms_number:
            state["alarms"] = self._told
        return json.dumps(state), changes.serial
