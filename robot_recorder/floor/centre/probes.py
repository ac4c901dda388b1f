"""Routes for machines that watch the centre: ``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from robot_recorder.floor.centre.database.database import DatabaseError
from robot_recorder.floor.centre.desk import CentreDesk, same_secret
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.storage.port import StorageError
from robot_recorder.web.replies import Refused, address_of

_LOGGER = logging.getLogger(__name__)
_READY_S = 5.0  # that a check is remembered, and may take
_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")  # of a proxy on this machine
_NOT_READY = 503


class CentreMetrics:
    """Counts of one centre, in a registry of its own.

    Attributes:
        registry: for ``generate_latest``.
        requests: by route and status.
        took: how long answers of a route took, s.
    """

    def __init__(self, desk: CentreDesk) -> None:
        """Count what a desk does."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "centre_requests",
            "Requests by route and status",
            ("route", "status"),
            registry=self.registry,
        )
        self.took = Histogram(
            "centre_request_seconds", "Time of an answer", ("route",), registry=self.registry, buckets=_BUCKETS
        )  # fmt: skip
        self.registry.register(_DeskCollector(desk))

    def note(self, route: str, status: int, took_s: float) -> None:
        """Count a request."""
        self.requests.labels(route, str(status)).inc()
        self.took.labels(route).observe(took_s)


class _DeskCollector(Collector):
    """Asks desk and database when somebody looks."""

    def __init__(self, desk: CentreDesk) -> None:
        self._desk = desk

    def describe(self) -> list[Any]:
        """Return nothing: the database is not asked at the registration."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield the metrics."""
        desk = self._desk
        robots = desk.live.robots()
        gone = sum(robot["vanished"] for robot in robots)
        family = GaugeMetricFamily("centre_robots", "Robots with a token", labels=("state",))
        family.add_metric(("heard",), len(robots) - gone)
        family.add_metric(("vanished",), gone)
        yield family
        for name, text, value in (
            ("centre_verified", "Episodes that got a receipt", desk.verifier.verified),
            ("centre_wrong_objects", "Episodes that were read back wrong", desk.verifier.wrong),
            ("centre_held", "Episodes held back as damaged", desk.verifier.held),
            ("centre_metadata_written", "metadata.yaml objects rewritten", desk.rewriter.written),
        ):
            yield CounterMetricFamily(name, text, value=value)
        yield from self._from_database()

    def _from_database(self) -> Iterator[Any]:
        try:
            states = self._desk.ingest.on_their_way()
            alarms = len(self._desk.alarms.stand())
        except DatabaseError:
            yield GaugeMetricFamily("centre_database_up", "Whether the database answers", value=0)
            return
        yield GaugeMetricFamily("centre_database_up", "Whether the database answers", value=1)
        yield GaugeMetricFamily("centre_alarms", "Alarms that stand", value=alarms)
        by_state: dict[tuple[str, str], tuple[int, int]] = {}
        for row in states:
            key = row["site"], row["state"]
            count, size = by_state.get(key, (0, 0))
            by_state[key] = count + row["episodes"], size + row["bytes"]
        counts = GaugeMetricFamily(
            "centre_episodes_on_their_way", "Episodes without a receipt", labels=("site", "state")
        )
        sizes = GaugeMetricFamily(
            "centre_bytes_on_their_way", "Bytes without a receipt", labels=("site", "state")
        )
        for key, (count, size) in by_state.items():
            counts.add_metric(key, count)
            sizes.add_metric(key, size)
        yield counts
        yield sizes


@dataclass(frozen=True)
class ReadyProblem:
    """Why the centre is not ready.

    Attributes:
        told: to everybody; empty: it is ready.
        details: with paths and addresses, for this machine and the log.
    """

    told: str = ""
    details: str = ""


class Readiness:
    """Tells whether database and storage do their work; looks at most every few seconds."""

    def __init__(self, desk: CentreDesk) -> None:
        """Look at a desk's."""
        self._desk = desk
        self._lock = asyncio.Lock()
        self._at_s, self._problem = -_READY_S, ReadyProblem()

    async def problem(self) -> ReadyProblem:
        """Return what does not work."""
        async with self._lock:
            if time.monotonic() - self._at_s >= _READY_S:
                loop = asyncio.get_running_loop()
                # In threads of their own: those of the requests may all wait for what is away.
                look = loop.run_in_executor(None, self._look)
                try:
                    found = await asyncio.wait_for(asyncio.shield(look), _READY_S)
                except asyncio.TimeoutError:
                    told = f"database or storage do not answer within {_READY_S:g} s"
                    found = ReadyProblem(told, told)
                if found.told and found != self._problem:
                    log_event(_LOGGER, "not ready", logging.WARNING, why=found.details)
                self._problem = found
                self._at_s = time.monotonic()
            return self._problem

    def _look(self) -> ReadyProblem:
        try:
            with self._desk.db.transaction() as tx:
                tx.one("SELECT count(*) FROM robot_tokens WHERE digest = ''")
            self._desk.storage.check()
        except DatabaseError as error:
            return ReadyProblem("the database does not do its work", str(error))
        except StorageError as error:
            told = f"the storage does not do its work: {error.trouble.value}"
            return ReadyProblem(told, str(error))
        return ReadyProblem()


def routes(desk: CentreDesk, metrics: CentreMetrics) -> APIRouter:
    """Return the routes of this file."""
    router, ready = APIRouter(), Readiness(desk)

    @router.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {"ok": True}

    @router.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        problem = await ready.problem()
        status = _NOT_READY if problem.told else 200
        message = problem.details if _is_watcher(desk, request) else problem.told
        return JSONResponse({"ok": not problem.told, "message": message}, status)

    @router.get("/metrics")
    async def measured(request: Request) -> Response:
        if not _is_watcher(desk, request):
            raise Refused(403, "metrics are for this machine, or for who has the metrics token")
        text = await asyncio.to_thread(generate_latest, metrics.registry)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _is_watcher(desk: CentreDesk, request: Request) -> bool:
    """Tell whether this machine asks, or somebody who has the token."""
    address = address_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and same_secret(token.strip(), desk.metrics_token):
        return True
    try:
        local = ipaddress.ip_address(address).is_loopback
    except ValueError:
        local = False
    return local and not any(name in request.headers for name in _FORWARDED)
