"""Real readers read what the exporter wrote, value by value against the bag."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.dataset_takes import RATE_HZ, TakeOptions, take
from support.exported import aligned, export, reader
from support.readers import DECODERS, need_decoder, run_reader

from robot_recorder.dataset.trimming import Held
from robot_recorder.dataset.video import VideoMode

CAMERA = "observation.images.camera"
PROFILE = """
features:
  observation.state: {values: {joints: [position/*]}}
  action: {values: {commands: [position/*]}}
  observation.force: {values: {force: ["*"]}}
  observation.force.window: {window: force}
  observation.images.camera: {camera: camera}
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("takes")
    return [
        take(root, n, TakeOptions(seconds=2.0), task="lift" if n % 2 else "fold") for n in range(3)
    ]


def wanted(paths: list[Path], folder: Path) -> dict[str, np.ndarray]:
    """Return the values of all frames, and the pictures that they chose."""
    parts: dict[str, list[np.ndarray]] = {}
    for number, path in enumerate(paths):
        source = aligned(folder / f"{number}", path)
        columns = reader(source, PROFILE).read(0, len(source), 0)
        for name, values in columns.items():
            parts.setdefault(name, []).append(values)
        parts.setdefault("numbers", []).append(np.asarray(source.array("numbers/camera")))
    return {name: np.concatenate(values) for name, values in parts.items()}


@pytest.mark.parametrize("decoder", DECODERS)
def test_lerobot_reads_the_values_of_the_bag_and_copied_pictures(
    paths: list[Path], tmp_path: Path, decoder: str
) -> None:
    need_decoder(decoder)
    report = export(tmp_path / "set", paths, profile=PROFILE, shard_bytes=200_000)
    assert report.lock.codecs == {CAMERA: "mjpeg"}
    said = run_reader("read_lerobot", tmp_path / "set", tmp_path / "read.npz", decoder)
    assert (said["frames"], said["episodes"], said["fps"]) == (report.frames, 3, RATE_HZ)
    read, truth = np.load(tmp_path / "read.npz"), wanted(paths, tmp_path / "aligned")
    numbers = truth.pop("numbers")
    for name, values in truth.items():
        kept = values.astype(np.float32) if values.dtype == np.float64 else values  # as torch does
        found = read[name].reshape(values.shape).astype(kept.dtype)
        np.testing.assert_array_equal(found, kept, err_msg=name)
    np.testing.assert_array_equal(
        read["timestamp"].ravel()[:3], (np.arange(3) / RATE_HZ).astype(np.float32)
    )
    hashes = read[f"{CAMERA}/{decoder}/sha256"]
    assert len(set(hashes[: len(set(numbers[:30].tolist()))])) > 20, "pictures differ"
    first = read[f"{CAMERA}/{decoder}/pictures"][0]
    jpeg = first_picture(paths[0], int(numbers[0]))
    assert np.abs(first.astype(int) - jpeg[..., ::-1]).mean() < 1.5, "decoders differ in rounding"


def first_picture(path: Path, number: int) -> np.ndarray:
    from robot_recorder.bags.reader import read_messages
    from robot_recorder.messages.image_messages import encoded_picture

    messages = list(read_messages(path, {"/camera/image/compressed"}))
    data = encoded_picture(messages[number].data).data
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


def test_two_exports_of_the_same_pictures_are_read_the_same(
    paths: list[Path], tmp_path: Path
) -> None:
    found = []
    for workers in (1, 2):
        root = export(tmp_path / f"{workers}", paths, workers, profile=PROFILE).target
        run_reader("read_lerobot", root, tmp_path / f"{workers}.npz", "pyav")
        read = np.load(tmp_path / f"{workers}.npz")
        found.append(hashlib.sha256("".join(read[f"{CAMERA}/pyav/sha256"]).encode()).hexdigest())
    assert found[0] == found[1]


@pytest.mark.parametrize("video", [VideoMode.AUTO, VideoMode.H264])
def test_a_policy_trains_ten_steps_on_it(
    paths: list[Path], tmp_path: Path, video: VideoMode
) -> None:
    export(tmp_path / "set", paths, profile=PROFILE, video=video, held=Held.CUT)
    losses = run_reader("train_act", tmp_path / "set", 10, "pyav")["losses"]
    assert len(losses) == 10 and all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
