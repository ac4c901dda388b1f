"""Pictures are looked at in another process, which may be slow or die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bags import picture
from support.samples import T0

from robot_recorder.core.quality.camera_watch import COMPRESSED
from robot_recorder.core.quality.cameras import PictureFigures
from robot_recorder.quality import picture_worker
from robot_recorder.quality.picture_worker import PictureWorker
from robot_recorder.quality.pictures import look_at


@pytest.fixture
def worker() -> Iterator[PictureWorker]:
    worker = PictureWorker()
    yield worker
    worker.close()


def test_it_sees_what_is_there(worker: PictureWorker) -> None:
    seen: list[PictureFigures] = []
    for number in range(5):
        worker.look(COMPRESSED, T0 + number, picture(T0, number / 10), seen.append)
    assert worker.settle(20)
    assert sorted(p.time_ns for p in seen) == [T0 + n for n in range(5)]
    assert seen[0] == look_at(COMPRESSED, T0, picture(T0, 0.0))
    assert worker.left_out == 0 and not worker.problem


def test_a_dead_process_is_replaced_and_said_so(worker: PictureWorker) -> None:
    seen: list[PictureFigures] = []
    worker.look(COMPRESSED, T0, picture(T0, 0.0), seen.append)
    assert worker.settle(20) and len(seen) == 1
    assert worker._pool is not None
    (pid,) = worker._pool._processes
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < end:
        worker.look(COMPRESSED, T0, picture(T0, 0.0), seen.append)
        assert worker.settle(20)
    assert len(seen) == 2 and worker.left_out >= 1 and "died" in worker.problem


def test_it_never_keeps_anybody_waiting(
    worker: PictureWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_worker, "_MOST_WAITING", 3)
    data = picture(T0, 0.0)
    began = time.monotonic()
    for _ in range(50):
        worker.look(COMPRESSED, T0, data, lambda _: None)
    assert time.monotonic() - began < 1.0
    assert worker.left_out >= 40, "the process has not even started yet"
    assert not worker.settle(0.0) and worker.settle(20)


def test_it_ends_while_there_is_work(worker: PictureWorker) -> None:
    for _ in range(10):
        worker.look(COMPRESSED, T0, picture(T0, 0.0), lambda _: None)
    worker.close()
    worker.look(COMPRESSED, T0, picture(T0, 0.0), lambda _: None)
    assert worker.settle(20)


def test_it_ends_with_a_recorder_that_is_killed() -> None:
    code = (
        "import time\n"
        "from robot_recorder.quality.picture_worker import PictureWorker\n"
        "if __name__ == '__main__':\n"
        "    worker = PictureWorker(); worker.warm_up(); worker.settle(20)\n"
        "    print(*worker._pool._processes, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        assert parent.stdout.read() == "", "its end of the pipe is closed, too"
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
