"""Columns that grow batch by batch until they are written one after another into one file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_IN_MEMORY, _BLOCK = 1 << 20, 1 << 20


class Spools:
    """Bytes of named columns; what is more than 1 MB of one waits in a file without a name."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: on the disk where the file will be.
        """
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Spools:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def add(self, name: str, data: bytes | memoryview) -> None:
        """Append bytes to a column."""
        if name not in self._files:
            self._files[name] = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder))
        self._files[name].write(data)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns in the order of their first bytes."""
        return tuple(self._files)

    def size(self, name: str) -> int:
        """Return the number of bytes of a column."""
        return self._files[name].seek(0, 2)

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a column, at most 1 MB at a time."""
        file = self._files[name]
        file.seek(0)
        while block := file.read(_BLOCK):
            yield block
