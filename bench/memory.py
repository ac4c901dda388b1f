"""Measures the memory of `record` over one long episode and many short ones: ``make bench-memory``.

Recorder, synchronizer, labeller and all checks run in one process, on the simulated robot with
cameras, which performs one task after another. The process that checks pictures is measured too.
The third measurement takes the light robot of the soak, one take after the other, and tells how much
memory, open files and threads grow in half an hour:

    python bench/memory.py --minutes 0 --episodes 0 --composed-minutes 10
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from figures import HERE, RESULTS, SCRATCH, machine
from processes import child, children, memory_mb
from rich.console import Console
from soak_robot import write_profile
from soak_samples import Samples, process_values, slope_of

from robot_recorder.demo import ATTEMPTS, Operator, node_process
from robot_recorder.episodes.episode import Episode
from robot_recorder.srv import PerformTask, StartEpisode, StopEpisode

CONSOLE = Console(width=110)
PERIOD_S = 2.0  # between two samples
FIRST_S = 60.0  # buffers, rings and pools are fully grown by then
END_S = 30.0  # length of the end, whose median is compared with that after the first minute
MOST_KEPT = 1000  # most samples in the file
TAKE_S = 8.0  # of the takes that follow each other


@dataclass
class Watch:
    """Samples of the memory of `record` and its child processes, taken while the operator waits."""

    pid: int
    began: float = field(default_factory=time.monotonic)
    samples: list[tuple[float, float, float, float]] = field(default_factory=list)

    def take(self) -> None:
        """Take a sample if one is due."""
        at = time.monotonic() - self.began
        if self.samples and at < self.samples[-1][0] + PERIOD_S:
            return
        rss, pss = memory_mb(self.pid)
        others = sum(memory_mb(child)[1] for child in children(self.pid))
        self.samples.append((at, rss, pss, others))

    def figures(self, name: str) -> dict[str, float]:
        """Return medians of half a minute after the first minute and at the end, and the change."""
        every = np.array(self.samples)
        later = every[every[:, 0] >= FIRST_S]
        times, rss = later[:, 0], later[:, 1]
        first = later[times < FIRST_S + END_S]
        last = later[times > times[-1] - END_S]
        slope = np.polyfit(times / 60, rss, 1)[0]
        return {
            f"{name}_minutes": float(every[-1, 0]) / 60,
            f"{name}_rss_mb_after_first_minute": float(np.median(first[:, 1])),
            f"{name}_rss_mb_at_end": float(np.median(last[:, 1])),
            f"{name}_rss_mb_lowest": float(rss.min()),
            f"{name}_rss_mb_highest": float(rss.max()),
            f"{name}_rss_mb_per_minute": float(slope),
            f"{name}_pss_mb_after_first_minute": float(np.median(first[:, 2])),
            f"{name}_pss_mb_at_end": float(np.median(last[:, 2])),
            f"{name}_pictures_pss_mb_after_first_minute": float(np.median(first[:, 3])),
            f"{name}_pictures_pss_mb_at_end": float(np.median(last[:, 3])),
        }

    def kept(self) -> list[list[float]]:
        """Return s, RSS, PSS, and PSS of the child processes, MB; of many samples every n-th."""
        step = len(self.samples) // MOST_KEPT + 1
        return [[round(value, 2) for value in sample] for sample in self.samples[::step]]


class Demonstrator:
    """An operator, and a robot that gets a new task whenever it is done."""

    def __init__(self, watch: Watch, operator: Operator) -> None:
        self._watch = watch
        self._operator = operator
        self._number = 0
        self.given_up_ms = 0.0

    def wait(self, seconds: float) -> None:
        """Let the robot perform for some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._operator.result.get("state") in (None, "done"):
                self._perform()
            rclpy.spin_once(self._operator, timeout_sec=min(0.2, seconds))
            self._watch.take()

    def _perform(self) -> None:
        self.given_up_ms = self._operator.result.get("real_time_given_up_ms", self.given_up_ms)
        attempts = ATTEMPTS["workbench"]
        task, seed = attempts[self._number % len(attempts)]
        request = PerformTask.Request(task=task, seed=seed + self._number // len(attempts))
        self._operator.result = {"state": "asked"}
        self._operator.call(PerformTask, "sim/perform", request)
        self._number += 1

    def record(self, seconds: float) -> Path:
        """Record an episode of a given length and return its path."""
        # Forced: a busy machine must not end the measurement; losses are reported.
        request = StartEpisode.Request(force=True)
        self._operator.call(StartEpisode, "recorder/start_episode", request)
        self.wait(seconds)
        return Path(self._operator.call(StopEpisode, "recorder/stop_episode").path)


@contextmanager
def at_work(longest_s: float) -> Iterator[tuple[Watch, Demonstrator]]:
    """Run the simulated robot, `record`, and their operator."""
    limits = {"max_episode_s": str(longest_s + 60.0)}
    cache = {"cache": str(SCRATCH.absolute() / "sim")}
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH) as folder,
        node_process("sim_robot", Path(folder) / "sim_robot.log", cache),
        node_process("record", Path(folder) / "record.log", {"root": folder, **limits}) as record,
    ):
        operator = Operator()
        operator.wait("all streams to arrive", operator.all_streams_arrive, 180)
        watch = Watch(record.pid)
        try:
            yield watch, Demonstrator(watch, operator)
        finally:
            operator.destroy_node()


