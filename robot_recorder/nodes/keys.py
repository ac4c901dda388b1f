"""A terminal as the operator's buttons: `ros2 run robot_recorder keys`.

Shows the shift in one line, and above it what the operator is told. For a robot without a console, over ssh.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

from rclpy.node import Node

from robot_recorder.cli.terminal import say_while_read
from robot_recorder.configuration.buttons import BROWSER_KEYS, ButtonCommand, Gestures
from robot_recorder.configuration.find import load_buttons
from robot_recorder.model.errors import ConfigError
from robot_recorder.msg import Said, ShiftStatus
from robot_recorder.nodes.player_terminal import Keyboard, Progress
from robot_recorder.nodes.runtime import LATCHED, SILENT_S, STEADY, parameter, run
from robot_recorder.srv import ShiftCommand

# A terminal sends a held key as repeated presses, the second after as much as 0.66 s (of X).
_REPEAT_S = 0.75
_LOOK_S = 0.5
_FIND_S = 3.0  # just after the start, the operator node may not have been found yet
_SEQUENCES = {
    "up": ("A",), "down": ("B",), "right": ("C",), "left": ("D",), "home": ("H", "1~"),
    "end": ("F", "4~"), "insert": ("2~",), "delete": ("3~",), "pageup": ("5~",),
    "pagedown": ("6~",), "f5": ("15~",), "f6": ("17~",), "f7": ("18~",), "f8": ("19~",),
    "f9": ("20~",), "f10": ("21~",), "f11": ("23~",), "f12": ("24~",),
}  # fmt: skip
TERMINAL_KEYS: dict[bytes, str] = {
    **{key.encode(): key for key in BROWSER_KEYS if len(key) == 1},
    b" ": "space", b"\n": "enter", b"\r": "enter", b"\t": "tab", b"\x7f": "backspace",
    **{f"\x1b[{end}".encode(): key for key, ends in _SEQUENCES.items() for end in ends},
    **{f"\x1bO{end}".encode(): key for key, ends in _SEQUENCES.items() for end in ends},
    **{f"\x1bO{end}".encode(): f"f{number}" for number, end in enumerate("PQRS", 1)},
}  # fmt: skip
"""Keys as terminals send them. The escape key is not one: all others begin with its byte."""
_QUIT = "q"
_STATES = {
    ShiftStatus.STATE_IDLE: "no shift", ShiftStatus.STATE_READY: "ready",
    ShiftStatus.STATE_COUNTDOWN: "starting", ShiftStatus.STATE_RECORDING: "RECORDING",
    ShiftStatus.STATE_VERDICT: "success or failure?", ShiftStatus.STATE_RESET: "set up the scene",
    ShiftStatus.STATE_PAUSED: "paused", ShiftStatus.STATE_DONE: "target reached",
}  # fmt: skip


class KeysNode(Node):
    """Calls shift/command with what the keys of a terminal say."""

    def __init__(self) -> None:
        """Subscribe, and start to read keys.

        Raises:
            ConfigError: a parameter is invalid, or there is no terminal.
        """
        super().__init__("keys", enable_rosout=False)
        text = "button files whose keys are used: names in config/buttons, or files, with commas"
        commands = terminal_commands(
            load_buttons(parameter(self, "buttons", "keyboard", text)).keys
        )
        self._by = parameter(self, "by", "", "who presses; empty: the operator of the shift")
        if not commands:
            raise ConfigError("the button files bind no key with press: that a terminal can send")
        if not Keyboard.usable():
            raise ConfigError(
                "there is no terminal to read keys from: run it in one, in the foreground"
            )
        self._commands = commands
        self._pressed_s: dict[str, float] = {}
        self._typed: deque[tuple[str, float]] = deque()
        self._status: ShiftStatus | None = None
        self._status_s = -SILENT_S
        self._progress, self._line = Progress(), ""
        self._client: Any = self.create_client(ShiftCommand, "shift/command")
        self.create_subscription(ShiftStatus, "shift/status", self._on_status, LATCHED)
        self.create_subscription(Said, "shift/said", self._on_said, 10)
        self.create_timer(_LOOK_S, self._show, clock=STEADY)
        self._wake = self.create_guard_condition(self._on_keys)
        self._tell(help_text(commands))
        self._keyboard = Keyboard(self._on_key, TERMINAL_KEYS)

    def go_on(self) -> None:
        """Continue after the process was stopped, such as by Ctrl-Z."""
        if Keyboard.usable():
            self._keyboard.take()

    def close(self) -> None:
        """Restore the terminal."""
        self._keyboard.close()
        self._progress.clear()

    def _on_key(self, key: str) -> None:
        """Pass a key to the node's thread, with its time: that thread may be waiting."""
        self._typed.append((key, time.monotonic()))
        self._wake.trigger()

    def _on_keys(self) -> None:
        while self._typed:
            key, now_s = self._typed.popleft()
            before_s = self._pressed_s.get(key, -_REPEAT_S)
            self._pressed_s[key] = now_s
            command = self._commands.get(key)
            if command is None:
                if key == _QUIT:
                    os.kill(os.getpid(), signal.SIGTERM)
            elif now_s - before_s >= _REPEAT_S:  # else it is being held
                self._call(command)

    def _call(self, command: ButtonCommand) -> None:
        if not self._client.wait_for_service(_FIND_S):
            name = self.resolve_service_name("shift/command")
            self._tell(f"{command.command}: no node offers {name}: is the operator node running?")
            return
        request = ShiftCommand.Request(
            command=command.command, cause=command.cause, by=self._by, key=uuid.uuid4().hex
        )
        self._client.call_async(request).add_done_callback(partial(self._on_answer, command))

    def _on_answer(self, command: ButtonCommand, future: Any) -> None:
        answer = future.result()
        self._tell(f"{'' if answer.success else 'not done: '}{command.command}: {answer.message}")

    def _on_status(self, status: ShiftStatus) -> None:
        self._status, self._status_s = status, time.monotonic()
        self._show()

    def _on_said(self, said: Said) -> None:
        self._tell(f'"{said.text}"')

    def _tell(self, text: str) -> None:
        """Print a line above that of the shift."""
        self._progress.clear()
        say_while_read(text)
        self._line = ""
        self._show()

    def _show(self) -> None:
        if self._status is None or time.monotonic() > self._status_s + SILENT_S:
            name = self.resolve_topic_name("shift/status")
            line = f"nothing is heard on {name}: is the operator node running?"
        else:
            line = status_line(self._status)
        if line != self._line:
            self._line = line
            self._progress.show(line)


