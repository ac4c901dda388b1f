"""Measures what recording costs and loses, and how fast it starts and stops.

Run by ``make bench-recorder``. Everything runs in real processes over real middleware. CPU is that
of the whole reading process, DDS's threads included, divided by the messages it received.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
import yaml
from encode import measure_encoding
from figures import RESULTS, SCRATCH, machine, write_results
from load import load
from processes import child, cpu_s, publishing, reading, recording, rss_mb
from raw_cameras import measure_raw_cameras
from rich.console import Console
from rich.table import Table
from startup import measure_startup

from robot_recorder.episodes.episode import Episode
from robot_recorder.msg import EpisodeStatus
from robot_recorder.nodes.runtime import LATCHED
from robot_recorder.srv import StartEpisode, StopEpisode

CONSOLE = Console(width=130)
SETTLE_S = 0.5
START_S = 4.0  # until the recorder has loaded what only episodes need


class Operator:
    """A client of the recorder's services, like a button."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("operator")
        self.status: EpisodeStatus | None = None
        self.node.create_subscription(EpisodeStatus, "recorder/status", self._take, LATCHED)
        self._start: Any = self.node.create_client(StartEpisode, "recorder/start_episode")
        self._stop: Any = self.node.create_client(StopEpisode, "recorder/stop_episode")

    def _take(self, status: EpisodeStatus) -> None:
        self.status = status

    def close(self) -> None:
        self.node.destroy_node()

    def wait(self) -> None:
        """Wait until the recorder is running."""
        assert self._start.wait_for_service(30) and self._stop.wait_for_service(30)

    def start(self, **fields: Any) -> Any:
        return self._call(self._start, StartEpisode.Request(**fields))

    def stop(self) -> Any:
        return self._call(self._stop, StopEpisode.Request())

    def _call(self, client: Any, request: Any) -> Any:
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self.node, future, timeout_sec=60)
        assert future.done() and future.result().success, future.result()
        return future.result()


def measure_reader(kind: str, load: str, seconds: float) -> dict[str, float]:
    """Measure CPU and losses of a baseline reader."""
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH) as folder,
        reading(kind, load, Path(folder)) as reader,
    ):
        with publishing(load) as sender:
            sender.wait_for_readers()
            before = cpu_s(reader.pid)
            sent = sum(sender.send(seconds).values())
            time.sleep(SETTLE_S)
            used = cpu_s(reader.pid) - before
        reader.send_signal(signal.SIGTERM)
        assert reader.stdout is not None
        received = int(reader.stdout.readline())
    return {"us": used / received * 1e6, "lost": sent - received, "rate": received / seconds}


def measure_recorder(
    load: str, seconds: float, program: str = "recorder", **parameters: object
) -> dict[str, float]:
    """Measure CPU and losses of an episode that contains a whole load.

    Returns:
        us: CPU per message, start-up excluded; whole_s: CPU from launch on.
    """
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        with (
            recording(load, Path(folder), program, **parameters) as recorder,
            publishing(load) as sender,
        ):
            operator = Operator()
            operator.wait()
            sender.wait_for_readers()
            time.sleep(START_S)
            operator.start(force=True, pre_roll_s=0.0)
            before = cpu_s(recorder.pid)
            sent = sender.send(seconds)
            time.sleep(SETTLE_S)
            whole = cpu_s(recorder.pid)
            stopped = operator.stop()
            operator.close()
        episode = Episode.open(Path(stopped.path))
        written = {t: episode.counts.get(t, 0) for t in sent}
        lost = sum(sent.values()) - sum(written.values())
        reported = sum(sum(episode.streams[t]["lost"].values()) for t in sent)
    return {
        "us": (whole - before) / sum(written.values()) * 1e6,
        "whole_s": whole,
        "lost": lost,
        "unreported": lost - reported,
        "rate": sum(written.values()) / seconds,
    }


def measure_cpp(load_name: str, seconds: float) -> dict[str, float]:
    """Measure ``ros2 bag record``, rosbag2's recorder in C++, on the same load."""
    topics = ["/" + stream.topic for stream in load(load_name)]
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        bag = Path(folder) / "bag"
        command = ["ros2", "bag", "record", "-s", "mcap", "-o", str(bag), "--topics", *topics]
        with child(*command) as recorder, publishing(load_name) as sender:
            sender.wait_for_readers()
            sent = sum(sender.send(seconds).values())
            time.sleep(SETTLE_S)
            whole = cpu_s(recorder.pid)
            recorder.send_signal(signal.SIGINT)
            recorder.wait(30)
        written = yaml.safe_load((bag / "metadata.yaml").read_text())
        count = written["rosbag2_bagfile_information"]["message_count"]
    return {"whole_s": whole, "lost": sent - count, "rate": count / seconds}


