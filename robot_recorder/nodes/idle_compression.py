"""Compress finished episodes in the background while nothing is recorded, by ``robot-recorder compress``.

In a process of its own: it takes no memory while recording, and is ended at once when a recording starts. It
may be killed at any moment, see ``episodes/compression.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.episodes.compression import PASSING
from robot_recorder.episodes.store import EpisodeStore

_QUIET_S = 5.0  # without a recording, before it begins: operators often start the next take at once
_LOOK_S = 1.0
_WATCH_S = 0.05  # while it runs: how soon a recording has the machine for itself
_REST_S = 60.0  # after it was ended or failed, and between looks at the folder
_AT_ONCE = 50  # episodes
_PROGRAM = "import sys; from robot_recorder.cli.main import main; sys.exit(main())"


class IdleCompression:
    """Runs the command in its own thread whenever there is something to compress and time for it."""

    def __init__(
        self,
        store: EpisodeStore,
        is_idle: Callable[[], bool],
        say: Callable[[str], None],
        quiet_s: float = _QUIET_S,
    ) -> None:
        """Start the thread.

        Args:
            store: the episodes.
            is_idle: whether nothing is being recorded or finalised; any thread may call it.
            say: called in the thread with what was done, and what went wrong.
            quiet_s: how long it has to be idle before work begins.
        """
        self._store, self._is_idle, self._say = store, is_idle, say
        self._quiet_s = quiet_s
        self._done: set[str] = set()  # names of episodes that need no second look
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idle_compression", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the command and the thread."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        idle_since, rest_until, busy_before = time.monotonic(), 0.0, False
        while not self._closing.wait(min(_LOOK_S, self._quiet_s)):
            now = time.monotonic()
            if not self._is_idle():
                idle_since, busy_before = now + _LOOK_S, True
                continue
            if busy_before:  # there is a new episode
                rest_until, busy_before = 0.0, False
            if now - idle_since < self._quiet_s or now < rest_until:
                continue
            waiting = [p for p in reversed(self._store.paths()) if p.name not in self._done]
            try:
                goes_on = bool(waiting) and self._compress(waiting[:_AT_ONCE])
            except OSError as error:  # no memory or file descriptors for a process now
                self._say(f"episodes are not compressed: {error}")
                goes_on = False
            if not goes_on:
                rest_until = time.monotonic() + _REST_S

    def _compress(self, paths: Sequence[Path]) -> bool:
        """Compress some episodes; return whether all was done, so that the next ones may follow."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            command = [
                sys.executable,
                "-c",
                _PROGRAM,
                "compress",
                "--idle",
                "--json",
                *map(str, paths),
            ]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
            while process.poll() is None:
                if self._closing.wait(_WATCH_S) or not self._is_idle():
                    process.kill()
                    process.wait()
                    return False
            return self._take(paths, process.returncode, _text(out), _text(errors))

    def _take(self, paths: Sequence[Path], code: int, out: str, errors: str) -> bool:
        try:
            found = json.loads(out)
        except ValueError:
            why = errors.strip().splitlines()[-1:] or [f"exit code {code}"]
            self._say(f"episodes are not compressed: {why[0].removeprefix('error: ')}")
            return False
        later = {Path(one["path"]).name for one in found if _may_pass(one)}
        self._done |= {path.name for path in paths} - later
        changed = [one for one in found if one.get("changed")]
        if changed:
            before = sum(one["before_bytes"] for one in changed)
            after = sum(one["after_bytes"] for one in changed)
            self._say(
                f"compressed {len(changed)} episodes: {before / 1e6:.1f} MB became {after / 1e6:.1f} MB"
            )
        for one in found:
            if "error" in one:
                self._say(f"not compressed: {one['error']}")
        return code in (ExitCode.OK, ExitCode.FINDING) and not later


def _may_pass(one: dict[str, Any]) -> bool:
    """Return whether files of an episode were left for a reason that may not hold later."""
    return any(why in text for text in one.get("left", ()) for why in PASSING)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
