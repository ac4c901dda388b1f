"""Measures how exactly playback keeps recorded times, in the player and in a subscriber.

python bench/play_timing.py EPISODE

The subscriber is a process of its own. It takes the middleware's receive stamps, and compares each
message's distance from the first one with that of the recorded receipts. Delays by the recording
and by this machine's middleware cannot be separated from those of the player.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from robot_recorder.bags.columns import read_columns
from robot_recorder.cli.processes import ended, node_command
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.installed_types import message_class
from robot_recorder.playback.selection import choose

_TYPES = ("sensor_msgs/msg/JointState", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
_SILENT_S = 0.005  # pause between two reads; the middleware stamps messages on arrival
_SUMMARY = re.compile(r"timing error p50 ([\d.]+) ms, p95 ([\d.]+) ms, max ([\d.]+) ms")


def measure(episode: Path) -> dict[str, float]:
    """Play an episode once at its recorded rate; return ms, shares of 1, and counts."""
    types = {t.name: t.type for t in choose(Episode.open(episode)).topics if t.type in _TYPES}
    command = [sys.executable, __file__, "--listen", json.dumps(types)]
    with (
        tempfile.TemporaryFile("w+") as heard,
        ended(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=heard, text=True)
        ) as listener,
    ):
        player = node_command("player", {"episode": episode.resolve(), "wait_s": 5.0})
        played = subprocess.run(player, capture_output=True, text=True, check=True)
        listener.communicate("end\n", timeout=30)
        heard.seek(0)
        arrivals = {topic: np.array(at, dtype=np.int64) for topic, at in json.load(heard).items()}
    summary = _SUMMARY.search(played.stdout)
    assert summary, f"the player said {played.stdout!r}"
    p50, p95, most = map(float, summary.groups())
    return {
        "play_error_ms_p50": p50,
        "play_error_ms_p95": p95,
        "play_error_ms_max": most,
        **compare(recorded(episode, set(types)), arrivals),
    }


def recorded(episode: Path, topics: set[str]) -> dict[str, np.ndarray]:
    """Return the recorded receipts of each topic in order, int64[n], ns."""
    found: dict[str, list[np.ndarray]] = {topic: [] for topic in topics}
    for segment in read_columns(episode, topics):
        for topic, column in segment.columns.items():
            found[topic].append(column.receives)
    return {topic: np.sort(np.concatenate(parts)) for topic, parts in found.items() if parts}


def compare(sent: dict[str, np.ndarray], arrivals: dict[str, np.ndarray]) -> dict[str, float]:
    """Return how far arrivals are from the recorded receipts."""
    missing = sum(len(at) - len(arrivals.get(topic, ())) for topic, at in sent.items())
    whole = {t: at for t, at in sent.items() if len(arrivals.get(t, ())) == len(at)}
    assert whole, f"no topic arrived whole; {missing} messages are missing"
    late = np.concatenate([arrivals[topic] - at for topic, at in whole.items()])
    # The due time of the first message is unknown, so align both series by the median.
    error_ms = np.abs(late - np.median(late)) / 1e6
    return {
        "play_error_at_subscriber_ms_p50": float(np.percentile(error_ms, 50)),
        "play_error_at_subscriber_ms_p95": float(np.percentile(error_ms, 95)),
        "play_error_at_subscriber_ms_max": float(error_ms.max()),
        "play_compared": float(sum(map(len, whole.values()))),
        "play_missing": float(missing),
    }


def listen(types: dict[str, str]) -> dict[str, list[int]]:
    """Return the arrivals of each topic, ns, until a line arrives on standard input."""
    import select

    import rclpy
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    rclpy.init(args=[])
    node = rclpy.create_node("play_timing", enable_rosout=False)
    qos = QoSProfile(
        depth=5000,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )
    readers = {
        topic: (
            node.create_subscription(message_class(t), topic, print, qos, raw=True),
            message_class(t),
        )
        for topic, t in types.items()
    }
    arrivals: dict[str, list[int]] = {topic: [] for topic in types}
    while True:
        for topic, (reader, kind) in readers.items():
            with reader.handle:
                while (taken := reader.handle.take_message(kind, True)) is not None:
                    arrivals[topic].append(taken[1]["received_timestamp"])
        if select.select([sys.stdin], [], [], 0)[0]:
            break
        time.sleep(_SILENT_S)
    node.destroy_node()
    rclpy.try_shutdown()
    return arrivals


if __name__ == "__main__":
    if sys.argv[1] == "--listen":
        print(json.dumps(listen(json.loads(sys.argv[2]))))
    else:
        for name, value in measure(Path(sys.argv[1])).items():
            print(f"{name}: {value:.3f}")