def measure_starts(restarts: int) -> dict[str, float]:
    """Measure the time to start and stop, and losses over many episodes in a row."""
    load = "humanoid"
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        with recording(load, Path(folder)) as recorder, publishing(load) as sender:
            operator = Operator()
            operator.wait()
            sender.wait_for_readers()
            sender.begin(restarts * 1.5 + 45)
            time.sleep(3)
            starts, stops, episodes = [], [], []
            for number in range(restarts + 1):
                began = time.perf_counter()
                operator.start(force=True)
                starts.append(time.perf_counter() - began)
                time.sleep(30 if number == restarts else 0.5)
                began = time.perf_counter()
                episodes.append(Path(operator.stop().path))
                stops.append(time.perf_counter() - began)
            operator.close()
            del recorder
            sender.end()
        lost, holes = 0, 0
        for path in episodes[:-1]:
            lost += Episode.open(path).lost[0]
            holes += _holes(path)
    return {
        "start_ms_p50": statistics.median(starts) * 1e3,
        "start_ms_max": max(starts) * 1e3,
        "stop_ms_p50": statistics.median(stops[:-1]) * 1e3,
        "stop_ms_30s": stops[-1] * 1e3,
        "lost": lost + holes,
    }


def _holes(path: Path) -> int:
    """Count messages missing in an episode, by the numbers that the load puts into joint states."""
    from robot_recorder.bags.reader import read_messages

    missing = 0
    last: dict[str, int] = {}
    for message in read_messages(path, {"/joint_states", "/joint_commands"}):
        number = int.from_bytes(message.data[-8:], "little")
        missing += number - last.get(message.topic, number - 1) - 1
        last[message.topic] = number
    return missing


def measure_memory(seconds: float) -> dict[str, float]:
    """Measure the growth of the recorder's memory over one long episode."""
    load = "humanoid"
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        longest_s = seconds + 120
        with (
            recording(load, Path(folder), max_episode_s=longest_s) as recorder,
            publishing(load) as sender,
        ):
            operator = Operator()
            operator.wait()
            sender.wait_for_readers()
            sender.begin(seconds + 15)
            time.sleep(5)
            operator.start(force=True)
            time.sleep(10)  # buffers are fully grown by then
            first = rss_mb(recorder.pid)
            worst, end = first, time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(1)
                worst = max(worst, rss_mb(recorder.pid))
            sender.end()
            operator.stop()
            operator.close()
    return {"first_mb": first, "growth_mb": worst - first}


# The programs that read a load; C++ where ``ros2 bag record`` is on the path.
READERS: dict[str, Callable[[str, float], dict[str, float]]] = {
    "floor": partial(measure_reader, "floor"),
    "recorder": measure_recorder,
    "composed": partial(measure_recorder, program="record"),
    "typed": partial(measure_reader, "typed"),
    **({"cpp": measure_cpp} if shutil.which("ros2") else {}),
}
Runs = dict[str, list[dict[str, float]]]


def measure_loads(seconds: float, repeats: int) -> dict[str, Runs]:
    """Run every reader on every load, print a table; return the runs by load and reader."""
    table = Table(title="CPU per message and losses; median of runs (lowest to highest)")
    for heading in ("load", "reader", "CPU us/message", "/ floor", "whole CPU s", "/ C++", "lost"):
        table.add_column(heading, justify="right")
    loads: dict[str, Runs] = {}
    for name in ("1000", "2500", "5000", "10000", "humanoid"):
        runs: Runs = {reader: [] for reader in READERS}
        for _ in range(repeats):  # alternate, so that a noisy minute affects all of them
            for reader, measure in READERS.items():
                runs[reader].append(measure(name, seconds))
        loads[name] = runs
        for reader in READERS:
            over_floor, over_cpp = ratio(runs, reader, "floor", "us"), ratio(runs, reader, "cpp")
            table.add_row(
                name, reader, spread(runs[reader], "us"), shown(over_floor),
                spread(runs[reader], "whole_s"), shown(over_cpp),
                str(int(sum(r["lost"] for r in runs[reader]))),
            )  # fmt: skip
        CONSOLE.print(f"  {name}: done")
    CONSOLE.print(table)
    return loads


def ratio(runs: Runs, reader: str, baseline: str, key: str = "whole_s") -> float | None:
    """Return the median ratio of a reader to a baseline in the same rounds; None: not measured."""
    pairs = zip(runs[reader], runs.get(baseline, []))
    ratios = [one[key] / other[key] for one, other in pairs if key in one and key in other]
    return statistics.median(ratios) if ratios else None


