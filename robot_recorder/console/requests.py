"""What every route needs: who asks, what they may, and an entry in the audit log."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from robot_recorder.console.holder import AuditEntry, AuditLog, Hold, Holder
from robot_recorder.console.link import RobotLink
from robot_recorder.console.live import LivePages
from robot_recorder.console.settings import ConsoleSettings
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.store import open_store
from robot_recorder.msg import EpisodeStatus
from robot_recorder.web.access import Access, Right, User
from robot_recorder.web.replies import Refused, RequestBody, address_of, audited
from robot_recorder.web.sessions import who_asks
from robot_recorder.web.workers import Workers

_CALLERS = 8  # threads that wait for services: a node that hangs must not take all threads


@dataclass
class Desk:
    """Everything the routes share.

    Attributes:
        settings: of the console.
        access: users and sessions.
        holder: who has the buttons.
        live: the pages that look.
        link: ROS.
        audit: log of requests.
        workers: processes for what takes long.
        robot: its name.
        callers: threads that wait for services.
    """

    settings: ConsoleSettings
    access: Access
    holder: Holder
    live: LivePages
    link: RobotLink
    audit: AuditLog
    workers: Workers
    robot: str
    callers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_CALLERS, "calls")
    )

    def records(self, id: str) -> bool:
        """Return whether an episode is being recorded."""
        status = self.link.status
        recording = status is not None and status.state == EpisodeStatus.STATE_RECORDING
        return recording and status is not None and status.episode_id == id

    def store(self) -> EpisodeStore:
        """Return the episodes; changes reach the catalogue."""
        return open_store(self.settings.root)

    def user(self, request: Request, right: Right = Right.LOOK) -> User:
        """Return who asks.

        Raises:
            Refused: they are not logged in (401), or may not do that (403).
        """
        return who_asks(self.access, request, right, self.note)

    def client(self, request: Request, user: User) -> Hold:
        """Return which console asks.

        Raises:
            Refused: it does not say, or is not connected as this user (409).
        """
        viewer = self.live.viewers.get(request.headers.get("x-console", ""))
        if viewer is None or viewer.user != user:
            raise Refused(409, "this page is not connected: wait until it is, and press again")
        return Hold(viewer.id, user.name)

    def note(
        self,
        request: Request,
        user: User,
        what: str,
        body: RequestBody | None,
        answer: dict[str, Any],
    ) -> None:
        """Write an entry of the audit log, in the background."""
        viewer = self.live.viewers.get(request.headers.get("x-console", ""))
        client = viewer.id if viewer is not None and viewer.user == user else ""
        entry = AuditEntry(
            user.name,
            address_of(request),
            client,
            what,
            audited(body),
            bool(answer.get("ok")),
            str(answer.get("message", "")),
        )
        asyncio.get_running_loop().run_in_executor(None, self.audit.add, entry)

    async def call(self, kind: Any, message: Any) -> dict[str, Any]:
        """Call a service of ROS; return what the page gets."""
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self.callers, self.link.call, message, kind)
        if isinstance(answer, str):
            return {"ok": False, "message": answer}
        plain = {"ok": bool(answer.success), "message": answer.message}
        if hasattr(answer, "episode_id"):
            plain["episode_id"] = answer.episode_id
        return plain
