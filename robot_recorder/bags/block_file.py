"""A file written in whole blocks that bypass the page cache, where the file system allows it.

Writing through the page cache costs the kernel more CPU than all the rest of recording
(docs/writers.md), and fills the robot's memory with data that nobody reads.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from pathlib import Path

from robot_recorder.bags.files import mode_beside, set_mode

_BLOCK = 4096  # bytes; a size that every file system accepts for direct writes


class BlockFile:
    """Append-only file with a buffer.

    ``buffer[:end]`` is not in the file yet. To append: write behind ``end``, move ``end``, call
    ``commit``.
    """

    def __init__(self, path: Path, size: int) -> None:
        """
        Args:
            path: file to create; must not exist yet.
            size: initial buffer size, bytes.

        Raises:
            OSError: the file cannot be created.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        mode = mode_beside(path)
        try:
            self._fd = os.open(path, flags | os.O_DIRECT, 0o600)
            self._direct = True
        except FileExistsError:
            raise
        except OSError:  # no direct writes on this file system; an empty file may be left behind
            path.unlink(missing_ok=True)
            self._fd = os.open(path, flags, 0o600)
            self._direct = False
        set_mode(self._fd, mode)
        self._path = path
        self._size = 0  # expected size of the file, bytes
        # An anonymous mmap, because direct writes need page-aligned memory.
        self.buffer = mmap.mmap(-1, size)
        self.end = 0
        self._base = 0  # file offset of the buffer: always a multiple of a block

    @property
    def position(self) -> int:
        """File offset of ``end``."""
        return self._base + self.end

    def reserve(self, size: int) -> None:
        """Grow the buffer so that ``size`` bytes fit behind ``end``."""
        if self.end + size > len(self.buffer):
            larger = mmap.mmap(-1, 2 * (self.end + size))
            larger[: self.end] = self.buffer[: self.end]
            self.buffer = larger

    def append(self, data: bytes) -> None:
        """Copy bytes into the buffer behind ``end``."""
        self.reserve(len(data))
        self.buffer[self.end : self.end + len(data)] = data
        self.end += len(data)

    def commit(self) -> None:
        """Write all whole blocks to the file.

        Raises:
            OSError: writing failed, or another program moved, deleted or resized the file.
        """
        self.check()
        whole = self.end - self.end % _BLOCK
        self._write(whole)
        self.buffer[: self.end - whole] = self.buffer[whole : self.end]
        self._base += whole
        self.end -= whole

    def sync(self) -> None:
        """Write the whole buffer and flush it to the disk."""
        self.commit()
        if self.end:
            self.reserve(_BLOCK)
            self.buffer[self.end : _BLOCK] = bytes(_BLOCK - self.end)
            self._write(_BLOCK)  # it stays in the buffer, and is written again once it is full
        os.ftruncate(self._fd, self.position)
        self._size = self.position
        os.fsync(self._fd)

    def check(self) -> None:
        """Check path and size of the file: a truncation would become zeros in the middle.

        Raises:
            OSError: another program moved, deleted or resized the file.
        """
        found = os.fstat(self._fd)
        try:
            there = os.path.samestat(found, os.lstat(self._path))
        except OSError:
            there = False
        if not there:
            raise OSError(errno.ESTALE, "another program moved or deleted the file")
        if found.st_size != self._size:
            text = (
                f"another program changed the file: it has {found.st_size} bytes instead of "
                f"{self._size}"
            )
            raise OSError(errno.ESTALE, text)

    def close(self) -> None:
        """Close the file without writing the rest of the buffer."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, size: int) -> None:
        done = 0
        with memoryview(self.buffer) as view:
            while done < size:
                try:
                    written = os.pwrite(self._fd, view[done:size], self._base + done)
                except OSError as error:
                    if error.errno != errno.EINVAL or not self._direct:
                        raise
                    written = 0
                done += written
                self._size = max(self._size, self._base + done)
                if done < size and self._direct:
                    # A short or refused direct write: retry buffered, which works or says why not.
                    fcntl.fcntl(self._fd, fcntl.F_SETFL, 0)
                    self._direct = False
