"""Find publishers whose shared memory holds less than one of the messages that they send.

Fast DDS hands a message over in pieces of 64 kB, which lie in a segment of shared memory that belongs
to the publisher's process. If it holds less than a picture, the first pieces are overwritten while the
last ones are written: best-effort readers lose nearly every picture, reliable ones have it sent again.

The segment of another process is known by its file, which this process has mapped since it was first
sent something, and by the owner of its lock (SharedMemManager.hpp, RobustExclusiveLock.hpp of Fast
DDS). Nothing is known, and so nothing is said, about publishers on other machines, of other
middlewares, that use UDP alone, or in another container, where the system hides the owner.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robot_recorder.configuration.dds import FASTDDS, FASTRTPS
from robot_recorder.model.topics import RAW_TYPES, Channel, Sample

_FILE = re.compile(r"\S*/(fastdds|fastrtps)_[0-9a-f]{16}$")
_LOCK = re.compile(r"^\d+: FLOCK +ADVISORY +WRITE +(\d+) +(\w+):(\w+):(\d+) ", re.MULTILINE)
_PIECE = 65_500  # bytes; smaller messages are sent as one piece, which fits into any segment
# Of a file, 544 bytes and a part of 1072 are the allocator's (measured with 3.2.2, 0.5 and 32 MiB).
_FIXED, _ROOM, _OF = 544, 1024, 1072
_PERIOD_S = 2.0
_RAW_BYTES = 921_600  # the smallest usual raw colour picture: 640x480 rgb8
_VARIABLES = {"fastdds": FASTDDS, "fastrtps": FASTRTPS}  # by the name of the file


@dataclass(frozen=True)
class SharedSegment:
    """Shared memory that a process sends messages in.

    Attributes:
        pid: its process, as seen from here.
        own_pid: the process's number as it sees itself; another one inside a container.
        bytes: what it holds at most.
        variable: environment variable that names its DDS profile.
    """

    pid: int
    own_pid: int
    bytes: int
    variable: str


@dataclass(frozen=True)
class SharedTopic:
    """A topic whose messages may come through shared memory, and from where.

    Attributes:
        topic: its name.
        bytes: size of its largest message; None: none arrived, but its type is usually large.
        processes: low 16 bits of the numbers of its publishers' processes on this machine, as they see
            themselves; empty: unknown.
    """

    topic: str
    bytes: int | None
    processes: frozenset[int]


def mapped_segments(proc: Path = Path("/proc")) -> list[SharedSegment]:
    """Return the segments that this process has mapped and whose owner is known."""
    try:
        lines = (proc / "self/maps").read_text().splitlines()
        owners = lock_owners((proc / "locks").read_text())
    except OSError:  # no Linux, or it is not allowed: nothing is known
        return []
    found = []
    for path in sorted({line.split(maxsplit=5)[-1] for line in lines if "/fast" in line}):
        match = _FILE.match(path)
        if match is None:
            continue
        try:
            size, lock = os.stat(path).st_size, os.stat(f"{path}_el")
        except OSError:  # its process has ended
            continue
        pid = owners.get((os.major(lock.st_dev), os.minor(lock.st_dev), lock.st_ino))
        if pid is not None:
            room = (size - _FIXED) * _ROOM // _OF
            found.append(SharedSegment(pid, _own_pid(proc, pid), room, _VARIABLES[match[1]]))
    return found


def lock_owners(text: str) -> dict[tuple[int, int, int], int]:
    """Return the process that holds each exclusive lock, by device and inode, from ``/proc/locks``."""
    found = {}
    for match in _LOCK.finditer(text):
        pid, major, minor, inode = match.groups()
        found[int(major, 16), int(minor, 16), int(inode)] = int(pid)
    return found


def _own_pid(proc: Path, pid: int) -> int:
    """Return a process's number in its own container; that from here if the system does not tell."""
    try:
        match = re.search(r"^NSpid:.*\s(\d+)$", (proc / f"{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return int(match[1]) if match else pid


def too_small(
    topics: Iterable[SharedTopic], segments: Sequence[SharedSegment], profile: Path | str
) -> list[str]:
    """Return a sentence for each process whose segment cannot hold what it sends.

    Args:
        topics: the subscribed topics.
        segments: of all processes, as far as they are known.
        profile: file of the DDS profile that helps.
    """
    by_process: dict[int, list[SharedTopic]] = {}
    for shared_topic in topics:
        for process in shared_topic.processes:
            by_process.setdefault(process, []).append(shared_topic)
    sentences = []
    for process, sent in sorted(by_process.items()):
        own = [s for s in segments if s.own_pid & 0xFFFF == process]
        if not own:
            continue
        segment = max(own, key=lambda s: s.bytes)  # several: the judgement holds for each of them
        why = _judge(sent, segment)
        if why:
            remedy = (
                f"start this driver, not only the recorder, with {segment.variable}={profile}, or let it "
                "send compressed pictures"
            )
            sentences.append(f"shared memory segment too small for {why}: {remedy}")
    return sentences


def _judge(topics: Sequence[SharedTopic], segment: SharedSegment) -> str:
    """Return what does not fit into a segment, and what that does; empty: nothing is known not to."""
    large = sorted((s for s in topics if (s.bytes or 0) > _PIECE), key=lambda s: -(s.bytes or 0))
    holds = f"process {segment.pid} has {_mb(segment.bytes)} for it"
    if large and (large[0].bytes or 0) > segment.bytes:
        others = f" (and on {len(large) - 1} more)" if len(large) > 1 else ""
        return (
            f"this image: a message on {large[0].topic}{others} has {_mb(large[0].bytes or 0)}, {holds}, so "
            "that it is lost, or sent several times"
        )
    silent = [s.topic for s in topics if s.bytes is None]
    if silent and segment.bytes < _RAW_BYTES:
        return (
            f"raw images: nothing of {silent[0]} arrives, and {holds}; 640x480 rgb8 needs "
            f"{_mb(_RAW_BYTES)}"
        )
    together = sum(s.bytes or 0 for s in large)
    if together > segment.bytes:
        return (
            f"these images: messages on {len(large)} topics have {_mb(together)} together, {holds}, so that "
            "they are lost when they are sent at the same time"
        )
    return ""


def _mb(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


class SharedMemoryWatch:
    """Looks every few seconds at what the publishers' shared memory holds."""

    def __init__(self, profile: Path | str) -> None:
        """Create it; it has seen nothing yet.

        Args:
            profile: file of the DDS profile that helps.
        """
        self._profile = profile
        self._largest: dict[tuple[Channel, frozenset[int]], int] = {}  # of each driver's process
        self._looked = -_PERIOD_S
        self._topics: list[SharedTopic] = []  # at the last look
        self._sentences: list[str] = []

    def due(self) -> bool:
        """Return whether it is time to look again."""
        return time.monotonic() - self._looked >= _PERIOD_S

    def look(self, channels: Mapping[Channel, int], recent: Sequence[Sample]) -> list[str]:
        """Return what is wrong now; look again only if it is due or there are other drivers or messages.

        Args:
            channels: messages received so far, by channel.
            recent: the last messages.
        """
        largest = self._largest
        for sample in recent:
            if len(sample.data) > _PIECE:
                by = sample.channel, sample.channel.processes
                largest[by] = max(largest.get(by, 0), len(sample.data))
        topics = []
        for channel, received in channels.items():
            if not channel.processes or channel.publishers != 1:
                continue  # which of several publishers sends what is unknown
            size = largest.get((channel, channel.processes))
            if size or (not received and channel.bag_topic.type in RAW_TYPES):
                topics.append(SharedTopic(channel.topic, size, channel.processes))
        if topics != self._topics or self.due():
            self._looked, self._topics = time.monotonic(), topics
            self._sentences = too_small(topics, mapped_segments(), self._profile) if topics else []
        return self._sentences

    @property
    def sentences(self) -> list[str]:
        """Return what was wrong at the last look."""
        return self._sentences
