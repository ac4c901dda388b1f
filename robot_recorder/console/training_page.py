"""Routes of the page for training: takes of an operator beside the reference take, their scores and films."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated as Given
from typing import Any

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from fastapi.responses import FileResponse, Response

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import Filter, Query, names
from robot_recorder.catalogue.sync import refresh, sync
from robot_recorder.console.requests import Desk
from robot_recorder.console.review import change, checked, entry_plain, episode_path
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError, RecorderError
from robot_recorder.model.labels import Outcome
from robot_recorder.nodes.shift_calls import annotate_whole
from robot_recorder.quality.verdict import Verdict
from robot_recorder.report.film import film_index, film_picture, make_film, told_of
from robot_recorder.skill.coaching import advice, best, figures, is_good, percent
from robot_recorder.skill.take_score import REFERENCE, TakeScore, make_score
from robot_recorder.srv import Annotate
from robot_recorder.web.access import Right
from robot_recorder.web.replies import Refused, RequestBody

_TAKES = 30  # of an operator that are shown
_CANDIDATES = 20  # takes of all operators of which the best becomes the reference
_LOOKED_AT = 500  # takes that are looked at for a reference that somebody marked
_MOST_SCORES, _MOST_FILMS = 4 * (_TAKES + _CANDIDATES), 6  # that wait
_PATIENCE_S = 1.5  # then a page gets what is known, and asks again
_KEPT = {"cache-control": "private, max-age=3600"}
_Text = Given[str, Parameter(max_length=200)]


class ReferenceMark(RequestBody):
    """Whether a take is made the reference, or withdrawn as one."""

    on: bool


@dataclass(frozen=True)
class _Takes:
    """What the catalogue knows for one page, each list oldest first.

    Attributes:
        tasks, operators: of which there are takes.
        task, operator: of this page; empty: the catalogue has no take of any.
        own: takes of the operator.
        marked: the take that was marked last as reference, and by whom; None: none is.
        candidates: takes of which the best is the reference if none is marked.
    """

    tasks: list[str]
    operators: list[str]
    task: str
    operator: str
    own: list[Entry]
    marked: tuple[Entry, str] | None
    candidates: list[Entry]


def training_routes(desk: Desk, static: Path) -> APIRouter:
    """Return the routes of the page.

    Args:
        desk: what routes share.
        static: folder of its file.
    """
    router = APIRouter()
    scores = _Scores(desk)

    @router.get("/training")
    async def training() -> FileResponse:
        return FileResponse(static / "training.html")

    @router.get("/api/training")
    async def told(
        request: Request, task: _Text = "", operator: _Text = "", take: _Text = ""
    ) -> dict[str, Any]:
        user = desk.user(request)
        takes = await asyncio.to_thread(_found, desk, task, operator, user.name)
        known = await scores.of([*takes.own, *takes.candidates, *_one(takes.marked)])
        return _told(takes, known, take)

    @router.post("/api/episodes/{id}/reference")
    async def reference(request: Request, id: str, body: ReferenceMark) -> dict[str, Any]:
        by = desk.user(request, Right.REVIEW).name
        message = await asyncio.to_thread(
            annotate_whole, desk.store(), checked(id), REFERENCE, by, retract=not body.on
        )
        return await change(desk, request, "reference", id, body, Annotate, message)

    async def film_of(id: str) -> Path:
        path = await asyncio.to_thread(episode_path, desk, id)
        return await desk.workers.make(f"film {path}", ".film", make_film, path, most=_MOST_FILMS)

    @router.get("/api/episodes/{id}/film.json")
    async def film(request: Request, id: str) -> dict[str, Any]:
        desk.user(request)
        return {"ok": True, **told_of(await asyncio.to_thread(film_index, await film_of(id)))}

    @router.get("/api/episodes/{id}/film/{camera}/{n}.jpg")
    async def picture(request: Request, id: str, camera: str, n: int) -> Response:
        desk.user(request)
        found = await asyncio.to_thread(film_picture, await film_of(id), camera, n)
        if found is None:
            raise Refused(404, f"{id} has no picture {n} of {camera[:100]!r}")
        return Response(found[0], media_type=found[1], headers=_KEPT)

    return router


class _Scores:
    """Scores of takes, each made once in the workers' process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._making: set[asyncio.Task[Path]] = set()  # asyncio itself keeps none of them alive

    async def of(self, entries: Iterable[Entry]) -> dict[str, TakeScore | str | None]:
        """Return by id a take's score, why it cannot be measured, or None while it is being measured."""
        tasks = {entry.id: self._task(entry) for entry in {e.id: e for e in entries}.values()}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=_PATIENCE_S)
        return {id: await self._result(task) for id, task in tasks.items()}

    def _task(self, entry: Entry) -> asyncio.Task[Path]:
        key = f"score {entry.path} {entry.stamp_ns}"  # labels are in it
        made = self._desk.workers.make(key, ".json", make_score, entry.path, most=_MOST_SCORES)
        task = asyncio.ensure_future(made)
        self._making.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Path]) -> None:
        self._making.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it

    async def _result(self, task: asyncio.Task[Path]) -> TakeScore | str | None:
        if not task.done():
            return None
        try:
            return await asyncio.to_thread(_read, task.result())
        except RecorderError as error:
            return str(error)


def _read(file: Path) -> TakeScore:
    return TakeScore.from_dict(json.loads(file.read_text()))


