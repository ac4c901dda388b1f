"""Recorder, operator and consoles as processes, for a robot that a test publishes or that is simulated."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from robot_recorder.cli.processes import ended, node_command
from robot_recorder.episodes.episode import Episode
from support.robot import PROFILE
from support.shifts import ShiftBench

# Published at 24 and 12 Hz: a busy machine may make the robot slower, which is not what is tested.
_PROFILE = PROFILE.replace(
    "CompressedImage, role: observation, rate_hz: 50",
    "CompressedImage, role: observation, rate_hz: 10",
)
_PROFILE = _PROFILE.replace("rate_hz: 50", "rate_hz: 20")
RATE_HZ = 24


class ConsoleFloor:
    """The processes around one robot, each with a log file.

    Attributes:
        root: of the episodes.
        recorder: the recorder's process.
    """

    def __init__(
        self, folder: Path, stack: ExitStack, namespace: str = "", **common: object
    ) -> None:
        """Start nothing yet.

        Args:
            folder: for logs and episodes.
            stack: ends the processes.
            namespace: of the robot.
            common: parameters of all processes.
        """
        self.root = folder / "episodes"
        self._folder, self._stack, self._namespace = folder, stack, namespace
        self._common = {**common, "root": self.root}
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, name: str, **parameters: object) -> subprocess.Popen[bytes]:
        """Start an executable of this package."""
        started, _ = self._run(name, {**self._common, **parameters})
        return started

    def record(self, **parameters: object) -> None:
        """Start the recorder."""
        self.recorder = self.run("record", **parameters)

    def console(self, **parameters: object) -> str:
        """Start a console and return its address."""
        running, log = self._run("console", {**self._common, "port": 0, **parameters})
        end = time.monotonic() + 30
        while not (
            found := re.search(r"^console: (\S+?)/$", log.read_text(errors="replace"), re.M)
        ):
            assert running.poll() is None and time.monotonic() < end, log.read_text(
                errors="replace"
            )
            time.sleep(0.05)
        return found[1]

    def episodes(self) -> list[Episode]:
        """Return all episodes that are not in the trash, oldest first."""
        paths = (path.parent for path in self.root.glob("[!.]*/metadata.yaml"))
        return [Episode.open(path) for path in sorted(paths) if path.suffix != ".partial"]

    def end(self) -> None:
        """Ask all processes to end at the same time; the stack waits for each."""
        for running in self._running:
            if running.poll() is None:
                running.send_signal(signal.SIGINT)

    def _run(
        self, name: str, parameters: dict[str, object]
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = self._folder / f"{len(self._running)}_{name}.log"
        command = node_command(name, parameters, self._namespace)
        with open(log, "wb") as output:
            running = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=os.environ
            )
        self._running.append(running)
        self._stack.enter_context(ended(running))
        return running, log


class QuietableBench(ShiftBench):
    """A robot with a camera that shows something, whose streams can be silenced one by one.

    Attributes:
        silent: topics that are not published.
    """

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.silent: frozenset[str] = frozenset()
        self._tick = 0
        self._pictures = [_picture(number) for number in range(RATE_HZ)]
        publisher, _ = self.publishers["/camera/image/compressed"]
        self.publishers["/camera/image/compressed"] = publisher, self._next_picture

    def _next_picture(self) -> Any:
        return CompressedImage(format="jpeg", data=self._pictures[self._tick % len(self._pictures)])

    def publish(self) -> None:
        """Publish one message on every stream; keep nothing."""
        self._tick += 1
        now_ns = time.time_ns()
        for name, (publisher, make) in self.publishers.items():
            if name in self.silent or ("camera" in name and self._tick % 2):
                continue
            message = make()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10**9)
            publisher.publish(message)


def write_profile(path: Path) -> Path:
    """Write the profile of the robot."""
    path.write_text(_PROFILE)
    return path


def _picture(number: int) -> bytes:
    """Return a JPEG of some kB with a bar that moves."""
    rows, columns = np.mgrid[0:240, 0:320]
    grey = (rows + columns // 2) % 200 + np.random.default_rng(7).integers(0, 24, (240, 320))
    picture = np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    picture[:, 12 * number : 12 * number + 20] = (40, 180, 250)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes())