def summary_of(path: Path) -> dict[str, float]:
    """Return messages, losses and bytes of an episode, and delete it."""
    episode = Episode.open(path)
    figures = {
        "messages": sum(episode.counts.values()),
        "lost": episode.lost[0],
        "mb": sum(p.stat().st_size for p in path.iterdir()) / 1e6,
    }
    shutil.rmtree(path)
    return figures


def measure_long(minutes: float) -> tuple[dict[str, float], dict[str, Any]]:
    """Record one long episode."""
    seconds = minutes * 60
    with at_work(seconds) as (watch, robot):
        episode = summary_of(robot.record(seconds))
    return watch.figures("long"), {
        "episode": episode,
        "real_time_given_up_ms": robot.given_up_ms,
        "samples": watch.kept(),
    }


def measure_short(episodes: int, seconds: float) -> tuple[dict[str, float], dict[str, Any]]:
    """Record many short episodes in a row."""
    with at_work(seconds) as (watch, robot):
        every = [summary_of(robot.record(seconds)) for _ in range(episodes)]
    figures = watch.figures("short")
    figures["short_episodes"] = len(every)
    return figures, {
        "messages": spread([e["messages"] for e in every]),
        "lost": sum(e["lost"] for e in every),
        "mb": spread([e["mb"] for e in every]),
        "real_time_given_up_ms": robot.given_up_ms,
        "samples": watch.kept(),
    }


