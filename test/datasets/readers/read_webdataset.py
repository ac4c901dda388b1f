"""Reads WebDataset shards as a training does: read_webdataset.py FILE_OR_FOLDER OUT.npz.

Writes, in order, every key and every field, pictures decoded to uint8 (height, width, 3): stacked
as FIELD, (samples, ...), if all samples have it in one shape, else each as FIELD/NUMBER. Prints
the fields of JSON.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import webdataset


def main(path: str, out: str) -> None:
    root = Path(path)
    shards = [str(p) for p in sorted(root.rglob("*.tar"))] or [path]
    samples = webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8")
    found: dict[str, dict[int, Any]] = defaultdict(dict)
    count = 0
    for count, sample in enumerate(samples, 1):
        for name, value in sample.items():
            if name not in ("__url__", "__local_path__"):
                found[name][count - 1] = value
    values: dict[str, Any] = {}
    texts = {name: list(of.values()) for name, of in found.items() if name.endswith("json")}
    for name, of in found.items():
        if name in texts:
            continue
        arrays = {number: np.asarray(value) for number, value in of.items()}
        if len(of) == count and len({a.shape for a in arrays.values()}) == 1:
            values[name] = np.stack(list(arrays.values()))
        else:
            values |= {f"{name}/{number}": array for number, array in arrays.items()}
    np.savez(out, **values)
    print(json.dumps({"shards": len(shards), "samples": count, "json": texts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
