"""The terminal of playback: reads keys and shows a line of progress."""

from __future__ import annotations

import atexit
import os
import select
import shutil
import sys
import termios
import threading
import tty
from collections.abc import Callable, Mapping
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
# The same keys of a terminal in application mode.
KEYS.update({key.replace(b"[", b"O"): name for key, name in KEYS.items() if len(key) > 1})


def pressed(data: bytes, keys: Mapping[bytes, str] = KEYS) -> tuple[list[str], bytes]:
    """Return the names of the pressed keys, and the bytes of a key that is not complete yet.

    Args:
        data: that was read.
        keys: names by the bytes that a terminal sends.
    """
    found = []
    while data:
        key = next((k for k in keys if data.startswith(k)), None)
        if key is not None:
            found.append(keys[key])
        elif any(k.startswith(data) for k in keys):
            return found, data
        data = data[len(key) if key else 1 :]
    return found, b""


class Keyboard:
    """Reads single keys from standard input, and restores the terminal afterwards.

    It cannot do so after ``kill -9``; the shell does then.
    """

    def __init__(self, on_key: Callable[[str], None], keys: Mapping[bytes, str] = KEYS) -> None:
        """Start to read keys.

        Args:
            on_key: called with a name of ``keys``, in the keyboard's thread.
            keys: names by the bytes that a terminal sends.
        """
        self._on_key, self._keys = on_key, keys
        self._input = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._input)
        self._wake, self._end = os.pipe()
        atexit.register(self.close)
        self.take()
        self._thread = threading.Thread(target=self._read, name="keyboard", daemon=True)
        self._thread.start()

    @staticmethod
    def usable() -> bool:
        """Return whether the process is in the foreground of a terminal and may use it."""
        try:
            return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        except (AttributeError, OSError, ValueError):  # no terminal, or closed
            return False

    def take(self) -> None:
        """Switch the terminal to single keys; call it again after a Ctrl-Z."""
        tty.setcbreak(self._input, termios.TCSADRAIN)

    def close(self) -> None:
        """Restore the terminal."""
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
            keys, rest = pressed(rest + data, self._keys)
            for key in keys:
                self._on_key(key)


class Progress:
    """A line of progress that overwrites itself; shown only on a terminal."""

    def __init__(self) -> None:
        """Detect whether standard output is a terminal."""
        self._shown = sys.stdout.isatty()

    def show(self, text: str) -> None:
        """Overwrite the line."""
        if self._shown:
            width = shutil.get_terminal_size().columns - 1  # a full line would wrap
            print(f"\r\x1b[K{visible(text)[:width]}", end="", flush=True)

    def clear(self) -> None:
        """Clear the line, so that another text can be printed."""
        self.show("")
