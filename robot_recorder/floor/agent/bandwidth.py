"""When how much may be sent: ``22:00-06:00 unlimited, else 20 MB/s``, and what holds senders to it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from robot_recorder.model.errors import ConfigError, RecorderError

UNLIMITED = float("inf")
_RATE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[kMG](B|bit)/s)", re.ASCII)
_WINDOW = re.compile(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)\s+(.+)", re.ASCII)
_UNITS = {"kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "kbit/s": 125.0, "Mbit/s": 125e3, "Gbit/s": 125e6}
_DAY_MIN = 24 * 60
_BURST_S = 0.25  # what may be sent at once after a pause
_LOOK_S = 0.2  # how soon a change of the rate is noticed
_LEAST_S = 0.001  # a shorter sleep is not worth it


class SendingPaused(RecorderError):
    """Nothing may be sent now."""


@dataclass(frozen=True)
class BandwidthWindow:
    """A rate for some hours of the day.

    Attributes:
        begin_min, end_min: since midnight, local time; an end before the begin is of the next day.
        rate: bytes/s; 0: nothing is sent; ``UNLIMITED``.
    """

    begin_min: int
    end_min: int
    rate: float

    def holds(self, minute: int) -> bool:
        """Return whether a minute of the day is within it."""
        if self.begin_min < self.end_min:
            return self.begin_min <= minute < self.end_min
        return minute >= self.begin_min or minute < self.end_min


@dataclass(frozen=True)
class BandwidthPlan:
    """The windows, of which the first that holds counts, and the rate outside of all.

    Attributes:
        windows: in the order they were written.
        otherwise: bytes/s.
    """

    windows: tuple[BandwidthWindow, ...] = ()
    otherwise: float = UNLIMITED

    @classmethod
    def parse(cls, text: str) -> BandwidthPlan:
        """Parse ``22:00-06:00 unlimited, 12:00-13:00 off, else 20 MB/s``, or one rate for all hours.

        Raises:
            ConfigError: it is not such a text; the message says what is wrong.
        """
        windows, otherwise = [], None
        entries = [entry.strip() for entry in text.split(",")]
        for number, entry in enumerate(entries):
            if match := _WINDOW.fullmatch(entry):
                windows.append(_window(entry, match))
                continue
            is_else, rate = entry.startswith("else "), entry.removeprefix("else ")
            if number < len(entries) - 1 or bool(windows) != is_else:
                raise ConfigError(
                    f"{entry!r} is not a bandwidth: write windows and then what holds otherwise, such as "
                    "'22:00-06:00 unlimited, else 20 MB/s', or one rate for all hours"
                )
            otherwise = _rate(rate)
        if otherwise is None:
            raise ConfigError(f"{text!r} does not say what holds at other times: add 'else ...'")
        return cls(tuple(windows), otherwise)

    def rate(self, now_s: float) -> float:
        """Return the rate at a time since the epoch, bytes/s."""
        local = time.localtime(now_s)
        minute = local.tm_hour * 60 + local.tm_min
        for window in self.windows:
            if window.holds(minute):
                return window.rate
        return self.otherwise


def _window(entry: str, match: re.Match[str]) -> BandwidthWindow:
    hours = [int(text) for text in match.groups()[:4]]
    begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if max(hours[1], hours[3]) > 59 or max(begin, end) > _DAY_MIN or begin == _DAY_MIN:
        raise ConfigError(f"{entry!r} has a time that is not between 00:00 and 24:00")
    if begin == end:
        raise ConfigError(f"{entry!r} begins when it ends: write one rate without hours")
    return BandwidthWindow(begin, end, _rate(match[5]))


def _rate(text: str) -> float:
    if text in ("unlimited", "off"):
        return UNLIMITED if text == "unlimited" else 0.0
    match = _RATE.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{text!r} is not a rate: write unlimited, off, or a number with {', '.join(_UNITS)}"
        )
    rate = float(match["number"]) * _UNITS[match["unit"]]
    if not 0 < rate < 1e12:
        raise ConfigError(f"{text!r} is not a rate: write off to send nothing")
    return rate


class BandwidthLimiter:
    """Holds all senders of a process together to a rate. Any thread may use it.

    Attributes:
        sent_bytes: that passed so far.
    """

    def __init__(
        self,
        rate: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create the limiter.

        Args:
            rate: returns what is allowed now, bytes/s; asked again and again. 0: nothing is begun;
                negative: what was begun is not finished either.
            clock: monotonic, s.
            sleep: waits, s.
        """
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free = 0.0  # bytes that may be sent at once; negative: sent ahead of time
        self._at_s = clock()
        self._last = UNLIMITED  # the last rate that was not 0
        self.sent_bytes = 0

    def take(self, size: int, has_begun: bool = False) -> None:
        """Wait until so many bytes may be sent.

        Args:
            size: bytes.
            has_begun: whether they are the rest of what would have to be sent again otherwise: on a
                slow link with many short pauses nothing would ever arrive.

        Raises:
            SendingPaused: nothing may be sent now.
        """
        with self._lock:
            rate = self._refill(has_begun)
            self._free -= size
            self.sent_bytes += size
        while True:
            if rate <= 0:
                raise SendingPaused("nothing is sent at this time")
            with self._lock:
                if self._free >= 0 or rate == UNLIMITED:
                    return
                wait_s = -self._free / rate
            self._sleep(min(max(wait_s, _LEAST_S), _LOOK_S))
            with self._lock:
                rate = self._refill(has_begun)

    def attempt(self) -> Callable[[int], None]:
        """Return ``take`` for one attempt to send something: only before its first piece it may pause."""
        has_begun = False

        def take(size: int) -> None:
            nonlocal has_begun
            self.take(size, has_begun)
            has_begun = True

        return take

    def may_send(self) -> bool:
        """Return whether anything may be sent now."""
        return self._rate() > 0

    def _refill(self, has_begun: bool) -> float:
        rate, now_s = self._rate(), self._clock()
        if rate > 0:
            self._last = rate
        elif not rate and has_begun:
            rate = self._last
        passed_s, self._at_s = max(0.0, now_s - self._at_s), now_s
        if rate == UNLIMITED:
            self._free = 0.0
        else:
            self._free = min(self._free + passed_s * rate, rate * _BURST_S)
        return rate
