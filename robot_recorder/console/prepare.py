"""Routes: what can be done in a shift, and whether the station is fit for it."""

from __future__ import annotations

import asyncio
import math
import sys
from typing import Any

from fastapi import APIRouter, Request

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.query import names
from robot_recorder.catalogue.stats import Side, count_up
from robot_recorder.catalogue.sync import sync
from robot_recorder.configuration.tasks import Task
from robot_recorder.console.requests import Desk
from robot_recorder.model.streams import StreamHealth
from robot_recorder.msg import EpisodeStatus, StreamStatus
from robot_recorder.web.replies import Refused, RequestBody

_MAIN = "from robot_recorder.cli.main import main; raise SystemExit(main())"
_LISTEN_S = 5
_CHECK_S = 60.0
_MOST_LINES = 400
_FEW_EPISODES = 20


def routes(desk: Desk) -> APIRouter:
    """Return the routes of this file."""
    router = APIRouter()
    checking = asyncio.Lock()

    @router.get("/api/prepare")
    async def prepare(request: Request) -> dict[str, Any]:
        desk.user(request)
        return await asyncio.to_thread(_prepared, desk)

    @router.get("/api/check")
    async def check(request: Request) -> dict[str, Any]:
        desk.user(request)
        status = desk.link.status
        findings = [_silent()] if status is None else _findings(status)
        clocks = [] if status is None else [_clock(s) for s in status.streams]
        return {
            "ok": all(f["severity"] != "stop" for f in findings),
            "findings": findings,
            "clocks": clocks,
        }

    @router.post("/api/check/profile")
    async def check_profile(request: Request, body: RequestBody) -> dict[str, Any]:
        user = desk.user(request)
        desk.client(request, user)
        if checking.locked():
            raise Refused(409, "the profile is being checked already: wait for its answer")
        async with checking:  # it listens to everything that is published
            answer = await _checked_profile(desk)
        desk.note(request, user, "profile check", body, answer)
        return answer

    return router


def _prepared(desk: Desk) -> dict[str, Any]:
    registry = desk.link.tasks
    with Catalogue(desk.settings.root) as catalogue:
        sync(catalogue)
        by_task = count_up(catalogue).by[Side.TASK]
        operators = sorted(names(catalogue, "operator"))
    return {
        "programmes": [
            {"id": p.id, "title": p.title, "description": p.description}
            for p in registry.programmes.values()
        ],
        "tasks": [
            _task(task, by_task[task.id].good if task.id in by_task else 0)
            for task in registry.tasks.values()
        ],
        "operators": operators,
        "stations": [],
        "current": desk.link.assignment,
    }


def _task(task: Task, successes: int) -> dict[str, Any]:
    expected = None if task.least_s is None else [task.least_s, task.most_s]
    return {
        "id": task.id,
        "programme": task.programme,
        "instruction": task.instruction,
        "variants": {language: list(said) for language, said in task.variants.items()},
        "scene": task.scene,
        "objects": list(task.objects),
        "target": task.target,
        "successes": successes,
        "failure_causes": list(task.failure_causes),
        "expected_s": expected,
    }


def _silent() -> dict[str, Any]:
    return {
        "name": "recorder", "ok": False, "severity": "stop", "sentence": "the recorder is not heard",
        "remedy": "start it: ros2 launch robot_recorder record.launch.py",
    }  # fmt: skip


def _findings(status: EpisodeStatus) -> list[dict[str, Any]]:
    """Return what a start would be refused for, what should be seen to, and what is well."""
    findings = [_finding("recorder", True, f"records into {status.root}", "", True)]
    findings += [_stream(s) for s in status.streams]
    left = status.episodes_left
    if left >= 0:
        sentence = f"{left} episodes fit on the disk"
        enough = left > _FEW_EPISODES
        findings.append(
            _finding("disk", enough, sentence, "" if enough else "make room", left == 0)
        )
    findings += [_finding("recorder", False, text, "", False) for text in status.warnings]
    return findings


def _stream(stream: StreamStatus) -> dict[str, Any]:
    ok = stream.health == StreamHealth.OK
    rate = f"{stream.rate_hz:.1f} Hz" if math.isfinite(stream.rate_hz) else "rate unknown"
    wanted = f" of {stream.expected_hz:g} Hz" if stream.expected_hz else ""
    health = StreamHealth(stream.health).name.lower().replace("_", " ")
    sentence = f"{rate}{wanted}" if ok else f"{health}: {rate}{wanted}"
    return _finding(stream.name, ok, sentence, stream.remedy, stream.required)


def _finding(name: str, ok: bool, sentence: str, remedy: str, stops: bool) -> dict[str, Any]:
    severity = "ok" if ok else "stop" if stops else "warn"
    return {"name": name, "ok": ok, "severity": severity, "sentence": sentence, "remedy": remedy}


def _clock(stream: StreamStatus) -> dict[str, Any]:
    offset_s = stream.clock_offset_s
    return {
        "name": stream.name,
        "offset_ms": 1000 * offset_s if math.isfinite(offset_s) else None,
        "stamp": stream.stamp,
    }


async def _checked_profile(desk: Desk) -> dict[str, Any]:
    """Run ``robot-recorder profile check`` on the running robot."""
    command = [
        sys.executable, "-c", _MAIN, "profile", "check", desk.settings.profile,
        "--live", str(_LISTEN_S), *(["--namespace", desk.settings.namespace] if desk.settings.namespace else []),
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _CHECK_S)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        return {"ok": False, "message": f"the check took longer than {_CHECK_S:g} s", "lines": []}
    lines = output.decode(errors="replace").splitlines()[:_MOST_LINES]
    ok = process.returncode == 0
    return {
        "ok": ok,
        "message": "the profile fits" if ok else "the profile does not fit",
        "lines": lines,
    }
