"""Measures how soon an episode is shown, how exactly it is played, and the memory of a long one.

The episode is a minute of the simulated humanoid at work. Every time is that of a whole command in
its own process, interpreter and imports included. The baseline reads the bag once with the library
rosbags and decodes nothing.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import play_timing
import rclpy
import view_memory
from figures import RESULTS, SCRATCH, write_results
from rich.console import Console
from rich.progress import track

from robot_recorder.demo import Operator, node_process
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.srv import PerformTask, SetTask, StartEpisode, StopEpisode

CONSOLE = Console(width=120)
FOLDER = SCRATCH / "playback"
_TASKS = ("lift_box", "carry_tray")
_READ = """
import sys
from pathlib import Path
from rosbags.rosbag2 import Reader
with Reader(Path(sys.argv[1])) as reader:
    print(sum(len(data) for _, _, data in reader.messages()))
"""


def record(seconds: float) -> Path:
    """Record one episode of the simulated robot at work, with the real nodes."""
    root = FOLDER / "episodes"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    rclpy.init()
    with (
        node_process("sim_robot", FOLDER / "sim.log", {"cache": str(SCRATCH / "sim")}),
        node_process("record", FOLDER / "record.log", {"root": str(root)}),
    ):
        operator = Operator()
        operator.wait("all streams to arrive", operator.all_streams_arrive, 120)
        operator.call(SetTask, "labeller/set_task", SetTask.Request(task=_TASKS[0]))
        operator.call(StartEpisode, "recorder/start_episode")
        began, number = time.monotonic(), 0
        while time.monotonic() < began + seconds - 10:
            operator.result = {}
            request = PerformTask.Request(task=_TASKS[number % 2], seed=number + 1)
            operator.call(PerformTask, "sim/perform", request)
            operator.wait("the robot to finish", lambda: operator.result.get("state") == "done", 40)
            number += 1
        operator.wait("the minute to end", lambda: time.monotonic() > began + seconds, 60)
        operator.call(StopEpisode, "recorder/stop_episode")
        operator.destroy_node()
    rclpy.shutdown()
    (path,) = EpisodeStore(root).paths()
    return path


def seconds_of(*arguments: str) -> float:
    """Return the wall time of a Python process, s."""
    began = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.monotonic() - began


def command(*arguments: str) -> tuple[str, ...]:
    """Return arguments that run the command line as Python code."""
    return "-c", "from robot_recorder.cli.main import main; raise SystemExit(main())", *arguments


def times(repeats: int, *arguments: str) -> list[float]:
    """Measure several runs, after one that fills the caches."""
    seconds_of(*arguments)
    return [
        seconds_of(*arguments)
        for _ in track(
            range(repeats),
            f"timing {' '.join(arguments[2:3])}",
            console=CONSOLE,
        )
    ]


def main() -> None:
    """Run all measurements, print the figures, write results/playback.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of the episode")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--episode", type=Path, help="an existing episode to use instead")
    parser.add_argument("--out", type=Path, default=RESULTS / "playback.json")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    episode = options.episode or record(options.seconds)
    baseline = times(options.repeats, "-c", _READ, str(episode))
    show = times(options.repeats, *command("show", str(episode), "--out", str(FOLDER)))
    view = [view_memory.first_picture_s(episode) for _ in range(options.repeats)]
    play = [play_timing.measure(episode) for _ in range(2)]
    memory = view_memory.measure(FOLDER)
    figures = {
        "show_s": statistics.median(show),
        "show_s_max": max(show),
        "rosbags_read_s": statistics.median(baseline),
        "show_over_rosbags_read": statistics.median(show) / statistics.median(baseline),
        "view_s": statistics.median(view),
        "view_s_max": max(view),
        **{name: max(run[name] for run in play) for name in play[0]},
        **memory,
    }
    for name, value in figures.items():
        CONSOLE.print(f"{name:32} {value:.3f}")
    how = f"make bench-playback (seconds {options.seconds:g}, repeats {options.repeats})"
    write_results(options.out, how, figures, show_s=show, view_s=view, play=play)
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
