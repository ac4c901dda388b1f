"""Reads a Zarr group, a folder or a .zip: read_zarr.py PATH OUT.npz.

Writes every array by its name in the group, and prints attributes, chunks and the version of the
format.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import zarr


def main(path: str, out: str) -> None:
    store = zarr.storage.ZipStore(path, mode="r") if path.endswith(".zip") else path
    group = zarr.open_group(store, mode="r")
    nodes = dict(group.members(max_depth=None))
    arrays = {name: node for name, node in nodes.items() if isinstance(node, zarr.Array)}
    found: dict[str, Any] = {name: np.asarray(array[...]) for name, array in arrays.items()}
    np.savez(out, **found)
    said = {
        "format": group.metadata.zarr_format,
        "attributes": {"": group.attrs.asdict()}
        | {name: node.attrs.asdict() for name, node in nodes.items()},
        "chunks": {name: array.chunks for name, array in arrays.items()},
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