def terminal_commands(keys: Mapping[str, Gestures]) -> dict[str, ButtonCommand]:
    """Return what the keys say that a terminal can send; it knows no long or double press."""
    sent = set(TERMINAL_KEYS.values())
    return {
        name: gestures.press
        for name, gestures in keys.items()
        if name in sent and gestures.press is not None
    }


def help_text(commands: dict[str, ButtonCommand]) -> str:
    """Return one line that says what each key does."""
    words = [
        f"{key}: {said.command}{f' ({said.cause})' * bool(said.cause)}"
        for key, said in commands.items()
    ]
    if _QUIT not in commands:
        words.append(f"{_QUIT}: quit")
    return "  ".join(words)


def status_line(status: ShiftStatus) -> str:
    """Return a shift in one line."""
    counted = f"{status.counted} of {status.target}" if status.target else f"{status.counted}"
    words = [_STATES.get(status.state, f"state {status.state}")]
    if status.remaining_s == status.remaining_s:  # NaN: no timer runs
        words.append(f"{status.remaining_s:.0f} s")
    if status.task:
        words.append(status.task)
    words.append(f"{counted} counted")
    if not status.recorder:
        words.append("THE RECORDER IS NOT HEARD")
    if status.verdict_sentence:
        words.append(status.verdict_sentence)
    return "  ".join(words)


def main() -> int:
    """Run ``ros2 run robot_recorder keys``; return the exit code."""

    def build() -> tuple[list[Node], list[Any]]:
        node = KeysNode()
        signal.signal(signal.SIGCONT, lambda *_: node.go_on())
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        return [node], [node]

    return run(build)


if __name__ == "__main__":
    sys.exit(main())
