"""The program that listens to all topics of a robot for the command line."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import pytest

pytest.importorskip("rclpy")

from support.robot import Bench

from robot_recorder.cli.processes import ended, node_command
from robot_recorder.model.heard import FoundTopic, HeardMessage, Listening, unpacked


@contextmanager
def listening(only: str = "''") -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    command = node_command("listen", {"only": only})
    with ended(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)) as running:
        yield running


def test_every_topic_of_a_namespace_is_heard_byte_for_byte() -> None:
    with Bench("heard") as bench, listening("heard") as running:
        heard: list[FoundTopic | HeardMessage | Listening] = []
        began = time.monotonic()
        stream = unpacked(cast(BinaryIO, running.stdout))
        while not any(isinstance(h, Listening) for h in heard):
            assert time.monotonic() < began + 20
            heard.append(next(stream))
        topics = {h.number: h for h in heard if isinstance(h, FoundTopic)}
        assert {t.name for t in topics.values()} >= {f"/heard{name}" for name in bench.publishers}
        assert all(t.name.startswith("/heard/") for t in topics.values())
        joints = next(t for t in topics.values() if t.name == "/heard/joint_states")
        assert (
            joints.type == "sensor_msgs/msg/JointState"
            and "float64[] position" in joints.definition
        )
        bench.publish_for(2.0)
        found: dict[str, list[HeardMessage]] = {}
        while sum(map(len, found.values())) < 60:
            one = next(stream)
            if isinstance(one, HeardMessage):
                found.setdefault(topics[one.topic].name, []).append(one)
        sent = set(bench.sent["/joint_states"])
        assert all(m.data in sent for m in found["/heard/joint_states"])
        assert all(0 < m.receive_ns - m.send_ns < 10**9 for m in found["/heard/joint_states"])
        pictures = found["/heard/camera/image/compressed"]
        assert all(len(m.data) == 512 for m in pictures), "of pictures only the header"


def test_it_ends_when_nobody_listens_to_it_any_more() -> None:
    with listening() as running:
        assert running.stdin is not None
        running.stdin.close()
        running.stdin = None
        assert running.wait(20) == 0
