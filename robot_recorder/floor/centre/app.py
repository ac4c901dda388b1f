"""The web application of the centre: machine API, probes, and pages behind the guard."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from robot_recorder.floor.centre import agent_routes, episode_routes, people_routes, probes
from robot_recorder.floor.centre.database.database import DatabaseError
from robot_recorder.floor.centre.desk import CentreDesk
from robot_recorder.floor.centre.jobs import routes as job_routes
from robot_recorder.floor.centre.live import WallPages
from robot_recorder.floor.centre.refusals import RefusedRobot, of_database, of_storage
from robot_recorder.floor.centre.review import film_routes
from robot_recorder.floor.centre.review import routes as review_routes
from robot_recorder.floor.centre.trends import routes as trend_routes
from robot_recorder.floor.storage.port import StorageError
from robot_recorder.web.guard import HEADERS, Guard
from robot_recorder.web.pages import application_of_pages
from robot_recorder.web.replies import SafeJson, answer_errors

# Resolved: colcon build --symlink-install links every file, and links are not followed.
STATIC = Path(__file__).resolve().with_name("static")
_MACHINES = ("/agent/", "/healthz", "/readyz", "/metrics")
_PAGES = (people_routes, review_routes, trend_routes, film_routes, job_routes, episode_routes)


def application(desk: CentreDesk, wall: WallPages) -> Any:
    """Return the ASGI application of a centre."""
    metrics = probes.CentreMetrics(desk)
    settings = desk.settings
    pages = Guard(_pages(desk, wall), settings.hosts, settings.local)
    return _Entrance(_machines(desk, metrics), pages, metrics)


class _Entrance:
    """Tells machines from browsers by what they ask for, and counts both."""

    def __init__(self, machines: Any, pages: Any, metrics: probes.CentreMetrics) -> None:
        self._machines, self._pages, self._metrics = machines, pages, metrics

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def sent(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        app = self._machines if scope["path"].startswith(_MACHINES) else self._pages
        try:
            await app(scope, receive, sent)
        finally:
            # By the route's pattern: paths hold ids, and anybody can make up paths.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.note(route, status, time.monotonic() - begun)


def _machines(desk: CentreDesk, metrics: probes.CentreMetrics) -> FastAPI:
    app = FastAPI(
        title="robot_recorder centre",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        default_response_class=SafeJson,
    )
    app.include_router(agent_routes.routes(desk))
    app.include_router(probes.routes(desk, metrics))
    answer_errors(app)
    _answer_troubles(app)
    return app


def _pages(desk: CentreDesk, wall: WallPages) -> FastAPI:
    routers = (part.routes(desk) for part in _PAGES)
    app = application_of_pages("robot_recorder centre", routers, STATIC, desk.access, wall.serve)
    _answer_troubles(app)
    return app


def _answer_troubles(app: FastAPI) -> None:
    """Answer what the storage or the database does not do, and what robots may do about it."""

    def answer(error: RefusedRobot) -> SafeJson:
        plain = {"ok": False, "message": str(error)}
        if error.trouble:
            plain["trouble"] = error.trouble
        return SafeJson(plain, error.status, headers=HEADERS)

    @app.exception_handler(RefusedRobot)
    async def refused(request: Request, error: RefusedRobot) -> SafeJson:
        return answer(error)

    @app.exception_handler(StorageError)
    async def storage(request: Request, error: StorageError) -> SafeJson:
        return answer(of_storage(error))

    @app.exception_handler(DatabaseError)
    async def database(request: Request, error: DatabaseError) -> SafeJson:
        return answer(of_database(error))
