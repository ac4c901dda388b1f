"""A command of ``robot-recorder`` in a real terminal, with a person who types."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robot_recorder.cli.processes import ended

COMMAND = "from robot_recorder.cli.main import main; raise SystemExit(main())"
_WAIT_S = 40


class Typist:
    """Somebody in front of a terminal.

    Attributes:
        shown: everything that was shown.
    """

    def __init__(
        self, *arguments: object, folder: Path = Path("/"), program: str = COMMAND
    ) -> None:
        self.master, self._slave = pty.openpty()
        self.shown, self._seen = "", 0

        def own() -> None:  # or Ctrl-C would not be for it
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores, for tests, too

        ends: dict[str, Any] = {"stdin": self._slave, "stdout": self._slave, "stderr": self._slave}
        self.running = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            start_new_session=True, preexec_fn=own, cwd=folder, **ends,
        )  # fmt: skip

    def _read(self) -> None:
        if select.select([self.master], [], [], 0.1)[0]:
            self.shown += os.read(self.master, 65536).decode(errors="replace")

    def until(self, pattern: str) -> re.Match[str]:
        """Look until something is shown that was not looked at yet."""
        end = time.monotonic() + _WAIT_S
        while not (match := re.search(pattern, self.shown[self._seen :])):
            assert time.monotonic() < end, f"waited for {pattern}; shown: {self.shown[-3000:]!r}"
            assert self.running.poll() is None or self._rest(), (
                f"ended; shown: {self.shown[-3000:]!r}"
            )
            self._read()
        self._seen += match.end()
        return match

    def _rest(self) -> bool:
        """Read what an ended program left; return whether there was anything."""
        before = len(self.shown)
        self._read()
        return len(self.shown) > before

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self.master, f"{text}\n".encode())

    def press(self, key: str) -> None:
        """Press one key, such as Ctrl-C."""
        os.write(self.master, key.encode())

    def answer(self, question: str, text: str = "") -> None:
        """Wait for a question and answer it."""
        self.until(question)
        self.type(text)

    def ended(self) -> int:
        """Wait until the program has ended; return its exit code."""
        end = time.monotonic() + _WAIT_S
        while self.running.poll() is None:
            assert time.monotonic() < end, f"it does not end; shown: {self.shown[-3000:]!r}"
            self._read()
        while self._rest():
            pass
        return self.running.returncode


@contextmanager
def typing(
    *arguments: object, folder: Path = Path("/"), program: str = COMMAND
) -> Iterator[Typist]:
    """Run a command in a terminal, and end it."""
    typist = Typist(*arguments, folder=folder, program=program)
    with ended(typist.running):
        yield typist
