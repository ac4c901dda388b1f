"""The terminal of playback: keys in, a line of progress out."""

from __future__ import annotations

import atexit
import os
import select
import shutil
import sys
import termios
import threading
import tty
from collections.abc import Callable
from contextlib import suppress

from robot_recorder.model.text import visible

HELP = "space: pause  →: next message  ←: 5 s back  ↑ ↓: faster, slower  q: end"
KEYS = {
    b" ": "pause",
    b"q": "end",
    b"\x1b[C": "next",
    b"\x1b[D": "back",
    b"\x1b[A": "faster",
    b"\x1b[B": "slower",
}
# Of a terminal in application mode.
KEYS.update({key.replace(b"[", b"O"): name for key, name in KEYS.items() if len(key) > 1})
_LONGEST = max(map(len, KEYS))


def pressed(data: bytes) -> tuple[list[str], bytes]:
    """The names of the keys in what a terminal sent, and what may be the beginning of a further one."""
    found = []
    while data:
        key = next((k for k in KEYS if data.startswith(k)), None)
        if key is not None:
            found.append(KEYS[key])
        elif any(k.startswith(data) for k in KEYS):
            return found, data
        data = data[len(key) if key else 1 :]
    return found, b""


class Keyboard:
    """Reads single keys from standard input, and gives the terminal back as it was.

    Of ``kill -9`` it hears nothing: the shell sets the terminal right then.
    """

    def __init__(self, on_key: Callable[[str], None]) -> None:
        """
        Args:
            on_key: called with a name of ``KEYS``, in a thread of its own.
        """
        self._on_key = on_key
        self._input = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._input)
        self._wake, self._end = os.pipe()
        atexit.register(self.close)
        self.take()
        self._thread = threading.Thread(target=self._read, name="keyboard", daemon=True)
        self._thread.start()

    @staticmethod
    def usable() -> bool:
        """Whether somebody may press keys: a process in the background must not touch the terminal."""
        try:
            return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        except (AttributeError, OSError, ValueError):  # no terminal, or closed
            return False

    def take(self) -> None:
        """Have keys come one by one; again after a shell took the terminal, as for Ctrl-Z."""
        tty.setcbreak(self._input, termios.TCSADRAIN)

    def close(self) -> None:
        """Give the terminal back."""
        atexit.unregister(self.close)
        with suppress(termios.error):  # it has been closed
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
        os.write(self._end, b"x")
        self._thread.join(1.0)

    def _read(self) -> None:
        rest = b""
        while True:
            ready, _, _ = select.select([self._input, self._wake], [], [])
            try:
                data = os.read(self._input, 64) if self._input in ready else b""
            except OSError:  # the terminal has been closed
                return
            if self._wake in ready or not data:
                return
            keys, rest = pressed(rest + data)
            for key in keys:
                self._on_key(key)


class Progress:
    """One line that is written over and over; nothing where nobody is looking."""

    def __init__(self) -> None:
        self._shown = sys.stdout.isatty()

    def show(self, text: str) -> None:
        """Write over what was shown."""
        if self._shown:
            width = shutil.get_terminal_size().columns - 1  # a full line would wrap
            print(f"\r\x1b[K{visible(text)[:width]}", end="", flush=True)

    def clear(self) -> None:
        """Make place for a line that stays."""
        self.show("")
