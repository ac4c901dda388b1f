"""Routes: which robot, stream, operator or version rejects most, what drifts, and alarms."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi import Query as Parameter

from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.floor.centre.desk import CentreDesk
from robot_recorder.floor.centre.review.routes import moment_ns
from robot_recorder.floor.centre.trends.alarms import DRIFT_LIMITS
from robot_recorder.floor.centre.trends.queries import (
    TrendSide,
    TrendSpan,
    alarms_of,
    day_text,
    lines_of,
    rows_of,
)
from robot_recorder.web.replies import Refused

_Text = Annotated[str, Parameter(max_length=255)]
_Days = Annotated[int, Parameter(ge=1, le=730)]
_Side = Literal["robot", "operator", "version", "task", "site", "stream"]


def routes(desk: CentreDesk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()
    reviews = desk.reviews

    def span(days: int, until: str, site: str, robot: str) -> TrendSpan:
        """Return the days up to the one before ``until``; empty: up to today."""
        limit_ns = moment_ns(until)
        last = (reviews.clock() if limit_ns is None else limit_ns - 1) // DAY_NS
        return TrendSpan(last - days + 1, last, site, robot)

    @router.get("/api/trends")
    async def trends(
        request: Request, side: _Side = "robot", days: _Days = 30, until: _Text = "",
        site: _Text = "", robot: _Text = "",
    ) -> dict[str, Any]:  # fmt: skip
        desk.user(request)
        asked = span(days, until, site, robot)
        rows = await desk.run(rows_of, reviews.db, TrendSide(side), asked)
        plain = [row.to_dict() for row in rows]
        return {"ok": True, "side": side, "first_day": day_text(asked.first), "rows": plain}

    @router.get("/api/trends/drift")
    async def drift(
        request: Request, kind: _Text = "", days: _Days = 56, until: _Text = "", site: _Text = "",
        robot: _Text = "", stream: _Text = "",
    ) -> dict[str, Any]:  # fmt: skip
        desk.user(request)
        if kind and kind not in DRIFT_LIMITS:
            raise Refused(422, f"no kind '{kind[:40]}': there are {', '.join(DRIFT_LIMITS)}")
        kinds = [kind] if kind else list(DRIFT_LIMITS)
        asked = span(days, until, site, robot)
        lines = await desk.run(lines_of, reviews.db, kinds, asked, stream)
        return {"ok": True, "lines": [line.to_dict() for line in lines]}

    @router.get("/api/trends/alarms")
    async def alarms(
        request: Request, days: _Days = 28, until: _Text = "", site: _Text = "", robot: _Text = ""
    ) -> dict[str, Any]:
        desk.user(request)
        asked = span(days, until, site, robot)
        found = await desk.run(alarms_of, reviews.db, reviews.policy.drifts, asked)
        return {"ok": True, "alarms": [{**a.to_dict(), "since": day_text(a.since)} for a in found]}

    return router
