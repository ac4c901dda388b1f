"""The layouts that ACT, ALOHA and robomimic expect; what files hold is held by test_formats.py."""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.dataset_takes import RATE_HZ, TakeOptions, shown, take
from support.exported import export

from robot_recorder.dataset.formats import hdf5
from robot_recorder.dataset.schema import Feature, FeatureKind, Schema
from robot_recorder.dataset.trimming import Held
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.labels import Outcome

h5py = pytest.importorskip("h5py")
SHORT = TakeOptions(seconds=1.2)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("takes")
    return [
        take(root, 0, TakeOptions(seconds=4, gap=(1.6, 2.4))),
        take(root, 1, SHORT, outcome=Outcome.FAILURE),
    ]


def test_act_finds_what_it_looks_for(paths: list[Path], tmp_path: Path) -> None:
    export(tmp_path / "set", paths, format="hdf5-aloha", extra={"depth": "mm"})
    assert sorted(p.name for p in (tmp_path / "set").glob("*")) == [
        ".export", "README.md", "card.html", "episode_0.hdf5", "episode_1.hdf5", "export.lock.json",
        "samples",
    ]  # fmt: skip
    with h5py.File(tmp_path / "set/episode_1.hdf5") as file:
        assert (file.attrs["sim"], file.attrs["compress"]) == (False, False)
        count = len(file["action"])
        assert file["observations/qpos"].shape == (count, 2)
        picture, depth = file["observations/images/camera"], file["observations/images_depth/depth"]
        assert (picture.shape, picture.chunks) == ((count, 64, 96, 3), (1, 64, 96, 3))
        assert (depth.shape, depth.dtype) == ((count, 64, 96), np.uint16)
        assert json.loads(file["observations/qpos"].attrs["names"])[0] == "position/joint_0 (rad)"
        assert file["sync/status"].shape == (count, 5)
        assert file["sync/force_window_mask"].shape == file["observations/force_window"].shape[:2]
        assert file.attrs["rate_hz"] == RATE_HZ
        assert json.loads(file.attrs["annotations"]) == [["grasp", 0.5, 1.0]]


def test_velocities_that_nobody_measured_are_unknown(paths: list[Path], tmp_path: Path) -> None:
    export(tmp_path / "set", paths, format="hdf5-aloha")
    with h5py.File(tmp_path / "set/episode_0.hdf5") as file:
        qvel = file["observations/qvel"]
        assert qvel.shape == file["observations/qpos"].shape and np.isnan(qvel[()]).all()
        assert "nothing measured" in qvel.attrs["unknown"]
        assert "effort" not in file["observations"]


