"""Measures how soon the recorder and the command line are there, and what that costs.

Run by ``make bench-startup``, or by `bench/recorder.py`. The recorder is ready when a service has answered and
every stream of a publisher that was there before is heard: its reader is made and matched. On a busy machine wall
times say little; the CPU beside that of a bare node, started in turns with it, says more.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from catalogue import humanoid_metadata
from figures import RESULTS, SCRATCH, write_results
from floor import generate
from load import Stream, humanoid_load
from processes import child, children, recording
from rclpy.qos import QoSProfile

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.srv import StopEpisode

_POLL_S = 0.002
_TIMEOUT_S = 60
_AFTER_S = 4.0  # by then everything that the first episode needs is loaded, too
# A node that does nothing, with the same start: what rclpy and the middleware cost alone.
_BARE = """
import rclpy
from rclpy.executors import ExternalShutdownException
from std_srvs.srv import Trigger
rclpy.init()
node = rclpy.create_node("bare")
node.create_service(Trigger, "bare", lambda request, response: response)
try:
    rclpy.spin(node)
except (ExternalShutdownException, KeyboardInterrupt):
    pass
"""


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process, s, to the microsecond."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid of Linux


class Publisher:
    """Publishers of a robot's streams, and a client of the recorder; both stay over all runs."""

    def __init__(self, streams: list[Stream]) -> None:
        """Create them.

        Args:
            streams: the topics, as in the load that the recorder's profile is made for.
        """
        self.node = rclpy.create_node(
            "startup", enable_rosout=False, start_parameter_services=False
        )
        self.publishers = [
            self.node.create_publisher(type(s.make(0)), s.topic, QoSProfile(depth=10))
            for s in streams
        ]
        self.client: Any = self.node.create_client(StopEpisode, "recorder/stop_episode")

    def unheard(self) -> int:
        """Return the number of streams without a matched reader."""
        return sum(not publisher.get_subscription_count() for publisher in self.publishers)

    def wait_for_none(self) -> None:
        """Wait until the recorder before is forgotten."""
        while self.client.service_is_ready() or self.unheard() < len(self.publishers):
            time.sleep(0.05)

    def wait_until_ready(self, pid: int) -> tuple[float, float]:
        """Wait until the service has answered and every stream is heard.

        Returns:
            When that was, on the monotonic clock, and the CPU time of the process until then, s.

        Raises:
            TimeoutError: it was not ready within a minute.
        """
        answer = None
        end = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < end:
            if answer is None and self.client.service_is_ready():
                answer = self.client.call_async(StopEpisode.Request())  # of none: changes nothing
            if answer is not None and not answer.done():
                rclpy.spin_once(self.node, timeout_sec=0)
            if answer is not None and answer.done() and not self.unheard():
                return time.monotonic(), cpu_s(pid)
            time.sleep(_POLL_S)
        raise TimeoutError(f"{self.unheard()} streams are not heard, or no service answers")

    def close(self) -> None:
        """Destroy them."""
        self.node.destroy_node()


def measure_start(publisher: Publisher) -> dict[str, float]:
    """Start the composed recorder once; return wall and CPU time until it is ready, and what follows.

    Returns:
        ``wall`` and ``cpu`` until it is ready, of the process; ``children`` of those it had started by then;
        ``later``: of all of them from then until everything is loaded, all in s.
    """
    publisher.wait_for_none()
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        began = time.monotonic()
        with recording("humanoid", Path(folder), "record") as recorder:
            ready, cpu = publisher.wait_until_ready(recorder.pid)
            started = sum(map(cpu_s, children(recorder.pid)))
            time.sleep(_AFTER_S)
            after = cpu_s(recorder.pid) + sum(map(cpu_s, children(recorder.pid)))
    return {
        "wall": ready - began,
        "cpu": cpu,
        "children": started,
        "later": after - cpu - started,
    }


