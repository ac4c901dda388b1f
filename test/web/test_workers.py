"""What takes long is made by one process, which is ended when it takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi")

from support.slow_work import write_late

from robot_recorder.model.errors import RecorderError
from robot_recorder.web.workers import Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(3.0)
    yield workers
    workers.close()


async def made(workers: Workers, wait_s: float, key: str) -> str:
    return (await workers.make(key, ".txt", write_late, wait_s, most=9)).read_text()


def test_what_takes_too_long_is_given_up_and_the_next_is_made(workers: Workers) -> None:
    async def run() -> None:
        with pytest.raises(RecorderError, match="longer than 3 s"):
            await made(workers, 60.0, "film a")
        assert await made(workers, 0.0, "film b") == "made late"
        assert workers.made("film a") is None and workers.made("film b") is not None

    asyncio.run(run())


def test_those_who_wait_for_others_have_the_whole_time(workers: Workers) -> None:
    async def run() -> None:
        texts = await asyncio.gather(*(made(workers, 1.2, f"film {n}") for n in range(4)))
        assert texts == ["made late"] * 4

    asyncio.run(run())