def test_jpeg_files_are_those_of_the_bag_padded_with_zeros(
    paths: list[Path], tmp_path: Path
) -> None:
    export(tmp_path / "set", paths, format="hdf5-aloha", extra={"images": "jpeg"})
    with h5py.File(tmp_path / "set/episode_1.hdf5") as file:
        assert file.attrs["compress"]
        rows, lengths = file["observations/images/camera"][()], file["compress_len"][()]
        assert lengths.shape == (1, len(rows)) and lengths.max() == rows.shape[1]
        assert json.loads(file["compress_len"].attrs["cameras"]) == ["camera"]
        written = {row[:n].tobytes() for row, n in zip(rows, lengths[0])}
        files = {
            cv2.imencode(".jpg", shown(i, 1), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
            for i in range(24)
        }
        assert written <= files and len(written) > 15
        assert not any(row[n:].any() for row, n in zip(rows, lengths[0]))


def test_robomimic_finds_what_it_looks_for(paths: list[Path], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"shard_bytes": 60_000, "shares": {"val": 0.5}}
    export(tmp_path / "set", paths, format="hdf5-robomimic", **settings)
    assert len(list((tmp_path / "set").glob("data-*.hdf5"))) == 2
    with h5py.File(tmp_path / "set/dataset.hdf5", "r", swmr=True, libver="latest") as file:
        demos = {name: file[f"data/{name}"] for name in file["data"]}
        assert sorted(demos) == ["demo_0", "demo_1"]
        assert file["data"].attrs["total"] == sum(d.attrs["num_samples"] for d in demos.values())
        assert json.loads(file["data"].attrs["env_args"]).keys() == {
            "env_name",
            "type",
            "env_kwargs",
        }
        masks = {name: [d.decode() for d in array[()]] for name, array in file["mask"].items()}
        assert sorted(masks) == ["train", "valid"]
        assert sorted(chain(*masks.values())) == sorted(demos)
        for demo in demos.values():
            count = demo.attrs["num_samples"]
            assert demo["actions"].shape == (count, 2) and demo["dones"][()].tolist()[-1] == 1
            assert demo["obs/camera"].shape == (count, 64, 96, 3)
            assert demo["obs/depth"].shape == (count, 64, 96, 1)
            assert not any("." in name for name in demo["obs"])  # PyTorch's modules refuse dots
            assert not any("mask" in name or "status" in name for name in demo["obs"])


def test_the_next_observations_are_those_of_the_frame_after(
    paths: list[Path], tmp_path: Path
) -> None:
    export(tmp_path / "set", paths, format="hdf5-robomimic")
    with h5py.File(tmp_path / "set/dataset.hdf5") as file:
        demo = file["data/demo_0"]
        assert demo["next_obs"].keys() == demo["obs"].keys()
        for name, array in demo["obs"].items():
            after = demo["next_obs"][name]
            assert after.is_virtual and after.dtype == array.dtype
            np.testing.assert_array_equal(after[:-1], array[1:], name)
            np.testing.assert_array_equal(after[-1], array[-1], name)


def test_only_the_end_of_a_success_is_rewarded(paths: list[Path], tmp_path: Path) -> None:
    report = export(tmp_path / "set", paths, format="hdf5-robomimic", held=Held.CUT)
    assert report.episodes == 3  # the first source is cut at its gap
    with h5py.File(tmp_path / "set/dataset.hdf5") as file:
        rewards = [file[f"data/demo_{n}/rewards"][()] for n in range(3)]
    assert [r.sum() for r in rewards] == [0, 1, 0] and rewards[1][-1] == 1


@pytest.mark.parametrize("name", ["hdf5-aloha", "hdf5-robomimic"])
def test_files_hold_no_times(name: str, paths: list[Path], tmp_path: Path) -> None:
    """Bytes are the same in another second; HDF5 would write the time of every dataset."""
    one = export(tmp_path / "one", paths[1:], format=name)
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.02)
    two = export(tmp_path / "two", paths[1:], format=name)
    assert one.lock.files == two.lock.files


def test_a_link_to_an_earlier_file_is_replaced(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"earlier")
    os.link(old, new)
    hdf5._new(new).close()
    assert old.read_bytes() == b"earlier" and h5py.is_hdf5(new)


@pytest.mark.parametrize(
    "extra, why",
    [
        ({"imges": "jpeg"}, "no option 'imges'; did you mean 'images'"),
        ({"images": "png"}, "images is pixels or jpeg, not 'png'"),
    ],
)
def test_an_unknown_option_names_the_known(
    extra: dict[str, str], why: str, paths: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(RecorderError, match=why):
        export(tmp_path / "set", paths, format="hdf5-aloha", extra=extra)


@pytest.mark.parametrize("name", ["hdf5-aloha", "hdf5-robomimic"])
def test_without_an_action_it_says_what_is_missing(
    name: str, paths: list[Path], tmp_path: Path
) -> None:
    profile = "features: {observation.state: {values: {joints: [position/*]}}}"
    with pytest.raises(RecorderError, match="needs the feature action"):
        export(tmp_path / "set", paths, format=name, profile=profile)


def test_without_h5py_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConfigError, match=r"pip install 'robot_recorder\[datasets\]'"):
        hdf5.h5py()


def test_names_stay_apart_when_they_are_shortened() -> None:
    def feature(name: str) -> Feature:
        return Feature(name, FeatureKind.VALUES, (1,), ("x",), ("s",))

    names = ("observation.state", "observation.images.state", "action.state", "action")
    schema = Schema("arm", 10.0, "", tuple(map(feature, names)), ("s",))
    keys = hdf5.short_names(schema)
    assert len(set(keys.values())) == len(keys)
    assert keys["observation.state"] == "observation_state" and keys["action"] == "action"
    paths = hdf5.robomimic_paths(schema)
    assert (paths["action"], paths["action.state"]) == ("actions", "action_dict/state")
