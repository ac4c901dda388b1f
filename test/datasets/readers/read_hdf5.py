"""Reads HDF5 files: read_hdf5.py FILE_OR_FOLDER OUT.npz.

Writes every dataset as FILE/NAME, and prints its attributes and those of groups by the same
names. Rows of unequal length, such as compressed pictures, are written one by one as
FILE/NAME/NUMBER.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def values(name: str, data: h5py.Dataset) -> dict[str, np.ndarray]:
    """Return what a dataset holds: texts as str, rows of unequal length one by one."""
    if h5py.check_string_dtype(data.dtype):
        return {name: np.array(data.asstr()[()], dtype=str)}
    if h5py.check_vlen_dtype(data.dtype):
        return {f"{name}/{number}": row for number, row in enumerate(data[()])}
    return {name: data[()]} if data.shape is not None else {}  # None: declared empty


def main(path: str, out: str) -> None:
    root = Path(path)
    files = sorted(p for p in root.rglob("*") if p.suffix in (".h5", ".hdf5")) or [root]
    found: dict[str, Any] = {}
    attributes: dict[str, dict[str, Any]] = {}
    compression = {}
    for path_ in files:
        with h5py.File(path_, "r") as file:
            names: list[str] = []
            file.visit(names.append)
            for name in ["", *names]:
                key = f"{path_.name}/{name}".rstrip("/")
                node = file[name or "/"]
                attributes[key] = {
                    k: getattr(v, "tolist", lambda v=v: v)() for k, v in node.attrs.items()
                }
                if isinstance(node, h5py.Dataset):
                    found |= values(key, node)
                    compression[key] = node.compression
    np.savez(out, **found)
    said = {"files": len(files), "attributes": attributes, "compression": compression}
    print(json.dumps(said, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
