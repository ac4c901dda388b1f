"""Keys of input devices: from pipes that carry real events, and from the kernel where it lets us."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy")


from robot_recorder.configuration.buttons import BROWSER_KEYS
from robot_recorder.nodes import input_device
from robot_recorder.nodes.input_device import (
    EV_KEY,
    EV_SYN,
    EVENT,
    KEY_NAMES,
    SYN_DROPPED,
    InputDevices,
)
from robot_recorder.nodes.log import NodeLog

pytestmark = pytest.mark.ros

A, B, SPACE = 30, 48, 57
HEADER = Path("/usr/include/linux/input-event-codes.h")


class Reader:
    """Reads devices, and notes what is heard."""

    def __init__(self, log: NodeLog, *patterns: str) -> None:
        self.heard: list[tuple[str, bool | None]] = []
        self.times: list[float] = []
        self.devices = InputDevices(patterns, ("a", "b", "space"), self._hear, log)

    def _hear(self, name: str, down: bool | None, at_s: float) -> None:
        self.times.append(at_s)
        self.heard.append((name, down))

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.devices.close()

    def until(self, *keys: tuple[str, bool | None]) -> None:
        wait(f"{keys}", lambda: len(self.heard) >= len(keys))
        assert self.heard == list(keys)
        self.heard.clear()


def wait(what: str, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, f"waited 10 s for {what}"
        time.sleep(0.01)


def event(kind: int, code: int, value: int) -> bytes:
    return EVENT.pack(int(time.time()), 0, kind, code, value)


def key(code: int, value: int) -> bytes:
    return event(EV_KEY, code, value) + event(EV_SYN, 0, 0)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path = tmp_path / "usb-Foot-event-kbd"
    os.mkfifo(path)
    file = os.open(path, os.O_RDWR)
    yield path, file
    os.close(file)


def test_an_event_has_the_size_of_the_kernel() -> None:
    assert EVENT.size == (24 if struct.calcsize("P") == 8 else 16)


@pytest.mark.skipif(not HEADER.exists(), reason="the kernel's headers are not installed")
def test_names_of_keys_are_those_of_the_kernel() -> None:
    codes = dict(re.findall(r"#define KEY_(\w+)\s+(\d+)\b", HEADER.read_text()))
    special = {"ESC": "escape", "MINUS": "-", "EQUAL": "=", "LEFTBRACE": "[", "RIGHTBRACE": "]",
               "SEMICOLON": ";", "APOSTROPHE": "'", "GRAVE": "`", "BACKSLASH": "\\", "COMMA": ",",
               "DOT": ".", "SLASH": "/", "KPENTER": "enter", "KPSLASH": "/", "KPASTERISK": "*",
               "KPMINUS": "-", "KPPLUS": "+", "KPDOT": ".", **{f"KP{n}": f"{n}" for n in range(10)}}  # fmt: skip
    names = {int(code): special.get(name, name.lower()) for name, code in codes.items()}
    assert {code: names[code] for code in KEY_NAMES} == KEY_NAMES
    assert set(KEY_NAMES.values()) <= set(BROWSER_KEYS) == set(KEY_NAMES.values())


def test_keys_go_down_and_up_and_repetitions_are_not_told(
    log: NodeLog, pipe: tuple[Path, int]
) -> None:
    path, file = pipe
    with Reader(log, f"{path.parent}/*Foot*-event-kbd") as reader:
        os.write(file, key(B, 1) + key(B, 2) * 20 + key(B, 0) + event(3, B, 1) + key(99, 1))
        os.write(file, key(SPACE, 1) + key(SPACE, 0))
        began_s = time.monotonic()
        reader.until(("b", True), ("b", False), ("space", True), ("space", False))
        assert all(began_s - 5 < at_s <= time.monotonic() for at_s in reader.times)


def test_a_key_is_as_long_down_as_the_kernel_says(
    log: NodeLog, pipe: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late the thread reads it. A pipe has no clock to be set: it is the kernel that is stood for."""
    monkeypatch.setattr(input_device, "_stamp_monotonic", lambda file: True)
    path, file = pipe
    with Reader(log, str(path)) as reader:
        for at, down in ((100, 1), (101, 0)):
            os.write(file, EVENT.pack(at, 250_000, EV_KEY, B, down))
        reader.until(("b", True), ("b", False))
        assert reader.times == [100.25, 101.25]


