"""Shared memory of killed processes is freed, that of living ones is left alone."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from robot_recorder.nodes.dds_leftovers import remove_leftovers

OLD_S = time.time() - 3600
NODE = """
import rclpy, sys
rclpy.init()
node = rclpy.create_node("left_behind")
print("there", flush=True)
sys.stdin.read()
"""


def segment(folder: Path, number: int, size: int = 1000, old: bool = True) -> Path:
    """Make a segment and its lock file as Fast DDS does; return the lock file."""
    path = folder / f"fastdds_{number:016x}"
    path.write_bytes(bytes(size))
    lock = path.with_name(f"{path.name}_el")
    lock.touch()
    if old:
        os.utime(lock, (OLD_S, OLD_S))
    return lock


def test_only_old_segments_that_nobody_locks_are_removed(tmp_path: Path) -> None:
    dead, alive = segment(tmp_path, 1), segment(tmp_path, 2)
    segment(tmp_path, 3, old=False)
    others = {
        "fastdds_port7000",
        "fastdds_port7000_el",
        "sem.fastdds_port7000_mutex",
        "fastdds_zz_el",
        "x",
    }
    for name in others:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (OLD_S, OLD_S))
    (tmp_path / f"fastdds_{4:016x}_el").symlink_to(tmp_path / "x")
    with open(alive) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_leftovers(tmp_path) == 1000
        left = {path.name for path in tmp_path.iterdir()}
    assert dead.name not in left and dead.name.removesuffix("_el") not in left
    assert len(left) == len(others) + 5 and others < left
    assert remove_leftovers(tmp_path) == 1000, "it was not locked any more"
    assert remove_leftovers(tmp_path / "missing") == 0


@contextmanager
def living_node() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run a node; yield its process and the lock file of its segment."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", NODE], stdin=pipe, stdout=pipe, text=True
    ) as running:
        assert running.stdout is not None and running.stdout.readline() == "there\n"
        # Also of others whom it has heard; its own is the one whose lock file it has open.
        opened = [os.readlink(fd) for fd in Path(f"/proc/{running.pid}/fd").iterdir()]
        own = [
            name
            for name in opened
            if re.fullmatch(r"/dev/shm/fast(dds|rtps)_[0-9a-f]{16}_el", name)
        ]
        if not own:
            running.kill()
            pytest.skip("this middleware has no shared memory here")
        try:
            yield running, Path(own[0])
        finally:
            running.kill()


def test_a_killed_node_leaves_a_segment_and_a_living_one_keeps_it() -> None:
    with living_node() as (alive, kept), living_node() as (dead, lock):
        left = lock.with_name(lock.name.removesuffix("_el"))
        for path in (kept, lock):
            os.utime(path, (OLD_S, OLD_S))
        remove_leftovers()
        assert left.exists() and kept.exists(), "both live"
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        assert left.exists(), "Fast DDS leaves it"
        size = left.stat().st_size
        assert remove_leftovers() >= size and not left.exists() and not lock.exists()
        assert kept.exists() and alive.poll() is None
