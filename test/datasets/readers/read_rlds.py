"""Reads an RLDS dataset as Open X-Embodiment does: read_rlds.py FOLDER OUT.npz.

FOLDER is that of a version, with dataset_info.json and features.json. Writes every field of the
steps as SPLIT/EPISODE/steps/FIELD, (steps, ...), texts as bytes, and every other field as
SPLIT/EPISODE/FIELD.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow_datasets as tfds


def leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return the values of nested dicts by their path, with slashes."""
    if not isinstance(value, dict):
        return {prefix: value}
    inner = [leaves(one, f"{prefix}/{name}") for name, one in value.items()]
    return {path: leaf for found in inner for path, leaf in found.items()}


def plain(value: Any) -> np.ndarray:
    """Return an array that needs no pickling: texts as bytes."""
    array = np.asarray(value)
    return array.astype(bytes) if array.dtype == object else array


def main(folder: str, out: str) -> None:
    builder = tfds.builder_from_directory(folder)
    found: dict[str, Any] = {}
    lengths: dict[str, list[int]] = {}
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    for split in builder.info.splits:
        data = builder.as_dataset(split=split, read_config=in_order)
        lengths[split] = []
        for number, episode in enumerate(data):
            steps = [leaves(step) for step in tfds.as_numpy(episode.pop("steps"))]
            lengths[split].append(len(steps))
            for path in steps[0] if steps else ():
                found[f"{split}/{number}/steps{path}"] = plain([step[path] for step in steps])
            for path, value in leaves(tfds.as_numpy(episode)).items():
                found[f"{split}/{number}{path}"] = plain(value)
    np.savez(out, **found)
    said = {
        "name": builder.info.full_name,
        "lengths": lengths,
        "features": str(builder.info.features),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
