"""The topics of a running robot, listened to by a node in another process."""

from __future__ import annotations

import importlib.util
import subprocess
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, cast

from robot_recorder.cli.processes import node_command
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.heard import FoundTopic, HeardMessage, Listening, unpacked
from robot_recorder.offline.heard_topic import HeardTopic

_KEPT = 6000  # messages of a topic
_KEPT_BYTES = 30_000_000
_FIND_S = 30.0  # timeout
_FIRST_S = 3.0  # timeout for the first message


class LiveTopics:
    """Everything that is published, as it comes. Use it in a ``with`` block.

    Attributes:
        topics: by name; grows while it listens. Hold ``lock`` to read the messages.
    """

    def __init__(self, namespace: str = "") -> None:
        """
        Args:
            namespace: only topics in there; empty: all.

        Raises:
            ConfigError: ROS 2 is not there.
        """
        if importlib.util.find_spec("rclpy") is None:
            raise ConfigError(
                "listening to a robot needs ROS 2: source its setup file first (rclpy is not found); "
                "`robot-recorder profile guess BAG` works without it"
            )
        self.topics: dict[str, HeardTopic] = {}
        self.lock = threading.Lock()
        self._command = node_command("listen", {"only": f"'{namespace}'"})
        self._found = threading.Event()
        self._listening = False

    def __enter__(self) -> LiveTopics:
        # Its own session: Ctrl-C is for the command line, which then closes its input.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self._errors = b""
        threads = (self._read, self._read_errors)
        self._threads = [threading.Thread(target=run, daemon=True) for run in threads]
        for thread in self._threads:
            thread.start()
        try:
            self._wait_until_found()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_until_found(self) -> None:
        self._found.wait(_FIND_S)
        if not self._listening:
            lines = self._errors.decode(errors="replace").strip().splitlines()
            why = f": {lines[-1]}" if lines else ""
            raise ConfigError(f"the robot cannot be listened to{why}")

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(5.0)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def listen(self, seconds: float, told: Callable[[float], None] = lambda share: None) -> float:
        """Wait while messages come, from the first one on; return for how long, s.

        Args:
            seconds: how long.
            told: called with the share of the time that has passed.

        Raises:
            ConfigError: the process that listens has ended.
        """
        began = time.monotonic()
        while time.monotonic() < began + _FIRST_S and not any(t.count for t in self.snapshot()):
            time.sleep(0.05)  # subscriptions and publishers are finding each other
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            if self._process.poll() is not None:
                self._listening = False
                self._wait_until_found()
            told(passed / seconds)
            time.sleep(min(0.1, seconds - passed))
        return time.monotonic() - began

    def snapshot(self) -> list[HeardTopic]:
        """Return the topics with the messages so far, by name."""
        with self.lock:
            return [
                HeardTopic(t.name, t.type, t.definition, list(t.messages), list(t.receives),
                           list(t.sends), t.count, t.problem, t.latched)
                for _, t in sorted(self.topics.items())
            ]  # fmt: skip

    def _read(self) -> None:
        by_number: dict[int, HeardTopic] = {}
        for heard in unpacked(cast(BinaryIO, self._process.stdout)):
            if isinstance(heard, HeardMessage):
                with self.lock:
                    _keep(by_number[heard.topic], heard)
            elif isinstance(heard, FoundTopic):
                topic = HeardTopic(heard.name, heard.type, heard.definition,
                                   problem=heard.problem, latched=heard.latched)  # fmt: skip
                self.topics[topic.name] = by_number[heard.number] = topic
            elif isinstance(heard, Listening):
                self._listening = True
                self._found.set()
        self._found.set()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors = (self._errors + line)[-10_000:]


def _keep(topic: HeardTopic, heard: HeardMessage) -> None:
    """Add a message, and forget the oldest ones of a topic that is listened to for long."""
    topic.count += 1
    topic.messages.append(heard.data)
    topic.receives.append(heard.receive_ns)
    topic.sends.append(heard.send_ns)
    many = len(topic.messages)
    if many > _KEPT or many * len(heard.data) > _KEPT_BYTES:
        for kept in (topic.messages, topic.receives, topic.sends):
            del kept[: many // 4 + 1]
