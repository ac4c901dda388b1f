"""LeRobot's own writer on the frames of an export: lerobot_writer.py FRAMES OUT, in its environment.

It encodes while frames are added (streaming), with its default codec, and a queue that drops nothing.

FRAMES is a folder of one ``episode_N.npz`` for each episode: numbers by feature, and JPEG files of each
camera. Pictures are decoded before the clock runs. Prints seconds, CPU seconds and frames.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image

FPS = 30


def features(first: dict[str, np.ndarray]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for name, values in first.items():
        if name.startswith("observation.images."):
            shape = decoded(values[0]).shape
            found[name] = {
                "dtype": "video",
                "shape": shape,
                "names": ["height", "width", "channels"],
            }
        else:
            found[name] = {"dtype": "float32", "shape": values.shape[1:], "names": None}
    return found


def decoded(jpeg: np.ndarray) -> np.ndarray:
    """Return a picture as uint8[height, width, 3], red, green, blue."""
    return np.asarray(Image.open(io.BytesIO(jpeg.tobytes())).convert("RGB"))


def main(source: str, out: str) -> None:
    episodes = sorted(Path(source).glob("*.npz"))
    first = dict(np.load(episodes[0], allow_pickle=True))
    dataset = LeRobotDataset.create(
        "bench/own", FPS, features(first), root=out, use_videos=True, streaming_encoding=True,
        encoder_queue_maxsize=10_000,
    )  # fmt: skip
    wall = cpu = 0.0
    frames = 0
    for path in episodes:
        arrays = dict(np.load(path, allow_pickle=True))
        for name, values in arrays.items():
            if name.startswith("observation.images."):
                arrays[name] = [decoded(v) for v in values]
        began, used = time.monotonic(), spent()
        for number in range(len(arrays["action"])):
            frame = {name: values[number] for name, values in arrays.items()}
            dataset.add_frame({**frame, "task": "Pick it up."})
            frames += 1
        dataset.save_episode()
        wall, cpu = wall + time.monotonic() - began, cpu + spent() - used
    began, used = time.monotonic(), spent()
    dataset.finalize()
    wall, cpu = wall + time.monotonic() - began, cpu + spent() - used
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "frames": frames}))


def spent() -> float:
    """Return the CPU time of this process and its children, s."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main(*sys.argv[1:])
