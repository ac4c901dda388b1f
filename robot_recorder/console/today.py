"""Routes: what the floor has done today."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import Filter, Query
from robot_recorder.catalogue.schema import PAIRS
from robot_recorder.catalogue.stats import EpisodeCounts, Side, count_up
from robot_recorder.catalogue.sync import sync
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.console.requests import Desk
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.verdict import Verdict

_FRESH_S = 2.0  # several pages ask every few seconds
_HOUR_S = 3600


def routes(desk: Desk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()
    lock = asyncio.Lock()
    known: tuple[float, dict[str, Any]] = (0.0, {})

    @router.get("/api/today")
    async def today(request: Request) -> dict[str, Any]:
        nonlocal known
        desk.user(request)
        async with lock:
            if time.monotonic() - known[0] > _FRESH_S or not known[1]:
                known = time.monotonic(), await asyncio.to_thread(_counted, desk)
        return known[1]

    return router


def _counted(desk: Desk) -> dict[str, Any]:
    midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    since_s = round(midnight.timestamp())
    with Catalogue(desk.settings.root) as catalogue:
        sync(catalogue)
        entries = list(Query(catalogue, Filter(since_ns=since_s * NS_PER_S)).all())
        good = {name: counts.good for name, counts in count_up(catalogue).by[Side.TASK].items()}
    return summed(entries, since_s, desk.link.tasks, good)


def summed(
    entries: list[Entry], since_s: int, registry: TaskRegistry, good: dict[str, int]
) -> dict[str, Any]:
    """Return the figures of some episodes; a rate of nothing is null.

    Args:
        entries: of today, in any order.
        since_s: when today began, s since the epoch.
        registry: tasks with their targets.
        good: successes of all days that were not rejected, by task.
    """
    total = counted(entries)
    hours = Counter(e.start_ns // NS_PER_S // _HOUR_S * _HOUR_S for e in entries)
    reasons = Counter(e.reason for e in entries if e.verdict is Verdict.REJECT and e.reason)
    return {
        "ok": True,
        "since_s": since_s,
        "episodes": len(entries),
        "successes": total.of(Outcome.SUCCESS),
        "failures": total.of(Outcome.FAILURE),
        "unlabelled": total.of(Outcome.UNLABELLED),
        "verdicts": {verdict.text: total.judged(verdict) for verdict in Verdict},
        "yield_per_hour": total.yield_per_hour,
        "success_rate": total.success_rate,
        "seconds": total.recorded_s,
        "per_hour": [
            {"hour_s": hour, "episodes": hours[hour]}
            for hour in range(min(hours), max(hours) + 1, _HOUR_S)
        ] if hours else [],
        "tasks": [
            {"task": name, "episodes": some.episodes, "successes": some.of(Outcome.SUCCESS),
             "target": registry.tasks[name].target if name in registry.tasks else None,
             "all_successes": good.get(name, 0)}
            for name, some in _grouped(entries, "task").items()
        ],
        "operators": [
            {"operator": name, "episodes": some.episodes, "successes": some.of(Outcome.SUCCESS)}
            for name, some in _grouped(entries, "operator").items()
        ],
        "reasons": [{"check": name, "episodes": n} for name, n in reasons.most_common(10)],
    }  # fmt: skip


def counted(entries: list[Entry]) -> EpisodeCounts:
    """Return the totals of some episodes, in the catalogue's terms."""
    pairs = Counter((e.outcome, e.verdict) for e in entries)
    return EpisodeCounts(
        tuple(pairs[pair] for pair in PAIRS),
        sum(e.duration_ms for e in entries) / 1000,
        sum(e.size_bytes for e in entries),
        worked_s(entries) / _HOUR_S,
    )


def worked_s(entries: list[Entry]) -> float:
    """Return how long robots were at work, s, as ``catalogue/stats.py`` defines it: pauses up to an hour count."""
    total_ns = 0
    until_ns: dict[str, int] = {}
    for entry in sorted(entries, key=lambda e: e.start_ns):
        before_ns = until_ns.get(entry.robot)
        paused = before_ns is not None and entry.start_ns - before_ns <= _HOUR_S * NS_PER_S
        from_ns = before_ns if paused and before_ns is not None else entry.start_ns
        total_ns += max(0, entry.stop_ns - from_ns)
        until_ns[entry.robot] = max(before_ns or 0, entry.stop_ns)
    return total_ns / NS_PER_S


def _grouped(entries: list[Entry], side: str) -> dict[str, EpisodeCounts]:
    """Return the totals by a property, the most episodes first."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[getattr(entry, side)].append(entry)
    return {
        name: counted(some) for name, some in sorted(found.items(), key=lambda item: -len(item[1]))
    }