def measure_composed(minutes: float) -> tuple[dict[str, float], dict[str, Any]]:
    """Record takes of eight seconds one after the other, and tell what grows in half an hour.

    Args:
        minutes: for how long; the first of them, or the first fifth of a shorter run, does not count.
    """
    settle_s = min(FIRST_S, minutes * 12)
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH) as name,
        child(sys.executable, str(HERE / "soak_robot.py"), "0"),
        node_process("record", Path(name) / "record.log", composed(Path(name))) as record,
    ):
        operator = Operator()
        operator.wait("all streams to arrive", operator.all_streams_arrive, 60)
        samples, lost, episodes = Samples(Path(name) / "samples.csv"), 0.0, 0
        began = time.monotonic()
        while (at_s := time.monotonic() - began) < minutes * 60:
            operator.call(StartEpisode, "recorder/start_episode", StartEpisode.Request(force=True))
            while time.monotonic() - began < at_s + TAKE_S:
                rclpy.spin_once(operator, timeout_sec=0.2)
                if not samples.rows or time.monotonic() - began > samples.rows[-1][0] + PERIOD_S:
                    samples.add(time.monotonic() - began, process_values(record.pid), {})
            path = Path(operator.call(StopEpisode, "recorder/stop_episode").path)
            lost += summary_of(path)["lost"]
            episodes += 1
        samples.close()
        operator.destroy_node()
    figures: dict[str, float] = {
        "composed_minutes": minutes,
        "composed_episodes": episodes,
        "composed_lost": lost,
    }
    lines = {"rss_mb": "rss_growth_mb_30min_composed", "handles": "fd_growth", "threads": "thread_growth",
             "children_mb": "pictures_growth_mb_30min_composed"}  # fmt: skip
    for line, figure in lines.items():
        slope = slope_of(*samples.line(line), settle_s)
        if slope is None:
            raise SystemExit(f"{minutes:g} minutes are too short for a slope: give at least 3")
        figures |= {
            figure: slope.per_hour / 2,
            f"{figure}_low": slope.low / 2,
            f"{figure}_high": slope.high / 2,
        }
        figures[f"composed_{line}_at_end"] = float(np.median(samples.line(line)[1][-5:]))
    step = len(samples.rows) // MOST_KEPT + 1
    kept = [
        [round(at_s, 1), *(round(values[line], 2) for line in lines)]
        for at_s, values in samples.rows[::step]
    ]
    return figures, {"columns": ["s", *lines], "samples": kept}


def composed(folder: Path) -> dict[str, object]:
    """Return the parameters of `record` for the light robot."""
    return {
        "profile": write_profile(folder / "soak.yaml"),
        "root": folder / "episodes",
        "min_free_mb": 100,
    }


def spread(values: list[float]) -> list[float]:
    """Return lowest, median and highest value."""
    return [min(values), statistics.median(values), max(values)]


def keep(out: Path, name: str, command: str, measured: tuple[dict[str, float], Any]) -> None:
    """Write one measurement into the file, with its own command and machine, and keep the other."""
    figures, source = measured
    for figure, value in figures.items():
        CONSOLE.print(f"{figure:44} {value:9.2f}")
    result = json.loads(out.read_text()) if out.exists() else {}
    rounded = {figure: round(value, 3) for figure, value in figures.items()}
    result[name] = {"command": command, "machine": machine(), "figures": rounded, **source}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=None).replace('"samples"', '\n"samples"') + "\n")


def main() -> None:
    """Run one or both measurements, print the figures, write results/memory.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=30, help="length of the long episode; 0: none"
    )
    parser.add_argument(
        "--episodes", type=int, default=200, help="number of short episodes; 0: none"
    )
    parser.add_argument("--seconds", type=float, default=10, help="length of each short episode")
    parser.add_argument(
        "--composed-minutes", type=float, default=30, help="of takes of the light robot; 0: none"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "memory.json")
    options = parser.parse_args()
    SCRATCH.mkdir(exist_ok=True)
    rclpy.init()
    measurements: dict[str, tuple[str, Callable[[], Any]]] = {}
    if options.minutes:
        asked = f"--minutes {options.minutes:g}"
        measurements["long"] = asked, lambda: measure_long(options.minutes)
    if options.episodes:
        asked = f"--episodes {options.episodes} --seconds {options.seconds:g}"
        measurements["short"] = asked, lambda: measure_short(options.episodes, options.seconds)
    if options.composed_minutes:
        asked = f"--composed-minutes {options.composed_minutes:g}"
        measurements["composed"] = asked, lambda: measure_composed(options.composed_minutes)
    for name, (asked, measure) in measurements.items():
        command = f"python bench/memory.py {asked} (load {os.getloadavg()[0]:.1f} before)"
        keep(options.out, name, command, measure())
    rclpy.shutdown()


if __name__ == "__main__":
    main()
