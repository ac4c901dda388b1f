"""Who asks; the routes that log in and out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from robot_recorder.web.access import NOBODY, SESSION_S, Access, RefusedLogin, Right, User
from robot_recorder.web.connections import network_of
from robot_recorder.web.replies import Refused, RequestBody, address_of, cookie_name

# Writes an entry of the audit log: who, what, the request's body, the answer.
Note = Callable[[Request, User, str, RequestBody | None, dict[str, Any]], None]


class Login(RequestBody):
    """Name and password, or a token."""

    name: Annotated[str, Field(max_length=128)] = ""
    password: str = ""
    token: str = ""


def who_asks(access: Access, request: Request, right: Right, note: Note) -> User:
    """Return who asks.

    Args:
        access: users and sessions.
        request: of theirs.
        right: that it needs.
        note: gets what is refused to a user.

    Raises:
        Refused: they are not logged in (401), or may not do that (403).
    """
    user = access.user(request.cookies.get(cookie_name(request)))
    if user is None:
        raise Refused(401, "log in first")
    if not user.may(right):
        refused = f"the role {user.role.value} may not do that"
        note(request, user, request.url.path, None, {"message": refused})
        raise Refused(403, refused)
    return user


def session_routes(access: Access, note: Note) -> APIRouter:
    """Return the routes ``/api/login`` and ``/api/logout``.

    Args:
        access: users and sessions.
        note: writes an entry of the audit log.
    """
    router = APIRouter()

    @router.post("/api/login")
    async def login(request: Request, body: Login) -> JSONResponse:
        address = network_of(address_of(request))
        try:
            secret = await asyncio.to_thread(
                access.login, body.name, body.token or body.password, address
            )
        except RefusedLogin as error:
            refused = {"ok": False, "message": str(error)}
            note(request, NOBODY, "login", body, refused)
            return JSONResponse(refused, error.status)
        plain = {"ok": True, "message": "logged in"}
        note(request, access.user(secret) or NOBODY, "login", body, plain)
        answer = JSONResponse(plain)
        answer.set_cookie(
            cookie_name(request), secret, max_age=round(SESSION_S), httponly=True, samesite="strict",
            secure=request.url.scheme == "https", path="/",
        )  # fmt: skip
        return answer

    @router.post("/api/logout")
    async def logout(request: Request) -> JSONResponse:
        secret, plain = (
            request.cookies.get(cookie_name(request)),
            {"ok": True, "message": "logged out"},
        )
        user = access.user(secret)
        if user is not None:
            note(request, user, "logout", None, plain)
        access.logout(secret)
        answer = JSONResponse(plain)
        answer.delete_cookie(cookie_name(request), path="/", secure=request.url.scheme == "https")
        return answer

    return router
