"""Decide by the free disk space whether an episode may start or must stop."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

_WARN_S = 30.0
_REACTION_S = 2.0  # from running out of space until the episode is closed, on a busy machine


@dataclass(frozen=True)
class DiskLimits:
    """Limits of an episode and of the disk.

    Attributes:
        max_episode_s: maximum length of an episode, s; longer ones are stopped.
        min_free_bytes: reserve; an episode is stopped before it uses these bytes.
    """

    max_episode_s: float = 600.0
    min_free_bytes: int = 500_000_000


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk that a directory is on, or will be; 0: unknown."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue  # missing or not accessible: ask for its parent
    return 0


def reserve_reached(
    free: int, bytes_per_s: float, waiting: int, limits: DiskLimits, root: Path
) -> str:
    """Return why not even a forced episode may start, and what to do; empty: it may.

    Args:
        free: free bytes of the disk.
        bytes_per_s: data rate of all streams.
        waiting: bytes to be written in any case: its pre-roll and the queues of other episodes.
        limits: limits of the disk.
        root: named in the answer.
    """
    if free - waiting - bytes_per_s * _REACTION_S > limits.min_free_bytes:
        return ""
    return (
        f"the disk of {root} has {_gb(free)} free, {_gb(waiting)} are waiting to be written, and "
        f"{_gb(limits.min_free_bytes)} (min_free_mb) are reserved, also with force: true: make room"
    )


def shortage(free: int, bytes_per_s: float, waiting: int, limits: DiskLimits, root: Path) -> str:
    """Return why an episode of maximum length does not fit, and what to do; empty: it fits."""
    needed = limits.max_episode_s * bytes_per_s + waiting + limits.min_free_bytes
    if free >= needed:
        return ""
    return (
        f"the disk of {root} has {_gb(free)} free, an episode of up to {limits.max_episode_s:g} s at "
        f"{bytes_per_s / 1e6:.1f} MB/s needs {_gb(needed)} (with {_gb(limits.min_free_bytes)} "
        "in reserve): make room, or lower max_episode_s"
    )


def running_out(
    free: int, bytes_per_s: float, waiting: int, limits: DiskLimits
) -> tuple[bool, str]:
    """Return whether a running episode must stop now, and the reason or a warning.

    Args:
        free: free bytes of the disk.
        bytes_per_s: data rate of all streams.
        waiting: bytes that will be written even if it stops now.
        limits: limits of the disk.
    """
    room = free - limits.min_free_bytes - waiting - bytes_per_s * _REACTION_S
    if room <= 0:
        return (
            True,
            f"the disk is full: {_gb(free)} free, {_gb(limits.min_free_bytes)} are reserved, "
            f"{_gb(waiting)} are waiting to be written",
        )
    if bytes_per_s and room / bytes_per_s < _WARN_S:
        return False, f"the disk is full in {room / bytes_per_s:.0f} s: stop and make room"
    return False, ""


def episodes_left(free: int, episode_bytes: float, limits: DiskLimits) -> int:
    """Return how many more episodes of a size fit; -1: the size is unknown."""
    if episode_bytes <= 0:
        return -1
    return max(0, int((free - limits.min_free_bytes) / episode_bytes))


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
