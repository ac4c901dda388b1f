"""What the centre shows of a robot that is looked at now. Nothing that may not be lost goes this way.

Without ROS it is read from the disk: what is being recorded, and how far the shift is. The node
``agent`` adds what the recorder says: its exact state, and which streams limp.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import read_regular
from robot_recorder.episodes.store import NOTE_FILE, EpisodeStore
from robot_recorder.model.ids import PARTIAL

_HEARD_S = 3.0  # the recorder publishes its status once a second
_GROWN_S = 5.0  # a recording flushes its file every second; a crash's leftover grows no more
_MOST_SHIFT_BYTES = 16_000_000
_MOST_STREAMS = 50
_MOST_PARSED = 20
_MOST_CHARACTERS = 200
_LISTED_S = 5.0  # a listing of the root counts for so long at most
_SETTLED_NS = 2 * 10**9  # a folder changed more recently may change again without a new time
_SHIFT = ".shift"


@dataclass(frozen=True)
class LimpingStream:
    """A stream that is not as it should be.

    Attributes:
        name: of the stream.
        health: in one word.
        rate_hz: measured; None: unknown.
        expected_hz: from the profile; None: none is declared.
    """

    name: str
    health: str
    rate_hz: float | None
    expected_hz: float | None

    def to_plain(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "name": self.name,
            "health": self.health,
            "rate_hz": self.rate_hz,
            "expected_hz": self.expected_hz,
        }


@dataclass(frozen=True)
class RecorderView:
    """What is known of the recorder.

    Attributes:
        state: idle, recording, finalising or unknown.
        episode: its id; None: none is recorded.
        task, operator: of it; None: unknown.
        streams: those that limp.
        is_losing: whether messages of the episode are being lost.
    """

    state: str = "unknown"
    episode: str | None = None
    task: str | None = None
    operator: str | None = None
    streams: tuple[LimpingStream, ...] = field(default=())
    is_losing: bool = False


class LiveState:
    """Watches the recorder of one root. Any thread may use it."""

    def __init__(self, root: Path, robot: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch a root.

        Args:
            root: directory of the episodes.
            robot: name of the robot.
            clock: monotonic, s.
        """
        self._root = root
        self._robot = robot
        self._clock = clock
        self._store = EpisodeStore(root)
        self._lock = threading.Lock()
        self._heard: RecorderView | None = None
        self._heard_s = 0.0
        self._parsed: dict[Path, tuple[Any, Any]] = {}
        self._listed: tuple[float, int, list[Path]] | None = None

    def hear(self, view: RecorderView) -> None:
        """Take what the recorder says of itself."""
        with self._lock:
            self._heard, self._heard_s = view, self._clock()

    def recorder(self) -> RecorderView:
        """Return what is known of the recorder now."""
        with self._lock:
            if self._heard is not None and self._clock() - self._heard_s < _HEARD_S:
                return self._heard
        for folder in reversed(self._unfinished()):
            if _grows(folder):
                facts = self._once(folder / NOTE_FILE, partial(self._store.read_note, folder)).facts
                return RecorderView(
                    "recording",
                    folder.name.removesuffix(PARTIAL),
                    facts.get("task"),
                    facts.get("operator"),
                )
        return RecorderView("idle" if self._root.is_dir() else "unknown")

    def _unfinished(self) -> list[Path]:
        """Return what is being recorded; thousands of folders are not listed several times a second."""
        try:
            changed_ns = os.stat(self._root).st_mtime_ns
        except OSError:
            return []
        now_s, is_settled = self._clock(), abs(time.time_ns() - changed_ns) > _SETTLED_NS
        with self._lock:
            known = self._listed
        if known is not None and known[1] == changed_ns and now_s - known[0] < _LISTED_S:
            return known[2]
        found = self._store.unfinished()
        with self._lock:
            self._listed = (now_s, changed_ns, found) if is_settled else None
        return found

    def shift(self) -> tuple[int | None, int | None]:
        """Return the takes that count so far and the target of the shift; None: unknown, or none."""
        path = self._root / _SHIFT / f"{self._robot}.json"
        found: tuple[int | None, int | None] = self._once(path, partial(_read_shift, path))
        return found

    def _once(self, path: Path, read: Callable[[], Any]) -> Any:
        """Return what is read from a file, read again only when it was changed: it is asked every second."""
        try:
            found = os.lstat(path)
            stamp = found.st_mtime_ns, found.st_size, found.st_ino
        except OSError:
            stamp = (0, 0, 0)
        with self._lock:
            known = self._parsed.get(path)
        if known is None or known[0] != stamp:
            known = stamp, read()
            with self._lock:
                if len(self._parsed) > _MOST_PARSED:
                    self._parsed.clear()
                self._parsed[path] = known
        return known[1]

    def free_bytes(self) -> int | None:
        """Return the free bytes of the disk; None: unknown."""
        try:
            return shutil.disk_usage(self._root).free
        except OSError:
            return None

    def to_plain(self) -> dict[str, Any]:
        """Return the part of the status that this class knows, as plain values for JSON."""
        view, (taken, target) = self.recorder(), self.shift()
        return {
            "state": view.state,
            "episode": view.episode and view.episode[:_MOST_CHARACTERS],
            "task": view.task and view.task[:_MOST_CHARACTERS],
            "operator": view.operator and view.operator[:_MOST_CHARACTERS],
            "taken": taken,
            "target": target,
            "disk_free_bytes": self.free_bytes(),
            "streams": [stream.to_plain() for stream in view.streams[:_MOST_STREAMS]],
        }


def _read_shift(path: Path) -> tuple[int | None, int | None]:
    try:
        plain = json.loads(read_regular(path, _MOST_SHIFT_BYTES))
        plain = plain.get("shift", plain)  # the operator's node saves its answers beside it
        if plain["state"] == "idle":
            return None, None
        target = int(plain["plan"]["target"])
        return sum(map(_counts, plain["takes"])), target or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, None


def _counts(take: dict[str, Any]) -> bool:
    """Tell whether a take of the shift's file counts towards its target, as the shift itself does."""
    usable = take["finished"] and not take["warm_up"] and not take["discarded"]
    return bool(usable) and take["outcome"] == "success" and take["verdict"] != "reject"


def _grows(folder: Path) -> bool:
    now_s = time.time()
    try:
        with os.scandir(folder) as found:
            return any(
                abs(now_s - e.stat(follow_symlinks=False).st_mtime) < _GROWN_S for e in found
            )
    except OSError:
        return False