def shown(value: float | None) -> str:
    """Return a ratio as text."""
    return "" if value is None else f"{value:.2f}"


def spread(runs: list[dict[str, float]], key: str = "us") -> str:
    """Return median, lowest and highest of several runs as text."""
    values = [run[key] for run in runs if key in run]
    if not values:
        return ""
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


Measured = tuple[dict[str, float | None], dict[str, Any]]  # figures, and the data behind them


def loads_part(options: argparse.Namespace) -> Measured:
    """CPU and losses at five loads."""
    loads = measure_loads(options.seconds, options.repeats)
    runs = [r for one in loads.values() for r in one["recorder"] + one["composed"]]
    return {
        "cpu_us_per_message_10k": _median(loads, "10000", "recorder"),
        "floor_us_per_message_10k": _median(loads, "10000", "floor"),
        "typed_us_per_message_10k": _median(loads, "10000", "typed"),
        "cpu_us_per_message_humanoid": _median(loads, "humanoid", "recorder"),
        "unreported": sum(r["unreported"] for r in runs),
        **{f"composed_us_per_message_{n}": _median(loads, n, "composed") for n in loads},
        **{f"composed_over_floor_{n}": ratio(loads[n], "composed", "floor", "us") for n in loads},
        **{f"recorder_over_floor_{n}": ratio(loads[n], "recorder", "floor", "us") for n in loads},
        **{f"composed_over_cpp_{n}": ratio(loads[n], "composed", "cpp") for n in loads},
        **{f"recorder_over_cpp_{n}": ratio(loads[n], "recorder", "cpp") for n in loads},
        **{
            f"lost_{reader}_{n}": _lost(loads[n], reader)
            for n in loads
            for reader in ("recorder", "composed", "cpp")
        },
    }, loads


def starts_part(options: argparse.Namespace) -> Measured:
    """How soon an episode starts and stops."""
    starts = measure_starts(options.restarts)
    return {
        "start_ms_p50": starts["start_ms_p50"],
        "start_ms_max": starts["start_ms_max"],
        "lost_over_50_restarts": starts["lost"],
        "stop_to_ready_ms": starts["stop_ms_30s"],
    }, dict(starts)


def memory_part(options: argparse.Namespace) -> Measured:
    """Memory over one long episode."""
    memory = measure_memory(options.memory_seconds)
    return {"rss_mb": memory["first_mb"], "rss_growth_mb_10min": memory["growth_mb"]}, {}


def startup_part(options: argparse.Namespace) -> Measured:
    """How soon the recorder is there."""
    figures, runs = measure_startup()
    return dict(figures), runs


def cameras_part(options: argparse.Namespace) -> Measured:
    """Raw cameras: recorded as they are, and encoded."""
    raw = measure_raw_cameras(options.seconds)
    figures: dict[str, float | None] = {
        "raw_cameras_mb_per_s": raw["raw_cameras_mb_per_s"],
        "raw_cameras_lost": raw["raw_cameras_lost"],
        **measure_encoding(options.seconds),
    }
    return figures, raw


# What is measured, in this order; --parts chooses.
PARTS: dict[str, Callable[[argparse.Namespace], Measured]] = {
    "loads": loads_part,
    "starts": starts_part,
    "memory": memory_part,
    "startup": startup_part,
    "cameras": cameras_part,
}


def main() -> None:
    """Measure, print, and bring results/recorder.json up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="length of each load")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--memory-seconds", type=float, default=600)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=RESULTS / "recorder.json")
    options = parser.parse_args()
    rclpy.init()
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    if known.get("machine") != machine():
        known = {}  # figures of two machines would not be comparable
    figures, data = known.get("figures", {}), known.get("parts", {})
    for part in options.parts:
        load_before = os.getloadavg()[0]
        found, behind = PARTS[part](options)
        figures |= found
        data[part] = {"load_before": round(load_before, 1), **behind}
        for name, value in found.items():
            CONSOLE.print(f"{name:36} {'not measured' if value is None else f'{value:.2f}'}")
    command = (
        f"make bench-recorder (seconds {options.seconds:g}, repeats {options.repeats}, "
        f"restarts {options.restarts}, memory {options.memory_seconds:g} s)"
    )
    write_results(options.out, command, figures, parts=data)
    rclpy.shutdown()


def _median(loads: dict[str, Runs], load: str, reader: str) -> float:
    return statistics.median(r["us"] for r in loads[load][reader])


def _lost(runs: Runs, reader: str) -> float | None:
    return sum(r["lost"] for r in runs[reader]) if reader in runs else None


if __name__ == "__main__":
    main()
