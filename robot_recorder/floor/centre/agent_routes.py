"""The machine API: routes under ``/agent/`` for the agents of robots. No cookies, no origins: a token each."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from robot_recorder.floor.centre.desk import CentreDesk
from robot_recorder.floor.centre.ingest.labels import whole_text
from robot_recorder.floor.centre.live import plain_status
from robot_recorder.floor.centre.refusals import RefusedRobot, of_storage
from robot_recorder.floor.centre.tokens import Station
from robot_recorder.floor.storage.directory import PART_PATH, DirectoryStorage, SignedPart
from robot_recorder.floor.storage.port import PartFact, StorageError, StorageTrouble
from robot_recorder.model.ids import id_problem
from robot_recorder.model.plain_data import load_json
from robot_recorder.web.replies import SafeJson

_MOST_OFFER_BYTES = 16_000_000
_MOST_MANIFEST_BYTES = 4_000_000
_MOST_COMPLETE_BYTES = 2_000_000
_MOST_SMALL_BYTES = 256_000
_PER_S, _BURST = 50.0, 300.0  # requests of a robot
_MOST_STATIONS = 10_000
# Of one robot at once: offers, which may keep a thread long; parts; and what needs the storage, which waits for
# its turn before it gets one of the threads of all robots.
_MOST_OFFERS, _MOST_PARTS = 1, 32
_MOST_SLOW, _MOST_WAITING = 2, 40
_PIECE_BYTES = 1 << 18  # that goes from the event loop to a thread at once
_GRACE_S, _LEAST_BYTES_PER_S = 60.0, 1000  # of a part

_Id = Annotated[str, Field(max_length=300)]
_Serial = Annotated[int, Field(ge=0, lt=1 << 62)]
_Body = TypeVar("_Body", bound="AgentBody")
_Told = TypeVar("_Told")


class AgentBody(BaseModel):
    """A body from an agent; fields of newer versions are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class AgentBeat(AgentBody):
    """Every second: how the robot is, what it waits for."""

    robot: _Id = ""
    status: dict[str, Any] = {}
    cursor: _Serial = 0
    receipts_for: Annotated[list[_Id], Field(max_length=200)] = []


class AgentOffer(AgentBody):
    """One episode that is offered."""

    id: _Id
    metadata: str = ""
    discarded: bool = False


class AgentOffers(AgentBody):
    """Episodes that are offered."""

    episodes: Annotated[list[AgentOffer], Field(max_length=20)]


class AgentUpload(AgentBody):
    """The files of an episode."""

    id: _Id
    files: list[Any]


class AgentParts(AgentBody):
    """Parts that the robot wants to send: number, size and MD5 each."""

    id: _Id
    name: _Id
    upload: Annotated[str, Field(max_length=2000)]
    parts: Annotated[
        list[tuple[int, int, Annotated[str, Field(max_length=24)]]], Field(max_length=64)
    ]


class AgentComplete(AgentBody):
    """All parts of a file: number and etag each."""

    id: _Id
    name: _Id
    upload: Annotated[str, Field(max_length=2000)]
    parts: Annotated[
        list[tuple[int, Annotated[str, Field(max_length=100)]]], Field(max_length=10_000)
    ]


class AgentStored(AgentBody):
    """All files of an episode have arrived."""

    id: _Id
    sha256: Annotated[str, Field(max_length=64)]


class AgentFreed(AgentBody):
    """The robot deleted its copies."""

    ids: Annotated[list[_Id], Field(max_length=1000)]


class _Budgets:
    """How much each robot may still ask."""

    def __init__(self) -> None:
        self._left: OrderedDict[Station, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._running: Counter[tuple[str, Station]] = (
            Counter()
        )  # of the event loop alone, as what follows
        self._turns: dict[Station, asyncio.Semaphore] = {}

    def spend(self, station: Station) -> None:
        """Count a request.

        Raises:
            RefusedRobot: there were too many (429).
        """
        now = time.monotonic()
        with self._lock:
            left, at = self._left.get(station, (_BURST, now))
            left = min(_BURST, left + (now - at) * _PER_S) - 1
            self._left[station] = max(left, -1.0), now
            while len(self._left) > _MOST_STATIONS:
                self._left.popitem(last=False)
        if left < 0:
            raise RefusedRobot(429, f"{station.robot} asks too often: wait a second")

    @contextmanager
    def counted(self, station: Station, what: str, most: int) -> Iterator[None]:
        """Count something of a robot while it runs; in the event loop.

        Raises:
            RefusedRobot: there are as many already (429).
        """
        key = what, station
        if self._running[key] >= most:
            raise RefusedRobot(
                429, f"{station.robot} sends {most} {what} already: one after the other"
            )
        self._running[key] += 1
        try:
            yield
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]

    @asynccontextmanager
    async def turn(self, station: Station) -> AsyncIterator[None]:
        """Wait until it is a robot's turn to do something slow; in the event loop.

        Raises:
            RefusedRobot: too many of it wait (429).
        """
        key = "slow requests", station
        with self.counted(station, key[0], _MOST_WAITING):
            try:
                async with self._turns.setdefault(station, asyncio.Semaphore(_MOST_SLOW)):
                    yield
            finally:
                if self._running[key] == 1:
                    del self._turns[station]


