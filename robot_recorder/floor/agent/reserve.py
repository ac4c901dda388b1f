"""A few megabytes of the disk that the agent gives up when it is full.

Deleting an episode has to be noted first; on a disk without a free byte nothing could be noted, so
nothing would ever be deleted.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

RESERVE_BYTES = 8 << 20
LEAST_FREE_BYTES = 4 * RESERVE_BYTES  # of a disk that is not called full
_LOW_BYTES = 1 << 20


class DiskReserve:
    """The file that keeps room. Any thread may use it; it never raises."""

    def __init__(self, folder: Path) -> None:
        """Use the reserve in a folder; nothing is made yet."""
        self.path = folder / "reserve"

    def make(self) -> None:
        """Make the file if it is missing and the disk has room for more than it."""
        with suppress(OSError):
            if os.path.lexists(self.path) or self._free_bytes() < LEAST_FREE_BYTES:
                return
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with open(os.open(self.path, flags, 0o600), "wb") as file:
                    file.write(os.urandom(RESERVE_BYTES))  # a disk may compress zeros
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                self.release()

    def is_needed(self) -> bool:
        """Return whether hardly anything can be written without giving it up."""
        try:
            return self._free_bytes() < _LOW_BYTES
        except OSError:
            return False

    def release(self) -> bool:
        """Delete the file; return whether that made room."""
        try:
            os.unlink(self.path)
        except OSError:
            return False
        return True

    def _free_bytes(self) -> int:
        found = os.statvfs(self.path.parent)
        return found.f_bavail * found.f_frsize
