"""``robot-recorder play``, in a real terminal, with real keys.

Holds also: processes.py.
"""

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

import pytest
from support.samples import T0, wrench, write_bag

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.cli.main import main
from robot_recorder.cli.processes import ended

MS = 1_000_000
PLAY = "from robot_recorder.cli.main import main; raise SystemExit(main())"
NO_ROS = f"import sys; sys.modules['rclpy'] = None; {PLAY}"


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Twenty seconds; its name looks like a number."""
    messages = [("/wrist/wrench", wrench(T0 + i), T0 + i * 10 * MS) for i in range(2001)]
    write_bag(McapWriter(), tmp_path / "007", messages)
    return tmp_path / "007"


class Terminal:
    """A terminal with somebody in front of it."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.shown = ""

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        def own() -> None:  # or no keys would be for it
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores, for tests, too

        command = [sys.executable, "-c", PLAY, "play", *arguments]
        ends: dict[str, Any] = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave}
        return subprocess.Popen(command, start_new_session=True, preexec_fn=own, cwd="/", **ends)

    def read(self, seconds: float) -> str:
        ready, _, _ = select.select([self.master], [], [], seconds)
        found = os.read(self.master, 4096).decode(errors="replace") if ready else ""
        self.shown += found
        return found

    def until(self, pattern: str) -> re.Match[str]:
        """Look until something is shown that was not looked at yet."""
        end, start = time.monotonic() + 30, len(self.shown)
        while not (match := re.search(pattern, self.shown[start:])):
            assert time.monotonic() < end, f"waited 30 s for {pattern}; shown: {self.shown!r}"
            self.read(0.1)
        return match

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def watch(self, running: subprocess.Popen[bytes]) -> int:
        """Look until it has ended; its exit code."""
        end = time.monotonic() + 30
        while running.poll() is None:
            assert time.monotonic() < end, f"it does not end; shown: {self.shown!r}"
            self.read(0.05)
        self.read(0.2)
        return running.returncode


@contextmanager
def playing(*arguments: str) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    pytest.importorskip("rclpy")
    terminal = Terminal()
    with ended(terminal.run(*arguments)) as running:
        yield terminal, running
    os.close(terminal.master)
    os.close(terminal.slave)


STATE = r"([\d.]+) / 20\.0 s  x([\d.]+)  {}  ([\d,]+) messages"


def test_keys_control_it(bag: Path) -> None:
    with playing(str(bag)) as (terminal, running):
        terminal.until(r"space: pause")
        terminal.until(STATE.format("playing"))
        assert not terminal.is_as_before(), "keys are read one by one"
        terminal.press(" ")
        terminal.until("paused")
        position, rate, count = terminal.until(STATE.format("paused")).groups()
        assert rate == "1.00"
        terminal.press("\x1b[C\x1b[C\x1b[C")
        stepped = int(count.replace(",", "")) + 3
        terminal.until(rf"paused  {stepped} messages")
        terminal.press("\x1bOA")  # as a terminal in application mode sends it
        assert terminal.until(r"x([\d.]+)  paused").group(1) == "1.10"
        terminal.press("\x1b[B\x1b[B")
        terminal.until(r"x0\.91  paused")
        terminal.press(" ")
        terminal.until("playing")
        while float(terminal.until(STATE.format("playing")).group(1)) < 1.5:
            pass
        terminal.press("\x1b[D")
        while float(terminal.until(STATE.format("playing")).group(1)) > 1.0:
            pass
        terminal.press("q")
        assert terminal.watch(running) == 0
        assert terminal.is_as_before()
        assert re.search(r"[\d,]+ messages, timing error p50 [\d.]+ ms", terminal.shown)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_given_back_by_whatever_ends_it(bag: Path, number: signal.Signals) -> None:
    with playing(str(bag), "--paused") as (terminal, running):
        terminal.until("paused")
        assert not terminal.is_as_before()
        running.send_signal(number)
        assert terminal.watch(running) == 0
        assert terminal.is_as_before()


def test_after_ctrl_z_it_goes_on_where_it_stood(bag: Path) -> None:
    with playing(str(bag)) as (terminal, running):
        terminal.until(STATE.format("playing"))
        running.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, running.pid, os.WSTOPPED)
        while terminal.read(0.3):
            pass
        before = float(re.findall(STATE.format("playing"), terminal.shown)[-1][0])
        termios.tcsetattr(terminal.slave, termios.TCSANOW, terminal.before)  # as a shell does
        time.sleep(1.5)
        running.send_signal(signal.SIGCONT)
        assert float(terminal.until(STATE.format("playing")).group(1)) < before + 1
        assert not terminal.is_as_before()
        terminal.press("q")
        assert terminal.watch(running) == 0 and terminal.is_as_before()


def test_ctrl_c_ends_it(bag: Path) -> None:
    with playing(str(bag)) as (terminal, running):
        terminal.until("playing  ")
        terminal.press("\x03")
        assert terminal.watch(running) == 0 and terminal.is_as_before()


def test_the_terminal_is_given_back_when_playing_fails(bag: Path) -> None:
    """The data vanishes while a loop plays it."""
    with playing(str(bag), "--loop", "--start", "19.5") as (terminal, running):
        terminal.until("looping")
        (file,) = bag.glob("*.mcap")
        file.write_bytes(b"")
        assert terminal.watch(running) == 1, terminal.shown
        assert terminal.is_as_before()
        assert f"{file} is empty" in terminal.shown


def test_without_keyboard_the_terminal_is_left_alone(bag: Path) -> None:
    with playing(str(bag), "--no-keyboard") as (terminal, running):
        terminal.until(STATE.format("playing"))
        assert terminal.is_as_before() and "space:" not in terminal.shown
        terminal.press("q ")
        count = terminal.until(STATE.format("playing")).group(3)
        while terminal.until(STATE.format("playing")).group(3) == count:
            pass
        running.send_signal(signal.SIGINT)
        assert terminal.watch(running) == 0


def test_a_pipe_gets_a_line_at_the_beginning_and_one_at_the_end(bag: Path) -> None:
    pytest.importorskip("rclpy")
    command = [sys.executable, "-c", PLAY, "play", "007", "--start", "18", "--rate", "4"]
    done = subprocess.run(command, cwd=bag.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert "\x1b" not in done.stdout and "\r" not in done.stdout
    assert lines[0].startswith("played, but perhaps unreadable: /wrist/wrench"), "invalid hash"
    assert lines[1] == "playing 007: 20.0 s, from 18.0 s on, one topic"
    assert lines[2].startswith("201 messages, timing error p50 ")
    assert all(line.startswith("some were up to") for line in lines[3:]), "of a busy machine"


def test_a_bag_that_cannot_be_played_is_refused_before_anything_starts(bag: Path, capsys) -> None:
    for arguments, words in (
        (["--rate", "0"], "rate 0 is not between 0.01 and 100"),
        (["--rate", "nan"], "rate nan"),
        (["--start", "21"], "start 21 s is not within"),
        (["--start", "-1"], "start -1 s is not within"),
        (["--clock", "-5"], "--clock -5 is not a number from 0 on"),
        (["--wait", "inf"], "--wait inf is not a number from 0 on"),
        (["--topics", "wrist/wernch"], "no topic wrist/wernch; it has /wrist/wrench"),
    ):
        assert main(["play", str(bag), *arguments]) == 2
        assert words in capsys.readouterr().err
    assert main(["play", str(bag.parent / "nothing")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_without_ros_the_error_names_the_remedy(bag: Path) -> None:
    command = [sys.executable, "-c", NO_ROS, "play", str(bag)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: playing needs ROS 2: source its setup file first")