def _found(desk: Desk, task: str, operator: str, user: str) -> _Takes:
    """Return the takes of a page; what it leaves empty follows from the shift, else from the newest take."""
    shift = desk.link.snapshot()["shift"] or {}
    with Catalogue(desk.settings.root) as catalogue:
        sync(catalogue)
        newest = Query(catalogue, Filter()).newest(1)
        task = task or shift.get("task", "") or (newest[0].task if newest else "")
        of_task = Query(catalogue, Filter(task=task)).newest(_LOOKED_AT) if task else []
        if refresh(catalogue, of_task):
            of_task = Query(catalogue, Filter(task=task)).newest(_LOOKED_AT)
        operators = sorted({entry.operator for entry in of_task if entry.operator})
        operator = (
            operator
            or (shift.get("operator", "") if shift.get("task") == task else "")
            or (user if user in operators else "")
            or (of_task[-1].operator if of_task else "")
        )
        tasks = sorted({*names(catalogue, "task"), *filter(None, [task])})
        mine = Filter(task=task, operator=operator)
        own = Query(catalogue, mine).newest(_TAKES) if task and operator else []
        robot = own[-1].robot if own else desk.robot
        same = [entry for entry in of_task if entry.robot == robot]
        good = Filter(task=task, robot=robot, outcome=Outcome.SUCCESS, verdict=Verdict.ACCEPT)
        marked = _marked(same)
        candidates = Query(catalogue, good).newest(_CANDIDATES) if task and marked is None else []
    if operator and operator not in operators:
        operators.append(operator)
    return _Takes(tasks, operators, task, operator, own, marked, candidates)


def _one(marked: tuple[Entry, str] | None) -> list[Entry]:
    return [marked[0]] if marked is not None else []


def _marked(entries: Iterable[Entry]) -> tuple[Entry, str] | None:
    """Return the take that was marked last as reference, and who did it; None: none is."""
    found = [(mark, entry) for entry in entries if (mark := _mark(entry.path, entry.stamp_ns))]
    if not found:
        return None
    (_, by), entry = max(found, key=lambda one: one[0][0])
    return entry, by


@lru_cache(maxsize=4 * _LOOKED_AT)
def _mark(path: Path, stamp_ns: int) -> tuple[int, str] | None:
    """Return when and by whom a take was marked as reference.

    Args:
        path: of the episode.
        stamp_ns: when its metadata was written; with another one it is read again.
    """
    try:
        if REFERENCE.encode() not in (path / METADATA_FILE).read_bytes():
            return None  # quicker than to understand it
        annotations = Episode.open(path).labels.annotations
    except (OSError, BagError):
        return None
    marks = [(event.stamp_ns, event.by) for event in annotations if event.name == REFERENCE]
    return max(marks, default=None)


def _told(takes: _Takes, known: dict[str, TakeScore | str | None], take: str) -> dict[str, Any]:
    """Return what a page draws.

    Args:
        takes: of the catalogue.
        known: their scores.
        take: id of the own take to be shown; empty, or another one's: the newest.
    """
    found = {id: score for id, score in known.items() if isinstance(score, TakeScore)}
    waiting = sum(score is None for score in known.values())
    chosen = _reference(takes, found, any(known[entry.id] is None for entry in takes.candidates))
    reference = found.get(chosen.id) if chosen is not None else None
    own = next((e for e in takes.own if e.id == take), takes.own[-1] if takes.own else None)
    mine = found.get(own.id) if own is not None else None
    return {
        "ok": True, "waiting": waiting,
        "tasks": takes.tasks, "operators": takes.operators,
        "task": takes.task, "operator": takes.operator,
        "takes": [_point(entry, found.get(entry.id), reference) for entry in takes.own],
        "own": _side(own, known),
        "reference": _side(chosen, known),
        "marked": takes.marked is not None,
        "marked_by": takes.marked[1] if takes.marked is not None else "",
        "of": sum(is_good(found[e.id]) for e in takes.candidates if e.id in found),
        "percent": percent(mine, reference) if mine is not None else None,
        "figures": [asdict(figure) for figure in figures(mine, reference)] if mine else [],
        "advice": [asdict(one) for one in advice(mine, reference)] if mine else [],
    }  # fmt: skip


def _reference(takes: _Takes, found: dict[str, TakeScore], waiting: bool) -> Entry | None:
    """Return the marked take, else the best one as soon as all are measured."""
    if takes.marked is not None:
        return takes.marked[0]
    if waiting:
        return None
    measured = [entry for entry in takes.candidates if entry.id in found]
    place = best([found[entry.id] for entry in measured])
    return measured[place] if place is not None else None


def _point(entry: Entry, score: TakeScore | None, reference: TakeScore | None) -> dict[str, Any]:
    return {
        **entry_plain(entry),
        "percent": percent(score, reference) if score is not None else None,
        "good": score is not None and is_good(score),
    }


def _side(entry: Entry | None, known: dict[str, TakeScore | str | None]) -> dict[str, Any] | None:
    """Return a take with its score; one that cannot be measured says why."""
    if entry is None:
        return None
    score = known.get(entry.id)
    plain = {
        **entry_plain(entry),
        "score": None,
        "problem": score if isinstance(score, str) else "",
    }
    if isinstance(score, TakeScore):
        plain |= {"score": score.to_dict(), "problem": score.problem}
    return plain
