"""The C library's heaps stay few despite many threads, and free memory is returned."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from robot_recorder.nodes import heap

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

THREADS = """
import ctypes, sys, threading
from robot_recorder.nodes import heap
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
assert sys.argv[1] == "as it is" or heap.keep_whole()
together = threading.Barrier(12)
def work():
    for _ in range(100):
        together.wait()
        libc.malloc(50_000)
threads = [threading.Thread(target=work) for _ in range(12)]
[t.start() for t in threads]
[t.join() for t in threads]
libc.malloc_stats()
"""

FREED = """
import ctypes
from robot_recorder.nodes import heap
assert heap.keep_whole()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
blocks = [libc.malloc(100_000) for _ in range(600)]
for block in blocks:
    ctypes.memset(block, 1, 100_000)
for block in blocks[:-1]:  # the last one keeps the heap from being shortened
    libc.free(block)
before = rss()
heap.give_back()
print(before - rss())
"""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-c", script, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_threads_share_few_heaps() -> None:
    heaps = {how: run(THREADS, how).stderr.count("Arena") for how in ("as it is", "kept whole")}
    assert heaps["kept whole"] <= 2 < heaps["as it is"]


def test_free_memory_is_returned() -> None:
    assert int(run(FREED).stdout) > 40_000_000


def test_other_c_libraries_are_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_libc", lambda: None)
    assert not heap.keep_whole()
    heap.give_back()
