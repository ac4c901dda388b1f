"""The agent's alarms on the operator's page."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from robot_recorder.console import agent_line
from robot_recorder.console.agent_line import AgentLine, shown
from robot_recorder.floor.agent_status import STATUS_FILE


def write(root: Path, *alarms: str, at_ns: int | None = None) -> None:
    (root / STATUS_FILE).parent.mkdir(exist_ok=True)
    plain = {"alarms": alarms, "at_ns": time.time_ns() if at_ns is None else at_ns}
    (root / STATUS_FILE).write_text(json.dumps(plain))


async def settled(line: AgentLine) -> Any:
    """Ask once, let what was begun end, and ask again."""
    line.alarms()
    while line._reading is not None:
        await asyncio.sleep(0.001)
    return line.alarms()


def test_the_page_gets_the_alarms_of_an_agent_that_runs(tmp_path: Path) -> None:
    async def work() -> None:
        assert await settled(AgentLine(tmp_path)) is None
        write(tmp_path, "nothing was sent for 3.0 h")
        assert await settled(AgentLine(tmp_path)) == ["nothing was sent for 3.0 h"]
        write(tmp_path, "nothing was sent for 3.0 h", at_ns=time.time_ns() - 100 * 10**9)
        assert await settled(AgentLine(tmp_path)) is None, "it may have ended since"

    asyncio.run(work())


def test_the_file_is_read_every_two_seconds_and_never_by_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, threads = [0.0], []

    def read(root: Path, now_ns: int) -> list[str]:
        threads.append(threading.current_thread())
        return [str(len(threads))]

    monkeypatch.setattr(agent_line, "agent_alarms", read)

    async def work() -> None:
        line = AgentLine(tmp_path, lambda: now[0])
        assert line.alarms() is None, "it answers at once"
        for _ in range(50):
            assert await settled(line) == ["1"]
        now[0] = 2.0
        assert line.alarms() == ["1"]
        assert await settled(line) == ["2"]

    asyncio.run(work())
    assert len(threads) == 2 and threading.main_thread() not in threads


def test_a_page_is_sent_neither_many_nor_long_alarms_nor_half_characters() -> None:
    assert shown(None) is None
    found = shown(["x\ud800" * 1000] * 1000)
    assert found is not None and len(found) == 20
    assert all(len(one) == 500 and "\ud800" not in one for one in found)
