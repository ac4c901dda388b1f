"""The websocket of a page: state out, pictures out as fast as they are drawn, credits in."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from robot_recorder.console.agent_line import AgentLine
from robot_recorder.console.holder import Hold, Holder
from robot_recorder.console.link import RobotLink
from robot_recorder.console.previews import Previews
from robot_recorder.console.teleop_page import HandsFeed
from robot_recorder.web.access import Right, User

BEAT_S = 0.25  # a page that hears nothing for a second says that the connection is lost
_LEAST_S = 0.015  # between two states
_MOST_VIEWERS = 64
_MOST_OF_ONE = 12  # of one user
_CHECK_S = 1.0  # between two looks whether a user is still logged in
_GONE = (WebSocketDisconnect, RuntimeError)  # what sending to a page that has gone raises
_MOST_TEXT = 4000  # characters of a page's message
_UNSAID = 50  # kept for a page that is slow
_MOST_UNSEEN = 4  # states on their way to a page; more of them would only be late on a slow network
_GRACE_S = 3.0  # a page that is loaded again finds the buttons free only after this


class Viewer:
    """One page that looks.

    Attributes:
        id: known to its page alone and to nobody else until it holds the buttons.
        user: who is logged in.
    """

    def __init__(self, socket: WebSocket, user: User, valid: Callable[[], bool]) -> None:
        """Create it for an accepted websocket.

        Args:
            socket: the websocket.
            user: who is logged in.
            valid: returns whether they still are.
        """
        self.valid = valid
        self.id = secrets.token_hex(8)
        self.user = user
        self.socket = socket
        self.watching: frozenset[str] = frozenset()
        self.owing: set[str] = set()  # cameras whose last picture is not on the screen yet
        self.fresh: dict[str, bytes] = {}  # newest pictures that were not sent
        self.said: deque[dict[str, Any]] = deque(maxlen=_UNSAID)
        self.wake = asyncio.Event()
        self.changed = True
        self.sent, self.seen = 0, 0  # states; a page that confirms none is sent all

    @property
    def lags(self) -> bool:
        """Return whether as many states as may be are on their way."""
        return self.seen > 0 and self.sent - self.seen >= _MOST_UNSEEN


class LivePages:
    """All pages that look, and what they are sent. Its methods belong to the server's event loop."""

    def __init__(self, holder: Holder, agent: AgentLine) -> None:
        """Create it without viewers.

        Args:
            holder: who has the buttons.
            agent: alarms of the station agent.
        """
        self.holder = holder
        self._agent = agent
        self.viewers: dict[str, Viewer] = {}
        self._link: RobotLink | None = None
        self._pictures: Previews | None = None
        self._hands: HandsFeed | None = None
        self._began_s = time.monotonic()

    def connect(self, link: RobotLink, pictures: Previews, hands: HandsFeed) -> None:
        """Say where state and pictures come from, and where a headset's hands go."""
        self._link, self._pictures, self._hands = link, pictures, hands

    # -- from ROS, through ``loop.call_soon_threadsafe``

    def changed(self) -> None:
        """Send the state to every page."""
        for viewer in self.viewers.values():
            viewer.changed = True
            viewer.wake.set()

    def say(self, said: dict[str, Any]) -> None:
        """Send something that is said to every page."""
        for viewer in self.viewers.values():
            viewer.said.append(said)
            viewer.wake.set()

    def picture(self, name: str, data: bytes) -> None:
        """Send a picture to every page that shows all it was sent; others get a later one."""
        for viewer in self.viewers.values():
            if name in viewer.watching:
                viewer.fresh[name] = data
                if not viewer.owing:
                    viewer.wake.set()

    # -- with a page

    async def serve(self, socket: WebSocket, user: User, valid: Callable[[], bool]) -> None:
        """Serve one page until it goes, or its user is not logged in any more.

        Args:
            socket: the websocket, not accepted yet.
            user: who is logged in.
            valid: returns whether they still are.
        """
        await socket.accept()
        own = sum(viewer.user == user for viewer in self.viewers.values())
        if len(self.viewers) >= _MOST_VIEWERS or (user.name and own >= _MOST_OF_ONE):
            await socket.close(1013, "too many consoles")
            return
        viewer = Viewer(socket, user, valid)
        self.viewers[viewer.id] = viewer
        hello = {"type": "hello", "client": viewer.id, "user": user.name, "role": user.role.value}
        tasks = []
        try:
            await socket.send_text(json.dumps(hello))
            self._look_again()
            self.changed()
            tasks = [
                asyncio.create_task(self._read(viewer)),
                asyncio.create_task(self._write(viewer)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, _GONE):
                    logging.getLogger(__name__).error("a page was cut off", exc_info=ended)
            del self.viewers[viewer.id]
            self._look_again()
            self.changed()
            asyncio.get_running_loop().call_later(_GRACE_S, self._gone, viewer.id)

    def _gone(self, client: str, for_good: bool = False) -> None:
        """Free the buttons of a page that has not come back, or may not."""
        if (for_good or client not in self.viewers) and self.holder.let_go(client):
            self.changed()

    def _look_again(self) -> None:
        """Tell the pictures' thread what is looked at."""
        if self._pictures is not None:
            wanted = frozenset().union(*(v.watching for v in self.viewers.values()))
            self._pictures.want(wanted, bool(self.viewers))

    async def _read(self, viewer: Viewer) -> None:
        try:
            while True:
                text = await viewer.socket.receive_text()
                if len(text) > _MOST_TEXT or not self._heard(viewer, text):
                    await viewer.socket.close(1003, "not understood")
                    return
        except (WebSocketDisconnect, RuntimeError, KeyError):  # gone, or binary
            return

    def _heard(self, viewer: Viewer, text: str) -> bool:
        """Take a page's message; return whether it is one."""
        try:
            message = json.loads(text)
            kind = message["type"]
            if kind == "watch":
                names = frozenset(str(name) for name in message["streams"][:100])
                viewer.watching = names
                viewer.owing &= names
                viewer.fresh = {n: data for n, data in viewer.fresh.items() if n in names}
                self._look_again()
            elif kind == "shown":
                viewer.owing.discard(str(message["stream"]))
                viewer.wake.set()
            elif kind == "hands":
                if self._drives(viewer) and self._hands is not None:
                    self._hands.publish(message)
            elif kind == "seen":
                viewer.seen += 1
                viewer.wake.set()
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        return True

    def _drives(self, viewer: Viewer) -> bool:
        """Return whether a page may move the robot: it has the buttons, and its user still may."""
        hold = self.holder.now
        has = hold is not None and hold.client == viewer.id
        return has and viewer.user.may(Right.DRIVE) and viewer.valid()

    async def _write(self, viewer: Viewer) -> None:
        sent_s = checked_s = 0.0
        while True:
            if time.monotonic() - checked_s > _CHECK_S:
                checked_s = time.monotonic()
                if not viewer.valid():
                    self._gone(viewer.id, for_good=True)
                    await viewer.socket.close(1008, "logged out")
                    return
            with_state = viewer.changed or time.monotonic() - sent_s >= BEAT_S
            if with_state and not viewer.lags and time.monotonic() - sent_s >= _LEAST_S:
                viewer.changed, sent_s = False, time.monotonic()
                viewer.sent += 1
                await viewer.socket.send_text(self._state(viewer))
            while viewer.said:
                await viewer.socket.send_text(json.dumps(viewer.said.popleft()))
            for name in [n for n in viewer.fresh if n not in viewer.owing]:
                if (
                    viewer.owing
                ):  # two at once would keep a state waiting for too long on a slow network
                    break
                viewer.owing.add(name)
                await viewer.socket.send_bytes(viewer.fresh.pop(name))
            due_s = _LEAST_S if viewer.changed else BEAT_S
            wait_s = BEAT_S if viewer.lags else due_s - (time.monotonic() - sent_s)
            if wait_s > 0:
                try:
                    await asyncio.wait_for(viewer.wake.wait(), wait_s)
                except asyncio.TimeoutError:
                    pass
            viewer.wake.clear()

    def _state(self, viewer: Viewer) -> str:
        assert self._link is not None and self._pictures is not None and self._hands is not None
        hold = self.holder.now
        state = {
            "type": "state",
            "now_s": time.time(),
            "link": True,
            **self._link.snapshot(),
            "bars": self._pictures.bars,
            "agent_alarms": self._agent.alarms(),
            "teleop": self._hands.status,
            "holder": self._hold(hold, viewer) if hold is not None else None,
            "viewers": len(self.viewers),
        }
        return json.dumps(state)

    def _hold(self, hold: Hold, viewer: Viewer) -> dict[str, Any]:
        me = hold.client == viewer.id
        # Another's id is not told: with it, commands could be given in its name.
        return {"user": hold.user, "client": viewer.id if me else "", "me": me}
