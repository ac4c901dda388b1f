"""Routes: who is there, logging in and out, words and tones."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from robot_recorder.configuration.buttons import BROWSER_KEYS
from robot_recorder.configuration.find import load_buttons, load_words
from robot_recorder.configuration.words import LANGUAGES
from robot_recorder.console.requests import Desk
from robot_recorder.recorder.tones import tone
from robot_recorder.web.replies import Refused
from robot_recorder.web.sessions import session_routes


def routes(desk: Desk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()
    router.include_router(session_routes(desk.access, desk.note))
    words = {name: load_words(name) for name in LANGUAGES}
    keys = load_buttons(desk.settings.buttons).keys

    @router.get("/api/me")
    async def me(request: Request) -> dict[str, Any]:
        user = desk.user(request)
        return {
            "ok": True,
            "user": user.name,
            "role": user.role.value,
            "robot": desk.robot,
            "login": not desk.access.open,
            "language": desk.settings.language,
            "keys": {BROWSER_KEYS[name]: _gestures(one) for name, one in keys.items()},
        }

    @router.get("/words/{name}.json")
    async def text(name: str) -> dict[str, Any]:
        if name not in words:
            raise Refused(404, f"no language '{name[:20]}': there are {', '.join(words)}")
        found = words[name]
        return {"say": dict(found.say), "check": dict(found.check), "page": dict(found.page)}

    @router.get("/tones/{event}.wav")
    async def sound(event: str) -> Response:
        data = tone(event)
        if data is None:
            return Response(status_code=204)  # it is silent
        return Response(data, media_type="audio/wav", headers={"cache-control": "max-age=3600"})

    return router


def _gestures(gestures: Any) -> dict[str, Any]:
    """Return what the gestures of a key do, without those that do nothing."""
    return {
        name: {"command": command.command, "cause": command.cause}
        for name in ("press", "long", "double")
        if (command := getattr(gestures, name)) is not None
    }
