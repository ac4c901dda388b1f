"""Processes of the recorder's benches: the load, the baseline readers, the recorder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import yaml
from figures import HERE
from load import JOINTS, load

from robot_recorder.cli.processes import ended, node_command

# An installed package has its modules as bytecode: what is started here must not compile them each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TYPES = {
    "joint_state": "sensor_msgs/msg/JointState",
    "tactile": "robot_recorder/msg/TactileArray",
    "image": "sensor_msgs/msg/CompressedImage",
    "wrench": "geometry_msgs/msg/WrenchStamped",
    "imu": "sensor_msgs/msg/Imu",
    "g1_joints": "sensor_msgs/msg/JointState",
    "g1_lowstate": "unitree_hg/msg/LowState",
}
# Keys of the profile for messages that are no known kind.
MAPPED: dict[str, dict[str, object]] = {
    "g1_lowstate": {
        "as": "joint_state",
        "map": {
            "names": JOINTS[:29],
            "position": "motor_state[0:29].q",
            "velocity": "motor_state[0:29].dq",
            "effort": "motor_state[0:29].tau_est",
        },
        "stamp": {"field": "tick", "unit": "ms"},
    }
}


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process, all threads, user and system, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Return the memory of a process, MB (RSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def memory_mb(pid: int) -> tuple[float, float]:
    """Return RSS and PSS of a process, MB; PSS divides shared memory among its users."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, *_ = line.split()
        sizes[name] = int(size) / 1024
    return sizes["Rss:"], sizes["Pss:"]


def children(pid: int) -> list[int]:
    """Return the processes that a process started, from any of its threads."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for text in lists for child in text.read_text().split()]


Running = AbstractContextManager[subprocess.Popen[str]]


@contextmanager
def child(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process with pipes, and end it in any case."""
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with ended(running, 30):
        yield running


class Background:
    """Something that a thread does until it is stopped; ``_run`` does it and looks at ``_ending``."""

    def __init__(self, name: str) -> None:
        """Prepare the thread."""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        raise NotImplementedError


class Load:
    """The publishing process of load.py."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self.running = running
        self.pid = running.pid

    def wait_for_readers(self) -> None:
        """Wait until every topic has a subscriber."""
        line = self._line()
        assert line == "ready", f"the load said {line!r}"

    def send(self, seconds: float) -> dict[str, int]:
        """Publish for some seconds; return the messages sent per topic since the process began."""
        self.begin(seconds)
        return self.end()

    def begin(self, seconds: float) -> None:
        """Start to publish for some seconds, without waiting."""
        assert self.running.stdin is not None
        self.running.stdin.write(f"{seconds}\n")
        self.running.stdin.flush()

    def end(self) -> dict[str, int]:
        """Wait until the messages of ``begin`` are sent; return them per topic."""
        return dict(json.loads(self._line()))

    def _line(self) -> str:
        assert self.running.stdout is not None
        return self.running.stdout.readline().strip()


@contextmanager
def publishing(name: str) -> Iterator[Load]:
    """Run the process that publishes a load."""
    with child(sys.executable, str(HERE / "load.py"), name) as running:
        yield Load(running)


def reading(kind: str, name: str, folder: Path) -> Running:
    """Run a baseline reader of readers.py."""
    return child(sys.executable, str(HERE / "readers.py"), kind, name, str(folder))


def recording(name: str, folder: Path, program: str = "recorder", **parameters: object) -> Running:
    """Run the recorder's process with a profile made for a load."""
    streams = {
        stream.topic.replace("/", "_"): {
            "topic": stream.topic,
            "type": TYPES[stream.make.__name__],
            "role": "observation",
            "rate_hz": stream.rate_hz,
            **MAPPED.get(stream.make.__name__, {}),
        }
        for stream in load(name)
    }
    profile = folder / "profile.yaml"
    profile.write_text(yaml.safe_dump({"robot": "bench", "streams": streams}))
    given = {"profile": profile, "root": folder / "episodes", "min_free_mb": 100, **parameters}
    return child(*node_command(program, given))
