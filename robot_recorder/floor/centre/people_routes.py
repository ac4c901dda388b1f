"""Routes for people: who is there, robots, alarms, tokens, what is on its way, the audit log."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from pydantic import Field

from robot_recorder.configuration.users import UserRole
from robot_recorder.floor.centre.desk import CentreDesk
from robot_recorder.floor.centre.tokens import Station
from robot_recorder.model.ids import checked_id
from robot_recorder.web.access import Right, User
from robot_recorder.web.replies import Refused, RequestBody
from robot_recorder.web.sessions import session_routes

_Name = Annotated[str, Field(max_length=250)]


class Want(RequestBody):
    """Episodes that robots are to send first."""

    site: _Name
    ids: Annotated[list[_Name], Field(min_length=1, max_length=500)]


class SeenAlarm(RequestBody):
    """An alarm that somebody has seen."""

    site: _Name
    robot: _Name
    kind: _Name
    subject: _Name = ""


class NewToken(RequestBody):
    """A robot that may speak."""

    site: _Name
    robot: _Name


class OldToken(NewToken):
    """A robot's token that may not be used any more; empty: all of the robot."""

    token_name: Annotated[str, Field(max_length=64)] = ""


def routes(desk: CentreDesk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()
    router.include_router(session_routes(desk.access, desk.note))
    _add_looks(router, desk)
    _add_changes(router, desk)
    _add_tokens(router, desk)
    return router


def _admin(desk: CentreDesk, request: Request) -> User:
    user = desk.user(request)
    if user.role is not UserRole.ADMIN:
        desk.note(request, user, request.url.path, None, {"message": "only an admin may do that"})
        raise Refused(403, "only an admin may do that")
    return user


def _add_looks(router: APIRouter, desk: CentreDesk) -> None:
    @router.get("/api/me")
    async def me(request: Request) -> dict[str, Any]:
        user = desk.user(request)
        return {
            "ok": True,
            "user": user.name,
            "role": user.role.value,
            "login": not desk.access.open,
            "centre": desk.settings.name,
            "key": desk.signer.public,
        }

    @router.get("/api/robots")
    async def robots(request: Request) -> dict[str, Any]:
        desk.user(request)
        return {"ok": True, "robots": desk.live.robots(), "alarms": desk.live.alarms()}

    @router.get("/api/alarms")
    async def alarms(request: Request) -> dict[str, Any]:
        desk.user(request)
        found = await desk.run(desk.alarms.stand)
        stand = [alarm.to_dict() for alarm in found]
        return {"ok": True, "alarms": [*stand, *desk.trends.listed()]}

    @router.get("/api/ingest")
    async def ingest(request: Request) -> dict[str, Any]:
        desk.user(request)
        return {"ok": True, "states": await desk.run(desk.ingest.on_their_way)}

    @router.get("/api/ingest/{site}/{id}")
    async def one(request: Request, site: str, id: str) -> dict[str, Any]:
        desk.user(request)
        found = await desk.run(desk.ingest.told, checked_id(site), checked_id(id))
        if found is None:
            raise Refused(404, "the episode is unknown")
        return {"ok": True, **found}

    @router.get("/api/audit")
    async def audit(
        request: Request, limit: Annotated[int, Parameter(ge=1, le=500)] = 100
    ) -> dict[str, Any]:
        _admin(desk, request)
        return {"ok": True, "entries": await desk.run(desk.audit.newest, limit)}


def _add_changes(router: APIRouter, desk: CentreDesk) -> None:
    @router.post("/api/want")
    async def want(request: Request, body: Want) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        asked = await desk.run(desk.ingest.want, body.site, [checked_id(id) for id in body.ids])
        answer = {"ok": True, "asked": asked, "message": f"{len(asked)} episodes are asked for"}
        desk.note(request, user, "want", body, answer)
        return answer

    @router.post("/api/alarms/clear")
    async def clear(request: Request, body: SeenAlarm) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        stood = await desk.run(
            desk.alarms.clear, body.site, body.robot, body.kind, body.subject, time.time_ns()
        )
        answer = {"ok": stood, "message": "seen" if stood else "there is no such alarm any more"}
        desk.note(request, user, "clear alarm", body, answer)
        return answer

    @router.post("/api/ingest/{site}/{id}/accept")
    async def accept(request: Request, site: str, id: str) -> dict[str, Any]:
        user = _admin(desk, request)
        done = await desk.run(desk.ingest.accept, checked_id(site), checked_id(id))
        answer = {"ok": done, "message": "it gets a receipt" if done else "it is not held back"}
        desk.note(request, user, f"accept {site}/{id}", None, answer)
        return answer


def _add_tokens(router: APIRouter, desk: CentreDesk) -> None:
    @router.get("/api/tokens")
    async def tokens(request: Request) -> dict[str, Any]:
        _admin(desk, request)
        found = await desk.run(desk.tokens.tokens)
        return {
            "ok": True,
            "tokens": [
                {"token_name": t.name, "site": t.station.site, "robot": t.station.robot,
                 "made_ns": t.made_ns, "made_by": t.made_by, "revoked_ns": t.revoked_ns}
                for t in found
            ],
        }  # fmt: skip

    @router.post("/api/tokens/add")
    async def add(request: Request, body: NewToken) -> dict[str, Any]:
        user = _admin(desk, request)
        station = Station(body.site, body.robot)
        secret = await desk.run(desk.tokens.add, station, user.name, time.time_ns())
        desk.note(request, user, "add token", body, {"ok": True})
        return {"ok": True, "token": secret}

    @router.post("/api/tokens/revoke")
    async def revoke(request: Request, body: OldToken) -> dict[str, Any]:
        user = _admin(desk, request)
        station = Station(body.site, body.robot)
        count = await desk.run(desk.tokens.revoke, station, body.token_name, time.time_ns())
        answer = {"ok": count > 0, "message": f"{count} tokens are revoked"}
        desk.note(request, user, "revoke token", body, answer)
        return answer
