"""Measures what four raw colour and four raw depth cameras cost the recorder, and what it loses.

    python bench/raw_cameras.py --all
    python bench/raw_cameras.py --seconds 15 --folder /dev/shm
    sudo chrt -r 1 python bench/raw_cameras.py --all   # on a busy machine

640x480 rgb8 and 16UC1 at 30 Hz: 184 MB/s of pixels. Two processes publish, as two camera drivers
would; the recorder is a third one. ``bench/recorder.py`` calls ``measure_raw_cameras``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from figures import HERE, RESULTS, SCRATCH, write_results
from processes import Load, Running, child, cpu_s, rss_mb
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from robot_recorder.cli.processes import node_command
from robot_recorder.configuration.dds import dds_environment, large_data_profile

WIDTH, HEIGHT, RATE_HZ, CAMERAS = 640, 480, 30.0, 4
KINDS = {"colour": ("rgb8", 3), "depth": ("16UC1", 2)}  # encoding, bytes of a pixel
TYPE = "sensor_msgs/msg/Image"
VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_PICTURES = 4  # different ones of each camera, so that none counts as frozen
_DEPTH = 10  # messages that a driver keeps for readers that ask again; usual for camera drivers


def topics(kind: str) -> list[str]:
    """Return the topics of a driver, as it names them."""
    return [f"camera_{i}/{kind}/image_raw" for i in range(CAMERAS)]


def pictures(kind: str, camera: int) -> list[bytearray]:
    """Return noisy pictures as CDR; bytes 4 to 11 are their stamp."""
    encoding, size = KINDS[kind]
    rng = np.random.default_rng(camera)
    made = []
    for _ in range(_PICTURES):
        pixels = array("B", rng.integers(0, 255, WIDTH * HEIGHT * size, np.uint8).tobytes())
        message = Image(
            height=HEIGHT, width=WIDTH, encoding=encoding, step=WIDTH * size, data=pixels
        )
        message.header.frame_id = f"camera_{camera}"
        made.append(bytearray(serialize_message(message)))
    return made


def publish(kind: str, reliable: bool) -> None:
    """Run a driver: protocol on the pipes as in ``load.py``; all cameras fire at once."""
    rclpy.init()
    node = rclpy.create_node(f"{kind}_cameras", enable_rosout=False, start_parameter_services=False)
    qos = QoSProfile(depth=_DEPTH)
    if not reliable:
        qos.reliability = ReliabilityPolicy.BEST_EFFORT
    publishers = [node.create_publisher(Image, topic, qos) for topic in topics(kind)]
    data = [pictures(kind, camera) for camera in range(CAMERAS)]
    sent = 0  # of each camera
    while not all(p.get_subscription_count() for p in publishers):
        time.sleep(0.05)
    time.sleep(0.5)  # discovery of the other direction
    print("ready", flush=True)
    for line in sys.stdin:
        begin, first = time.monotonic(), sent
        while (elapsed := time.monotonic() - begin) < float(line):
            if sent >= first + int(elapsed * RATE_HZ):
                time.sleep(0.001)
                continue
            for publisher, camera in zip(publishers, data):
                picture = camera[sent % _PICTURES]
                sec, nanosec = divmod(time.time_ns(), 10**9)
                picture[4:12] = sec.to_bytes(4, "little") + nanosec.to_bytes(4, "little")
                publisher.publish(bytes(picture))
            sent += 1
        print(json.dumps({node.resolve_topic_name(t): sent for t in topics(kind)}), flush=True)


@contextmanager
def dds_profile(file: Path | None) -> Iterator[None]:
    """Start processes with a DDS profile; None: without."""
    before = {name: os.environ.pop(name, None) for name in VARIABLES}
    if file is not None:
        os.environ.update(dds_environment(str(file), os.environ, file.parent)[0])
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def recording(folder: Path, program: str, **parameters: object) -> Running:
    """Run the recorder with a profile of the cameras."""
    streams = {
        topic.replace("/", "_"): {
            "topic": topic, "type": TYPE, "role": "observation", "rate_hz": RATE_HZ,
        }
        for kind in KINDS
        for topic in topics(kind)
    }  # fmt: skip
    profile = folder / "profile.yaml"
    profile.write_text(yaml.safe_dump({"robot": "bench", "streams": streams}))
    given = {"profile": profile, "root": folder / "episodes", "min_free_mb": 100, **parameters}
    return child(*node_command(program, given))


class Peak(threading.Thread):
    """Notes the largest memory of a process until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.rss_mb = 0.0
        self._pid, self._done = pid, threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.2):
            self.rss_mb = max(self.rss_mb, rss_mb(self._pid))

    def stop(self) -> float:
        self._done.set()
        self.join()
        return self.rss_mb


