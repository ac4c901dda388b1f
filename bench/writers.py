"""Compares bag writers: CPU per message, and what a killed process loses: ``make bench-writers``.

Compared are this package's adapters that can be imported here, and the writer of the ``mcap``
library.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import RESULTS, SCRATCH, write_results
from mcap.writer import CompressionType, Writer
from rich.console import Console
from rich.table import Table

from robot_recorder.bags.mcap_scan import scan
from robot_recorder.bags.splitting import FileLimits
from robot_recorder.bags.writer import writer_factory
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample

MESSAGE = bytes(2800)  # a 43-joint JointState
CHANNELS = [
    Channel(BagTopic(f"/joints_{i}", "sensor_msgs/msg/JointState", (OfferedQos(),)))
    for i in range(20)
]


class McapLibrary:
    """The ``mcap`` library behind the same port, flushed and synced as often."""

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        directory.mkdir()
        self._file = open(directory / "0.mcap", "wb", buffering=1 << 20)
        self._writer = Writer(self._file, chunk_size=1 << 20, compression=CompressionType.NONE)
        self._writer.start("ros2", "bench")
        self._ids: dict[Channel, int] = {}

    def add_topic(self, channel: Channel) -> None:
        schema = self._writer.register_schema(channel.bag_topic.type, "ros2msg", b"")
        self._ids[channel] = self._writer.register_channel(channel.topic, "cdr", schema)

    def write(self, samples: list[Sample]) -> None:
        for channel, data, receive_ns, send_ns, _ in samples:
            self._writer.add_message(self._ids[channel], receive_ns, data, send_ns)

    def sync(self) -> None:
        self._writer.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._writer.finish()
        self.sync()


def writers() -> dict[str, Any]:
    """Return everything that can be measured here."""
    found: dict[str, Any] = {
        "mcap library": McapLibrary,
        "mcap 20 MB files": writer_factory("mcap", FileLimits(max_bytes=20_000_000)),
    }
    for name in ("mcap", "rosbag2_py"):
        try:
            found[name] = writer_factory(name)
        except ConfigError as error:
            print(f"not measured: {error}")
    return found


def batch(now_ns: int, count: int) -> list[Sample]:
    """Return messages 0.1 ms apart, alternating between all channels."""
    return [
        Sample(CHANNELS[i % 20], MESSAGE, now_ns + i * 100_000, now_ns + i * 100_000)
        for i in range(count)
    ]


def cpu_us(make: Any, messages: int) -> dict[str, float]:
    """Return CPU (user and system) per message at full speed with a sync every 5,000, us."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        writer = make()
        writer.open(Path(folder) / "bag", {})
        for channel in CHANNELS:
            writer.add_topic(channel)
        batches = [batch(10**18 + i * 10**8, 500) for i in range(messages // 500)]
        before = resource.getrusage(resource.RUSAGE_SELF)
        for number, samples in enumerate(batches):
            writer.write(samples)
            if number % 10 == 9:
                writer.sync()
        writer.close()
        after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {"user_us": user / messages * 1e6, "system_us": system / messages * 1e6}


def lost_by_kill_s(make: Any, rate_hz: float) -> float:
    """Return the age of the last readable message when the writing process is killed after 3 s."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        directory = Path(folder) / "bag"
        child = os.fork()
        if child == 0:
            writer = make()
            writer.open(directory, {})
            for channel in CHANNELS:
                writer.add_topic(channel)
            synced = time.monotonic()
            while True:
                time.sleep(0.05)
                count = max(1, round(rate_hz * 0.05))
                writer.write([s._replace(receive_ns=time.time_ns()) for s in batch(0, count)])
                if time.monotonic() - synced > 0.5:
                    writer.sync()
                    synced = time.monotonic()
        time.sleep(3.3)
        os.kill(child, signal.SIGKILL)
        killed_ns = time.time_ns()
        os.waitpid(child, 0)
        (path,) = directory.glob("*.mcap")
        chunks = scan(path).chunks
    return (killed_ns - max(c.end_ns for c in chunks)) / 1e9 if chunks else 3.3


def main() -> None:
    """Measure, print a table, write results/writers.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "writers.json")
    options = parser.parse_args()
    table = Table(title="writing 2.8 kB messages; median of runs")
    for heading in ("writer", "user us", "system us", "lost by SIGKILL at 1.4 MB/s", "at 56 kB/s"):
        table.add_column(heading, justify="right")
    figures: dict[str, float] = {}
    found = writers()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in found}
    for _ in range(options.repeats):
        for name, make in found.items():
            runs[name].append(cpu_us(make, options.messages))
    for name, make in found.items():
        user, system = (
            statistics.median(r[k] for r in runs[name]) for k in ("user_us", "system_us")
        )
        fast, slow = lost_by_kill_s(make, 500), lost_by_kill_s(make, 20)
        key = name.replace(" ", "_")
        figures |= {
            f"{key}_cpu_us": round(user + system, 2),
            f"{key}_lost_s_fast": round(fast, 2),
            f"{key}_lost_s_slow": round(slow, 2),
        }
        table.add_row(name, f"{user:.2f}", f"{system:.2f}", f"{fast:.2f} s", f"{slow:.2f} s")
    Console(width=110).print(table)
    command = f"make bench-writers (messages {options.messages}, repeats {options.repeats})"
    write_results(options.out, command, figures, runs=runs)


if __name__ == "__main__":
    main()
