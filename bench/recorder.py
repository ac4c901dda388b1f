"""Measures what recording costs and loses, and how fast it starts and stops.

Run by ``make bench-recorder``. Everything runs in real processes over real middleware. CPU is that
of the whole reading process, DDS's threads included, divided by the messages it received.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import rclpy
from figures import RESULTS, SCRATCH, write_results
from processes import cpu_s, publishing, reading, recording, rss_mb
from rich.console import Console
from rich.table import Table

from robot_recorder.episodes.episode import Episode
from robot_recorder.msg import EpisodeStatus
from robot_recorder.nodes.runtime import LATCHED
from robot_recorder.srv import StartEpisode, StopEpisode

CONSOLE = Console(width=130)
SETTLE_S = 0.5


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
    """Measure CPU and losses of an episode that contains a whole load."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        with (
            recording(load, Path(folder), program, **parameters) as recorder,
            publishing(load) as sender,
        ):
            operator = Operator()
            operator.wait()
            sender.wait_for_readers()
            operator.start(force=True, pre_roll_s=0.0)
            before = cpu_s(recorder.pid)
            sent = sender.send(seconds)
            time.sleep(SETTLE_S)
            used = cpu_s(recorder.pid) - before
            stopped = operator.stop()
            operator.close()
        episode = Episode.open(Path(stopped.path))
        written = {t: episode.counts.get(t, 0) for t in sent}
        lost = sum(sent.values()) - sum(written.values())
        reported = sum(sum(episode.streams[t]["lost"].values()) for t in sent)
    return {
        "us": used / sum(written.values()) * 1e6,
        "lost": lost,
        "unreported": lost - reported,
        "rate": sum(written.values()) / seconds,
    }


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


def spread(runs: list[dict[str, float]], key: str = "us") -> str:
    """Return median, lowest and highest of several runs as text."""
    values = [run[key] for run in runs]
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    """Run all measurements, print a table, write results/recorder.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="length of each load")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--memory-seconds", type=float, default=600)
    parser.add_argument("--out", type=Path, default=RESULTS / "recorder.json")
    options = parser.parse_args()
    rclpy.init()

    table = Table(title="CPU per message and losses; median of runs (lowest to highest)")
    for heading in (
        "load",
        "floor us",
        "typed us",
        "ours us",
        "ours / floor",
        "ours lost",
        "floor lost",
        "typed lost",
    ):
        table.add_column(heading, justify="right")
    loads: dict[str, Any] = {}
    for load in ("1000", "2000", "5000", "10000", "humanoid"):
        runs: dict[str, list[dict[str, float]]] = {"floor": [], "typed": [], "ours": []}
        for _ in range(options.repeats):  # alternate, so that a noisy minute affects all of them
            runs["floor"].append(measure_reader("floor", load, options.seconds))
            runs["ours"].append(measure_recorder(load, options.seconds))
            runs["typed"].append(measure_reader("typed", load, options.seconds))
        ratio = statistics.median(
            o["us"] / f["us"] for o, f in zip(runs["ours"], runs["floor"], strict=True)
        )
        lost = {kind: int(sum(r["lost"] for r in runs[kind])) for kind in runs}
        loads[load] = {"runs": runs, "ratio_to_floor": ratio}
        table.add_row(
            load, spread(runs["floor"]), spread(runs["typed"]), spread(runs["ours"]), f"{ratio:.2f}",
            str(lost["ours"]), str(lost["floor"]), str(lost["typed"]),
        )  # fmt: skip
        CONSOLE.print(f"  {load}: done")
    CONSOLE.print(table)

    composed = measure_recorder("humanoid", options.seconds, program="record")
    starts = measure_starts(options.restarts)
    memory = measure_memory(options.memory_seconds)
    figures = {
        "cpu_us_per_message_10k": _median(loads, "10000", "ours"),
        "floor_us_per_message_10k": _median(loads, "10000", "floor"),
        "typed_us_per_message_10k": _median(loads, "10000", "typed"),
        "lost_10k": sum(r["lost"] for r in loads["10000"]["runs"]["ours"]),
        "cpu_us_per_message_humanoid": _median(loads, "humanoid", "ours"),
        "lost_humanoid": sum(r["lost"] for r in loads["humanoid"]["runs"]["ours"]),
        "unreported": sum(r["unreported"] for one in loads.values() for r in one["runs"]["ours"]),
        "composed_us_per_message_humanoid": composed["us"],
        "start_ms_p50": starts["start_ms_p50"],
        "start_ms_max": starts["start_ms_max"],
        "lost_over_50_restarts": starts["lost"],
        "stop_to_ready_ms": starts["stop_ms_30s"],
        "rss_mb": memory["first_mb"],
        "rss_growth_mb_10min": memory["growth_mb"],
    }
    for name, value in figures.items():
        CONSOLE.print(f"{name:36} {value:.2f}")
    command = (
        f"make bench-recorder (seconds {options.seconds:g}, repeats {options.repeats}, "
        f"restarts {options.restarts}, memory {options.memory_seconds:g} s)"
    )
    write_results(options.out, command, figures, starts=starts, loads=loads)
    rclpy.shutdown()


def _median(loads: dict[str, Any], load: str, kind: str) -> float:
    return statistics.median(r["us"] for r in loads[load]["runs"][kind])


if __name__ == "__main__":
    main()