def measure_bare(publisher: Publisher) -> dict[str, float]:
    """Start a node that does nothing once; return wall and CPU time until its service is found, s."""
    names = publisher.node.get_service_names_and_types
    while any(name == "/bare" for name, _ in names()):
        time.sleep(0.05)
    began = time.monotonic()
    with child(sys.executable, "-c", _BARE) as running:
        while not any(name == "/bare" for name, _ in names()):
            time.sleep(_POLL_S)
            if time.monotonic() > began + _TIMEOUT_S:
                raise TimeoutError("a node that does nothing is not found")
        found = {"wall": time.monotonic() - began, "cpu": cpu_s(running.pid)}
        time.sleep(1.0)  # ended while it starts, it would be remembered for 20 s
        running.send_signal(signal.SIGTERM)
    return found


def measure_startup(runs: int = 7) -> tuple[dict[str, float], dict[str, Any]]:
    """Measure the start of the composed recorder; needs rclpy to be initialised.

    Args:
        runs: how often; bare nodes are started in turns with it.

    Returns:
        The figures, medians in s, and the runs behind them.
    """
    publisher = Publisher(humanoid_load())
    starts, bare = [], []
    for _ in range(runs):
        bare.append(measure_bare(publisher))
        starts.append(measure_start(publisher))
    publisher.close()
    figures = {
        "startup_s": _median(starts, "wall"),
        "startup_cpu_s": _median(starts, "cpu"),
        "startup_children_cpu_s": _median(starts, "children"),
        "startup_later_cpu_s": _median(starts, "later"),
        "bare_node_s": _median(bare, "wall"),
        "bare_node_cpu_s": _median(bare, "cpu"),
    }
    figures["startup_cpu_over_bare_node"] = statistics.median(
        start["cpu"] / one["cpu"] for start, one in zip(starts, bare, strict=True)
    )
    return figures, {"starts": starts, "bare": bare}


def _median(runs: list[dict[str, float]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def measure_commands(runs: int = 15, episodes: int = 500) -> dict[str, float]:
    """Measure ``robot-recorder --help`` and ``episodes`` of a catalogue that is up to date and in the cache.

    Args:
        runs: how often.
        episodes: below the root.

    Returns:
        Medians, s: of both, and of a Python that does nothing: with what the wheels of ROS 2 do before (they
        find their libraries, and start Python again), and without.
    """
    command = ["robot-recorder"]  # the one on the path
    nothing = [sys.executable, "-c", "pass"]
    wheels = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    direct = {**os.environ, "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        root = _root(Path(folder), episodes)
        asked: dict[str, Callable[[], Any]] = {
            "help_s": lambda: _run([*command, "--help"], wheels),
            "episodes_s": lambda: _run([*command, "episodes", str(root)], wheels),
            "python_s": lambda: _run(nothing, wheels),
            "python_direct_s": lambda: _run(nothing, direct),
        }
        took: dict[str, list[float]] = {name: [] for name in asked}
        asked["episodes_s"]()  # makes the catalogue
        for _ in range(runs):  # in turns, so that a noisy minute affects all of them
            for name, run in asked.items():
                began = time.perf_counter()
                run()
                took[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in took.items()}


def _root(folder: Path, episodes: int) -> Path:
    """Make a root of episodes, as far as the catalogue reads them."""
    generate(folder, episodes)
    with Catalogue(folder) as full:
        entries = list(full.entries(range(1, episodes + 1)))
    root = folder / "episodes"
    root.mkdir()
    for entry in entries:
        humanoid_metadata(root / entry.name, entry)
    return root


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def main() -> None:
    """Run all measurements, print them, write results/startup.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="starts of the recorder")
    parser.add_argument("--episodes", type=int, default=500, help="below the root")
    parser.add_argument("--out", type=Path, default=RESULTS / "startup.json")
    options = parser.parse_args()
    load_before = [round(load, 2) for load in os.getloadavg()]  # caused by others
    rclpy.init()
    figures, runs = measure_startup(options.runs)
    rclpy.shutdown()
    figures |= measure_commands(options.runs, options.episodes)
    for name, value in figures.items():
        print(f"{name:28} {value:.3f}")
    command = f"make bench-startup (runs {options.runs}, episodes {options.episodes})"
    write_results(options.out, command, figures, load_before=load_before, **runs)


if __name__ == "__main__":
    main()