def test_events_may_arrive_in_parts(log: NodeLog, pipe: tuple[Path, int]) -> None:
    path, file = pipe
    with Reader(log, str(path)) as reader:
        data = key(A, 1) + key(A, 0)
        for byte in data:
            os.write(file, bytes([byte]))
            time.sleep(0.001)
        reader.until(("a", True), ("a", False))


def test_lost_events_and_a_lost_device_let_go_of_its_keys(
    log: NodeLog, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pedal"
    os.mkfifo(path)
    file = os.open(path, os.O_RDWR)
    with Reader(log, str(path)) as reader:
        os.write(file, key(A, 1) + key(B, 1) + event(EV_SYN, SYN_DROPPED, 0))
        reader.until(("a", True), ("b", True), ("a", None), ("b", None))
        os.write(file, key(B, 1))
        reader.until(("b", True))
        path.unlink()
        os.close(file)
        reader.until(("b", None))
        os.mkfifo(path)  # plugged in again
        file = os.open(path, os.O_RDWR)
        os.write(file, key(B, 1))
        reader.until(("b", True))
    os.close(file)
    assert f"{path} is gone" in capfd.readouterr().err


def test_a_device_with_two_names_is_opened_once(log: NodeLog, pipe: tuple[Path, int]) -> None:
    path, file = pipe
    path.with_name("second-event-kbd").symlink_to(path)
    with Reader(log, f"{path.parent}/*-event-kbd", str(path)) as reader:
        time.sleep(0.2)
        os.write(file, key(A, 1) + key(B, 1))
        reader.until(("a", True), ("b", True))
        assert len(reader.devices._devices) == 1


def test_a_device_that_may_not_be_read_is_told_once_with_what_to_do(
    log: NodeLog, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "event7").touch(0o000)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)  # root may read everything
        with Reader(log, f"{folder}/event*"):
            time.sleep(2.5)
    finally:
        os.seteuid(user)
        shutil.rmtree(folder)
    told = capfd.readouterr().err
    assert told.count("event7 may not be read by this account") == 1
    assert "usermod -aG input" in told and "udev rule" in told


def _uinput() -> str:
    """Return why the kernel's own test device cannot be used; empty: it can."""
    if not os.access("/dev/uinput", os.W_OK):
        return "/dev/uinput does not exist here, or may not be written"
    return "" if Path("/dev/input").is_dir() else "/dev/input does not exist here"


@pytest.mark.skipif(bool(_uinput()), reason=_uinput())
def test_a_device_of_the_kernel_is_held_alone(log: NodeLog) -> None:
    name = b"robot_recorder test pedal"
    set_ev, set_key, create, destroy = 0x40045564, 0x40045565, 0x5501, 0x5502
    before = set(Path("/dev/input").glob("event*"))
    made = os.open("/dev/uinput", os.O_WRONLY)
    fcntl.ioctl(made, set_ev, EV_KEY)
    fcntl.ioctl(made, set_key, B)
    os.write(made, struct.pack("80s4HI256i", name, 3, 1, 1, 1, 0, *[0] * 256))
    fcntl.ioctl(made, create)
    try:
        wait("the device", lambda: bool(set(Path("/dev/input").glob("event*")) - before))
        (path,) = set(Path("/dev/input").glob("event*")) - before
        with Reader(log, str(path)) as reader:
            time.sleep(0.3)
            other = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            os.write(made, key(B, 1) + key(B, 0))
            reader.until(("b", True), ("b", False))
            assert all(0 <= time.monotonic() - at_s < 5 for at_s in reader.times), (
                "not the wall clock"
            )
            with pytest.raises(BlockingIOError):  # nobody else hears them
                os.read(other, 1024)
            os.close(other)
    finally:
        fcntl.ioctl(made, destroy)
        os.close(made)
