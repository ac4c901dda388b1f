"""Reads keys from Linux input devices, such as a foot pedal that is a USB keyboard."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import select
import stat
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from robot_recorder.nodes.log import NodeLog

EVENT = struct.Struct("@llHHi")  # struct input_event: time (s, us), type, code, value
EV_SYN, EV_KEY = 0, 1
SYN_DROPPED = 3
_UP, _DOWN = 0, 1  # values of a key; 2 is the kernel's own repetition
_GRAB = 0x40044590  # EVIOCGRAB
_STAMP_BY = 0x400445A0  # EVIOCSCLOCKID
_LOOK_S = 1.0
_READ_EVENTS = 64

_ROWS = {2: "1234567890-=", 16: "qwertyuiop[]", 30: "asdfghjkl;'`", 43: "\\zxcvbnm,./"}
KEY_NAMES: dict[int, str] = {
    **{first + number: key for first, row in _ROWS.items() for number, key in enumerate(row)},
    1: "escape", 14: "backspace", 15: "tab", 28: "enter", 57: "space", 55: "*", 74: "-", 78: "+",
    **dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82, 83), "7894561230.")),  # keypad
    96: "enter", 98: "/", 102: "home", 103: "up", 104: "pageup", 105: "left", 106: "right",
    107: "end", 108: "down", 109: "pagedown", 110: "insert", 111: "delete", 114: "volumedown",
    115: "volumeup", 164: "playpause",
    **{code: f"f{number}" for number, code in enumerate((*range(59, 69), 87, 88), 1)},
    **{170 + number: f"f{number}" for number in range(13, 25)},
}  # fmt: skip
"""Names of the kernel's key codes, on a US keyboard; both Enter keys have one name."""


@dataclass
class _Device:
    """An open device.

    Attributes:
        path: of it.
        file: its descriptor.
        stamps: whether its events carry their time on the monotonic clock.
        rest: what was read of an unfinished event.
        down: the keys that are down.
    """

    path: str
    file: int
    stamps: bool
    rest: bytes = b""
    down: set[str] = field(default_factory=set)


class InputDevices:
    """Opens all devices that match, also those that come later, and tells of their keys.

    It has them to itself: what is pressed is typed nowhere else.
    """

    def __init__(
        self,
        patterns: Iterable[str],
        names: Collection[str],
        on_key: Callable[[str, bool | None, float], None],
        log: NodeLog,
    ) -> None:
        """Start to read in a thread of its own.

        Args:
            patterns: of paths, such as ``/dev/input/by-id/*FootSwitch*-event-kbd``.
            names: keys to tell of.
            on_key: called in the thread, with the name of a key, whether it is down (None: its device is
                gone, or did not tell all), and since when, s of the monotonic clock.
            log: is told of devices that come, go, or cannot be used.
        """
        self._patterns, self._names, self._on_key, self._log = list(patterns), names, on_key, log
        self._devices: dict[int, _Device] = {}  # by file
        self._told: dict[str, str] = {}  # problems by path, each told once
        self._wake, self._end = os.pipe()
        self._thread = threading.Thread(target=self._run, name="input devices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close all devices, which gives them back to everybody."""
        os.write(self._end, b"x")
        self._thread.join()
        for device in list(self._devices.values()):
            self._drop(device)
        for file in (self._wake, self._end):
            os.close(file)

    def _run(self) -> None:
        look_s = 0.0
        if not any(map(glob.glob, self._patterns)):
            self._log.info(f"no input device yet: {', '.join(self._patterns)}")
        while True:
            if (now_s := time.monotonic()) >= look_s:
                self._look()
                look_s = now_s + _LOOK_S
            wait_s = max(0.0, look_s - time.monotonic())
            ready, _, _ = select.select([self._wake, *self._devices], [], [], wait_s)
            if self._wake in ready:
                return
            for file in ready:
                self._read(self._devices[file])

    def _look(self) -> None:
        """Open devices that match and are not open yet."""
        opened = {_identity(os.fstat(file)) for file in self._devices}
        found = {path for pattern in self._patterns for path in glob.glob(pattern)}
        for path in sorted(found):
            try:
                info = os.stat(path)
            except OSError:  # it has just gone
                continue
            if stat.S_ISDIR(info.st_mode) or _identity(info) in opened:
                continue
            if self._open(path):
                opened.add(_identity(info))
        for path in self._told.keys() - found:
            del self._told[path]  # when it comes again, its problem is new

    def _open(self, path: str) -> bool:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._tell(path, _advice(path, error))
            return False
        try:
            fcntl.ioctl(file, _GRAB, 1)
        except OSError as error:
            if error.errno == errno.EBUSY:
                os.close(file)
                self._tell(path, f"{path} is held by another program: end that one first")
                return False
            self._tell(
                path, f"{path} cannot be held alone ({error.strerror}): its keys are also typed"
            )
        self._devices[file] = _Device(path, file, _stamp_monotonic(file))
        self._log.info(f"{path}: its keys are buttons now")
        return True

    def _read(self, device: _Device) -> None:
        try:
            data = os.read(device.file, EVENT.size * _READ_EVENTS)
        except BlockingIOError:
            return
        except OSError:  # ENODEV: it has been unplugged
            data = b""
        if not data:
            self._drop(device)
            self._log.warning(f"{device.path} is gone; it is used again when it comes back")
            return
        data = device.rest + data
        whole = len(data) // EVENT.size * EVENT.size
        device.rest = data[whole:]
        for seconds, micros, kind, code, value in EVENT.iter_unpack(data[:whole]):
            if (kind, code) == (EV_SYN, SYN_DROPPED):
                self._release(device)
            elif kind == EV_KEY and value in (_UP, _DOWN):
                # This thread may have waited for a processor since.
                at_s = seconds + micros / 1e6 if device.stamps else time.monotonic()
                self._key(device, KEY_NAMES.get(code, ""), value == _DOWN, at_s)

    def _key(self, device: _Device, name: str, down: bool, at_s: float) -> None:
        if name not in self._names:
            return
        if down:
            device.down.add(name)
        else:
            device.down.discard(name)
        self._on_key(name, down, at_s)

    def _release(self, device: _Device) -> None:
        """Forget the keys that are down: nobody may tell any more that they were released."""
        for name in sorted(device.down):
            self._on_key(name, None, time.monotonic())
        device.down.clear()

    def _drop(self, device: _Device) -> None:
        self._release(device)
        del self._devices[device.file]
        with suppress(OSError):  # it may be gone already
            os.close(device.file)

    def _tell(self, path: str, problem: str) -> None:
        if self._told.get(path) != problem:
            self._told[path] = problem
            self._log.warning(problem)


def _identity(info: os.stat_result) -> tuple[int, int]:
    """Return what is the same for all names of a device."""
    return info.st_dev, info.st_ino


def _stamp_monotonic(file: int) -> bool:
    """Let the kernel stamp a device's events on the monotonic clock; return whether it does."""
    try:
        fcntl.ioctl(file, _STAMP_BY, struct.pack("@i", time.CLOCK_MONOTONIC))
    except OSError:
        return False
    return True


def _advice(path: str, error: OSError) -> str:
    """Return why a device cannot be opened, and what to do."""
    if error.errno not in (errno.EACCES, errno.EPERM):
        return f"{path} cannot be opened: {error.strerror}"
    return (
        f"{path} may not be read by this account: add it to the group 'input' with "
        "`sudo usermod -aG input $USER` and log in again; or, for this device alone, write a udev rule "
        'such as KERNEL=="event*", ATTRS{idVendor}=="3553", MODE="0660", GROUP="plugdev"'
    )
