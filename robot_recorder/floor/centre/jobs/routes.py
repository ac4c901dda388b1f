"""Routes: the queue of jobs, asking for some, trying a failed one again, and what they made."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from fastapi.responses import StreamingResponse
from pydantic import Field

from robot_recorder.catalogue.query import Filter
from robot_recorder.floor.centre.catalogue.catalogue import FloorFilter
from robot_recorder.floor.centre.desk import CentreDesk
from robot_recorder.floor.centre.jobs.kinds import JobKind, checked_settings
from robot_recorder.floor.centre.jobs.queue import Jobs, JobSource, JobState, NewJob
from robot_recorder.floor.centre.jobs.work import made_prefix
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import plural
from robot_recorder.quality.verdict import Verdict
from robot_recorder.web.access import Right
from robot_recorder.web.replies import Refused, RequestBody

MOST_EPISODES = 100_000  # of one request
_BATCH = 500  # jobs of a transaction
_SHOWN = 100
_Name = Annotated[str, Field(max_length=250)]


class JobFilter(RequestBody):
    """Which episodes; empty or null: any."""

    site: _Name = ""
    task: _Name = ""
    robot: _Name = ""
    operator: _Name = ""
    outcome: Literal["", "unlabelled", "success", "failure"] = ""
    verdict: Literal["", "unknown", "accept", "review", "reject"] = ""
    since: _Name = ""  # day or instant, as 2026-01-31; UTC
    until: _Name = ""  # before it

    def floor_filter(self) -> FloorFilter:
        """Return the catalogue's filter.

        Raises:
            Refused: a date is invalid (422).
        """
        return FloorFilter(
            Filter(
                task=self.task or None, robot=self.robot or None, operator=self.operator or None,
                outcome=Outcome[self.outcome.upper()] if self.outcome else None,
                verdict=Verdict[self.verdict.upper()] if self.verdict else None,
                since_ns=_instant_ns(self.since), until_ns=_instant_ns(self.until),
            ),
            self.site or None,
        )  # fmt: skip


class AskedJobs(RequestBody):
    """Jobs for all episodes that a filter chooses; ``export`` makes one dataset of them."""

    kind: JobKind
    filter: JobFilter = Field(default_factory=JobFilter)
    settings: dict[str, Any] = Field(default_factory=dict, max_length=20)
    priority: Annotated[int, Field(ge=-10, le=10)] = 0


def routes(desk: CentreDesk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()
    jobs = Jobs(desk.db)

    @router.get("/api/jobs")
    async def queue(
        request: Request, limit: Annotated[int, Parameter(ge=1, le=_SHOWN)] = 50
    ) -> dict[str, Any]:
        desk.user(request)
        counts = await desk.run(jobs.counts)
        shown = {
            state.value: await desk.run(jobs.newest, state, limit)
            for state in (JobState.RUNNING, JobState.FAILED, JobState.DONE)
        }
        return {"ok": True, "counts": counts, **shown}

    @router.post("/api/jobs")
    async def ask(request: Request, body: AskedJobs) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        answer = await desk.run(_asked, desk, jobs, body, user.name, slow=True)
        desk.note(request, user, f"jobs {body.kind.value}", body, answer)
        return answer

    @router.post("/api/jobs/{id}/retry")
    async def retry(request: Request, id: int) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        done = await desk.run(jobs.retry, id)
        message = "it is tried again" if done else "there is no failed job of this number"
        answer = {"ok": done, "message": message}
        desk.note(request, user, f"retry job {id}", None, answer)
        return answer

    @router.get("/api/jobs/made/{kind}/{key}")
    async def result(request: Request, kind: JobKind, key: str) -> dict[str, Any]:
        desk.user(request)
        found = await desk.run(jobs.result, key)
        if found is None:
            raise Refused(404, "there is no such job, or it is not done")
        return {"ok": True, "prefix": made_prefix(kind, key), **found}

    @router.get("/api/jobs/made/{kind}/{key}/{name:path}")
    async def file(request: Request, kind: JobKind, key: str, name: str) -> StreamingResponse:
        desk.user(request)
        found = await desk.run(jobs.result, key)
        if found is None or name not in [one[0] for one in found["files"]]:
            raise Refused(404, "no job made such a file")
        headers = {
            "content-disposition": "attachment", "x-content-type-options": "nosniff",
            "content-security-policy": "sandbox; default-src 'none'",
        }  # fmt: skip
        chunks = desk.storage.chunks(made_prefix(kind, key) + name)
        return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)

    return router


def _instant_ns(text: str) -> int | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        instant = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
        return round(instant.timestamp()) * NS_PER_S
    except (ValueError, OverflowError) as error:
        raise Refused(422, f"'{text[:40]}' is not a date; write it as 2026-01-31") from error


def _asked(desk: CentreDesk, jobs: Jobs, body: AskedJobs, by: str) -> dict[str, Any]:
    """Add the jobs that are asked for.

    Raises:
        Refused: a setting is invalid, or nothing is chosen (422).
    """
    try:
        settings = checked_settings(body.kind, body.settings)
    except ConfigError as error:
        raise Refused(422, str(error)) from error
    chosen = islice(desk.catalogue.all(body.filter.floor_filter()), MOST_EPISODES + 1)
    episodes = [(str(entry.root), entry.name) for entry in chosen]
    more = len(episodes) > MOST_EPISODES
    if more and body.kind is JobKind.EXPORT:
        raise Refused(422, f"a dataset has at most {MOST_EPISODES:,} episodes: narrow the filter")
    sources = jobs.sources(body.kind, episodes[:MOST_EPISODES])
    if not sources:
        raise Refused(422, "no episode matches whose data is here")
    new = _new_jobs(body.kind, sources, settings)
    added = sum(
        jobs.add(new[at : at + _BATCH], by, body.priority) for at in range(0, len(new), _BATCH)
    )
    message = f"{plural(added, 'job')} added, {len(new) - added} known already"
    if more:
        message += f"; the first {MOST_EPISODES:,} episodes only, ask for the rest with 'since'"
    return {"ok": True, "added": added, "known": len(new) - added, "message": message}


def _new_jobs(kind: JobKind, sources: list[JobSource], settings: dict[str, Any]) -> list[NewJob]:
    if kind is JobKind.EXPORT:
        name = f"dataset of {plural(len(sources), 'episode')}"
        return [NewJob(kind, tuple(sources), settings, name)]
    return [
        NewJob(kind, (source,), settings, f"{kind.value} {source.site}/{source.episode}")
        for source in sources
    ]
