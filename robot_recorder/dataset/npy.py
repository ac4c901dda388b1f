"""NumPy's files with the same bytes for the same values: ``np.savez`` writes the time of day."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip file knows


def npy_head(shape: tuple[int, ...], dtype: str) -> bytes:
    """Return what stands before the values in an ``.npy`` file."""
    held = io.BytesIO()
    described = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False,
        "shape": shape,
    }  # fmt: skip
    np.lib.format.write_array_header_1_0(held, described)
    return held.getvalue()


class NpzFile:
    """An ``.npz`` file that takes its arrays one after another, in blocks."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError: the file cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link to an earlier dataset's
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> NpzFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def add(self, name: str, shape: tuple[int, ...], dtype: str, blocks: Iterable[bytes]) -> None:
        """Add an array.

        Args:
            name: of the array.
            shape, dtype: of the array.
            blocks: its values, in order.
        """
        head, kind = npy_head(shape, dtype), np.dtype(dtype)
        info = zipfile.ZipInfo(f"{name}.npy", _DATE)
        info.file_size = len(head) + int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        with self._zip.open(info, "w") as file:
            file.write(head)
            for block in blocks:
                file.write(block)
