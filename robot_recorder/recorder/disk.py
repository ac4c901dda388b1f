"""How much more fits on the disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

_WARN_S = 30.0
_REACTION_S = 1.0  # as long as a running episode may go on unseen, and come to its end


@dataclass(frozen=True)
class DiskLimits:
    """What may be used.

    Attributes:
        max_episode_s: an episode that gets longer is stopped.
        min_free_bytes: always left free; an episode is stopped before it takes these.
    """

    max_episode_s: float = 600.0
    min_free_bytes: int = 500_000_000


def free_bytes(folder: Path) -> int:
    """Free space where a folder is, or would be made; 0 when that cannot be seen."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue  # not there yet, or not ours to see
    return 0


def reserve_reached(
    free: int, bytes_per_s: float, waiting: int, limits: DiskLimits, root: Path
) -> str:
    """Why not even a forced episode may begin, and what to do; empty when it may.

    Args:
        waiting: bytes that will be written whatever happens: its pre-roll, and queues of others.
    """
    if free - waiting - bytes_per_s * _REACTION_S > limits.min_free_bytes:
        return ""
    return (
        f"the disk of {root} has {_gb(free)} free, {_gb(waiting)} are waiting to be written, and "
        f"{_gb(limits.min_free_bytes)} (min_free_mb) are always left free, also with force: true: make room"
    )


def shortage(free: int, bytes_per_s: float, waiting: int, limits: DiskLimits, root: Path) -> str:
    """Why an episode of the maximum length would not fit, and what to do; empty when it does."""
    needed = limits.max_episode_s * bytes_per_s + waiting + limits.min_free_bytes
    if free >= needed:
        return ""
    return (
        f"the disk of {root} has {_gb(free)} free, an episode of up to {limits.max_episode_s:g} s at "
        f"{bytes_per_s / 1e6:.1f} MB/s needs {_gb(needed)} (with {_gb(limits.min_free_bytes)} always "
        "left free): make room, or lower max_episode_s"
    )


def running_out(
    free: int, bytes_per_s: float, waiting: int, limits: DiskLimits
) -> tuple[bool, str]:
    """Whether a running episode must stop now, and a warning when it soon must.

    Args:
        waiting: bytes that will be written even when it stops now.
    """
    room = free - limits.min_free_bytes - waiting - bytes_per_s * _REACTION_S
    if room <= 0:
        return (
            True,
            f"the disk is full: {_gb(free)} free, {_gb(limits.min_free_bytes)} are kept free, "
            f"{_gb(waiting)} are waiting to be written",
        )
    if bytes_per_s and room / bytes_per_s < _WARN_S:
        return False, f"the disk is full in {room / bytes_per_s:.0f} s: stop and make room"
    return False, ""


def episodes_left(free: int, episode_bytes: float, limits: DiskLimits) -> int:
    """How many more episodes of a size fit; -1 while the size is not known."""
    if episode_bytes <= 0:
        return -1
    return max(0, int((free - limits.min_free_bytes) / episode_bytes))


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
