"""A program that ends while a pool of processes ends prints no exception: Python's own exit races with it. One
that is killed leaves none of its processes behind.

Holds also: configuration/worker_process.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.children import children_of, is_running

pytest.importorskip("fastapi")

PACKAGE = Path(__file__).parents[1] / "robot_recorder"

# Python, on exit, writes to the pipe of each pool whose thread is alive; that thread closes it, unguarded,
# when its pool ends. Here the one always meets the other: if that thread still lives when Python exits.
RACE = """
import threading, time
from concurrent.futures import process
from multiprocessing.connection import Connection
send, close = Connection._send, process._ThreadWakeup.close
writes = threading.Event()
def late_send(self, *rest):
    if threading._SHUTTING_DOWN and threading.current_thread() is threading.main_thread():
        writes.set()
        time.sleep(0.3)
    return send(self, *rest)
def late_close(self):
    writes.wait(0.6)
    close(self)
Connection._send, process._ThreadWakeup.close = late_send, late_close
"""
ENDS = {  # programs that end pools, by the module that has them; each prints what ended them
    "dataset/pool.py": """
from robot_recorder.dataset.pool import ExportJob, LocalPool
jobs = [ExportJob(str(n), 1.0, int, ()) for n in range(3)]
print(len(list(LocalPool(2).run(jobs))), "done")
stopped, failed = LocalPool(2), LocalPool(2)
ran = stopped.run([*jobs, ExportJob("long", 1.0, time.sleep, (60,))])
print(next(ran)[0].name, "is first")
ran.close()
try:
    list(failed.run([ExportJob("odd", 1.0, divmod, (1, 0)), *jobs]))
except ZeroDivisionError:
    print("raised")
""",
    "quality/picture_worker.py": """
from robot_recorder.quality.picture_worker import PictureWorker
worker = PictureWorker()
worker.warm_up()
for process in list(worker._pool._processes.values()):
    process.kill()
print("settled", worker.settle(20))
worker.close()
""",
    "web/workers.py": """
import asyncio
from robot_recorder.web.workers import Workers
from support.slow_work import die, stall
async def make(work, most_s):
    workers = Workers(most_s)
    try:
        await workers.make("film", ".txt", work, most=9)
    except Exception as error:
        print(error)
    workers.close()
asyncio.run(make(die, 60))
asyncio.run(make(stall, 0.5))
""",
    "floor/centre/ingest/checkers.py": """
from robot_recorder.floor.centre.ingest.checkers import BagCheckers
from support.slow_work import die, stall
for most_s, work in ((60, die), (0.5, stall)):
    checkers = BagCheckers()
    try:
        checkers.run(most_s, work)
    except Exception as error:
        print(error)
    checkers.close()
""",
}
PRINTED = {
    "dataset/pool.py": ["3 done", "is first", "raised"],
    "quality/picture_worker.py": ["settled True"],
    "web/workers.py": ["ended: try again", "longer than 0.5 s"],
    "floor/centre/ingest/checkers.py": ["died", "longer than 0.5 s"],
}
BUSY = {  # programs that keep a pool until they are killed
    "dataset/pool.py": """
from robot_recorder.dataset.pool import ExportJob, LocalPool
list(LocalPool(2).run([ExportJob(str(n), 1.0, stall, ()) for n in range(2)]))
""",
    "quality/picture_worker.py": """
from robot_recorder.quality.picture_worker import PictureWorker
worker = PictureWorker()
worker.warm_up()
stall()
""",
    "web/workers.py": """
import asyncio
from robot_recorder.web.workers import Workers
asyncio.run(Workers().make("film", ".txt", stall, most=9))
""",
    "floor/centre/ingest/checkers.py": """
from robot_recorder.floor.centre.ingest.checkers import BagCheckers
BagCheckers().run(600, stall)
""",
    "cli/check.py": """
from robot_recorder.cli.check import _all_checked
checked = _all_checked([Path(f"/nowhere/{n}") for n in range(50)], 2, None, None)
print(next(checked))
stall()
""",
    "catalogue/sync.py": """
from robot_recorder.catalogue.sync import _looks
looks = _looks(Path("/nowhere"), [str(n) for n in range(500)])
print(next(looks))
stall()
""",
    "dataset/remote.py": """
from robot_recorder.dataset import remote
remote._process = -1  # the library was used by the program that this one was forked from
remote._apart(stall)
""",
}
WAITING = {"cli/check.py", "catalogue/sync.py", "dataset/remote.py"}  # end theirs only by waiting


def test_every_module_that_has_pools_is_tried_here_or_waits() -> None:
    texts = {str(p.relative_to(PACKAGE)): p.read_text() for p in PACKAGE.rglob("*.py")}
    assert {
        name for name, text in texts.items() if "ProcessPoolExecutor(" in text
    } == ENDS.keys() | WAITING
    assert not {name for name in WAITING if "wait=" in texts[name]}
    assert BUSY.keys() == ENDS.keys() | WAITING


@pytest.fixture
def environment() -> dict[str, str]:
    """So that programs find what supports these tests."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ["PYTHONPATH"]])
    return os.environ | {"PYTHONPATH": path}


@pytest.mark.parametrize("name", BUSY)
def test_a_program_that_is_killed_leaves_no_process(name: str, environment: dict[str, str]) -> None:
    given = "from pathlib import Path\nfrom support.slow_work import stall\n"
    program = subprocess.Popen([sys.executable, "-c", given + BUSY[name]], env=environment)
    end = time.monotonic() + 60
    children: set[int] = set()
    while len(children) < 2:  # one of them may only clean up after the others
        assert time.monotonic() < end and program.poll() is None
        time.sleep(0.05)
        children = children_of(program.pid)
    time.sleep(1.0)  # so that they wait for work, or are at it
    children = children_of(program.pid)
    program.kill()
    program.wait()
    while any(map(is_running, children)):
        assert time.monotonic() < end, f"{name}: they are still there"
        time.sleep(0.05)


def test_python_ends_without_an_exception_however_a_pool_has_ended(
    environment: dict[str, str],
) -> None:
    running = {
        name: subprocess.Popen(
            [sys.executable, "-c", RACE + program],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )
        for name, program in ENDS.items()
    }  # fmt: skip
    for name, process in running.items():
        printed = process.communicate(timeout=90)[0]
        assert "Exception ignored" not in printed, f"{name}: {printed}"
        assert all(text in printed for text in PRINTED[name]), (name, printed)
