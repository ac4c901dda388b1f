"""A file written in whole blocks past the page cache, where the file system allows it.

Copying into the page cache and bringing that to the disk later costs the kernel more CPU than all the
rest of recording (docs/writers.md), and fills the memory of a robot with data nobody reads.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from pathlib import Path

from robot_recorder.bags.files import mode_beside, set_mode

_BLOCK = 4096  # what any file system's direct writes are happy with


class BlockFile:
    """Append-only. ``buffer[:end]`` is what is not in the file yet; write there, move ``end``, ``commit``."""

    def __init__(self, path: Path, size: int) -> None:
        """
        Args:
            path: must not exist yet.
            size: of the buffer, bytes.

        Raises:
            OSError: it can not be created.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        mode = mode_beside(path)
        try:
            self._fd = os.open(path, flags | os.O_DIRECT, 0o600)
            self._direct = True
        except FileExistsError:
            raise
        except OSError:  # a file system without direct writes; it may have left an empty file
            path.unlink(missing_ok=True)
            self._fd = os.open(path, flags, 0o600)
            self._direct = False
        set_mode(self._fd, mode)
        self._path = path
        self._size = 0  # of the file, as far as it was written here
        # Of anonymous mmap, because direct writes want memory that is aligned to pages.
        self.buffer = mmap.mmap(-1, size)
        self.end = 0
        self._base = 0  # where in the file the buffer begins: always a whole block

    @property
    def position(self) -> int:
        """Where in the file ``end`` will be."""
        return self._base + self.end

    def reserve(self, size: int) -> None:
        """Make room for so many bytes behind ``end``."""
        if self.end + size > len(self.buffer):
            larger = mmap.mmap(-1, 2 * (self.end + size))
            larger[: self.end] = self.buffer[: self.end]
            self.buffer = larger

    def append(self, data: bytes) -> None:
        """Copy bytes behind ``end``."""
        self.reserve(len(data))
        self.buffer[self.end : self.end + len(data)] = data
        self.end += len(data)

    def commit(self) -> None:
        """Write all whole blocks.

        Raises:
            OSError: the disk does not take them, or somebody else has changed the file's size.
        """
        self.check()
        whole = self.end - self.end % _BLOCK
        self._write(whole)
        self.buffer[: self.end - whole] = self.buffer[whole : self.end]
        self._base += whole
        self.end -= whole

    def sync(self) -> None:
        """Write everything, and bring it to the disk."""
        self.commit()
        if self.end:
            self.reserve(_BLOCK)
            self.buffer[self.end : _BLOCK] = bytes(_BLOCK - self.end)
            self._write(_BLOCK)  # and again when it is full: it stays in the buffer
        os.ftruncate(self._fd, self.position)
        self._size = self.position
        os.fsync(self._fd)

    def check(self) -> None:
        """See that the file is there, as it was left: what somebody cut off would become zeros in the middle.

        Raises:
            OSError: it is not.
        """
        found = os.fstat(self._fd)
        try:
            there = os.path.samestat(found, os.lstat(self._path))
        except OSError:
            there = False
        if not there:
            raise OSError(errno.ESTALE, "somebody else moved or deleted the file")
        if found.st_size != self._size:
            text = f"somebody else changed the file: it has {found.st_size} bytes instead of {self._size}"
            raise OSError(errno.ESTALE, text)

    def close(self) -> None:
        """Without writing anything more."""
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
                    # Less than asked for, or not this way: without blocks it goes on, or says why not.
                    fcntl.fcntl(self._fd, fcntl.F_SETFL, 0)
                    self._direct = False