def routes(desk: CentreDesk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()
    budgets, ingest = _Budgets(), desk.ingest

    def find(token: str) -> Station:
        with desk.db.reading() as tx:
            station = desk.tokens.station(tx, token)
        if station is None:
            raise RefusedRobot(401, "the token is unknown or revoked")
        budgets.spend(station)
        return station

    async def asked(request: Request, most: int, kind: type[_Body]) -> tuple[Station, _Body]:
        station = await desk.run(find, _bearer(request))  # before a stranger's body is read
        return station, await _read_body(request, most, kind)

    async def slowly(station: Station, work: Callable[..., _Told], *arguments: Any) -> _Told:
        """Do what may wait for the storage, in threads that no page needs."""
        async with budgets.turn(station):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(desk.uploads, work, *arguments)

    @router.post("/agent/beat")
    async def beat(request: Request) -> SafeJson:
        station, body = await asked(request, _MOST_SMALL_BYTES, AgentBeat)
        if body.robot not in ("", station.robot):
            raise RefusedRobot(
                403, f"the token is that of {station.robot}, not {body.robot[:64]!r}"
            )
        desk.live.hear(station, plain_status(body.status), time.time_ns())
        ids = [id for id in body.receipts_for if not id_problem(id)]

        def told() -> dict[str, Any]:
            with desk.db.reading() as tx:
                return ingest.beat(tx, station, body.cursor, ids)

        return SafeJson({"ok": True, **await desk.run(told)})

    @router.post("/agent/offer")
    async def offer(request: Request) -> SafeJson:
        station = await desk.run(find, _bearer(request))
        with budgets.counted(station, "offers", _MOST_OFFERS):
            body = await _read_body(request, _MOST_OFFER_BYTES, AgentOffers)

            def taken() -> dict[str, Any]:
                results = {}
                for one in body.episodes:
                    if desk.ended.is_set():  # they may take long; the robot offers them again
                        raise RefusedRobot(503, "the centre ends", StorageTrouble.UNAVAILABLE.value)
                    results[one.id] = ingest.offer(station, one.id, one.metadata, one.discarded)
                return results

            loop = asyncio.get_running_loop()
            results = await loop.run_in_executor(desk.offers, taken)
        return SafeJson({"ok": True, "results": results})

    @router.post("/agent/upload")
    async def upload(request: Request) -> SafeJson:
        station, body = await asked(request, _MOST_MANIFEST_BYTES, AgentUpload)
        told = await slowly(station, ingest.upload, station, body.id, body.files)
        return SafeJson({"ok": True, **told})

    @router.post("/agent/parts")
    async def parts(request: Request) -> SafeJson:
        station, body = await asked(request, _MOST_SMALL_BYTES, AgentParts)
        targets = await slowly(
            station, ingest.parts, station, body.id, body.name, body.upload, body.parts
        )
        return SafeJson({"ok": True, "targets": targets})

    @router.put(PART_PATH)
    async def part(request: Request) -> Response:
        return await _take_part(desk, budgets, request)

    @router.post("/agent/complete")
    async def complete(request: Request) -> SafeJson:
        station, body = await asked(request, _MOST_COMPLETE_BYTES, AgentComplete)
        parts = dict(body.parts)
        await slowly(station, ingest.complete, station, body.id, body.name, body.upload, parts)
        return SafeJson({"ok": True})

    @router.post("/agent/stored")
    async def stored(request: Request) -> SafeJson:
        station, body = await asked(request, _MOST_SMALL_BYTES, AgentStored)
        state = await slowly(station, ingest.stored, station, body.id, body.sha256)
        return SafeJson({"ok": True, "state": state})

    @router.post("/agent/freed")
    async def freed(request: Request) -> SafeJson:
        station, body = await asked(request, _MOST_SMALL_BYTES, AgentFreed)
        await desk.run(ingest.freed, station, [id for id in body.ids if not id_problem(id)])
        return SafeJson({"ok": True})

    return router


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _read_body(request: Request, most: int, kind: type[_Body]) -> _Body:
    """Read and check a body.

    Raises:
        RefusedRobot: it is too large (413) or invalid (422).
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise RefusedRobot(413, f"the body has {int(length)} bytes, at most {most} are taken")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise RefusedRobot(413, f"the body has more than {most} bytes")

    def parsed() -> _Body:
        try:
            text = data.decode()
            plain = load_json(text)
            if "\\ud" in text or "\\uD" in text:  # perhaps half a character, which is no text
                plain = whole_text(plain)
            return kind.model_validate(plain)
        except ValidationError as error:
            where = "; ".join(
                f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}"
                for e in error.errors()[:5]
            )
            raise RefusedRobot(422, f"not understood: {where[:500]}") from error
        except ValueError as error:
            raise RefusedRobot(422, f"the body is not JSON: {error}") from error

    # A large one takes the event loop's time, on which all beats depend.
    return parsed() if len(data) < _MOST_SMALL_BYTES else await asyncio.to_thread(parsed)


async def _take_part(desk: CentreDesk, budgets: _Budgets, request: Request) -> Response:
    """Receive a part for a directory storage; its address is signed, so no token is needed.

    A refused body is not read here: the connection goes on a little, so that the robot hears why.
    """
    storage = desk.storage
    if not isinstance(storage, DirectoryStorage):
        raise RefusedRobot(404, "this centre takes no parts: its storage does")
    try:
        part = storage.signed_part(dict(request.query_params), time.time())
    except StorageError as error:
        raise RefusedRobot(403, str(error)) from error
    station = await desk.run(_sender_of, desk, part)
    if station is None:
        raise RefusedRobot(403, "the robot that got this address has no valid token any more")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) != part.size:
        raise RefusedRobot(422, f"the part has {int(length)} bytes instead of {part.size}", "wrong")
    try:
        with budgets.counted(station, "parts", _MOST_PARTS):
            fact = await _received(desk, storage, part, request)
    except asyncio.TimeoutError as error:
        raise RefusedRobot(408, f"the part comes slower than {_LEAST_BYTES_PER_S} B/s") from error
    except StorageError as error:
        if error.trouble is StorageTrouble.WRONG:
            raise RefusedRobot(422, str(error), error.trouble.value) from error
        raise of_storage(error) from error
    return Response(status_code=200, headers={"etag": f'"{fact.etag}"'})


def _sender_of(desk: CentreDesk, part: SignedPart) -> Station | None:
    """Return whose part it is; None: no token of that robot is valid any more."""
    _, site, id, _ = part.key.split("/", 3)
    with desk.db.reading() as tx:
        row = tx.one(
            "SELECT robot FROM floor_episodes WHERE site = ? AND episode = ? AND EXISTS"
            " (SELECT 1 FROM robot_tokens WHERE robot_tokens.site = floor_episodes.site"
            " AND robot_tokens.robot = floor_episodes.robot AND revoked_ns IS NULL)",
            (site, id),
        )
    return None if row is None else Station(site, row[0])


async def _received(
    desk: CentreDesk, storage: DirectoryStorage, part: SignedPart, request: Request
) -> PartFact:
    """Receive a part; a thread is taken only for the moment in which a piece is written.

    Raises:
        StorageError: it is not what was announced, or cannot be kept.
        ClientDisconnect: the robot has gone.
        asyncio.TimeoutError: it comes too slowly.
    """
    loop = asyncio.get_running_loop()
    until_s = loop.time() + _GRACE_S + part.size / _LEAST_BYTES_PER_S
    pieces = _pieces(request.stream())
    receiver = await loop.run_in_executor(desk.parts, storage.receiver, part)
    try:
        while piece := await asyncio.wait_for(anext(pieces, b""), until_s - loop.time()):
            await loop.run_in_executor(desk.parts, receiver.write, piece)
        return await loop.run_in_executor(desk.parts, receiver.finish)
    finally:
        try:
            await loop.run_in_executor(desk.parts, receiver.close)
        except RuntimeError:  # the centre ends: there are no threads any more
            receiver.close()


async def _pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a body in larger pieces: each costs a change of threads."""
    held = bytearray()
    async for chunk in stream:
        held += chunk
        if len(held) >= _PIECE_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
