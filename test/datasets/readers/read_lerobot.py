"""Reads a LeRobot dataset as a training does: read_lerobot.py ROOT OUT.npz [DECODER...].

Writes every number of every frame by its key, (frames, ...), and the texts of the tasks; the
statistics as KEY/STATISTIC; of each camera by each decoder the hash of every picture, its means
by colour, and the first, middle and last picture in uint8 (height, width, 3), as
KEY/DECODER/WHAT.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import defaultdict
from typing import Any

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def add_frame(found: dict[str, list[Any]], item: dict[str, Any], decoder: str, full: bool) -> None:
    """Add what a frame holds: its pictures, and with the first decoder its numbers and texts."""
    for key, value in item.items():
        if getattr(value, "ndim", 0) < 3:
            found[key].append(value if isinstance(value, str) else value.numpy())
            continue
        picture = (value * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
        found[f"{key}/{decoder}/sha256"].append(hashlib.sha256(picture.tobytes()).hexdigest())
        found[f"{key}/{decoder}/mean"].append(picture.mean((0, 1)))
        if full:
            found[f"{key}/{decoder}/pictures"].append(picture)


def main(root: str, out: str, *decoders: str) -> None:
    found: dict[str, Any] = {}
    seconds = {}
    for decoder in decoders or ("torchcodec", "pyav"):
        data = LeRobotDataset("test/read", root=root, video_backend=decoder)
        lists: dict[str, list[Any]] = defaultdict(list)
        data[0]  # loads the decoder
        began = time.monotonic()
        for number in range(len(data)):
            full = number in (0, len(data) // 2, len(data) - 1)
            add_frame(lists, data[number], decoder, full)
        seconds[decoder] = time.monotonic() - began
        found |= {key: np.stack(values) for key, values in lists.items()}
    for key, statistics in data.meta.stats.items():
        found |= {f"{key}/{name}": np.asarray(value) for name, value in statistics.items()}
    np.savez(out, **found)
    said = {
        "frames": len(data), "episodes": data.num_episodes, "fps": data.fps,
        "robot": data.meta.robot_type, "features": data.features,
        "cameras": data.meta.camera_keys, "tasks": list(data.meta.tasks.index),
        "reads_per_s": {name: len(data) / taken for name, taken in seconds.items()},
    }  # fmt: skip
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
