"""Where a bag's files are cut, and which latched messages the next file begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robot_recorder.bags.latched import LatchedCache
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.topics import Sample

MOST_FILES = 500  # of a bag: readers have all of them open at once, and a process has 1,024
_RECORD_BYTES = 47  # of a message besides its data: its record's head, and its entry in the index
_MOST_LIMIT = 1e9  # MB and s; far beyond any disk and any shift
_FOREVER_NS = 2**63 - 1


@dataclass(frozen=True)
class FileLimits:
    """When a bag's next file begins; 0: never.

    Attributes:
        max_bytes: largest size of a file, index included. Only what a file needs at least (its topics,
            latched messages, one message) makes a larger one.
        max_ns: time between the first and the last message of a file.
    """

    max_bytes: int = 0
    max_ns: int = 0

    def __bool__(self) -> bool:
        return bool(self.max_bytes or self.max_ns)


NO_LIMITS = FileLimits()


def file_limits(max_file_mb: int, max_file_s: float) -> FileLimits:
    """Return the limits that the recorder's parameters give; 0: no limit.

    Raises:
        ConfigError: a limit is too small, or not a number.
    """
    for name, value in (("max_file_mb", max_file_mb), ("max_file_s", max_file_s)):
        if value != 0 and not 1 <= value < _MOST_LIMIT:
            raise ConfigError(f"parameter '{name}' is {value:g}: give 1 or more, or 0 for no limit")
    return FileLimits(max_file_mb * 1_000_000, round(max_file_s * NS_PER_S))


class Splitter:
    """Decides before which message a bag writer begins a new file.

    The writer asks ``fitting`` how many messages the current file takes. If it takes none, it begins a
    file with ``repeats`` and calls ``begin``.
    """

    def __init__(self, limits: FileLimits) -> None:
        """
        Args:
            limits: of each file.
        """
        self._limits = limits
        self._room = limits.max_bytes
        self._first_ns = 0  # receive time of the file's first message; only valid if not empty
        self._empty = True
        self._latched = LatchedCache()
        self._files = 1

    def fitting(self, samples: Sequence[Sample], first: int) -> int:
        """Return the index behind the last of the messages from ``first`` on that the file takes.

        It is ``first`` if the file takes none of them. An empty file takes at least one.
        """
        if not self._limits or self._files >= MOST_FILES:
            return len(samples)
        limits, keep = self._limits, self._latched.keep
        for number in range(first, len(samples)):
            sample = samples[number]
            size = len(sample.data) + _RECORD_BYTES
            if self._empty:
                self._empty, self._first_ns = False, sample.receive_ns
            elif (limits.max_bytes and size > self._room) or (
                limits.max_ns and sample.receive_ns - self._first_ns >= limits.max_ns
            ):
                return number
            self._room -= size
            if sample.channel.latched:
                keep(sample)
        return len(samples)

    def take(self, size: int) -> None:
        """Note that the file has grown by so many bytes that are no messages of ``fitting``."""
        self._room -= size

    def repeats(self, at_ns: int) -> list[Sample]:
        """Return the latched messages for the head of a file that begins at a receive time, ns."""
        return [s._replace(receive_ns=at_ns) for s in self._latched.before(_FOREVER_NS)]

    def begin(self, head_bytes: int) -> None:
        """Note that a new file has begun.

        Args:
            head_bytes: its size without messages to come. However much that is, messages of half the
                limit fit in.
        """
        self._files += 1
        self.postpone(head_bytes)

    def postpone(self, head_bytes: int = 0) -> None:
        """Note that no new file can be begun now: the current one takes as much again."""
        self._empty = True
        self._room = max(self._limits.max_bytes - head_bytes, self._limits.max_bytes // 2)
