"""Writes a dataset with LeRobot's own writer: make_lerobot.py ROOT OUT.npz [EPISODES] [FRAMES].

Two cameras of 96 by 128 pixels, a state and an action of 6 values, 30 frames/s. OUT.npz has all
that was handed to the writer, by key, (frames, ...).
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

FPS = 30
JOINTS = [f"joint_{n}" for n in range(6)]
CAMERAS = ("observation.images.head", "observation.images.wrist")
PICTURE = {"dtype": "video", "shape": (96, 128, 3), "names": ["height", "width", "channels"]}
VECTOR = {"dtype": "float32", "shape": (6,), "names": JOINTS}
TASK = "Lift the box."


def frame(episode: int, number: int) -> dict[str, Any]:
    """Return one frame: pictures of one colour that brighten, and joints that swing.

    Args:
        episode: from 0.
        number: of the frame in the episode, from 0; more than 31 repeat their brightness.
    """
    phase = number / FPS + np.arange(6) + episode
    picture = np.empty((96, 128, 3), np.uint8)
    picture[:] = (8 * number % 256, 60 * episode % 256, 80)
    return {
        "observation.state": np.sin(phase).astype(np.float32),
        "action": np.sin(phase + 0.1).astype(np.float32),
        CAMERAS[0]: picture,
        CAMERAS[1]: picture[..., ::-1].copy(),
        "task": TASK,
    }


def main(root: str, out: str, episodes: str = "2", frames: str = "30") -> None:
    features = {"observation.state": VECTOR, "action": VECTOR, **dict.fromkeys(CAMERAS, PICTURE)}
    data = LeRobotDataset.create("test/made", FPS, features, root=root, vcodec="h264")
    given = []
    for episode in range(int(episodes)):
        for number in range(int(frames)):
            given.append(frame(episode, number))
            data.add_frame(dict(given[-1]))
        data.save_episode(parallel_encoding=False)
    data.finalize()
    values: dict[str, Any] = {key: np.stack([one[key] for one in given]) for key in given[0]}
    np.savez(out, **values)
    print(json.dumps({"frames": len(given)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
