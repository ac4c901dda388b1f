"""Routes: the buttons of a shift, and who holds them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from robot_recorder.console.requests import Desk
from robot_recorder.srv import BeginShift, ShiftCommand
from robot_recorder.web.access import Right
from robot_recorder.web.replies import Refused, RequestBody

_Seconds = Annotated[float, Field(ge=0, le=86_400)]
_Id = Annotated[str, Field(max_length=64)]
_Name = Annotated[str, Field(max_length=128)]
_Key = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[\w-]+$")]


class CommandBody(RequestBody):
    """A command of a shift; ``key`` is new for every press, and the same when it is sent again.

    ``shown`` is the id of the newest take on the page, or "none": an order may arrive late.
    """

    command: _Id
    cause: _Id = ""
    note: str = ""
    shown: _Name = ""
    key: _Key


class BeginBody(RequestBody):
    """The plan of a shift."""

    task: _Id = ""
    instruction: Annotated[str, Field(max_length=2000)] = ""
    operator: _Name = ""
    station: _Name = ""
    target: Annotated[int, Field(ge=-1, le=1_000_000)] = -1
    warm_up: Annotated[int, Field(ge=0, le=1000)] = 0
    countdown_s: _Seconds = 0.0
    max_take_s: _Seconds = 0.0
    reset_s: _Seconds = 0.0
    key: _Key


class HoldBody(RequestBody):
    """Take the buttons, or let go of them."""

    take: bool


def routes(desk: Desk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()

    async def driven(
        request: Request, what: str, body: RequestBody, kind: Any, message: Any
    ) -> dict[str, Any]:
        """Call a service for the console that holds the buttons."""
        user = desk.user(request, Right.DRIVE)
        before = desk.holder.now
        problem = desk.holder.problem(desk.client(request, user))
        if problem:
            desk.note(request, user, what, body, {"message": problem})
            raise Refused(409, problem)
        if desk.holder.now != before:
            desk.live.changed()
        message.by = user.name
        answer = await desk.call(kind, message)
        desk.note(request, user, what, body, answer)
        return answer

    @router.post("/api/command")
    async def command(request: Request, body: CommandBody) -> dict[str, Any]:
        message = ShiftCommand.Request(
            command=body.command, cause=body.cause, note=body.note, shown=body.shown, key=body.key
        )
        return await driven(request, f"command {body.command[:20]}", body, ShiftCommand, message)

    @router.post("/api/begin")
    async def begin(request: Request, body: BeginBody) -> dict[str, Any]:
        message = BeginShift.Request(
            task=body.task, instruction=body.instruction, operator_name=body.operator,
            station=body.station, target=body.target, warm_up=body.warm_up,
            countdown_s=body.countdown_s, max_take_s=body.max_take_s, reset_s=body.reset_s,
            key=body.key,
        )  # fmt: skip
        return await driven(request, "begin", body, BeginShift, message)

    @router.post("/api/hold")
    async def hold(request: Request, body: HoldBody) -> dict[str, Any]:
        user = desk.user(request, Right.DRIVE)
        client = desk.client(request, user)
        if body.take:
            before = desk.holder.take(client)
            whom = f" from {before.user or 'another console'}" if before is not None else ""
            answer = {"ok": True, "message": f"this console has the buttons now{whom}"}
        else:
            had = desk.holder.let_go(client.client)
            text = "nobody has the buttons now" if had else "this console does not have the buttons"
            answer = {"ok": had, "message": text}
        desk.note(request, user, "hold", body, answer)
        desk.live.changed()
        return answer

    return router