def measure_raw_cameras(
    seconds: float = 15,
    folder: Path = SCRATCH,
    program: str = "record",
    profile: bool = True,
    reliable: bool = True,
    **parameters: object,
) -> dict[str, Any]:
    """Record all cameras for some seconds.

    Args:
        seconds: length of the load.
        folder: where the episode is written: a disk, or memory such as /dev/shm.
        program: ``record`` (all nodes composed) or ``recorder``.
        profile: whether drivers and recorder run with the DDS profile for large data.
        reliable: what the drivers offer; else best effort.
        parameters: of the recorder.

    Returns:
        ``raw_cameras_mb_per_s`` (written), ``raw_cameras_lost`` (sent and not written), ``lost_by``
        (as the episode reports it, by place; None: it says unknown; with losses of just before the start
        that were noticed in it), ``cpu`` and ``sender_cpu`` (cores), ``rss_max_mb``, and
        ``shared_memory``: whether the start warned of it.
    """
    from recorder import Operator

    from robot_recorder.episodes.episode import Episode

    file = large_data_profile() if profile else None
    with (
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        dds_profile(file),
        ExitStack() as stack,
    ):
        recorder = stack.enter_context(recording(Path(scratch), program, **parameters))
        offer = "reliable" if reliable else "best_effort"
        drivers = [
            Load(stack.enter_context(child(sys.executable, str(HERE / "raw_cameras.py"), "--send", kind, offer)))
            for kind in KINDS
        ]  # fmt: skip
        operator = Operator()
        operator.wait()
        for driver in drivers:
            driver.wait_for_readers()
        for driver in drivers:  # what the first pictures cost is not part of the episode
            driver.begin(1.0)
        warm: dict[str, int] = {}
        for driver in drivers:
            warm |= driver.end()
        time.sleep(0.5)
        answer = operator.start(force=True, pre_roll_s=0.0).message
        peak = Peak(recorder.pid)
        peak.start()
        pids = [d.pid for d in drivers]
        before, sending = cpu_s(recorder.pid), sum(map(cpu_s, pids))
        began = time.monotonic()
        for driver in drivers:
            driver.begin(seconds)
        sent: dict[str, int] = {}
        for driver in drivers:
            sent |= driver.end()
        time.sleep(0.5)
        took = time.monotonic() - began
        used, sending = cpu_s(recorder.pid) - before, sum(map(cpu_s, pids)) - sending
        stopped = operator.stop()
        peak_mb = peak.stop()
        operator.close()
        recorder.send_signal(signal.SIGTERM)
        episode = Episode.open(Path(stopped.path))
        expected = {t: n - warm[t] for t, n in sent.items()}
        written = {t: episode.counts.get(t, 0) for t in expected}
        by: dict[str, int | None] = {}
        for topic in expected:
            for place, count in episode.streams[topic]["lost"].items():
                known = by.get(place, 0)
                by[place] = None if count is None or known is None else known + count
        lost = sum(expected.values()) - sum(written.values())
        size = sum(p.stat().st_size for p in Path(stopped.path).glob("*.mcap"))
    return {
        "raw_cameras_mb_per_s": size / seconds / 1e6,
        "raw_cameras_lost": lost,
        "sent": sum(expected.values()),
        "sent_hz": sum(expected.values()) / seconds / len(expected),
        "lost_by": by,
        "cpu": used / took,
        "sender_cpu": sending / took,
        "rss_max_mb": peak_mb,
        "shared_memory": "shared memory segment too small" in answer,
    }


def measure_all(seconds: float, folder: Path) -> dict[str, dict[str, Any]]:
    """Measure with and without the profile, with drivers that offer best effort or reliability."""
    return {
        f"{'profile' if profile else 'default'}_{'reliable' if reliable else 'best_effort'}": (
            measure_raw_cameras(seconds, folder, profile=profile, reliable=reliable)
        )
        for profile in (False, True)
        for reliable in (False, True)
    }


def main() -> None:
    """Measure once and print the figures, or all of them and write them, or run as a driver."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--send", nargs=2, metavar=("KIND", "OFFER"), help="run as a driver")
    parser.add_argument("--all", action="store_true", help="write results/raw_cameras.json")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--folder", type=Path, default=SCRATCH, help="disk or memory to write to")
    parser.add_argument("--program", default="record", choices=["record", "recorder"])
    parser.add_argument("--no-profile", action="store_true", help="default transports of DDS")
    parser.add_argument("--best-effort", action="store_true", help="drivers offer best effort")
    options = parser.parse_args()
    if options.send:
        with suppress(KeyboardInterrupt):  # how the bench ends it
            publish(options.send[0], options.send[1] == "reliable")
        return
    rclpy.init()
    if options.all:
        runs = measure_all(options.seconds, options.folder)
        named = {"raw_cameras_mb_per_s", "raw_cameras_lost", "cpu", "rss_max_mb"}
        figures = {k: v for k, v in runs["profile_reliable"].items() if k in named}
        first = "chrt -r 1 " if os.sched_getscheduler(0) == os.SCHED_RR else ""
        command = f"{first}python bench/raw_cameras.py --all --seconds {options.seconds:g}"
        write_results(RESULTS / "raw_cameras.json", command, figures, runs=runs)
    else:
        runs = {
            "measured": measure_raw_cameras(
                options.seconds, options.folder, options.program, not options.no_profile,
                not options.best_effort,
            )
        }  # fmt: skip
    for name, run in runs.items():
        for key, value in run.items():
            shown = f"{value:.2f}" if isinstance(value, float) else value
            print(f"{name:20} {key:22} {shown}")
    rclpy.shutdown()


if __name__ == "__main__":
    main()
