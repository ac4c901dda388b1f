"""Routes: the episodes on the disk, their pictures and reports; relabel, discard, restore, compare."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from fastapi.responses import FileResponse
from pydantic import Field

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry, metadata_stamp_ns, read_entry
from robot_recorder.catalogue.query import Filter, Query
from robot_recorder.catalogue.sync import refresh, sync
from robot_recorder.console.requests import Desk
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.labelling import LabelledEpisode, describe
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import checked_id
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.nodes.shift_calls import annotate_whole
from robot_recorder.quality.verdict import Verdict
from robot_recorder.report.made import make_comparison, make_report, make_thumbnail
from robot_recorder.srv import Annotate, DiscardEpisode, MarkOutcome, RestoreEpisode
from robot_recorder.web.access import Right
from robot_recorder.web.replies import Refused, RequestBody

_MOST = 200
_SEARCHED = 5000  # episodes that are looked through for a text
_MOST_COMPARED = 8
_MOST_THUMBNAILS, _MOST_LONG = 2 * _MOST, 3  # that wait: thumbnails; reports, and comparisons
_LATEST_NS = 1 << 62
# A report is a page of its own with its script inside: it may do nothing else, and knows no cookie.
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; frame-ancestors 'self'"
)
_Text = Annotated[str, Parameter(max_length=200)]


class Relabel(RequestBody):
    """A new outcome of an episode, and why."""

    outcome: Literal["success", "failure", "unlabelled"]
    cause: Annotated[str, Field(max_length=64)] = ""
    note: str = ""


class Move(RequestBody):
    """To the trash or back, and why."""

    note: str = ""


def routes(desk: Desk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()

    @router.get("/api/episodes")
    async def episodes(
        request: Request, task: _Text = "", outcome: _Text = "", verdict: _Text = "",
        operator: _Text = "", since: _Text = "", text: _Text = "", trash: bool = False,
        limit: Annotated[int, Parameter(ge=1, le=_MOST)] = 50, before: _Text = "",
    ) -> dict[str, Any]:  # fmt: skip
        desk.user(request)
        wanted = _filter(task, outcome, verdict, operator, since)
        return await asyncio.to_thread(_listed, desk, wanted, text, trash, limit, before)

    @router.get("/api/episodes/{id}")
    async def episode(request: Request, id: str) -> dict[str, Any]:
        desk.user(request)
        return await asyncio.to_thread(_told, desk, id)

    @router.get("/api/episodes/{id}/thumbnail.jpg")
    async def thumbnail(request: Request, id: str) -> FileResponse:
        desk.user(request)
        path = await asyncio.to_thread(episode_path, desk, id)
        file = await desk.workers.make(
            f"thumbnail {path}", ".jpg", make_thumbnail, path, most=_MOST_THUMBNAILS
        )
        return FileResponse(
            file, media_type="image/jpeg", headers={"cache-control": "private, max-age=600"}
        )

    @router.get("/api/episodes/{id}/report")
    async def report(request: Request, id: str) -> FileResponse:
        desk.user(request)
        path = await asyncio.to_thread(episode_path, desk, id)
        key = f"report {path} {metadata_stamp_ns(path)}"  # new labels are in it
        file = await desk.workers.make(key, ".html", make_report, path, most=_MOST_LONG)
        headers = {"content-security-policy": _REPORT_POLICY}
        return FileResponse(file, media_type="text/html; charset=utf-8", headers=headers)

    @router.get("/api/compare.png")
    async def compare(request: Request, id: Annotated[list[str], Parameter()]) -> FileResponse:
        desk.user(request)
        if not 2 <= len(id) <= _MOST_COMPARED:
            raise Refused(422, f"give 2 to {_MOST_COMPARED} episodes to compare")
        paths = [await asyncio.to_thread(episode_path, desk, one) for one in id]
        key = f"compare {' '.join(map(str, paths))}"
        file = await desk.workers.make(key, ".png", make_comparison, paths, most=_MOST_LONG)
        return FileResponse(file)

    @router.post("/api/episodes/{id}/label")
    async def label(request: Request, id: str, body: Relabel) -> dict[str, Any]:
        message = MarkOutcome.Request(
            outcome=int(Outcome[body.outcome.upper()]), episode_id=id, cause=body.cause,
            note=body.note, by=desk.user(request, Right.REVIEW).name,
        )  # fmt: skip
        return await change(desk, request, "label", id, body, MarkOutcome, message)

    @router.post("/api/episodes/{id}/discard")
    async def discard(request: Request, id: str, body: Move) -> dict[str, Any]:
        by = desk.user(request, Right.REVIEW).name
        why = await asyncio.to_thread(
            annotate_whole, desk.store(), checked(id), "discarded", by, note=body.note
        )
        noted = await change(desk, request, "note", id, body, Annotate, why)
        if not noted["ok"]:
            return noted
        return await change(
            desk,
            request,
            "discard",
            id,
            body,
            DiscardEpisode,
            DiscardEpisode.Request(episode_id=id),
        )

    @router.post("/api/episodes/{id}/restore")
    async def restore(request: Request, id: str, body: Move) -> dict[str, Any]:
        message = RestoreEpisode.Request(episode_id=id)
        answer = await change(desk, request, "restore", id, body, RestoreEpisode, message)
        if answer["ok"]:
            by = desk.user(request, Right.REVIEW).name
            back = Annotate.Request(
                name="discarded", episode_id=id, note=body.note, by=by, retract=True
            )
            # Refused if a shell discarded it, which leaves no note.
            await change(desk, request, "note", id, body, Annotate, back)
        return answer

    return router


async def change(
    desk: Desk, request: Request, what: str, id: str, body: RequestBody, kind: Any, message: Any
) -> dict[str, Any]:
    """Call a service that changes an episode, for who may review; return its answer.

    Raises:
        Refused: the user may not (401, 403), it cannot be one's id (404), or it is recorded now (409).
    """
    user = desk.user(request, Right.REVIEW)
    desk.client(request, user)
    checked(id)
    if desk.records(id):
        raise Refused(409, f"{id} is being recorded: who has the buttons decides about it")
    answer = await desk.call(kind, message)
    desk.note(request, user, f"{what} {id}", body, answer)
    return answer


def checked(id: str) -> str:
    """Return an id that can be one.

    Raises:
        Refused: it cannot (404).
    """
    try:
        return checked_id(id)
    except BagError as error:
        raise Refused(404, str(error)) from error


def episode_path(desk: Desk, id: str) -> Path:
    """Return the directory of an episode, also of one in the trash.

    Raises:
        Refused: it does not exist (404).
    """
    store = desk.store()
    try:
        trashed = store.discarded(checked(id))
        return trashed if trashed is not None else store.find(id)
    except BagError as error:
        raise Refused(404, str(error)) from error


def _filter(task: str, outcome: str, verdict: str, operator: str, since: str) -> Filter:
    """Return the catalogue's filter.

    Raises:
        Refused: a value does not exist (422).
    """
    try:
        return Filter(
            task=task or None,
            operator=operator or None,
            outcome=Outcome[outcome.upper()] if outcome else None,
            verdict=Verdict[verdict.upper()] if verdict else None,
            since_ns=_day_ns(since) if since else None,
        )
    except (KeyError, ValueError, OverflowError) as error:
        raise Refused(422, f"the filter has a value that does not exist: {error}") from error


def _day_ns(text: str) -> int:
    """Return when a day such as 2026-01-31 begins here, or an epoch in s, ns."""
    if text.replace(".", "", 1).isdecimal():
        at_ns = round(float(text) * NS_PER_S)
    else:
        at_ns = round(datetime.fromisoformat(text).timestamp() * NS_PER_S)
    if not 0 <= at_ns < _LATEST_NS:
        raise ValueError(f"{text} is no day of a recording")
    return at_ns


def _listed(
    desk: Desk, filter: Filter, text: str, trash: bool, limit: int, before: str
) -> dict[str, Any]:
    if trash:
        entries = list(_trashed(desk, filter, text))
        return {
            "episodes": [entry_plain(e, True) for e in entries[:limit]],
            "more": len(entries) > limit,
        }
    with Catalogue(desk.settings.root) as catalogue:
        sync(catalogue)
        if before and (last := catalogue.find(checked(before))) is not None:
            filter = replace(filter, until_ns=last.start_ns)
        query = Query(catalogue, filter)
        entries = query.newest(_SEARCHED if text else limit + 1)
        if refresh(catalogue, entries):
            entries = query.newest(_SEARCHED if text else limit + 1)
    found = [e for e in reversed(entries) if text.lower() in f"{e.id} {e.cause} {e.reason}".lower()]
    return {"episodes": [entry_plain(e, False) for e in found[:limit]], "more": len(found) > limit}


def _trashed(desk: Desk, filter: Filter, text: str) -> Iterator[Entry]:
    """Yield the newest discarded episodes that can be read and fit."""
    for path in islice(reversed(desk.store().trashed()), _MOST):
        try:
            entry = read_entry(path)
        except BagError:
            continue  # `robot-recorder trash` names it
        fits = all(
            wanted is None or wanted == found
            for wanted, found in (
                (filter.task, entry.task), (filter.operator, entry.operator),
                (filter.outcome, entry.outcome), (filter.verdict, entry.verdict),
            )
        )  # fmt: skip
        if fits and entry.start_ns >= (filter.since_ns or 0) and text.lower() in entry.id.lower():
            yield entry


def entry_plain(entry: Entry, trashed: bool = False) -> dict[str, Any]:
    """Return what lists show of an episode."""
    return {
        "id": entry.id,
        "task": entry.task,
        "instruction": "",
        "operator": entry.operator,
        "outcome": entry.outcome.text,
        "cause": entry.cause,
        "verdict": entry.verdict.text,
        "verdict_sentence": "",
        "reason": entry.reason,
        "start_s": entry.start_ns / NS_PER_S if entry.start_ns else None,
        "duration_s": entry.duration_ms / 1000,
        "size_bytes": entry.size_bytes,
        "lost": entry.lost if entry.all_lost_known else None,
        "trashed": trashed,
    }


def _told(desk: Desk, id: str) -> dict[str, Any]:
    """Return everything about one episode.

    Raises:
        Refused: it cannot be read (404).
    """
    path = episode_path(desk, id)
    try:
        episode = Episode.open(path)
        now = LabelledEpisode.of(episode)
        entry, sentence = read_entry(path), episode.quality.sentence
    except BagError as error:
        raise Refused(404, str(error)) from error
    task = now.task(desk.link.tasks)
    return {
        **entry_plain(entry, path.parent != desk.settings.root),
        "instruction": now.labels.instruction,
        "verdict_sentence": sentence,
        "causes": list(task.failure_causes) if task is not None else [],
        "history": [
            {
                "when_s": event.stamp_ns / NS_PER_S,
                "by": event.by,
                "what": describe(event, now),
                "previous": event.previous,
                "note": event.note,
            }
            for event in now.events
        ],
    }
