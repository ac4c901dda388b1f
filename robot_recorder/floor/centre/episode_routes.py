"""Routes of the pages: episodes by filter, one of them with labels and receipt, relabelling, today's totals."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from pydantic import Field

from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import COUNTED, Filter
from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.catalogue.stats import EpisodeCounts, Side
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.labelling import LabelledEpisode, describe
from robot_recorder.floor.centre.catalogue.catalogue import FloorFilter
from robot_recorder.floor.centre.desk import CentreDesk
from robot_recorder.floor.centre.ingest.labels import brought_via
from robot_recorder.floor.centre.review.labels import REJECTED, annotated
from robot_recorder.floor.storage.port import StorageError
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import checked_id
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, event_id
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.verdict import Verdict
from robot_recorder.web.access import Right
from robot_recorder.web.replies import Refused, RequestBody

_MOST = 200
_MOST_EQUAL = 1000  # episodes of one start time that pages of a list go through
_MOST_NAMES = 500  # of sites, tasks, robots, operators that are suggested
_NAMES_S, _TODAY_S = 10.0, 2.0  # how long an answer is given again
_LATEST_NS = 1 << 62
_NAMED = ("site", "robot", "task", "operator")
_Text = Annotated[str, Parameter(max_length=250)]
_Place = tuple[int, int]  # a start time, and how many of it were listed


class NewLabel(RequestBody):
    """A new outcome of an episode, and why: the reason stays in its labels."""

    outcome: Literal["success", "failure", "unlabelled"]
    cause: Annotated[str, Field(max_length=64)] = ""
    note: Annotated[str, Field(min_length=1, max_length=500)]


class EpisodeLists:
    """Lists and totals from the catalogue; what many pages ask alike is computed once."""

    def __init__(self, desk: CentreDesk) -> None:
        """Read what a desk offers."""
        self._desk = desk
        self._kept: dict[str, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def listed(self, wanted: FloorFilter, place: _Place | None, limit: int) -> dict[str, Any]:
        """Return a page of a list, newest first, and the place where the next one begins.

        Args:
            wanted: which episodes.
            place: where the page begins; None: with the newest.
            limit: length of the page.
        """
        start_ns, skipped = place if place is not None else (None, 0)
        catalogue = self._desk.catalogue
        found = catalogue.newest(_until(wanted, start_ns), limit + skipped + 1)[::-1][skipped:]
        page = found[:limit]
        answer = {
            "ok": True,
            "episodes": [
                _plain(e, *state) for e, state in zip(page, self._states(page), strict=True)
            ],
            "before": _next_place(page, place) if len(found) > limit else None,
        }
        if place is None:
            answer |= {
                "count": catalogue.count(wanted, COUNTED),
                "most": COUNTED,
                "names": self._once("names", _NAMES_S, self._names),
            }
        return answer

    def today(self) -> dict[str, Any]:
        """Return the totals of today, by UTC as all days of the catalogue."""
        return dict(self._once("today", _TODAY_S, self._today))

    def _once(self, name: str, keep_s: float, make: Any) -> Any:
        with self._lock:  # held while it is made: the others wait instead of making it too
            made_s, value = self._kept.get(name, (-keep_s, None))
            if time.monotonic() - made_s >= keep_s:
                value = make()
                self._kept[name] = time.monotonic(), value
            return value

    def _names(self) -> dict[str, list[str]]:
        return {column: self._desk.catalogue.names(column)[:_MOST_NAMES] for column in _NAMED}

    def _today(self) -> dict[str, Any]:
        since_ns = time.time_ns() // DAY_NS * DAY_NS
        stats = self._desk.catalogue.stats(FloorFilter(Filter(since_ns=since_ns)))
        counts = sum(stats.by[Side.DAY].values(), EpisodeCounts())
        return {
            "ok": True,
            "episodes": counts.episodes,
            "seconds": counts.recorded_s,
            "success_rate": counts.success_rate,
            "labelled": counts.of(Outcome.SUCCESS) + counts.of(Outcome.FAILURE),
            "good": counts.good,
        }

    def _states(self, entries: Sequence[Entry]) -> list[tuple[str, bool]]:
        """Return how far each episode has come, and whether it is asked for."""
        by_site: dict[str, list[str]] = {}
        for entry in entries:
            by_site.setdefault(str(entry.root), []).append(entry.id)
        known: dict[tuple[str, str], tuple[str, bool]] = {}
        with self._desk.db.reading() as tx:
            for site, ids in by_site.items():
                places = ", ".join("?" * len(ids))
                for id, state, wanted, discarded in tx.run(
                    "SELECT episode, state, wanted, discarded FROM floor_episodes"
                    f" WHERE site = ? AND episode IN ({places})", (site, *ids),
                ):  # fmt: skip
                    known[site, id] = "discarded" if discarded else state, bool(wanted)
        return [known.get((str(e.root), e.id), ("unknown", False)) for e in entries]


def routes(desk: CentreDesk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()
    lists = EpisodeLists(desk)

    @router.get("/api/today")
    async def today(request: Request) -> dict[str, Any]:
        desk.user(request)
        return await desk.run(lists.today)

    @router.get("/api/episodes")
    async def episodes(
        request: Request, site: _Text = "", robot: _Text = "", task: _Text = "", operator: _Text = "",
        outcome: _Text = "", verdict: _Text = "", since: _Text = "", before: _Text = "",
        limit: Annotated[int, Parameter(ge=1, le=_MOST)] = 50,
    ) -> dict[str, Any]:  # fmt: skip
        desk.user(request)
        wanted = _filter(site, robot, task, operator, outcome, verdict, since)
        return await desk.run(lists.listed, wanted, _place(before), limit)

    @router.get("/api/episodes/{site}/{id}")
    async def episode(request: Request, site: str, id: str) -> dict[str, Any]:
        desk.user(request)
        return await desk.run(_told, desk, _checked(site), _checked(id), slow=True)

    @router.post("/api/episodes/{site}/{id}/label")
    async def label(request: Request, site: str, id: str, body: NewLabel) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        asked = LabelEvent(
            0, _checked(id), LabelKind.OUTCOME, note=body.note,
            outcome=Outcome[body.outcome.upper()], cause=body.cause,
        )  # fmt: skip
        who = user.name or "centre"
        given = await desk.run(desk.relabel, _checked(site), id, [asked], who, slow=True)
        answer = {"ok": True, "message": f"{len(given)} labels are given"}
        desk.note(request, user, f"label {site}/{id}", body, answer)
        return answer

    return router


def _checked(text: str) -> str:
    try:
        return checked_id(text)
    except BagError as error:
        raise Refused(404, str(error)) from error


def _filter(
    site: str, robot: str, task: str, operator: str, outcome: str, verdict: str, since: str
) -> FloorFilter:
    """Return the catalogue's filter.

    Raises:
        Refused: a value does not exist (422).
    """
    try:
        wanted = Filter(
            task=task or None, robot=robot or None, operator=operator or None,
            outcome=Outcome[outcome.upper()] if outcome else None,
            verdict=Verdict[verdict.upper()] if verdict else None,
            since_ns=_day_ns(since) if since else None,
        )  # fmt: skip
    except (KeyError, ValueError, OverflowError) as error:
        raise Refused(422, f"the filter has a value that does not exist: {error}") from error
    return FloorFilter(wanted, site or None)


def _day_ns(text: str) -> int:
    """Return when a day such as 2026-01-31 begins, UTC, ns."""
    at = datetime.fromisoformat(text)
    at_ns = round((at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp()) * NS_PER_S
    if not 0 <= at_ns < _LATEST_NS:
        raise ValueError(f"{text} is no day of a recording")
    return at_ns


# A place in a list is "START_NS.COUNT": episodes of different robots may start at the same time.


def _place(text: str) -> _Place | None:
    if not text:
        return None
    start, _, count = text.partition(".")
    if not (start.isdecimal() and count.isdecimal() and len(start) < 20 and len(count) < 5):
        raise Refused(
            422, f"'{text[:40]}' is no place in this list: take 'before' of its last page"
        )
    place = int(start), int(count)
    if place[0] >= _LATEST_NS or place[1] > _MOST_EQUAL:
        raise Refused(422, f"the list cannot be read from '{text}': filter it further")
    return place


def _next_place(page: Iterable[Entry], before: _Place | None) -> str:
    """Return where the page after this one begins."""
    entries = list(page)
    last_ns = entries[-1].start_ns
    equal = sum(entry.start_ns == last_ns for entry in entries)
    if before is not None and before[0] == last_ns:
        equal += before[1]
    return f"{last_ns}.{equal}"


def _until(wanted: FloorFilter, start_ns: int | None) -> FloorFilter:
    """Return a filter for what started at a time or before."""
    if start_ns is None:
        return wanted
    conditions = {**vars(wanted.filter), "until_ns": start_ns + 1}
    return FloorFilter(Filter(**conditions), wanted.site)


def _plain(entry: Entry, state: str, wanted: bool) -> dict[str, Any]:
    return {
        "site": str(entry.root),
        "id": entry.id,
        "robot": entry.robot,
        "task": entry.task,
        "operator": entry.operator,
        "outcome": entry.outcome.text,
        "cause": entry.cause,
        "verdict": entry.verdict.text,
        "reason": entry.reason,
        "state": state,
        "wanted": wanted,
        "start_s": entry.start_ns / NS_PER_S if entry.start_ns else None,
        "duration_s": entry.duration_ms / 1000,
        "size_bytes": entry.size_bytes,
        "messages": entry.messages,
        "lost": entry.lost if entry.all_lost_known else None,
        "frames": entry.frames if entry.frames else None,
        "complete": entry.complete if entry.frames else None,
        "skew_p95_ms": None if entry.skew_p95_us is None else entry.skew_p95_us / 1000,
        "skew_stream": entry.skew_stream,
        "recovered": entry.recovered,
        "aborted": entry.aborted,
    }


def _told(desk: CentreDesk, site: str, id: str) -> dict[str, Any]:
    """Return everything about one episode.

    Raises:
        Refused: it is unknown (404).
    """
    entry, arrived = desk.catalogue.get(site, id), desk.ingest.told(site, id)
    if entry is None:
        raise Refused(404, f"{id} of {site} is not in the catalogue")
    state = arrived["state"] if arrived is not None else "unknown"
    if arrived is not None and arrived["discarded"]:
        state = "discarded"
    answer = {"ok": True, **_plain(entry, state, bool(arrived and arrived["wanted"]))}
    answer["problem"] = arrived["problem"] if arrived is not None else ""
    answer["receipt"] = _receipt(arrived["receipt"] if arrived is not None else None)
    try:
        with desk.db.reading() as tx:
            via = brought_via(tx, site, id)
        return answer | _from_metadata(desk, desk.episode(site, id), via)
    except (BagError, StorageError) as error:  # the rest is known without it
        return answer | {"problem": answer["problem"] or str(error), "history": [], "causes": []}


def _from_metadata(desk: CentreDesk, episode: Episode, via: Mapping[str, str]) -> dict[str, Any]:
    now = LabelledEpisode.of(episode)
    task = now.task(desk.tasks)
    unusable = annotated(now.labels, REJECTED)
    return {
        "instruction": now.labels.instruction,
        "sentence": _sentence(episode),
        "usable": unusable is None,
        "causes": list(task.failure_causes) if task is not None else [],
        "history": [
            {
                "when_s": event.stamp_ns / NS_PER_S,
                "by": event.by,
                "via": via.get(event_id(event.to_dict()), ""),
                "what": describe(event, now),
                "previous": event.previous,
                "note": event.note,
            }
            for event in now.events
        ],
    }


def _sentence(episode: Episode) -> str:
    try:
        return episode.quality.sentence
    except BagError as error:
        return str(error)


def _receipt(plain: dict[str, Any] | None) -> dict[str, Any] | None:
    if plain is None:
        return None
    return {
        "at_s": plain["checked_ns"] / NS_PER_S,
        "by": plain["by"],
        "sha256": plain["sha256"],
        "size_bytes": plain["size_bytes"],
        "key": plain["key"],
    }
