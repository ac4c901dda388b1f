"""The readers work: LeRobot reads, and trains on, what its own writer wrote.

If this fails, the environment is broken; if only other tests of this folder do, the exporter is.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from support.readers import DECODERS, need_decoder, run_reader

CAMERAS = ("observation.images.head", "observation.images.wrist")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the dataset ``root`` and what was written to it, ``given.npz``."""
    folder = tmp_path_factory.mktemp("made")
    run_reader("make_lerobot", folder / "root", folder / "given.npz", 2, 30)
    return folder


@pytest.mark.parametrize("decoder", DECODERS)
def test_lerobot_reads_what_it_wrote(made: Path, tmp_path: Path, decoder: str) -> None:
    need_decoder(decoder)
    said = run_reader("read_lerobot", made / "root", tmp_path / "read.npz", decoder)
    given, read = np.load(made / "given.npz"), np.load(tmp_path / "read.npz")
    assert (said["frames"], said["episodes"], said["fps"]) == (60, 2, 30)
    for key in ("observation.state", "action", "task"):
        np.testing.assert_array_equal(read[key], given[key])
    np.testing.assert_array_equal(read["frame_index"].ravel(), [*range(30)] * 2)
    for camera in CAMERAS:
        means = given[camera].mean((1, 2))
        np.testing.assert_allclose(read[f"{camera}/{decoder}/mean"], means, atol=4)
        assert read[f"{camera}/{decoder}/pictures"].shape == (3, 96, 128, 3)


@pytest.mark.parametrize("decoder", DECODERS)
def test_act_trains_on_it(made: Path, decoder: str) -> None:
    need_decoder(decoder)
    losses = run_reader("train_act", made / "root", 10, decoder)["losses"]
    assert len(losses) == 10 and all(map(math.isfinite, losses))
    assert losses[-1] < losses[0] / 2
