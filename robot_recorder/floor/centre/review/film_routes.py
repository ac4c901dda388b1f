"""Routes: the film of an episode for reviewing, its pictures and its curves."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from robot_recorder.floor.centre.desk import CentreDesk
from robot_recorder.floor.centre.review.items import plain_findings
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import checked_id
from robot_recorder.report.film import film_curves, film_index, film_picture, make_film, told_of
from robot_recorder.web.access import Right
from robot_recorder.web.replies import Refused

_MOST_WAITING = 24  # films
_KEPT = {"cache-control": "private, max-age=3600"}


class FilmMaker:
    """Makes the films of a centre, one at a time, and knows where they are."""

    def __init__(self, desk: CentreDesk) -> None:
        """Use a desk's workers, storage and database."""
        self._desk = desk

    async def film(self, site: str, id: str) -> Path:
        """Return the film of a stored episode, made unless it is there.

        Raises:
            Refused: the episode is unknown (404), or its data has not arrived (409).
            BusyError: too many wait.
            RecorderError: it cannot be made.
        """
        digest = await self._desk.run(self._digest, site, id)
        key = f"film {site}/{id} {digest}"
        made = self._desk.workers.made(key)
        if made is not None:
            return made
        with ExitStack() as stack:
            copy = self._desk.copies.episode(site, id)
            path = await self._desk.run(stack.enter_context, copy, slow=True)
            return await self._desk.workers.make(key, ".film", make_film, path, most=_MOST_WAITING)

    def _digest(self, site: str, id: str) -> str:
        """Return the SHA-256 of an episode's data, which has a receipt."""
        try:
            key = checked_id(site), checked_id(id)
        except BagError as error:
            raise Refused(404, str(error)) from error
        with self._desk.db.reading() as tx:
            row = tx.one(
                "SELECT state, sha256 FROM floor_episodes WHERE site = ? AND episode = ?", key
            )
        if row is None:
            raise Refused(404, f"{id} of {site} is unknown")
        if row[0] != "stored":
            raise Refused(409, f"the data of {id} has not arrived yet: it is {row[0]}")
        return str(row[1])


def routes(desk: CentreDesk) -> APIRouter:
    """Return the routes of this file."""
    router, films = APIRouter(), FilmMaker(desk)

    @router.get("/api/review/{site}/{id}/film.json")
    async def film(request: Request, site: str, id: str) -> dict[str, Any]:
        desk.user(request, Right.REVIEW)
        path = await films.film(site, id)
        index = await asyncio.to_thread(film_index, path)
        episode = await desk.run(desk.episode, site, id, slow=True)
        findings = plain_findings(episode, index["times"])
        return {"ok": True, **told_of(index), "findings": findings}

    @router.get("/api/review/{site}/{id}/film/{camera}/{n}.jpg")
    async def picture(request: Request, site: str, id: str, camera: str, n: int) -> Response:
        desk.user(request, Right.REVIEW)
        path = await films.film(site, id)
        found = await asyncio.to_thread(film_picture, path, camera, n)
        if found is None:
            raise Refused(404, f"{id} has no picture {n} of {camera[:100]!r}")
        return Response(found[0], media_type=found[1], headers=_KEPT)

    @router.get("/api/review/{site}/{id}/curves.json")
    async def curves(request: Request, site: str, id: str) -> Response:
        desk.user(request, Right.REVIEW)
        body = await asyncio.to_thread(film_curves, await films.film(site, id))
        return Response(b'{"ok":true,' + body[1:], media_type="application/json", headers=_KEPT)

    return router
