"""An application of pages: routes, one page, its files, a websocket, errors as answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.responses import FileResponse

from robot_recorder.web.access import Access, Right, User
from robot_recorder.web.replies import SafeJson, answer_errors, cookie_name
from robot_recorder.web.static_files import SharedStatic

# Serves a page's websocket while the third argument returns that its user is still logged in.
LiveServer = Callable[[WebSocket, User, Callable[[], bool]], Awaitable[None]]


def application_of_pages(
    title: str, routers: Iterable[APIRouter], static: Path, access: Access, live: LiveServer
) -> FastAPI:
    """Return an application, which still needs the guard around it.

    Args:
        title: of it.
        routers: its routes.
        static: folder of index.html and the files that only this application has.
        access: who may look.
        live: serves the websocket ``/live``.
    """
    app = FastAPI(
        title=title, docs_url=None, redoc_url=None, openapi_url=None, default_response_class=SafeJson
    )  # fmt: skip
    for router in routers:
        app.include_router(router)

    @app.get("/")
    async def index() -> FileResponse:
        return FileResponse(static / "index.html")

    @app.websocket("/live")
    async def serve_live(socket: WebSocket) -> None:
        secret = socket.cookies.get(cookie_name(socket))
        user = access.user(secret)
        if user is None or not user.may(Right.LOOK):
            await socket.close(1008, "log in first")
            return
        await live(socket, user, lambda: access.user(secret) == user)

    app.mount("/static", SharedStatic(static), name="static")
    answer_errors(app)
    return app
