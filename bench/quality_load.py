"""Measures the cost of checking while a whole robot is recorded, and the delay of the verdict."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import rclpy
from figures import SCRATCH
from processes import cpu_s, publishing, recording
from recorder import SETTLE_S, Operator

from robot_recorder.msg import QualityReport
from robot_recorder.nodes.runtime import LATCHED

LOAD = "humanoid"


def _with_children(pid: int) -> float:
    """Return the CPU time of a process and its child processes, s."""
    total = cpu_s(pid)
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            total += _with_children(int(child))
    return total


def cpu_us_per_message(seconds: float, check: bool) -> float:
    """Return the CPU time of the recorder and its child processes, microseconds per message."""
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH) as folder,
        recording(LOAD, Path(folder), check=check) as recorder,
        publishing(LOAD) as sender,
    ):
        operator = Operator()
        operator.wait()
        sender.wait_for_readers()
        time.sleep(2)  # the process that checks pictures has started by then
        operator.start(force=True, pre_roll_s=0.0)
        before = _with_children(recorder.pid)
        sender.send(seconds)
        time.sleep(SETTLE_S)
        stopped = operator.stop()  # work at the end is part of the cost
        used = _with_children(recorder.pid) - before
        operator.close()
    return used / stopped.messages * 1e6


def verdict_ms(episodes: int, seconds: float) -> list[float]:
    """Return the times from the call of stop to the verdict in another process, ms."""
    found: list[float] = []
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH) as folder,
        recording(LOAD, Path(folder)),
        publishing(LOAD) as sender,
    ):
        operator = Operator()
        heard: dict[str, float] = {}

        def take(report: QualityReport) -> None:
            heard[report.episode_id] = time.perf_counter()

        operator.node.create_subscription(QualityReport, "recorder/quality", take, LATCHED)
        operator.wait()
        sender.wait_for_readers()
        sender.begin(episodes * (seconds + 1.5) + 5)
        time.sleep(3)
        for _ in range(episodes):
            operator.start(force=True)
            time.sleep(seconds)
            began = time.perf_counter()
            id = operator.stop().episode_id
            end = time.monotonic() + 10
            while id not in heard and time.monotonic() < end:
                rclpy.spin_once(operator.node, timeout_sec=0.1)
            found.append((heard.get(id, float("inf")) - began) * 1e3)
        operator.close()
        sender.end()
    return found


def measure(seconds: float, repeats: int, episodes: int) -> dict[str, object]:
    """Return extra CPU as a share of the recorder's without checks, and the verdict's latencies."""
    on: list[float] = []
    off: list[float] = []
    for number in range(repeats):  # alternate, so that a noisy minute affects both
        for check in (True, False) if number % 2 else (False, True):
            (on if check else off).append(cpu_us_per_message(seconds, check))
    shares = [a / b - 1 for a, b in zip(on, off, strict=True)]
    return {
        "check_cpu_share": statistics.median(shares),
        "shares": shares,
        "us_with": on,
        "us_without": off,
        "verdict_ms": verdict_ms(episodes, 8.0),
        "cores": os.cpu_count(),
    }
