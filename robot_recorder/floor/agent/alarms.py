"""What somebody must see to: sentences by kind, and the two that are measured over hours."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum

import numpy as np

from robot_recorder.floor.agent.reserve import LEAST_FREE_BYTES
from robot_recorder.model.text import visible

NOTHING_SENT_S = 2 * 3600.0
DISK_FULL_S = 5 * 3600.0
_SLOPE_S = 1800.0  # how long back the use of the disk is looked at
_LEAST_SLOPE_S = 600.0  # a shorter time says nothing
_SAMPLE_S = 20.0
_MOST_CHARACTERS = 500


class AlarmKind(str, Enum):
    """What an alarm is about."""

    UNREACHABLE = "unreachable"
    TOKEN = "token"  # the centre does not know the token, or it was revoked
    BEAT = "beat"  # no beat gets through, whatever the reason
    CENTRE = "centre"  # the centre itself has a problem
    STORAGE = "storage"  # the centre cannot take data: full, or without its storage
    CLOCK = "clock"
    RECEIPT = "receipt"
    CONFLICT = "conflict"
    NOTHING_SENT = "nothing_sent"
    DISK_FULL = "disk_full"
    OUTBOX = "outbox"  # it cannot be used, or was damaged
    SECOND_AGENT = "second_agent"  # another one has taken over the root
    NAMES = "names"  # directories whose names cannot be sent
    UNSENT = "unsent"  # episodes that hold folders, links or hidden files
    FREEING = "freeing"  # deleting episodes frees no space
    LOST = "lost"  # episodes that went away before they were acknowledged
    BUG = "bug"


class AgentAlarms:
    """The alarms that stand. Any thread may use them."""

    def __init__(self, on_change: Callable[[str], None] = lambda _: None) -> None:
        """Create them; ``on_change`` is called with a sentence when one begins or ends."""
        self._on_change = on_change
        self._lock = threading.Lock()
        self._standing: dict[AlarmKind, dict[str, str]] = {}

    def begin(self, kind: AlarmKind, sentence: str, about: str = "") -> None:
        """Let an alarm stand; a later sentence about the same replaces an earlier one.

        Args:
            kind: of the alarm.
            sentence: for a person.
            about: of what it is one, such as an episode.
        """
        sentence = visible(sentence)[:_MOST_CHARACTERS]
        with self._lock:
            standing = self._standing.setdefault(kind, {})
            known = about in standing
            standing[about] = sentence
        if not known:
            self._on_change(f"alarm: {sentence}")

    def end(self, kind: AlarmKind, about: str = "") -> None:
        """End an alarm; it may not stand."""
        with self._lock:
            sentence = self._standing.get(kind, {}).pop(about, None)
        if sentence is not None:
            self._on_change(f"over: {sentence}")

    def set(self, kind: AlarmKind, sentence: str, about: str = "") -> None:
        """Let an alarm stand, or end it if the sentence is empty."""
        self.begin(kind, sentence, about) if sentence else self.end(kind, about)

    def stands(self, kind: AlarmKind) -> bool:
        """Return whether an alarm of a kind stands."""
        with self._lock:
            return bool(self._standing.get(kind))

    def sentences(self) -> list[str]:
        """Return one sentence for each kind that stands, in a fixed order."""
        with self._lock:
            found = [
                list(dict.fromkeys(self._standing[kind].values()))
                for kind in AlarmKind
                if self._standing.get(kind)
            ]
        return [one[0] + (f" (and {len(one) - 1} more)" if len(one) > 1 else "") for one in found]


class DiskSlope:
    """Measures how soon a disk is full. One thread uses it."""

    def __init__(self) -> None:
        """Create it without any measurement."""
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, now_s: float, free_bytes: int) -> None:
        """Take a measurement; those that come too soon are left out.

        Args:
            now_s: monotonic, s.
            free_bytes: of the disk.
        """
        if self._samples and now_s - self._samples[-1][0] < _SAMPLE_S:
            return
        self._samples.append((now_s, free_bytes))
        while now_s - self._samples[0][0] > _SLOPE_S:
            self._samples.popleft()

    def full_in_s(self) -> float | None:
        """Return when the disk is full if it goes on like this, s from now; None: unknown, or never."""
        if not self._samples or self._samples[-1][0] - self._samples[0][0] < _LEAST_SLOPE_S:
            return None
        at, free = np.array(self._samples, float).T
        at -= at[-1]
        # Episodes come in bursts: a line through all samples, not through the first and the last.
        slope, now_free = np.polyfit(at, free, 1)
        if slope >= -1.0:
            return None
        return float(max(0.0, now_free) / -slope)


class SendingWatch:
    """Measures for how long nothing was sent although it could have been. One thread uses it."""

    def __init__(self) -> None:
        """Create it."""
        self._at_s: float | None = None
        self._idle_s = 0.0
        self._sent = 0

    def look(self, now_s: float, sent_bytes: int, waiting: int, may_send: bool) -> float:
        """Return for how long nothing was sent, s.

        Args:
            now_s: monotonic, s.
            sent_bytes: so far.
            waiting: episodes that wait to be sent.
            may_send: whether the bandwidth plan allows to send now.
        """
        passed_s = 0.0 if self._at_s is None else now_s - self._at_s
        self._at_s = now_s
        if not waiting or sent_bytes != self._sent:
            self._idle_s = 0.0
        elif may_send:
            self._idle_s += passed_s
        self._sent = sent_bytes
        return self._idle_s


def nothing_sent(idle_s: float, waiting: int, why: str) -> str:
    """Return the alarm that nothing was sent for long; empty: it was.

    Args:
        idle_s: from ``SendingWatch``.
        waiting: episodes.
        why: what is in the way, as far as it is known.
    """
    if idle_s < NOTHING_SENT_S:
        return ""
    because = f": {why}" if why else ""
    return f"nothing was sent for {idle_s / 3600:.1f} h though {waiting} episodes wait{because}"


def disk_full(full_in_s: float | None, free_bytes: int) -> str:
    """Return the alarm that the disk is full soon; empty: it is not.

    Args:
        full_in_s: from ``DiskSlope``.
        free_bytes: of the disk.
    """
    if free_bytes < LEAST_FREE_BYTES:
        return f"the disk is full ({free_bytes / 1e6:.0f} MB are free): delete something"
    if full_in_s is None or full_in_s > DISK_FULL_S:
        return ""
    return (
        f"the disk is full in {full_in_s / 3600:.1f} h if it goes on like this ({free_bytes / 1e9:.1f} GB "
        "are free): see that episodes are sent, or delete some"
    )
